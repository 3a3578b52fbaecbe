/**
 * How long a broker takes to answer again: from the start of its process until it has told the end
 * offsets of all partitions, which must be those from before.
 *
 *   node build/benchmarks/restart.js [--broker tailrace] [--broker kafka] ...
 *     --mb N            megabytes that are stored (2048), in 16 partitions
 *     --partitions N    partitions that all hold a little (10000)
 *     --rounds N        (3)
 *     --only NAME       kill, stop, partitions-kill or partitions-stop; may be given several times
 *
 * `kill` is kill -9 just after records were acknowledged, `stop` SIGTERM. Run `npm run build` before.
 */

import { parseArgs } from 'node:util';
import { makeBatch } from './client/batches.ts';
import { WireConnection } from './client/connection.ts';
import { produce } from './client/producer.ts';
import { createTopic, endOffsets } from './client/topics.ts';
import { startKafka } from './peers/kafka.ts';
import { TailraceProcess } from './peers/tailrace.ts';
import { processStats } from './process-stats.ts';

const FILLED_PARTITIONS = 16;
const IN_FLIGHT = 8;
/** Stored anew before each stop. */
const UNCHECKED_BYTES = 64e6;
/** Partitions of one topic: brokers do not take any number in one request. */
const TOPIC_PARTITIONS = 1000;
const RETRY_MS = 20;

interface Restartable {
  readonly host: string;
  readonly port: number;
  readonly pid: number | undefined;
  start(): Promise<void>;
  end(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  remove(): Promise<void>;
}

interface Topic {
  readonly name: string;
  readonly partitions: number;
}

interface Measured {
  readonly readySeconds: number;
  readonly stopSeconds: number;
  readonly residentMebibytes: number;
}

async function brokerOf(description: string): Promise<Restartable> {
  const [kind = '', ...settings] = description.split(' ');
  if (kind === 'tailrace') {
    const broker = new TailraceProcess(settings);
    await broker.start();
    return broker;
  }
  if (kind !== 'kafka') throw new Error(`neither tailrace nor kafka: ${kind}`);
  const kafka = await startKafka({
    settings: Object.fromEntries(settings.map((setting) => setting.split('=', 2))),
  });
  return Object.assign(kafka, { remove: kafka.stop });
}

function topicsOf(partitions: number): Topic[] {
  const topics: Topic[] = [];
  for (let first = 0; first < partitions; first += TOPIC_PARTITIONS) {
    const name = `restart-${topics.length}`;
    topics.push({ name, partitions: Math.min(TOPIC_PARTITIONS, partitions - first) });
  }
  return topics;
}

/** Sends batches to a topic's partitions in turn until so many bytes are there. */
async function fill(broker: Restartable, topic: Topic, bytes: number): Promise<void> {
  const connection = await WireConnection.open(broker.host, broker.port);
  const records = makeBatch({ recordBytes: 1000, recordCount: 250, codec: 'none' });
  const requests = Math.ceil(bytes / records.length);
  let sent = 0;
  const send = async () => {
    while (sent < requests) {
      const index = sent++ % topic.partitions;
      await new Promise<void>((resolve, reject) => {
        produce(connection, topic.name, -1, [{ index, records }], resolve, reject);
      });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, send));
  connection.close();
}

/** One small batch for each partition. */
async function touch(broker: Restartable, topics: readonly Topic[]): Promise<void> {
  const connection = await WireConnection.open(broker.host, broker.port);
  const records = makeBatch({ recordBytes: 100, recordCount: 1, codec: 'none' });
  for (const { name, partitions } of topics) {
    const batches = Array.from({ length: partitions }, (_, index) => ({ index, records }));
    await new Promise<void>((resolve, reject) => {
      produce(connection, name, -1, batches, resolve, reject);
    });
  }
  connection.close();
}

/** The end offsets, as soon as the broker tells all of them. */
async function ends(broker: Restartable, topics: readonly Topic[]): Promise<number[]> {
  for (;;) {
    try {
      const connection = await WireConnection.open(broker.host, broker.port);
      try {
        const found: number[] = [];
        for (const { name, partitions } of topics) {
          found.push(...(await endOffsets(connection, name, partitions)));
        }
        return found;
      } finally {
        connection.close();
      }
    } catch {
      // It does not listen yet, or does not lead all partitions yet.
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function restart(
  broker: Restartable,
  topics: readonly Topic[],
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<Measured> {
  const before = await ends(broker, topics);
  const stopping = performance.now();
  await broker.end(signal);
  const stopSeconds = (performance.now() - stopping) / 1000;
  const starting = performance.now();
  const listening = broker.start();
  const after = await ends(broker, topics);
  const readySeconds = (performance.now() - starting) / 1000;
  await listening;
  if (after.some((end, index) => end < before[index]!)) throw new Error('records are missing');
  const residentMebibytes = processStats(broker.pid)?.residentMebibytes ?? Number.NaN;
  return { readySeconds, stopSeconds, residentMebibytes };
}

interface Plan {
  readonly bytes: number;
  readonly partitions: number;
  readonly rounds: number;
  readonly only: readonly string[];
}

async function measure(description: string, plan: Plan): Promise<void> {
  const isWanted = (name: string) => plan.only.length === 0 || plan.only.includes(name);
  for (const isMany of [false, true]) {
    const prefix = isMany ? 'partitions-' : '';
    const kinds = (['kill', 'stop'] as const).filter((kind) => isWanted(prefix + kind));
    if (kinds.length === 0) continue;
    const topics = topicsOf(isMany ? plan.partitions : FILLED_PARTITIONS);
    const broker = await brokerOf(description);
    try {
      const connection = await WireConnection.open(broker.host, broker.port);
      for (const { name, partitions } of topics) await createTopic(connection, name, partitions);
      connection.close();
      if (isMany) await touch(broker, topics);
      else await fill(broker, topics[0]!, plan.bytes);
      for (const kind of kinds) {
        for (let round = 0; round < plan.rounds; round++) {
          // So that there is something that no checkpoint covers.
          if (isMany) await touch(broker, topics);
          else await fill(broker, topics[0]!, Math.min(UNCHECKED_BYTES, plan.bytes));
          const signal = kind === 'kill' ? 'SIGKILL' : 'SIGTERM';
          report(description, prefix + kind, await restart(broker, topics, signal));
        }
      }
    } finally {
      await broker.remove();
    }
  }
}

function report(description: string, name: string, measured: Measured): void {
  const { readySeconds, stopSeconds, residentMebibytes } = measured;
  process.stdout.write(
    `${description.padEnd(12)} ${name.padEnd(16)} answers after ${readySeconds.toFixed(2)} s, ` +
      `${Math.round(residentMebibytes)} MiB; had ended after ${stopSeconds.toFixed(2)} s\n`,
  );
}

const { values } = parseArgs({
  options: {
    broker: { type: 'string', multiple: true, default: ['tailrace', 'kafka'] },
    mb: { type: 'string', default: '2048' },
    partitions: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', multiple: true, default: [] },
  },
});
const plan: Plan = {
  bytes: Number(values.mb) * 1e6,
  partitions: Number(values.partitions),
  rounds: Number(values.rounds),
  only: values.only,
};
for (const broker of values.broker) await measure(broker, plan);

/**
 * How fast a compacted log is cleaned, what memory that takes, and what a producer to another topic
 * feels of it. A log of records whose keys come in random order, each twice on average, is written
 * while it is too young to be cleaned; then it is said to be old enough, and the time counts until
 * the broker's `cleaner-offset-checkpoint` says that all of its closed segments are clean. The broker
 * must have been started here, and should look for logs often:
 *
 *   --broker "tailrace log.cleaner.backoff.ms=100" --broker "kafka log.cleaner.backoff.ms=100"
 */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../protocol/messages/incremental-alter-configs.ts';
import { buildBatch, type RecordInput } from '../../protocol/records.ts';
import { timedBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
import { produce } from '../client/producer.ts';
import { createTopic, deleteTopic, refuseError } from '../client/topics.ts';
import { pace, sleep } from '../pace.ts';
import { processStats } from '../process-stats.ts';
import {
  type Figures,
  freshTopic,
  higher,
  Latencies,
  lower,
  type Scenario,
  type Settings,
  type Target,
} from '../scenario.ts';

const ALTER_VERSION = 1;
const TOPIC_RESOURCE = 2;
const SET = 0;
const SEGMENT_BYTES = 128 * 1024 * 1024;
const BATCH_BYTES = 16 * 1024;
const REQUESTS_IN_FLIGHT = 8;
const HOUR_MS = 3_600_000;
const CLEANING_LIMIT_MS = 600_000;
const POLL_MS = 20;
const MEGABYTE = 1e6;
const PRODUCER_RATE = 1000;
const PRODUCER_BYTES = 1024;
const WARM_UP_SECONDS = 1;

function scenario(name: string, recordBytes: number): Scenario {
  return {
    name,
    about: `a compacted log of records of ${recordBytes} B, two a key, is cleaned; acks=all beside it`,
    run: (target, settings) => run(target, settings, recordBytes),
  };
}

export const compaction: readonly Scenario[] = [
  scenario('compaction-100b', 100),
  scenario('compaction-500b', 500),
];

async function run(target: Target, settings: Settings, recordBytes: number): Promise<Figures> {
  const { dataDir } = target;
  if (dataDir === undefined) throw new Error('compaction is measured on brokers started here');
  const control = await WireConnection.open(target.host, target.port);
  const topic = freshTopic('compaction');
  const other = freshTopic('beside');
  await createTopic(control, topic, 1, {
    'cleanup.policy': 'compact',
    'segment.bytes': String(SEGMENT_BYTES),
    'min.compaction.lag.ms': String(HOUR_MS),
    'min.cleanable.dirty.ratio': '0.1',
  });
  await createTopic(control, other, 1);
  const open: WireConnection[] = [control];
  try {
    await fill(control, topic, settings.compactionRecords, recordBytes);
    await sleep(2000);
    const beside = await WireConnection.open(target.host, target.port);
    open.push(beside);
    await produceUntil(beside, other, seconds(WARM_UP_SECONDS));
    const before = await produceUntil(beside, other, seconds(settings.seconds));
    const log = closedSegments(path.join(dataDir, `${topic}-0`));
    const memory = new PeakMemory(target.pid);
    await setLag(control, topic, 0);
    const began = performance.now();
    const cleaned = untilCleaned(dataDir, topic, log.endOffset, memory);
    const [ended, during] = await Promise.all([cleaned, produceUntil(beside, other, cleaned)]);
    return {
      cleaned: higher(log.sizeBytes / MEGABYTE / ((ended - began) / 1000), 'MB/s'),
      'log before': lower(log.sizeBytes / MEGABYTE, 'MB'),
      'log after': lower(
        closedSegments(path.join(dataDir, `${topic}-0`)).sizeBytes / MEGABYTE,
        'MB',
      ),
      'memory more': lower(memory.riseMebibytes, 'MiB'),
      'producer p99 before': before.figures().p99!,
      'producer p99 meanwhile': during.figures().p99!,
      'producer max meanwhile': during.figures().max!,
    };
  } finally {
    await deleteTopic(control, topic);
    await deleteTopic(control, other);
    for (const connection of open) connection.close();
  }
}

/** Writes batches of about 16 KiB, the size that producers make by default. */
async function fill(
  connection: WireConnection,
  topic: string,
  records: number,
  recordBytes: number,
): Promise<void> {
  const noise = Buffer.from(Array.from({ length: 1 << 16 }, () => Math.random() * 256));
  const perBatch = Math.max(1, Math.floor(BATCH_BYTES / recordBytes));
  const keys = records / 2;
  const makeBatch = () => {
    const timestamp = Date.now();
    const inputs: RecordInput[] = Array.from({ length: perBatch }, () => {
      const key = Buffer.from(`customer-${Math.floor(Math.random() * keys)}`);
      const at = Math.floor(Math.random() * (noise.length - recordBytes));
      return { key, value: noise.subarray(at, at + recordBytes - key.length), timestamp };
    });
    return buildBatch({ records: inputs });
  };
  let left = Math.ceil(records / perBatch);
  const send = async () => {
    while (left > 0) {
      left -= 1;
      await new Promise<void>((resolve, reject) => {
        produce(connection, topic, 1, [{ index: 0, records: makeBatch() }], resolve, reject);
      });
    }
  };
  await Promise.all(Array.from({ length: REQUESTS_IN_FLIGHT }, send));
}

async function setLag(connection: WireConnection, topic: string, lagMs: number): Promise<void> {
  const configs = [{ name: 'min.compaction.lag.ms', configOperation: SET, value: String(lagMs) }];
  const { responses } = await connection.call(
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
    ALTER_VERSION,
    {
      resources: [{ resourceType: TOPIC_RESOURCE, resourceName: topic, configs }],
      validateOnly: false,
    },
  );
  refuseError('IncrementalAlterConfigs', responses[0]?.errorCode ?? -1);
}

/** Sends small batches at a steady rate until something is over. */
async function produceUntil(
  connection: WireConnection,
  topic: string,
  over: Promise<unknown>,
): Promise<Latencies> {
  const latencies = new Latencies();
  const answers: Promise<void>[] = [];
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  over.then(end, end);
  while (!isOver) {
    await pace(PRODUCER_RATE, 0.1, () => {
      answers.push(sendOne(connection, topic, latencies));
    });
  }
  await Promise.all(answers);
  return latencies;
}

function sendOne(connection: WireConnection, topic: string, latencies: Latencies): Promise<void> {
  const records = timedBatch(PRODUCER_BYTES);
  const sent = performance.now();
  return new Promise((resolve, reject) => {
    const acknowledged = () => {
      latencies.add(performance.now() - sent);
      resolve();
    };
    produce(connection, topic, -1, [{ index: 0, records }], acknowledged, reject);
  });
}

function seconds(count: number): Promise<void> {
  return sleep(count * 1000);
}

/** All segments of a partition but the active one: their bytes, and where they end. */
function closedSegments(folder: string): { sizeBytes: number; endOffset: number } {
  const logs = readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .sort();
  const active = logs.pop();
  let sizeBytes = 0;
  for (const name of logs) sizeBytes += statSync(path.join(folder, name)).size;
  return { sizeBytes, endOffset: Number.parseInt(active ?? '0', 10) };
}

/** Resolves with the moment at which the checkpoint says that all below an offset is clean. */
async function untilCleaned(
  dataDir: string,
  topic: string,
  endOffset: number,
  memory: PeakMemory,
): Promise<number> {
  const deadline = performance.now() + CLEANING_LIMIT_MS;
  while (cleanedBelow(dataDir, topic) < endOffset) {
    if (performance.now() > deadline) throw new Error(`${topic} was not cleaned`);
    memory.look();
    await sleep(POLL_MS);
  }
  return performance.now();
}

function cleanedBelow(dataDir: string, topic: string): number {
  const file = path.join(dataDir, 'cleaner-offset-checkpoint');
  if (!readdirSync(dataDir).includes('cleaner-offset-checkpoint')) return 0;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [name, , offset] = line.split(' ');
    if (name === topic) return Number(offset);
  }
  return 0;
}

/** By how much a process has grown at most. */
class PeakMemory {
  readonly #pid: number | undefined;
  readonly #before: number;
  #peak: number;

  constructor(pid: number | undefined) {
    this.#pid = pid;
    this.#before = processStats(pid)?.residentMebibytes ?? 0;
    this.#peak = this.#before;
  }

  look(): void {
    this.#peak = Math.max(this.#peak, processStats(this.#pid)?.residentMebibytes ?? 0);
  }

  get riseMebibytes(): number {
    return this.#peak - this.#before;
  }
}

/**
 * The trade between latency and overhead: a steady stream is read by one waiting consumer with
 * every pair of min_bytes and timeout, over plain Fetches. Gives requests a second, the broker's
 * processor time and the latency from the send to the consumer, as a table and as a picture.
 *
 *   node build/benchmarks/sweep.js [--broker tailrace] [--seconds 10] [--svg FILE] [--json FILE]
 *     --smoke    four pairs for half a second, to see that it runs
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chart, type Panel } from './chart.ts';
import { sentAt, timedBatch } from './client/batches.ts';
import { WireConnection } from './client/connection.ts';
import { produce } from './client/producer.ts';
import { read } from './client/reader.ts';
import { createTopic, endOffsets } from './client/topics.ts';
import { pace } from './pace.ts';
import { processStats } from './process-stats.ts';
import { digits } from './report.ts';
import { freshTopic, Latencies } from './scenario.ts';
import { type RunningTarget, startTarget } from './targets.ts';

const TITLE = 'Latency, requests and processor time by min_bytes and timeout';

const PER_SECOND = 500;
const RECORD_BYTES = 2048;
const MAX_BYTES = 8 * 1024 * 1024;
const WARM_UP_SECONDS = 1;
const MIN_BYTES = [1, 4096, 32_768, 262_144];
const TIMEOUTS_MS = [5, 20, 100, 500, 2000];

/** What one pair came to. */
interface Cell {
  readonly minBytes: number;
  readonly timeoutMs: number;
  readonly requestsPerSecond: number;
  /** Of one processor; undefined where the process is not to be looked into. */
  readonly cpuPercent: number | undefined;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** A consumer that waits as it is told. */
class WaitingConsumer {
  latencies = new Latencies();
  requests = 0;
  #records = 0;
  #expected = Number.POSITIVE_INFINITY;
  readonly reading: Promise<void>;

  constructor(
    connection: WireConnection,
    topic: string,
    from: number,
    minBytes: number,
    timeoutMs: number,
  ) {
    this.reading = read(connection, {
      topic,
      from: new Map([[0, from]]),
      minBytes,
      maxWaitMs: timeoutMs,
      maxBytes: MAX_BYTES,
      onBatch: (buffer, at) => {
        this.latencies.add(performance.now() - sentAt(buffer, at));
        this.#records += 1;
      },
      goOn: () => {
        this.requests += 1;
        return this.#records < this.#expected;
      },
    });
  }

  reset(): void {
    this.latencies = new Latencies();
    this.requests = 0;
  }

  /** Resolves when it has so many records in all. */
  finish(records: number): Promise<void> {
    this.#expected = records;
    return this.reading;
  }
}

async function measure(
  target: RunningTarget,
  topic: string,
  seconds: number,
  minBytes: number,
  timeoutMs: number,
): Promise<Cell> {
  const producer = await WireConnection.open(target.host, target.port);
  const connection = await WireConnection.open(target.host, target.port);
  try {
    const [from = 0] = await endOffsets(producer, topic, 1);
    const consumer = new WaitingConsumer(connection, topic, from, minBytes, timeoutMs);
    let sent = 0;
    const stream = async (duration: number) => {
      const answers: Promise<void>[] = [];
      await pace(PER_SECOND, duration, () => {
        sent += 1;
        answers.push(send(producer, topic));
      });
      await Promise.all(answers);
    };
    await Promise.race([stream(WARM_UP_SECONDS), consumer.reading]);
    consumer.reset();
    const before = processStats(target.pid);
    const began = performance.now();
    await Promise.race([stream(seconds), consumer.reading]);
    const tookSeconds = (performance.now() - began) / 1000;
    const after = processStats(target.pid);
    const { requests } = consumer;
    await consumer.finish(sent);
    const { p50, p99 } = consumer.latencies.figures();
    const used = before && after && after.cpuSeconds - before.cpuSeconds;
    return {
      minBytes,
      timeoutMs,
      requestsPerSecond: requests / tookSeconds,
      cpuPercent: used === undefined ? undefined : (used / tookSeconds) * 100,
      p50Ms: p50!.value,
      p99Ms: p99!.value,
    };
  } finally {
    producer.close();
    connection.close();
  }
}

function send(connection: WireConnection, topic: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const batches = [{ index: 0, records: timedBatch(RECORD_BYTES) }];
    produce(connection, topic, 1, batches, resolve, reject);
  });
}

function rowOf(cell: Cell): string {
  const { minBytes, timeoutMs, requestsPerSecond, cpuPercent, p50Ms, p99Ms } = cell;
  const cpu = cpuPercent === undefined ? '-' : digits(cpuPercent);
  const figures = [digits(requestsPerSecond), cpu, digits(p50Ms), digits(p99Ms)];
  return `| ${[minBytes, timeoutMs, ...figures].join(' | ')} |`;
}

function tableOf(cells: readonly Cell[]): string {
  return [
    '| min_bytes | timeout ms | requests/s | broker CPU % | p50 ms | p99 ms |',
    '| ---: | ---: | ---: | ---: | ---: | ---: |',
    ...cells.map(rowOf),
  ].join('\n');
}

function panelsOf(cells: readonly Cell[]): Panel[] {
  const sizes = [...new Set(cells.map(({ minBytes }) => minBytes))];
  const lines = (name: string, y: (cell: Cell) => number | undefined, dashed = false) =>
    sizes.map((size, colour) => ({
      name: `${name}, min_bytes ${size}`,
      colour,
      dashed,
      points: cells
        .filter((cell) => cell.minBytes === size && y(cell) !== undefined)
        .map((cell) => ({
          x: cell.requestsPerSecond,
          y: y(cell)!,
          ...(!dashed && { label: `${cell.timeoutMs} ms` }),
        })),
    }));
  const latency = [
    ...lines('p50', (cell) => cell.p50Ms),
    ...lines('p99', (cell) => cell.p99Ms, true),
  ];
  const cpu = lines('CPU', (cell) => cell.cpuPercent).filter(({ points }) => points.length > 0);
  const xTitle = 'requests a second';
  const panels: Panel[] = [
    { title: 'Latency from the send', xTitle, yTitle: 'ms', lines: latency },
  ];
  if (cpu.length > 0)
    panels.push({ title: 'Overhead', xTitle, yTitle: 'broker CPU, %', lines: cpu });
  return panels;
}

const { values } = parseArgs({
  options: {
    broker: { type: 'string', default: 'tailrace' },
    seconds: { type: 'string', default: '10' },
    svg: { type: 'string' },
    json: { type: 'string' },
    smoke: { type: 'boolean', default: false },
  },
});
const seconds = values.smoke ? 0.5 : Number(values.seconds);
if (!(seconds > 0)) throw new Error(`--seconds takes a number, not ${values.seconds}`);
process.once('SIGTERM', () => process.exit(143));
process.once('SIGINT', () => process.exit(130));
const target = await startTarget(values.broker);
try {
  const control = await WireConnection.open(target.host, target.port);
  const topic = freshTopic('sweep');
  await createTopic(control, topic, 1);
  const pairs = (values.smoke ? MIN_BYTES.slice(0, 2) : MIN_BYTES).flatMap((minBytes) =>
    (values.smoke ? TIMEOUTS_MS.slice(1, 3) : TIMEOUTS_MS).map((timeoutMs) => ({
      minBytes,
      timeoutMs,
    })),
  );
  // Once for nothing: code is compiled, files are there.
  await measure(target, topic, seconds, 1, 100);
  const cells: Cell[] = [];
  for (const { minBytes, timeoutMs } of pairs) {
    cells.push(await measure(target, topic, seconds, minBytes, timeoutMs));
    process.stderr.write(`${rowOf(cells.at(-1)!)}\n`);
  }
  control.close();
  process.stdout.write(`${tableOf(cells)}\n`);
  if (values.svg !== undefined) writeFileSync(values.svg, chart(TITLE, panelsOf(cells)));
  if (values.json !== undefined) {
    const how = { broker: values.broker, seconds, PER_SECOND, RECORD_BYTES, node: process.version };
    writeFileSync(values.json, `${JSON.stringify({ how, cells }, null, 2)}\n`);
  }
} finally {
  await target.stop();
}

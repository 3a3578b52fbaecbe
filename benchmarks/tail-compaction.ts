/**
 * What compaction in memory saves on a churning workload: half of the keys are inserted and deleted
 * again within a second, the others stay. Each mode runs in a broker of its own; when that was
 * stopped cleanly, its segments are read, and what is not there was saved.
 *
 *   node build/benchmarks/tail-compaction.js [--mode off] [--mode on] ...
 *     --seconds N       (15)
 *     --rate N          inserts a second over all partitions (2000)
 *     --partitions N    (4)
 *     --value-bytes N   (500)
 *     --life-ms N       longest time from an insert to its delete (1000)
 *     --set NAME=VALUE  of the broker; may be given several times
 *
 * Modes: `off`; `on`, without a reader; `head`, on with a reader at the head that takes each record
 * at once; `batch`, on with a reader that waits for 1 MB or half a second; `slow`, on with one that
 * comes every five seconds. Run `npm run build` before.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { batchBytes, isControl } from '../protocol/record-batch.ts';
import { buildBatch, payloadOf, RecordCursor, type RecordInput } from '../protocol/records.ts';
import { WireConnection } from './client/connection.ts';
import { produce } from './client/producer.ts';
import { read } from './client/reader.ts';
import { createTopic } from './client/topics.ts';
import { pace } from './pace.ts';
import { TailraceProcess } from './peers/tailrace.ts';
import { processStats } from './process-stats.ts';

const TOPIC = 'churn';
/** A producer sends what has come together as often as this. */
const LINGER_MS = 10;
const FIRST_PRODUCER_ID = 1_000_000;
const MODES = ['off', 'on', 'head', 'batch', 'slow'] as const;
type Mode = (typeof MODES)[number];

/** What the reader of a mode waits for. */
const READERS: Partial<Record<Mode, { readonly maxWaitMs: number; readonly minBytes: number }>> = {
  head: { maxWaitMs: 100, minBytes: 1 },
  batch: { maxWaitMs: 500, minBytes: 1024 * 1024 },
  slow: { maxWaitMs: 5000, minBytes: 64 * 1024 * 1024 },
};

const { values: options } = parseArgs({
  options: {
    mode: { type: 'string', multiple: true, default: [...MODES] },
    seconds: { type: 'string', default: '15' },
    rate: { type: 'string', default: '2000' },
    partitions: { type: 'string', default: '4' },
    'value-bytes': { type: 'string', default: '500' },
    'life-ms': { type: 'string', default: '1000' },
    set: { type: 'string', multiple: true, default: [] },
  },
});
const partitions = Number(options.partitions);

/** One idempotent producer of one partition. */
class Churner {
  readonly #connection: WireConnection;
  readonly #index: number;
  readonly #value = Buffer.alloc(Number(options['value-bytes']), 'v');
  #due: RecordInput[] = [];
  /** Deletes to come, by the time at which they are due. */
  #later: { readonly atMs: number; readonly key: Buffer }[] = [];
  #sequence = 0;
  #made = 0;
  pairs = 0;
  sentBytes = 0;
  unanswered = 0;
  failure: Error | undefined;

  constructor(connection: WireConnection, index: number) {
    this.#connection = connection;
    this.#index = index;
  }

  insert(): void {
    const isShort = this.#made++ % 2 === 0;
    const key = Buffer.from(`${isShort ? 'short' : 'long'}-${this.#index}-${this.#made}`);
    this.#due.push({ key, value: this.#value, timestamp: Date.now() });
    if (!isShort) return;
    this.pairs++;
    const atMs = performance.now() + Math.random() * Number(options['life-ms']);
    this.#later.push({ atMs, key });
  }

  /** Sends what is due; at the end all deletes that are left. */
  send(nowMs: number): void {
    const [due, later] = [this.#later.filter(isDue), this.#later.filter((item) => !isDue(item))];
    function isDue({ atMs }: { readonly atMs: number }) {
      return atMs <= nowMs;
    }
    this.#later = later;
    for (const { key } of due) this.#due.push({ key, value: null, timestamp: Date.now() });
    const records = this.#due;
    if (records.length === 0) return;
    this.#due = [];
    const batch = buildBatch({
      records,
      producerId: FIRST_PRODUCER_ID + this.#index,
      producerEpoch: 0,
      baseSequence: this.#sequence,
    });
    this.#sequence += records.length;
    this.sentBytes += batch.length;
    this.unanswered++;
    const answered = () => this.unanswered--;
    const failed = (error: Error) => {
      this.failure = error;
    };
    produce(
      this.#connection,
      TOPIC,
      -1,
      [{ index: this.#index, records: batch }],
      answered,
      failed,
    );
  }
}

interface Stored {
  bytes: number;
  /** Keys of pairs of which the segments have the insert, and the delete. */
  readonly inserts: Set<string>;
  readonly deletes: Set<string>;
}

/** What is in the segments of a broker that was stopped. */
function readSegments(dataFolder: string): Stored {
  const stored: Stored = { bytes: 0, inserts: new Set(), deletes: new Set() };
  for (const folder of readdirSync(dataFolder)) {
    if (!folder.startsWith(`${TOPIC}-`)) continue;
    for (const name of readdirSync(join(dataFolder, folder))) {
      if (name.endsWith('.log')) addSegment(readFileSync(join(dataFolder, folder, name)), stored);
    }
  }
  return stored;
}

function addSegment(bytes: Buffer, stored: Stored): void {
  stored.bytes += bytes.length;
  for (let at = 0; at < bytes.length; at += batchBytes(bytes, at)) {
    if (isControl(bytes, at)) continue;
    const cursor = new RecordCursor(payloadOf(bytes, at));
    while (cursor.next()) {
      const key = String(cursor.key());
      if (!key.startsWith('short')) continue;
      (cursor.value() === null ? stored.deletes : stored.inserts).add(key);
    }
  }
}

/** The mode's reader, if it has one; ends when it is told to. */
function startReader(
  connection: WireConnection,
  mode: Mode,
  goOn: () => boolean,
): Promise<void> | undefined {
  const reader = READERS[mode];
  if (reader === undefined) return undefined;
  const from = new Map(Array.from({ length: partitions }, (_, index) => [index, 0]));
  const maxBytes = 64 * 1024 * 1024;
  return read(connection, { topic: TOPIC, from, ...reader, maxBytes, onBatch: () => {}, goOn });
}

async function churn(churners: readonly Churner[]): Promise<void> {
  const seconds = Number(options.seconds);
  let next = 0;
  const timer = setInterval(() => {
    for (const churner of churners) churner.send(performance.now());
  }, LINGER_MS);
  await pace(Number(options.rate), seconds, () => churners[next++ % partitions]!.insert());
  clearInterval(timer);
  for (const churner of churners) churner.send(Number.POSITIVE_INFINITY);
  while (churners.some(({ unanswered }) => unanswered > 0)) {
    for (const { failure } of churners) if (failure !== undefined) throw failure;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function measure(mode: Mode): Promise<Record<string, string>> {
  const broker = new TailraceProcess(options.set);
  try {
    await broker.start();
    const connections = await Promise.all(
      Array.from({ length: partitions + 1 }, () => WireConnection.open(broker.host, broker.port)),
    );
    await createTopic(connections[0]!, TOPIC, partitions, {
      'cleanup.policy': 'compact',
      'tail.compaction.enable': String(mode !== 'off'),
    });
    let isOver = false;
    const reading = startReader(connections[partitions]!, mode, () => !isOver);
    const churners = Array.from(
      { length: partitions },
      (_, index) => new Churner(connections[index]!, index),
    );
    await churn(churners);
    const cpuSeconds = processStats(broker.pid)?.cpuSeconds ?? Number.NaN;
    isOver = true;
    await reading;
    for (const connection of connections) connection.close();
    await broker.end();
    return figures(mode, churners, readSegments(broker.dataFolder), cpuSeconds);
  } finally {
    await broker.remove();
  }
}

function figures(
  mode: Mode,
  churners: readonly Churner[],
  stored: Stored,
  cpuSeconds: number,
): Record<string, string> {
  const sum = (of: (churner: Churner) => number) =>
    churners.reduce((total, churner) => total + of(churner), 0);
  const pairs = sum((churner) => churner.pairs);
  const sentBytes = sum((churner) => churner.sentBytes);
  const stayed = new Set([...stored.inserts, ...stored.deletes]);
  const share = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)} %`;
  return {
    mode,
    'sent MB': (sentBytes / 1e6).toFixed(1),
    'in segments MB': (stored.bytes / 1e6).toFixed(1),
    'of what was sent': share(stored.bytes, sentBytes),
    pairs: String(pairs),
    'vanished entirely': share(pairs - stayed.size, pairs),
    'insert gone': share(pairs - stored.inserts.size, pairs),
    'broker CPU s': cpuSeconds.toFixed(2),
  };
}

const rows: Record<string, string>[] = [];
for (const mode of options.mode) {
  if (!MODES.includes(mode as Mode)) throw new Error(`no mode is called ${mode}`);
  rows.push(await measure(mode as Mode));
}
process.stdout.write(`${Object.keys(rows[0] ?? {}).join(' | ')}\n`);
for (const row of rows) process.stdout.write(`${Object.values(row).join(' | ')}\n`);

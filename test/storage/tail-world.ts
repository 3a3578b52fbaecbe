/**
 * A log with compaction in memory, between producers, readers and crashes of one seed, and the
 * truth about it. Each run is one history; what is wrong in it stands in `truth.violations`.
 */

import { gunzipSync, gzipSync } from 'node:zlib';
import { isControl, lastOffset, readBatchHeader } from '../../protocol/record-batch.ts';
import { buildBatch, controlBatch, MarkerType } from '../../protocol/records.ts';
import type { CleanerOptions } from '../../storage/cleaner/cleaner-options.ts';
import { InlineCleaners } from '../../storage/cleaner/inline-cleaners.ts';
import type { Env, Logger } from '../../storage/env.ts';
import { openStore, type Store } from '../../storage/store.ts';
import type { StoreOptions } from '../../storage/store-options.ts';
import { TAIL_RULE, type TailRule } from '../../storage/tail-rule.ts';
import type { LogOptions, LogSlice, PartitionLogView } from '../../storage/types.ts';
import { SimClock } from '../sim/clock.ts';
import { ProcessEnded, SimDisk } from '../sim/disk.ts';
import { SeededRandom } from '../sim/random.ts';
import { logOptions, STORE_OPTIONS, TOPIC, TOPIC_ID } from './store-world.ts';
import { type Reader, type TrueRecord, Truth } from './tail-truth.ts';

const KIB = 1024;
const TRANSACTIONAL = 90;
const BATCHES_KNOWN = 5;

const READS: ReadonlySet<string> = new Set(['readFile', 'stat', 'list', 'read', 'close']);

const MARKERS = [MarkerType.commit, MarkerType.abort];

const CLEANER: CleanerOptions = {
  isEnabled: true,
  threads: 1,
  dedupeBufferBytes: 64 * KIB,
  loadFactor: 0.9,
  ioBufferBytes: 64 * KIB,
  maxBytesPerSecond: Number.MAX_SAFE_INTEGER,
  backoffMs: 150,
};

interface Held {
  readonly slice: LogSlice;
  readonly reader: Reader;
  readonly from: number;
}

export class TailWorld {
  readonly truth = new Truth();
  readonly random: SeededRandom;
  readonly clock = new SimClock();
  readonly disk: SimDisk;
  readonly #rule: TailRule;
  /** Segments are cleaned as well. */
  readonly #hasCleaner: boolean;
  readonly #storeOptions: StoreOptions;
  readonly topic: LogOptions;
  readonly readers: Reader[] = [];
  /** Read, and neither taken nor given back. */
  readonly #held: Held[] = [];
  #store: Store | undefined;
  #boot = 1;
  #lives = 0;
  #hasEnded = false;
  /** Rejects when the process ends: what it was asked for is never answered. */
  #ended: Promise<never> = new Promise(() => {});
  #end: (error: Error) => void = () => {};
  #nextValue = 0;
  #newestKey = 0;
  /** What crash was promised: marks at the end of a life. */
  #durable = 0;
  #written = 0;
  #savedPairs = 0;
  #savedRecords = 0;

  constructor(seed: number, rule: TailRule = TAIL_RULE) {
    this.random = new SeededRandom(seed);
    this.disk = new SimDisk(this.clock);
    this.#rule = rule;
    const { random } = this;
    this.#storeOptions = {
      ...STORE_OPTIONS,
      offsetLeaseRecords: 40,
      chunkBytes: random.pick([512, 2 * KIB, 8 * KIB]),
      chunkMaxMs: random.pick([50, 500, 3000]),
      journalBypassBytes: random.pick([400, 64 * KIB]),
      journalSyncMaxMs: random.pick([5, 100, 2000]),
    };
    this.topic = {
      ...logOptions,
      deletes: false,
      compacts: true,
      compactsTail: true,
      visibility: random.pick(['written', 'durable']),
      flushMessages: random.pick([1, 1000]),
      segmentBytes: random.pick([2 * KIB, 64 * KIB]),
      minCompactionLagMs: random.pick([0, 0, 0, 200]),
      minCleanableDirtyRatio: 0.01,
    };
    this.#hasCleaner = random.chance(0.4);
    this.truth.minLagMs = this.topic.minCompactionLagMs;
    const slowness = { journal: random.pick([0, 2, 200]), other: random.pick([0, 2, 20]) };
    this.disk.delayMs = ({ path }) => {
      const limit = path.includes('journal') ? slowness.journal : slowness.other;
      return limit === 0 ? 0 : random.fraction() * limit;
    };
    this.disk.onEnd = () => {
      this.#noteMarks();
      this.#end(new ProcessEnded());
    };
  }

  get log(): PartitionLogView {
    if (this.#store === undefined) throw new ProcessEnded();
    return this.#store.get(TOPIC_ID, 0)!;
  }

  /** Records that went, and deletes among them that went with what they deleted. */
  get saved(): { records: number; pairs: number } {
    const gauges = this.#store?.gauges();
    return {
      records: this.#savedRecords + (gauges?.compactedRecords ?? 0),
      pairs: this.#savedPairs + (gauges?.vanishedPairs ?? 0),
    };
  }

  // Lives.

  #env(): Env {
    const silent = () => {};
    const log: Logger = { debug: silent, info: silent, warn: silent, error: silent };
    const host = { bootId: `boot ${this.#boot}`, hostName: 'sim', processId: ++this.#lives };
    return { clock: this.clock, disk: this.disk.mount(), random: this.random, host, log };
  }

  async start(): Promise<void> {
    this.#hasEnded = false;
    this.#ended = new Promise((_resolve, reject) => {
      this.#end = reject;
    });
    // Nobody may be waiting when it ends.
    this.#ended.catch(() => {});
    const env = this.#env();
    const cleaner = { cleaners: new InlineCleaners(env), options: () => CLEANER };
    this.#store = await this.clock.run(
      openStore(env, this.#storeOptions, {
        ...(this.#hasCleaner && { cleaner }),
        inflate: async (_codec, payload) => gunzipSync(payload),
        deflate: async (_codec, payload) => gzipSync(payload),
        events: {
          onJournalSync: () => {},
          onSegmentSync: () => {},
          onDamage: () => {},
          onExpired: () => {},
        },
        tailRule: this.#rule,
      }),
    );
    const topics = [{ topic: TOPIC, topicId: TOPIC_ID, partitions: 1, options: this.topic }];
    await this.clock.run(this.#store.recover(topics));
  }

  #noteMarks(): void {
    const { records, pairs } = this.saved;
    this.#savedRecords = records;
    this.#savedPairs = pairs;
    this.#durable = this.log.durableOffset;
    this.#written = this.log.writtenOffset;
    this.#hasEnded = true;
    this.#store = undefined;
  }

  async cleanStop(): Promise<void> {
    this.#letGoOfAll();
    await this.clock.run(this.#store!.close());
    this.#noteMarks();
    await this.start();
    await this.#compare(this.truth.end);
  }

  /** The process ends, perhaps with the machine's power, perhaps within some call of the disk. */
  async crash(): Promise<void> {
    const losesPower = this.random.chance(0.6);
    // Any call, or one of those that write the segments.
    const suffix = this.random.pick(['', '.log']);
    let left = 1 + this.random.below(suffix === '' ? 30 : 4);
    this.disk.onCall = ({ name, path }) => {
      if (!path.endsWith(suffix) || READS.has(name) || --left > 0) return undefined;
      const writtenBytes = this.random.below(600);
      return this.random.chance(0.5) ? { ends: 'before', writtenBytes } : { ends: 'after' };
    };
    for (let step = 0; step < 20 && !this.#hasEnded; step++) await this.#mayEnd(() => this.act());
    this.disk.onCall = undefined;
    if (!this.#hasEnded) this.#noteMarks();
    if (losesPower) {
      this.disk.powerCut(this.random);
      this.#boot++;
    } else this.disk.kill();
    this.#held.length = 0;
    await this.clock.advance(20_000);
    await this.start();
    await this.#compare(losesPower ? this.#durable : this.#written);
  }

  async #mayEnd(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof ProcessEnded)) throw error;
    }
  }

  /** After a start: nothing promised is lost, and every retry is known. */
  async #compare(promised: number): Promise<void> {
    const found = await this.#recoveredEnd();
    if (found < promised) this.truth.violation(`${promised} was promised, ${found} is there`);
    if (found > this.truth.end) this.truth.violation(`${found} is more than ever was`);
    this.truth.lose(found);
    const seers = this.readers.splice(0);
    this.readers.push(...seers.filter(({ position }) => position <= found));
    this.truth.skip(this.log.endOffset);
    for (const producer of this.truth.sent.keys()) this.#checkRetries(producer);
    await this.#readAll({ position: 0, state: new Map() }, 'a reader after a start');
  }

  /** Where what was appended ends: a gap may have been closed behind it. */
  async #recoveredEnd(): Promise<number> {
    let end = 0;
    for (let from = 0; from < this.log.endOffset; ) {
      const slice = await this.#read(from, 64 * KIB, this.log.endOffset);
      const bytes = Buffer.concat(slice.buffers);
      for (let at = 0; at < bytes.length; at += readBatchHeader(bytes, at).sizeBytes) {
        const header = readBatchHeader(bytes, at);
        const closesGap = isControl(bytes, at) && header.producerId > 1000;
        if (!closesGap) end = lastOffset(bytes, at) + 1;
        else if (header.lastOffset + 1 < this.log.endOffset) end = header.lastOffset + 1;
      }
      slice.release();
      if (slice.nextOffset <= from) break;
      from = slice.nextOffset;
    }
    return end;
  }

  // Producing.

  #records(): TrueRecord[] {
    const timestamp = this.clock.now();
    return Array.from({ length: 1 + this.random.below(4) }, () => {
      const value = this.random.chance(0.4) ? null : `v${this.#nextValue++}`;
      return { key: this.#key(), value, timestamp };
    });
  }

  /** One of a few, or one of those that came up lately and will not come again. */
  #key(): string {
    if (this.random.chance(0.3)) return `k${this.random.below(8)}`;
    if (this.random.chance(0.3)) this.#newestKey++;
    return `n${Math.max(0, this.#newestKey - this.random.below(4))}`;
  }

  #produce(): void {
    const producerId = this.random.pick([-1, 1, 2, 3]);
    const records = this.#records();
    const batch = this.#batchOf(producerId, records, false);
    this.#append(producerId, batch, records);
  }

  #batchOf(producerId: number, records: readonly TrueRecord[], transactional: boolean): Buffer {
    const last = this.truth.sent.get(producerId)?.at(-1);
    const header = last && readBatchHeader(last.bytes, 0);
    return buildBatch({
      records: records.map(({ key, value, timestamp }) => ({
        key: Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
        timestamp,
      })),
      producerId,
      transactional,
      ...(producerId >= 0 && {
        producerEpoch: 0,
        baseSequence: header === undefined ? 0 : header.lastSequence + 1,
      }),
      ...(this.random.chance(0.1) && { compression: { codec: 1, compress: gzipSync } }),
    });
  }

  #append(producerId: number, batch: Buffer, records: readonly (TrueRecord | undefined)[]): void {
    const { log } = this;
    const header = readBatchHeader(batch, 0);
    if (producerId >= 0 && !header.control) {
      const original = log.producers.check(header);
      if (original !== undefined) {
        this.truth.violation(`a new batch of ${producerId} counts as a repeated one`);
        return;
      }
    }
    // The batch is in memory before anything can end the process.
    const baseOffset = log.endOffset;
    const bytes = Buffer.from(batch);
    this.truth.appended(baseOffset, records as TrueRecord[]);
    if (producerId >= 0 && !header.control) {
      const sent = this.truth.sent.get(producerId) ?? [];
      sent.push({ baseOffset, lastOffset: baseOffset + records.length - 1, bytes });
      this.truth.sent.set(producerId, sent);
    }
    log.append(batch, header, this.clock.now());
    const mark = this.random.pick(['written', 'durable', undefined] as const);
    if (mark !== undefined) log.onMark(mark, baseOffset + records.length, () => {});
  }

  /** A transaction of one batch. */
  #transact(): void {
    const records = this.#records();
    this.#append(TRANSACTIONAL, this.#batchOf(TRANSACTIONAL, records, true), records);
    const marker = controlBatch({
      // Readers here see what was aborted too; the cleaner takes it away.
      type: this.#hasCleaner ? MarkerType.commit : this.random.pick(MARKERS),
      producerId: TRANSACTIONAL,
      producerEpoch: 0,
      coordinatorEpoch: 0,
      timestamp: this.clock.now(),
    });
    this.#append(TRANSACTIONAL, marker, [undefined]);
  }

  /** What may still be in flight of a producer is known when it comes again. */
  #checkRetries(producerId: number): void {
    const recent = (this.truth.sent.get(producerId) ?? []).slice(-BATCHES_KNOWN);
    for (const { bytes, baseOffset, lastOffset: last } of recent) {
      try {
        const original = this.log.producers.check(readBatchHeader(bytes, 0));
        if (original?.baseOffset === baseOffset && original.lastOffset === last) continue;
        this.truth.violation(`the batch at ${baseOffset} of ${producerId} would come twice`);
      } catch (error) {
        this.truth.violation(`a retry of ${baseOffset} was refused: ${(error as Error).message}`);
      }
    }
  }

  // Reading.

  async #read(from: number, maxBytes: number, limit: number): Promise<LogSlice> {
    const reading = Promise.resolve(this.log.read(from, maxBytes, limit, true));
    return this.clock.run(Promise.race([reading, this.#ended]));
  }

  /** A reader takes a piece, perhaps not all of it; or holds what it read for a while. */
  async #readSome(): Promise<void> {
    let reader = this.random.pick([undefined, ...this.readers]);
    if (reader === undefined) {
      reader = { position: 0, state: new Map() };
      if (this.readers.length < 4) this.readers.push(reader);
    }
    if (reader.position >= this.log.highWatermark) return;
    const from = reader.position;
    const slice = await this.#read(from, this.random.pick([1, 200, 4096]), this.log.highWatermark);
    const held = { slice, reader, from };
    if (this.random.chance(0.3)) this.#held.push(held);
    else this.#takeHeld(held);
  }

  async #checkSomeReader(): Promise<void> {
    const reader = this.random.pick([undefined, ...this.readers]);
    if (reader === undefined) return;
    const copy = { position: reader.position, state: new Map(reader.state) };
    await this.#readAll(copy, 'a reader');
  }

  #takeHeld({ slice, reader, from }: Held): void {
    const isTaken = reader.position === from && this.random.chance(0.8);
    const most = this.random.pick([1, 2, Number.POSITIVE_INFINITY]);
    if (isTaken) {
      const bytes = Buffer.concat(slice.buffers);
      this.truth.take(reader, bytes, slice.nextOffset, this.clock.now(), most);
    }
    slice.release();
  }

  #letGoOfAll(): void {
    for (const held of this.#held.splice(0)) this.#takeHeld(held);
  }

  /**
   * Reads on to the high watermark of the moment when it gets there; what the reader knows then is
   * what is true. In between it may lack what a newer record beyond it has replaced.
   */
  async #readAll(reader: Reader, who: string): Promise<void> {
    const { log } = this;
    while (reader.position < log.highWatermark) {
      const from = reader.position;
      const slice = await this.#read(from, 64 * KIB, log.highWatermark);
      const bytes = Buffer.concat(slice.buffers);
      const nowMs = this.clock.now();
      this.truth.take(reader, bytes, slice.nextOffset, nowMs, Number.POSITIVE_INFINITY);
      slice.release();
      if (reader.position > from) continue;
      // A lease may end within a batch.
      if (log.highWatermark === log.endOffset) this.truth.violation(`${who} stays at ${from}`);
      return;
    }
    this.truth.checkState(reader, who);
  }

  // The history.

  async act(): Promise<void> {
    const { random } = this;
    const choice = random.below(100);
    if (choice < 50) this.#produce();
    else if (choice < 54) this.#transact();
    else if (choice < 68) await this.#readSome();
    else if (choice < 70) await this.#checkSomeReader();
    else if (choice < 75) this.#letGoOfAll();
    else if (choice < 80) void this.log.flush().catch(() => {});
    else await this.clock.advance(random.pick([1, 10, 100, 1000]));
    if (random.chance(0.3)) await this.clock.settle();
  }

  async run(): Promise<void> {
    await this.start();
    const lives = 2 + this.random.below(3);
    for (let life = 0; life < lives; life++) {
      const steps = 20 + this.random.below(60);
      for (let step = 0; step < steps; step++) await this.act();
      if (this.truth.violations.length > 0) return;
      if (this.random.chance(0.2)) await this.cleanStop();
      else await this.crash();
      if (this.truth.violations.length > 0) return;
    }
    this.#letGoOfAll();
    await this.clock.run(this.log.flush());
    for (const reader of this.readers) await this.#readAll(reader, 'a reader');
    await this.#readAll({ position: 0, state: new Map() }, 'a new reader');
  }
}

/** A store on a simulated disk and clock, with one topic, through several lives. */

import { readBatchHeader } from '../../protocol/record-batch.ts';
import { buildBatch } from '../../protocol/records.ts';
import type { CleanerOptions } from '../../storage/cleaner/cleaner-options.ts';
import { InlineCleaners } from '../../storage/cleaner/inline-cleaners.ts';
import type { Env, Logger } from '../../storage/env.ts';
import { openStore, type Store, type StoreParts } from '../../storage/store.ts';
import type { StoreOptions } from '../../storage/store-options.ts';
import type { LogOptions, Mark, PartitionLogView } from '../../storage/types.ts';
import { SimClock } from '../sim/clock.ts';
import { SimDisk } from '../sim/disk.ts';
import { SeededRandom } from '../sim/random.ts';
import { LOG_OPTIONS } from './log-options.ts';

export const TOPIC = 'orders';
export const TOPIC_ID = Buffer.alloc(16, 9).toString('base64url');
const KIB = 1024;

export const logOptions: LogOptions = {
  ...LOG_OPTIONS,
  segmentBytes: 1024 * KIB,
  segmentIndexBytes: 1024 * KIB,
};

export const STORE_OPTIONS: StoreOptions = {
  dataDir: '/data',
  nodeId: 1,
  chunkBytes: 64 * KIB,
  chunkMaxMs: 10_000,
  tailMaxBytes: 1024 * KIB,
  flushQueueBytes: 256 * KIB,
  flushReserveBytes: 64 * KIB,
  flushParallelism: 2,
  journalFileBytes: 256 * KIB,
  journalMaxBytes: 1024 * KIB,
  journalWriteSyncMaxBytes: 16 * KIB,
  journalBypassBytes: 48 * KIB,
  journalSyncMaxMs: 1000,
  offsetLeaseRecords: 1000,
  produceHoldMaxMs: 30_000,
  checkpointIntervalMs: 60_000,
  linksLocated: false,
  retentionCheckMs: 300_000,
  metadata: { ...logOptions, visibility: 'durable', internal: true },
};

export interface Line {
  readonly level: string;
  readonly text: string;
  readonly values: object;
}

export interface WorldOptions {
  readonly store?: Partial<StoreOptions>;
  readonly topic?: Partial<LogOptions>;
  readonly parts?: Partial<StoreParts>;
  readonly cleaner?: CleanerOptions;
}

export class StoreWorld {
  readonly clock = new SimClock();
  readonly disk = new SimDisk(this.clock);
  readonly random = new SeededRandom(1);
  readonly lines: Line[] = [];
  /** Damaged ranges found so far, in all lives. */
  damaged = 0;
  /** What retention has told: reason, segments, bytes. */
  readonly expired: [string, number, number][] = [];
  readonly topic: LogOptions;
  readonly #options: StoreOptions;
  readonly #parts: Partial<StoreParts>;
  #boot = 1;
  #lives = 0;
  #sent = 0;
  #store: Store | undefined;

  readonly #cleaner: CleanerOptions | undefined;

  /** Its logs are cleaned only where it is told how. */
  constructor(more: WorldOptions = {}) {
    this.#options = { ...STORE_OPTIONS, ...more.store };
    this.#cleaner = more.cleaner;
    this.#parts = more.parts ?? {};
    this.topic = { ...logOptions, ...more.topic };
  }

  get store(): Store {
    return this.#store!;
  }

  get log(): PartitionLogView {
    return this.store.get(TOPIC_ID, 0)!;
  }

  #env(): Env {
    const write = (level: string) => (values: object, text: string) => {
      this.lines.push({ level, text, values });
    };
    const log: Logger = {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
    };
    const host = {
      bootId: `boot ${this.#boot}`,
      hostName: 'sim',
      processId: ++this.#lives,
    };
    return { clock: this.clock, disk: this.disk.mount(), random: this.random, host, log };
  }

  async start(partitions = 1): Promise<void> {
    const env = this.#env();
    const options = this.#cleaner;
    const cleaner = options && { cleaners: new InlineCleaners(env), options: () => options };
    this.#store = await this.clock.run(
      openStore(env, this.#options, {
        inflate: async (_codec, payload) => payload,
        ...(cleaner && { cleaner }),
        events: {
          onJournalSync: () => {},
          onSegmentSync: () => {},
          onDamage: () => {
            this.damaged++;
          },
          onExpired: (...facts) => this.expired.push(facts),
        },
        ...this.#parts,
      }),
    );
    const topics = [{ topic: TOPIC, topicId: TOPIC_ID, partitions, options: this.topic }];
    await this.clock.run(this.store.recover(partitions === 0 ? [] : topics));
  }

  stop(): Promise<void> {
    return this.clock.run(this.store.close());
  }

  /** The process ends; what it wrote stays. The simulated lock is that of a process long gone. */
  async kill(): Promise<void> {
    this.disk.kill();
    await this.clock.advance(20_000);
  }

  /** The machine loses power: of what was not synced so much stays, nothing unless told. */
  async powerCut(keepChance = 0): Promise<void> {
    this.disk.powerCut(this.random, keepChance);
    this.#boot++;
    await this.clock.advance(20_000);
  }

  /** Appends a batch of so many records, each of about so many bytes; gives its base offset. */
  append(records = 1, bytes = 10, producer?: { id: number; sequence: number }): number {
    return this.appendTo(this.log, records, bytes, producer);
  }

  appendTo(
    log: PartitionLogView,
    records = 1,
    bytes = 10,
    producer: { id: number; sequence: number } | undefined = undefined,
  ): number {
    const { bytes: batch, header } = this.batch(records, bytes, producer);
    return log.append(batch, header, this.clock.now()).baseOffset;
  }

  /** A batch as it is appended, with its header. */
  batch(records: number, bytes: number, producer?: { id: number; sequence: number }) {
    const timestamp = this.clock.now();
    const batch = buildBatch({
      baseOffset: 0,
      records: Array.from({ length: records }, () => ({
        key: null,
        value: Buffer.from(String(this.#sent++).padEnd(bytes, '.')),
        timestamp,
      })),
      ...(producer && {
        producerId: producer.id,
        producerEpoch: 0,
        baseSequence: producer.sequence,
      }),
    });
    return { bytes: batch, header: readBatchHeader(batch, 0) };
  }

  reached(mark: Mark, end: number): Promise<void> {
    return this.clock.run(
      new Promise<void>((resolve, reject) => {
        this.log.onMark(mark, end, (error) => (error === undefined ? resolve() : reject(error)));
      }),
    );
  }

  /** Base and last offsets of all batches that a reader gets from an offset on. */
  async batches(from = 0, maxBytes = 1 << 20): Promise<[number, number][]> {
    const found: [number, number][] = [];
    for (let next = from; next < this.log.highWatermark; ) {
      const slice = await this.clock.run(
        Promise.resolve(this.log.read(next, maxBytes, this.log.highWatermark, true)),
      );
      const bytes = Buffer.concat(slice.buffers);
      for (let at = 0; at < bytes.length; ) {
        const { baseOffset, lastOffset, sizeBytes } = readBatchHeader(bytes, at);
        found.push([baseOffset, lastOffset]);
        at += sizeBytes;
      }
      slice.release();
      if (slice.nextOffset === next) throw new Error(`nothing at ${next}`);
      next = slice.nextOffset;
    }
    return found;
  }
}

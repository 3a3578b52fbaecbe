/** A store whose one log is compacted, what was appended to it, and what its readers get. */

import { gunzipSync, gzipSync } from 'node:zlib';
import { Codec, codec, readBatchHeader } from '../../../protocol/record-batch.ts';
import {
  buildBatch,
  controlBatch,
  MarkerType,
  payloadOf,
  type RecordInput,
  readRecords,
} from '../../../protocol/records.ts';
import type { CleanerOptions } from '../../../storage/cleaner/cleaner-options.ts';
import type { PartitionLog } from '../../../storage/partition-log.ts';
import type { LogOptions } from '../../../storage/types.ts';
import { StoreWorld } from '../store-world.ts';

export const CLEANER: CleanerOptions = {
  isEnabled: true,
  threads: 1,
  dedupeBufferBytes: 1 << 20,
  loadFactor: 0.9,
  ioBufferBytes: 16 * 1024,
  maxBytesPerSecond: Number.POSITIVE_INFINITY,
  // Tests say themselves when it cleans.
  backoffMs: 365 * 24 * 3600 * 1000,
};

const COMPACTED: Partial<LogOptions> = {
  deletes: false,
  compacts: true,
  minCleanableDirtyRatio: 0,
  indexIntervalBytes: 200,
};

export interface Written {
  readonly key: string | null;
  readonly value: string | null;
}

/** A record that was appended, or was read. */
export interface Known extends Written {
  readonly offset: number;
  readonly timestamp: number;
  /** Of the transaction that it is part of; -1 without one. */
  readonly producerId: number;
}

export interface PutOptions {
  readonly producer?: { id: number; epoch?: number; sequence: number; transactional?: boolean };
  readonly gzip?: boolean;
}

export class CleanerWorld extends StoreWorld {
  /** All records that were ever appended, by offset. */
  readonly appended = new Map<number, Known>();
  /** Offsets of records of aborted transactions. */
  readonly aborted = new Set<number>();
  readonly #open = new Map<number, number[]>();

  constructor(topic: Partial<LogOptions> = {}, cleaner: Partial<CleanerOptions> = {}) {
    super({ topic: { ...COMPACTED, ...topic }, cleaner: { ...CLEANER, ...cleaner } });
  }

  get partition(): PartitionLog {
    return this.log as PartitionLog;
  }

  put(records: readonly Written[], { producer, gzip }: PutOptions = {}): Buffer {
    const timestamp = this.clock.now();
    const inputs: RecordInput[] = records.map(({ key, value }) => ({
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      timestamp,
    }));
    const batch = buildBatch({
      records: inputs,
      ...(producer && {
        producerId: producer.id,
        producerEpoch: producer.epoch ?? 0,
        baseSequence: producer.sequence,
        transactional: producer.transactional ?? false,
      }),
      ...(gzip && { compression: { codec: Codec.gzip, compress: (bytes) => gzipSync(bytes) } }),
    });
    const { baseOffset } = this.log.append(batch, readBatchHeader(batch, 0), timestamp);
    const producerId = producer?.transactional ? producer.id : -1;
    for (const [index, record] of records.entries()) {
      const offset = baseOffset + index;
      this.appended.set(offset, { ...record, offset, timestamp, producerId });
      if (producerId >= 0) this.#open.set(producerId, [...this.offsetsOf(producerId), offset]);
    }
    return batch;
  }

  /** Offsets of the open transaction of a producer. */
  offsetsOf(producerId: number): readonly number[] {
    return this.#open.get(producerId) ?? [];
  }

  endTransaction(producerId: number, isCommitted: boolean, producerEpoch = 0): void {
    const timestamp = this.clock.now();
    const type = isCommitted ? MarkerType.commit : MarkerType.abort;
    const marker = controlBatch({
      type,
      producerId,
      producerEpoch,
      coordinatorEpoch: 0,
      timestamp,
    });
    this.log.append(marker, readBatchHeader(marker, 0), timestamp);
    if (!isCommitted) for (const offset of this.offsetsOf(producerId)) this.aborted.add(offset);
    this.#open.delete(producerId);
  }

  /** Persists all there is and closes the segment. */
  async roll(): Promise<void> {
    await this.clock.run(this.log.flush());
    await this.clock.run(this.partition.segments.roll());
  }

  clean(): Promise<void> {
    return this.clock.run(this.store.cleaner!.cleanAll());
  }

  segments(): { baseOffset: number; sizeBytes: number }[] {
    return this.partition.segments
      .segments()
      .map(({ baseOffset, sizeBytes }) => ({ baseOffset, sizeBytes }));
  }

  /** All batches that a reader gets from an offset up to the last stable offset. */
  async readBatches(from: number, maxBytes = 500): Promise<Buffer[]> {
    const found: Buffer[] = [];
    const limit = this.log.lastStableOffset;
    for (let next = from; next < limit; ) {
      const slice = await this.clock.run(
        Promise.resolve(this.log.read(next, maxBytes, limit, true)),
      );
      const bytes = Buffer.concat(slice.buffers);
      for (let at = 0; at < bytes.length; ) {
        const { sizeBytes } = readBatchHeader(bytes, at);
        found.push(bytes.subarray(at, at + sizeBytes));
        at += sizeBytes;
      }
      slice.release();
      if (slice.nextOffset === next) break;
      next = slice.nextOffset;
    }
    return found;
  }

  /** The records that a reader of committed data gets from an offset on. */
  async readCommitted(from: number): Promise<Known[]> {
    const limit = this.log.lastStableOffset;
    const aborted = await this.clock.run(
      Promise.resolve(this.log.abortedTransactions(from, limit)),
    );
    const waiting = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
    const open = new Set<number>();
    const found: Known[] = [];
    for (const batch of await this.readBatches(from)) {
      const { lastOffset, producerId, control, transactional } = readBatchHeader(batch, 0);
      while (waiting[0] !== undefined && waiting[0].firstOffset <= lastOffset) {
        open.add(waiting.shift()!.producerId);
      }
      if (control) {
        // As consumers do it: the marker ends what was aborted.
        open.delete(producerId);
        continue;
      }
      if (transactional && open.has(producerId)) continue;
      for (const known of recordsOf(batch)) if (known.offset >= from) found.push(known);
    }
    return found;
  }

  /** The last committed value of each key that has one, below an offset. */
  stateBelow(end: number): Map<string, string> {
    const committed = [...this.appended.values()]
      .filter(({ offset }) => offset < end && !this.aborted.has(offset))
      .sort((a, b) => a.offset - b.offset);
    return stateOf(committed);
  }
}

export function recordsOf(batch: Buffer): Known[] {
  const { producerId, transactional } = readBatchHeader(batch, 0);
  const packed = payloadOf(batch, 0);
  const payload = codec(batch, 0) === Codec.gzip ? gunzipSync(packed) : packed;
  return [...readRecords(batch, 0, payload)].map(({ offset, timestamp, key, value }) => ({
    offset,
    timestamp,
    key: key === null ? null : key.toString(),
    value: value === null ? null : value.toString(),
    producerId: transactional ? producerId : -1,
  }));
}

/** What records leave behind, one after the other, on top of what was there. */
export function stateOf(
  records: readonly Written[],
  before: ReadonlyMap<string, string> = new Map(),
): Map<string, string> {
  const state = new Map(before);
  for (const { key, value } of records) {
    if (key === null) continue;
    if (value === null) state.delete(key);
    else state.set(key, value);
  }
  return state;
}

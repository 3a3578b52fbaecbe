/**
 * What a cleaning makes of one batch: it stays as it is, loses records, is emptied, or goes.
 *
 * Offsets, sequences and the leader epoch of a batch never change, so that what is left of it takes
 * the offsets of the whole. Emptied instead of dropped are the last batch of each producer, by
 * which the producer is known after a restart, and the last batch of what is written, by which the
 * end of the segment is known. Marks of deleted keys, and markers of transactions of which nothing
 * is left, get a time, stored in place of the base timestamp (KIP-534), and go once it has come.
 * Source: Kafka's MemoryRecords.filterTo, LogCleaner's RecordFilter.
 */

import type { BatchCodec } from '../../protocol/compression.ts';
import { decompressionLimit } from '../../protocol/compression.ts';
import {
  attributes,
  BATCH_HEADER_BYTES,
  baseOffset,
  batchBytes,
  changeBatch,
  DELETE_HORIZON_BIT,
  emptiedAttributes,
  isControl,
  isLogAppendTime,
  lastOffset,
  maxTimestamp,
  producerId,
  recordCount,
} from '../../protocol/record-batch.ts';
import { rebaseRecords } from '../../protocol/record-rebase.ts';
import { baseTimestamp, InvalidRecords, payloadOf } from '../../protocol/records.ts';
import type { CleanedTransactions } from './cleaned-transactions.ts';
import type { CleaningJob, LastOfProducer } from './cleaning-job.ts';
import type { OffsetMap } from './offset-map.ts';
import { RecordFilter } from './record-filter.ts';

const PRODUCER_EPOCH_AT = 51;
/** A batch that was taken, however large, may become so many times its size. */
const STORED_FACTOR = 4;

export class BatchFilter {
  /** What became of the last batch: bytes [start, end) of `bytes`; none when it goes. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  isChanged = false;
  recordsRead = 0;
  recordsWritten = 0;
  readonly #job: CleaningJob;
  readonly #txns: CleanedTransactions;
  readonly #records: RecordFilter;
  readonly #lastOf: Map<number, LastOfProducer>;

  constructor(job: CleaningJob, map: OffsetMap, txns: CleanedTransactions) {
    this.#job = job;
    this.#txns = txns;
    this.#records = new RecordFilter(map);
    this.#lastOf = new Map(job.lastOfProducers.map((last) => [last.producerId, last]));
  }

  get recordsWithoutKey(): number {
    return this.#records.withoutKey;
  }

  /**
   * Filters the batch at a place of a window, whose bytes may be changed by it. `isLast`: the batch
   * stays, emptied if need be. Throws InvalidRecords and the faults of the codec.
   */
  run(window: Buffer, at: number, batchCodec: BatchCodec | undefined, isLast: boolean): void {
    const isMarker = isControl(window, at);
    const isOver = isMarker ? this.#txns.control(window, at) : this.#txns.batch(window, at);
    const count = recordCount(window, at);
    const hasHorizon = (attributes(window, at) & DELETE_HORIZON_BIT) !== 0;
    const isExpired = hasHorizon && baseTimestamp(window, at) <= this.#job.nowMs;
    const staysEmpty = isLast || this.#isLastOfProducer(window, at, isMarker);
    this.recordsRead += count;
    const goes = isMarker ? isOver && isExpired : isOver;
    if (count === 0 || goes) this.#withoutRecords(window, at, staysEmpty);
    else if (isMarker && isOver && !hasHorizon) this.#withHorizon(window, at, window, undefined);
    else if (isMarker) this.#whole(window, at);
    else this.#filter(window, at, batchCodec, staysEmpty, hasHorizon, isExpired);
  }

  #isLastOfProducer(window: Buffer, at: number, isMarker: boolean): boolean {
    const id = producerId(window, at);
    if (id < 0) return false;
    const last = this.#lastOf.get(id);
    if (last === undefined) return false;
    if (last.lastOffset >= 0) return lastOffset(window, at) === last.lastOffset;
    return isMarker && window.readInt16BE(at + PRODUCER_EPOCH_AT) === last.producerEpoch;
  }

  #whole(window: Buffer, at: number): void {
    this.#set(window, at, at + batchBytes(window, at), false, recordCount(window, at));
  }

  #set(bytes: Buffer, start: number, end: number, isChanged: boolean, records: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.isChanged = isChanged;
    this.recordsWritten += records;
  }

  #withoutRecords(window: Buffer, at: number, stays: boolean): void {
    if (!stays) {
      this.#set(window, at, at, true, 0);
      return;
    }
    const wasEmpty = recordCount(window, at) === 0;
    if (!wasEmpty) {
      const timestamp = maxTimestamp(window, at);
      changeBatch(window, at, {
        sizeBytes: BATCH_HEADER_BYTES,
        attributes: emptiedAttributes(window, at),
        baseTimestamp: timestamp,
        maxTimestamp: timestamp,
        recordCount: 0,
      });
    }
    this.#set(window, at, at + BATCH_HEADER_BYTES, !wasEmpty, 0);
  }

  #filter(
    window: Buffer,
    at: number,
    batchCodec: BatchCodec | undefined,
    staysEmpty: boolean,
    hasHorizon: boolean,
    isExpired: boolean,
  ): void {
    const records = this.#records;
    const isPlain = batchCodec === undefined;
    const payload = isPlain ? window : this.#decompress(window, at, batchCodec);
    const start = isPlain ? at + BATCH_HEADER_BYTES : 0;
    const end = isPlain ? at + batchBytes(window, at) : payload.length;
    records.run(payload, start, end, baseOffset(window, at), isExpired);
    const { kept, dropped } = records;
    const count = recordCount(window, at);
    if (kept + dropped !== count) {
      throw new InvalidRecords(kept + dropped, `the batch says that it has ${count} records`);
    }
    if (kept === 0) this.#withoutRecords(window, at, staysEmpty);
    else if (records.hasTombstone && !hasHorizon) {
      this.#withHorizon(window, at, payload, batchCodec);
    } else if (dropped === 0) this.#whole(window, at);
    else this.#withFewer(window, at, payload, batchCodec);
  }

  #decompress(window: Buffer, at: number, batchCodec: BatchCodec): Buffer {
    const packed = payloadOf(window, at);
    const payload = batchCodec.decompress(packed, recordsLimit(packed, this.#job));
    // The records are moved within it: it must not be memory of somebody else's.
    return payload.buffer === window.buffer ? Buffer.from(payload) : payload;
  }

  /** The batch with the records that stayed. */
  #withFewer(window: Buffer, at: number, payload: Buffer, batchCodec: BatchCodec | undefined) {
    const { keptBytes } = this.#records;
    if (batchCodec === undefined) {
      this.#finish(window, at, window, at, keptBytes, baseTimestamp(window, at), false);
      return;
    }
    const packed = batchCodec.compress(payload.subarray(0, keptBytes));
    const target = Buffer.allocUnsafe(BATCH_HEADER_BYTES + packed.length);
    packed.copy(target, BATCH_HEADER_BYTES);
    this.#finish(window, at, target, 0, packed.length, baseTimestamp(window, at), false);
  }

  /** The batch with the records that stayed, and the time from which the marks among them may go. */
  #withHorizon(window: Buffer, at: number, payload: Buffer, batchCodec: BatchCodec | undefined) {
    const isMarker = isControl(window, at);
    const start = batchCodec === undefined ? at + BATCH_HEADER_BYTES : 0;
    const end = isMarker ? at + batchBytes(window, at) : start + this.#records.keptBytes;
    const horizon = this.#job.nowMs + this.#job.deleteRetentionMs;
    const shift = baseTimestamp(window, at) - horizon;
    const rebased = rebaseRecords(payload, start, end, shift, BATCH_HEADER_BYTES);
    if (batchCodec === undefined) {
      const bytes = rebased.length - BATCH_HEADER_BYTES;
      this.#finish(window, at, rebased, 0, bytes, horizon, true);
      return;
    }
    const packed = batchCodec.compress(rebased.subarray(BATCH_HEADER_BYTES));
    const target = Buffer.allocUnsafe(BATCH_HEADER_BYTES + packed.length);
    packed.copy(target, BATCH_HEADER_BYTES);
    this.#finish(window, at, target, 0, packed.length, horizon, true);
  }

  /** Puts the header before the payload that stands in the target already. */
  #finish(
    window: Buffer,
    at: number,
    target: Buffer,
    targetAt: number,
    payloadBytes: number,
    base: number,
    setsHorizon: boolean,
  ): void {
    const isMarker = isControl(window, at);
    const { kept, maxTimestampDelta } = this.#records;
    const keepsTime = isMarker || isLogAppendTime(window, at);
    const latest = keepsTime
      ? maxTimestamp(window, at)
      : baseTimestamp(window, at) + maxTimestampDelta;
    const recordsLeft = isMarker ? recordCount(window, at) : kept;
    const bits = attributes(window, at) | (setsHorizon ? DELETE_HORIZON_BIT : 0);
    if (target !== window) window.copy(target, targetAt, at, at + BATCH_HEADER_BYTES);
    const sizeBytes = BATCH_HEADER_BYTES + payloadBytes;
    changeBatch(target, targetAt, {
      sizeBytes,
      attributes: bits,
      baseTimestamp: base,
      maxTimestamp: latest,
      recordCount: recordsLeft,
    });
    this.#set(target, targetAt, targetAt + sizeBytes, true, recordsLeft);
  }
}

/** What the records of a batch may become when they are decompressed. */
export function recordsLimit(packed: Buffer, job: CleaningJob): number {
  const maxBytes = Math.max(job.maxRecordsBytes, packed.length * STORED_FACTOR);
  return decompressionLimit(packed.length, maxBytes);
}

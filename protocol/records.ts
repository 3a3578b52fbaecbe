/**
 * Records and batches of magic 2: the records of an uncompressed payload as values, the look-ups by
 * time, and (from batch-builder.ts) the making of batches.
 */

import {
  BATCH_HEADER_BYTES,
  baseOffset,
  batchBytes,
  isLogAppendTime,
  maxTimestamp,
  NO_TIMESTAMP,
  readInt64,
  recordCount,
} from './record-batch.ts';
import { InvalidRecords, RecordCursor, type RecordHeader } from './record-cursor.ts';

export {
  type BatchFields,
  type BatchOptions,
  buildBatch,
  controlBatch,
  type EndTxnMarker,
  encodeRecords,
  GAP_PRODUCER_ID,
  gapBatch,
  type MarkerOptions,
  MarkerType,
  type MarkerTypeNumber,
  type RecordInput,
  readEndTxnMarker,
  wrapPayload,
} from './batch-builder.ts';
export { InvalidRecords, RecordCursor, type RecordHeader } from './record-cursor.ts';

const BASE_TIMESTAMP_AT = 27;

/** One record as values; key and value are slices of the batch's memory. */
export interface Record {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

/** The bytes of a batch after its header: its records, compressed or not. */
export function payloadOf(buffer: Buffer, at: number): Buffer {
  return buffer.subarray(at + BATCH_HEADER_BYTES, at + batchBytes(buffer, at));
}

export function baseTimestamp(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + BASE_TIMESTAMP_AT);
}

/**
 * The records of a batch. `payload` are its uncompressed records, needed only where the batch is
 * compressed. Throws InvalidRecords, also when there are more or fewer than the header counts.
 */
export function* readRecords(
  buffer: Buffer,
  at: number,
  payload: Buffer = payloadOf(buffer, at),
): Generator<Record> {
  const base = baseOffset(buffer, at);
  const first = baseTimestamp(buffer, at);
  const appendTime = isLogAppendTime(buffer, at) ? maxTimestamp(buffer, at) : undefined;
  const cursor = new RecordCursor(payload);
  while (cursor.next()) {
    yield {
      offset: base + cursor.offsetDelta,
      timestamp: appendTime ?? first + cursor.timestampDelta,
      key: cursor.key(),
      value: cursor.value(),
      headers: cursor.headers(),
    };
  }
  const count = recordCount(buffer, at);
  if (cursor.index + 1 !== count) {
    throw new InvalidRecords(cursor.index + 1, `the batch says that it has ${count} records`);
  }
}

/** An offset and its time, as the look-ups by time give them. */
export interface TimedOffset {
  readonly offset: number;
  readonly timestamp: number;
}

/**
 * First record of a batch at or after a time, and at or after `fromOffset`. Reads offsets and times
 * only; `payload` are the uncompressed records. Undefined when there is none.
 */
export function findTimestamp(
  buffer: Buffer,
  at: number,
  timestamp: number,
  payload: Buffer = payloadOf(buffer, at),
  fromOffset = 0,
): TimedOffset | undefined {
  const base = baseOffset(buffer, at);
  const first = baseTimestamp(buffer, at);
  const appendTime = isLogAppendTime(buffer, at) ? maxTimestamp(buffer, at) : undefined;
  const cursor = new RecordCursor(payload);
  while (cursor.nextTime()) {
    const time = appendTime ?? first + cursor.timestampDelta;
    const offset = base + cursor.offsetDelta;
    if (time >= timestamp && offset >= fromOffset) return { offset, timestamp: time };
  }
  return undefined;
}

/** The record with the largest time, the first of equals; undefined for a batch without records. */
export function findMaxTimestamp(
  buffer: Buffer,
  at: number,
  payload: Buffer = payloadOf(buffer, at),
): TimedOffset | undefined {
  const base = baseOffset(buffer, at);
  const first = baseTimestamp(buffer, at);
  const appendTime = isLogAppendTime(buffer, at) ? maxTimestamp(buffer, at) : undefined;
  const cursor = new RecordCursor(payload);
  let delta = -1;
  let largest = NO_TIMESTAMP;
  while (cursor.nextTime()) {
    const time = appendTime ?? first + cursor.timestampDelta;
    if (delta < 0 || time > largest) {
      delta = cursor.offsetDelta;
      largest = time;
    }
  }
  return delta < 0 ? undefined : { offset: base + delta, timestamp: largest };
}

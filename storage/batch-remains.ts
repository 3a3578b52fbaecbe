/**
 * What compaction leaves of a record batch: the batch with some of its records, a header alone, or
 * one header for several batches that went. Offsets, times, producer and sequence stay what they
 * were; what is left of a batch is as the cleaner of Kafka leaves it.
 * Source: MemoryRecords.filterTo, DefaultRecordBatch.writeEmptyHeader.
 */

import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  NO_TIMESTAMP,
  readBatchHeader,
} from '../protocol/record-batch.ts';
import { RecordCursor, wrapPayload } from '../protocol/records.ts';

const EMPTY = Buffer.alloc(0);

/** What is left of the records of a batch. */
export interface Remains {
  /** Uncompressed. */
  readonly payload: Buffer;
  readonly recordCount: number;
  readonly maxTimestamp: number;
}

/**
 * The records of a payload without those that `dropped` marks by their index. The bytes of the
 * others are taken as they stand: base offset and base time of the batch do not change.
 */
export function withoutRecords(
  header: BatchHeader,
  payload: Buffer,
  dropped: ReadonlySet<number>,
): Remains {
  const kept: Buffer[] = [];
  let maxTimestamp = NO_TIMESTAMP;
  let recordCount = 0;
  let from = 0;
  const cursor = new RecordCursor(payload);
  while (cursor.next()) {
    if (dropped.has(cursor.index)) {
      if (cursor.recordAt > from) kept.push(payload.subarray(from, cursor.recordAt));
      from = cursor.recordEnd;
      continue;
    }
    recordCount++;
    maxTimestamp = Math.max(maxTimestamp, header.baseTimestamp + cursor.timestampDelta);
  }
  if (payload.length > from) kept.push(payload.subarray(from));
  if (header.logAppendTime) maxTimestamp = header.maxTimestamp;
  return { payload: Buffer.concat(kept), recordCount, maxTimestamp };
}

function fieldsOf(header: BatchHeader) {
  return {
    baseOffset: header.baseOffset,
    leaderEpoch: header.leaderEpoch,
    producerId: header.producerId,
    producerEpoch: header.producerEpoch,
    baseSequence: header.baseSequence,
    transactional: header.transactional,
    control: header.control,
  };
}

/** The batch with what is left of its records; `payload` is in the batch's codec. */
export function remainingBatch(header: BatchHeader, payload: Buffer, remains: Remains): Buffer {
  const { recordCount, maxTimestamp } = remains;
  const logAppendTime = header.logAppendTime ? header.maxTimestamp : undefined;
  const fields = logAppendTime === undefined ? {} : { logAppendTime };
  return wrapPayload({ ...fieldsOf(header), ...fields }, payload, {
    codec: header.codec as 0 | 1 | 2 | 3 | 4,
    lastOffsetDelta: header.lastOffset - header.baseOffset,
    baseTimestamp: header.baseTimestamp,
    maxTimestamp,
    recordCount,
  });
}

/** A batch without its records: 61 bytes that keep its offsets, its producer and its time. */
export function emptiedBatch(header: BatchHeader): Buffer {
  const logAppendTime = header.logAppendTime ? header.maxTimestamp : undefined;
  const fields = logAppendTime === undefined ? {} : { logAppendTime };
  return wrapPayload({ ...fieldsOf(header), ...fields }, EMPTY, {
    codec: 0,
    lastOffsetDelta: header.lastOffset - header.baseOffset,
    baseTimestamp: NO_TIMESTAMP,
    maxTimestamp: header.maxTimestamp,
    recordCount: 0,
  });
}

/** One batch without records in the place of several that nobody needs: offsets go on without gap. */
export function fillerBatch(baseOffset: number, lastOffset: number, leaderEpoch: number): Buffer {
  return wrapPayload({ baseOffset, leaderEpoch }, EMPTY, {
    codec: 0,
    lastOffsetDelta: lastOffset - baseOffset,
    baseTimestamp: NO_TIMESTAMP,
    maxTimestamp: NO_TIMESTAMP,
    recordCount: 0,
  });
}

/** Whether a batch lies there of which no record is left. */
export function isEmptied(bytes: Buffer): boolean {
  return bytes.length === BATCH_HEADER_BYTES && readBatchHeader(bytes, 0).recordCount === 0;
}

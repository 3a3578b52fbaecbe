/**
 * What is checked of the records inside a batch, once they are uncompressed: a pure step that runs
 * in the turn for batches that came uncompressed, and in a worker for the others. Makes no objects
 * for records that are sound. Source: KAFKA.md points 16, 18, 20; LogValidator.
 */

import { InvalidRecords, RecordCursor } from '../protocol/records.ts';

/** What a topic demands of single records. */
export interface RecordRules {
  /** The topic is compacted: a record without a key could never be told from others. */
  readonly keyRequired: boolean;
  /** Timestamps are the producer's and must lie near the broker's clock. */
  readonly checksTimestamps: boolean;
  readonly timestampBeforeMaxMs: number;
  readonly timestampAfterMaxMs: number;
}

/** One record's fault, as Produce answers give it (KIP-467). */
export interface RecordError {
  /** Index within the batch. */
  readonly index: number;
  readonly message: string;
}

export interface RecordFindings {
  /** Largest timestamp of the records, -1 where none has one. */
  readonly maxTimestamp: number;
  /** Empty when all are sound. */
  readonly errors: RecordError[];
  /** One of the errors is a timestamp's, which gives the batch another error code. */
  readonly hasInvalidTimestamp: boolean;
}

/** What the batch's header says of its records. */
export interface RecordClaims {
  readonly recordCount: number;
  readonly baseTimestamp: number;
}

/** A batch of faults only is described by so many: the answer stays small. */
const MAX_ERRORS = 1000;
const NO_ERRORS: RecordError[] = [];

/**
 * Checks the records between two positions against the batch's header and the rules. Throws
 * InvalidRecords when they cannot be read or are not those that the header speaks of.
 */
export function checkRecords(
  buffer: Buffer,
  start: number,
  end: number,
  claims: RecordClaims,
  rules: RecordRules,
  nowMs: number,
  maxRecordBytes = Number.POSITIVE_INFINITY,
): RecordFindings {
  const { recordCount, baseTimestamp } = claims;
  const earliest = nowMs - rules.timestampBeforeMaxMs;
  const latest = nowMs + rules.timestampAfterMaxMs;
  const cursor = new RecordCursor(buffer, start, end);
  let errors = NO_ERRORS;
  let hasInvalidTimestamp = false;
  let maxTimestamp = -1;
  while (cursor.next()) {
    const { index } = cursor;
    if (cursor.offsetDelta !== index) {
      throw new InvalidRecords(index, `its offset delta is ${cursor.offsetDelta}`);
    }
    if (index >= recordCount) break;
    const timestamp = baseTimestamp + cursor.timestampDelta;
    if (timestamp > maxTimestamp) maxTimestamp = timestamp;
    let fault: string | undefined;
    if (cursor.recordEnd - cursor.recordAt > maxRecordBytes) {
      fault = `The record has more than ${maxRecordBytes} bytes.`;
    } else if (rules.keyRequired && cursor.keyBytes < 0) {
      fault = 'Compacted topic cannot accept a record without a key.';
    } else if (
      rules.checksTimestamps &&
      timestamp !== -1 &&
      (timestamp < earliest || timestamp > latest)
    ) {
      fault = `Timestamp ${timestamp} is not within [${earliest}, ${latest}].`;
      hasInvalidTimestamp = true;
    }
    if (fault === undefined || errors.length >= MAX_ERRORS) continue;
    if (errors === NO_ERRORS) errors = [];
    errors.push({ index, message: fault });
  }
  const count = cursor.index + 1;
  if (count !== recordCount) {
    const found = count > recordCount ? 'more' : String(count);
    throw new InvalidRecords(
      count - 1,
      `the batch says that it has ${recordCount}, found ${found}`,
    );
  }
  return { maxTimestamp, errors, hasInvalidTimestamp };
}

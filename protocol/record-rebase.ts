/**
 * Gives the records of an uncompressed payload another base timestamp: their times stay, the deltas
 * change. Compaction needs it to store a delete horizon where the base timestamp was (KIP-534).
 */

import { varintBytes, varlongBytes, writeVarint, writeVarlong } from './batch-builder.ts';
import { RecordCursor } from './record-cursor.ts';

/**
 * The records in [start, end) with `shift` added to each timestamp delta, behind `headBytes` free
 * bytes. Throws InvalidRecords.
 */
export function rebaseRecords(
  payload: Buffer,
  start: number,
  end: number,
  shift: number,
  headBytes: number,
): Buffer {
  let size = headBytes;
  const sized = new RecordCursor(payload, start, end);
  while (sized.next()) {
    const body = bodyBytes(sized, shift);
    size += varintBytes(body) + body;
  }
  const target = Buffer.allocUnsafe(size);
  let at = headBytes;
  const cursor = new RecordCursor(payload, start, end);
  while (cursor.next()) {
    const timeAt = placeOfTime(cursor);
    at = writeVarint(target, at, bodyBytes(cursor, shift));
    target[at++] = payload[timeAt - 1]!;
    at = writeVarlong(target, at, cursor.timestampDelta + shift);
    at += payload.copy(target, at, behindNumber(payload, timeAt), cursor.recordEnd);
  }
  return target;
}

/** Bytes of the record behind its length: attributes, the new delta, and all that stays. */
function bodyBytes(cursor: RecordCursor, shift: number): number {
  const rest = cursor.recordEnd - behindNumber(cursor.buffer, placeOfTime(cursor));
  return 1 + varlongBytes(cursor.timestampDelta + shift) + rest;
}

/** Where the timestamp delta stands: behind the length and the attributes. */
function placeOfTime(cursor: RecordCursor): number {
  return behindNumber(cursor.buffer, cursor.recordAt) + 1;
}

function behindNumber(buffer: Buffer, start: number): number {
  let at = start;
  while (buffer[at]! >= 0x80) at++;
  return at + 1;
}

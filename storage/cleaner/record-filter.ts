/**
 * Drops records from an uncompressed payload, in place: what stays moves to the front in runs, as
 * bytes, and nothing is made an object. A record stays when its offset is above all that the offset
 * map speaks of, or when no later one of its key is known, unless it is the mark of a deleted key
 * whose time is over, or has no key.
 * Source: Kafka's Cleaner.shouldRetainRecord.
 */

import { RecordCursor } from '../../protocol/records.ts';
import type { OffsetMap } from './offset-map.ts';

export class RecordFilter {
  /** Of the last payload: records that stayed, and their bytes from `start` on. */
  kept = 0;
  dropped = 0;
  keptBytes = 0;
  /** A mark of a deleted key has stayed. */
  hasTombstone = false;
  /** Of the records that stayed. */
  maxTimestampDelta = 0;
  /** Records without a key, over all payloads. */
  withoutKey = 0;
  readonly #map: OffsetMap;

  constructor(map: OffsetMap) {
    this.#map = map;
  }

  /**
   * Goes through the records in [start, end). `isExpired`: marks of deleted keys go. Throws
   * InvalidRecords; the payload may be half moved then.
   */
  run(payload: Buffer, start: number, end: number, baseOffset: number, isExpired: boolean): void {
    const cursor = new RecordCursor(payload, start, end);
    const latest = this.#map.latestOffset - baseOffset;
    let target = start;
    let runStart = start;
    let kept = 0;
    let dropped = 0;
    let maxDelta = Number.NEGATIVE_INFINITY;
    let hasTombstone = false;
    while (cursor.next()) {
      const { offsetDelta } = cursor;
      const stays =
        offsetDelta > latest || this.#stays(cursor, baseOffset + offsetDelta, isExpired);
      if (stays) {
        kept++;
        if (cursor.timestampDelta > maxDelta) maxDelta = cursor.timestampDelta;
        if (cursor.valueBytes < 0) hasTombstone = true;
        continue;
      }
      dropped++;
      target = move(payload, target, runStart, cursor.recordAt);
      runStart = cursor.recordEnd;
    }
    if (dropped > 0) target = move(payload, target, runStart, end);
    this.kept = kept;
    this.dropped = dropped;
    this.keptBytes = dropped > 0 ? target - start : end - start;
    this.hasTombstone = hasTombstone;
    this.maxTimestampDelta = maxDelta;
  }

  #stays(cursor: RecordCursor, offset: number, isExpired: boolean): boolean {
    const { keyBytes } = cursor;
    if (keyBytes < 0) {
      this.withoutKey++;
      return false;
    }
    if (isExpired && cursor.valueBytes < 0) return false;
    return offset >= this.#map.get(cursor.buffer, cursor.keyAt, keyBytes);
  }
}

/** Moves [from, to) forward to `target`; gives the place behind it. */
function move(buffer: Buffer, target: number, from: number, to: number): number {
  if (target < from) buffer.copyWithin(target, from, to);
  return target + to - from;
}

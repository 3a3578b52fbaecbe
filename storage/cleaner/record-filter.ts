/**
 * Drops records from an uncompressed payload, in place: what stays moves to the front in runs, as
 * bytes, and nothing is made an object. A record stays when its offset is above all that the offset
 * map speaks of, or when no later one of its key is known, unless it is the mark of a deleted key
 * whose time is over, or has no key.
 * Source: Kafka's Cleaner.shouldRetainRecord.
 */

import { RecordCursor } from '../../protocol/records.ts';
import { KEYS_AT_ONCE, type OffsetMap } from './offset-map.ts';

/** What becomes of a record: bits, or all of them zero where it goes. */
const GOES = 0;
const VALUE = 1;
/** It marks its key as deleted. */
const MARK = 2;
/** The map is asked. */
const ASKED = 4;

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
  readonly #starts = new Int32Array(KEYS_AT_ONCE);
  readonly #ends = new Int32Array(KEYS_AT_ONCE);
  readonly #deltas = new Int32Array(KEYS_AT_ONCE);
  readonly #times = new Float64Array(KEYS_AT_ONCE);
  readonly #fates = new Uint8Array(KEYS_AT_ONCE);
  /** Where the next run goes, and where it began. */
  #target = 0;
  #runStart = 0;

  constructor(map: OffsetMap) {
    this.#map = map;
  }

  /**
   * Goes through the records in [start, end). `isExpired`: marks of deleted keys go. Throws
   * InvalidRecords; the payload may be half moved then.
   */
  run(payload: Buffer, start: number, end: number, baseOffset: number, isExpired: boolean): void {
    const cursor = new RecordCursor(payload, start, end);
    this.#target = start;
    this.#runStart = start;
    this.kept = 0;
    this.dropped = 0;
    this.hasTombstone = false;
    this.maxTimestampDelta = Number.NEGATIVE_INFINITY;
    for (let count = KEYS_AT_ONCE; count === KEYS_AT_ONCE; ) {
      count = this.#gather(cursor, baseOffset, isExpired);
      this.#look(count, baseOffset);
      this.#sift(payload, count);
    }
    if (this.dropped > 0) this.#target = move(payload, this.#target, this.#runStart, end);
    this.keptBytes = this.dropped > 0 ? this.#target - start : end - start;
  }

  /** Reads as many records as there are slots; says of each what is known without the map. */
  #gather(cursor: RecordCursor, baseOffset: number, isExpired: boolean): number {
    const latest = this.#map.latestOffset - baseOffset;
    let count = 0;
    for (; count < KEYS_AT_ONCE && cursor.next(); count++) {
      const { offsetDelta, keyBytes } = cursor;
      this.#starts[count] = cursor.recordAt;
      this.#ends[count] = cursor.recordEnd;
      this.#deltas[count] = offsetDelta;
      this.#times[count] = cursor.timestampDelta;
      const isMark = cursor.valueBytes < 0;
      let fate: number = isMark ? MARK : VALUE;
      if (offsetDelta <= latest) {
        if (keyBytes < 0) {
          this.withoutKey++;
          fate = GOES;
        } else if (isMark && isExpired) {
          fate = GOES;
        } else {
          fate |= ASKED;
          this.#map.hash(count, cursor.buffer, cursor.keyAt, keyBytes);
        }
      }
      this.#fates[count] = fate;
    }
    return count;
  }

  /** Asks the map: a record goes when a later one of its key is known. */
  #look(count: number, baseOffset: number): void {
    const map = this.#map;
    const fates = this.#fates;
    map.touch(count);
    for (let slot = 0; slot < count; slot++) {
      if ((fates[slot]! & ASKED) === 0) continue;
      if (baseOffset + this.#deltas[slot]! < map.find(slot)) fates[slot] = GOES;
    }
  }

  #sift(payload: Buffer, count: number): void {
    for (let slot = 0; slot < count; slot++) {
      const fate = this.#fates[slot]!;
      if (fate !== GOES) {
        this.kept++;
        if (this.#times[slot]! > this.maxTimestampDelta)
          this.maxTimestampDelta = this.#times[slot]!;
        if ((fate & MARK) !== 0) this.hasTombstone = true;
        continue;
      }
      this.dropped++;
      this.#target = move(payload, this.#target, this.#runStart, this.#starts[slot]!);
      this.#runStart = this.#ends[slot]!;
    }
  }
}

/** Moves [from, to) forward to `target`; gives the place behind it. */
function move(buffer: Buffer, target: number, from: number, to: number): number {
  if (target < from) buffer.copyWithin(target, from, to);
  return target + to - from;
}

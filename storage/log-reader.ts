/** Reads of one partition over its segments and its chunks in memory, within one answer. */

import {
  codec as codecOf,
  lastOffset as lastOffsetOf,
  leaderEpoch as leaderEpochOf,
} from '../protocol/record-batch.ts';
import { findMaxTimestamp, findTimestamp, payloadOf } from '../protocol/records.ts';
import type { MemoryTail } from './memory-tail.ts';
import type { SegmentLog } from './segment-log.ts';
import { emptySlice, joinSlices, readTail } from './tail-slice.ts';
import type { Inflate, LogSlice, TimedRecord } from './types.ts';

export class LogReader {
  readonly #segments: SegmentLog;
  readonly #tail: MemoryTail;
  readonly #inflate: Inflate;

  constructor(segments: SegmentLog, tail: MemoryTail, inflate: Inflate) {
    this.#segments = segments;
    this.#tail = tail;
    this.#inflate = inflate;
  }

  /** See PartitionLogView.read; the offset lies in the log. `persisted`: segments are read below. */
  read(
    from: number,
    maxBytes: number,
    limit: number,
    persisted: number,
    atLeastOne: boolean,
  ): LogSlice | Promise<LogSlice> {
    if (from >= limit) return emptySlice(from);
    if (from >= persisted) return readTail(this.#tail, from, maxBytes, limit, atLeastOne);
    const below = Math.min(limit, persisted);
    const stored = this.#segments.read(from, maxBytes, below, atLeastOne);
    const goOn = (slice: LogSlice) => this.#goOn(slice, maxBytes, limit, atLeastOne);
    return stored instanceof Promise ? stored.then(goOn) : goOn(stored);
  }

  /** Adds to what the segments gave what follows in memory. */
  #goOn(stored: LogSlice, maxBytes: number, limit: number, atLeastOne: boolean): LogSlice {
    const { nextOffset, sizeBytes } = stored;
    const continues = this.#tail.baseOffset === nextOffset && nextOffset < limit;
    if (!continues || sizeBytes >= maxBytes) return stored;
    const isFirst = sizeBytes === 0;
    const leftBytes = maxBytes - sizeBytes;
    const more = readTail(this.#tail, nextOffset, leftBytes, limit, atLeastOne && isFirst);
    return joinSlices(stored, more);
  }

  /** First record at or after a time and below the limit. */
  async offsetForTime(
    timestamp: number,
    start: number,
    limit: number,
  ): Promise<TimedRecord | undefined> {
    const stored = await this.#searchSegments(() =>
      this.#segments.offsetForTime(timestamp, start, limit),
    );
    if (stored !== undefined) return stored;
    const candidates: Buffer[] = [];
    this.#tail.forEachFrom(start, (batch) => {
      if (batch.baseOffset >= limit) return false;
      if (batch.maxTimestamp < timestamp || batch.recordCount === 0) return true;
      // A copy: the chunk may leave memory while the records are uncompressed.
      candidates.push(Buffer.from(batch.bytes));
      this.#tail.served.note(batch.lastOffset + 1);
      return false;
    });
    for (const batch of candidates) {
      const found = findTimestamp(batch, 0, timestamp, await this.#records(batch), start);
      if (found !== undefined && found.offset < limit) {
        return { ...found, leaderEpoch: leaderEpochOf(batch, 0) };
      }
    }
    return undefined;
  }

  /** The record with the largest timestamp below the limit, the first of equals. */
  async offsetOfMaxTimestamp(start: number, limit: number): Promise<TimedRecord | undefined> {
    const stored = await this.#searchSegments(() =>
      this.#segments.offsetOfMaxTimestamp(start, limit),
    );
    let largest = stored?.timestamp ?? Number.NEGATIVE_INFINITY;
    let batch: Buffer | undefined;
    this.#tail.forEachFrom(start, (candidate) => {
      if (candidate.lastOffset >= limit) return false;
      if (candidate.recordCount > 0 && candidate.maxTimestamp > largest) {
        largest = candidate.maxTimestamp;
        batch = candidate.bytes;
      }
      return true;
    });
    if (batch === undefined) return stored;
    this.#tail.served.note(lastOffsetOf(batch, 0) + 1);
    const copy = Buffer.from(batch);
    const found = findMaxTimestamp(copy, 0, await this.#records(copy));
    return found === undefined ? stored : { ...found, leaderEpoch: leaderEpochOf(copy, 0) };
  }

  /** Searches the segments, again when chunks became segments meanwhile: neither would have them. */
  async #searchSegments<T>(search: () => Promise<T>): Promise<T> {
    for (;;) {
      const covered = this.#segments.endOffset;
      const found = await search();
      const inMemoryFrom = this.#tail.baseOffset ?? this.#segments.endOffset;
      if (found !== undefined || inMemoryFrom <= covered) return found;
    }
  }

  async #records(batch: Buffer): Promise<Buffer> {
    const codec = codecOf(batch, 0);
    return codec === 0 ? payloadOf(batch, 0) : this.#inflate(codec, payloadOf(batch, 0));
  }
}

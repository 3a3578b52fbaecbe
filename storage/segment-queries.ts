/**
 * Look-ups over the segments of a log that are no reads: by time, by largest time, and where bytes
 * lie. They work on a list of segments that the log hands in, and on offsets below `limit` only.
 */

import {
  baseOffset,
  batchBytes,
  codec,
  lastOffset,
  leaderEpoch,
  maxTimestamp,
  NO_TIMESTAMP,
  recordCount,
} from '../protocol/record-batch.ts';
import {
  findMaxTimestamp,
  findTimestamp,
  payloadOf,
  type TimedOffset,
} from '../protocol/records.ts';
import type { LogContext } from './log-context.ts';
import type { Segment } from './segment.ts';
import { SegmentReader } from './segment-reader.ts';
import type { TimestampOffset } from './time-index.ts';

/** A record found by its time. */
export interface TimedRecord extends TimedOffset {
  readonly leaderEpoch: number;
}

/** Bytes of a segment: whole batches from the one that contains the asked offset. */
export interface SegmentBytes {
  readonly position: number;
  readonly length: number;
  readonly firstOffset: number;
  readonly nextOffset: number;
}

type Find = (batch: Buffer, payload: Buffer) => TimedOffset | undefined;

/** Reads one batch and looks for a record in it, uncompressed. */
async function findInBatch(
  context: LogContext,
  segment: Segment,
  offset: number,
  find: Find,
): Promise<TimedRecord | undefined> {
  const request = { from: offset, maxBytes: 1, limit: segment.nextOffset, atLeastOne: true };
  const run = await new SegmentReader(context, segment).read(request);
  if (typeof run === 'string') return undefined;
  try {
    const batch = run.bytes.subarray(0, batchBytes(run.bytes, 0));
    const packed = payloadOf(batch, 0);
    const kind = codec(batch, 0);
    const payload = kind === 0 ? packed : await context.decompress(kind, packed);
    const found = find(batch, payload);
    return found && { ...found, leaderEpoch: leaderEpoch(batch, 0) };
  } finally {
    run.held.release();
  }
}

/** First record at or after a time, from `start` on and below `limit`. */
export async function findOffsetForTime(
  context: LogContext,
  segments: readonly Segment[],
  timestamp: number,
  start: number,
  limit: number,
): Promise<TimedRecord | undefined> {
  const find: Find = (batch, payload) => findTimestamp(batch, 0, timestamp, payload, start);
  for (const segment of segments) {
    if (segment.nextOffset <= start || segment.sizeBytes === 0) continue;
    if (segment.baseOffset >= limit) return undefined;
    const indexes = await segment.indexes();
    if (indexes.largest.timestamp < timestamp) continue;
    let from = Math.max(indexes.times.lookup(timestamp).offset, start);
    for (;;) {
      const candidate = await findCandidate(context, segment, from, timestamp);
      if (candidate === undefined) break;
      if (candidate.baseOffset >= limit) return undefined;
      const found = await findInBatch(context, segment, candidate.baseOffset, find);
      if (found !== undefined) return found.offset < limit ? found : undefined;
      from = candidate.lastOffset + 1;
    }
  }
  return undefined;
}

/** The first batch from an offset on that says to have a record at or after a time. */
async function findCandidate(
  context: LogContext,
  segment: Segment,
  from: number,
  timestamp: number,
): Promise<{ baseOffset: number; lastOffset: number } | undefined> {
  let candidate: { baseOffset: number; lastOffset: number } | undefined;
  await new SegmentReader(context, segment).walk(from, (window, at) => {
    if (maxTimestamp(window, at) < timestamp || recordCount(window, at) === 0) return true;
    candidate = { baseOffset: baseOffset(window, at), lastOffset: lastOffset(window, at) };
    return false;
  });
  return candidate;
}

/** The record with the largest time, the first of equals, from `start` on and below `limit`. */
export async function findMaxTimestampOffset(
  context: LogContext,
  segments: readonly Segment[],
  start: number,
  limit: number,
): Promise<TimedRecord | undefined> {
  let best: TimestampOffset | undefined;
  let bestSegment: Segment | undefined;
  for (const segment of segments) {
    if (segment.nextOffset <= start || segment.sizeBytes === 0 || segment.baseOffset >= limit)
      continue;
    const isWhole = segment.baseOffset >= start && segment.nextOffset <= limit;
    const largest = isWhole
      ? await segment.largestTimestamp()
      : await largestWithin(context, segment, start, limit);
    if (largest.timestamp <= (best?.timestamp ?? NO_TIMESTAMP)) continue;
    best = largest;
    bestSegment = segment;
  }
  if (best === undefined || bestSegment === undefined) return undefined;
  const find: Find = (batch, payload) => findMaxTimestamp(batch, 0, payload);
  return findInBatch(context, bestSegment, best.offset, find);
}

/** Largest timestamp of the batches of one segment within [start, limit), by their headers. */
async function largestWithin(
  context: LogContext,
  segment: Segment,
  start: number,
  limit: number,
): Promise<TimestampOffset> {
  const { times } = await segment.indexes();
  // Entries are largest timestamps so far: those below the limit need not be looked for again.
  const entry = times.lastBelowOffset(limit);
  let largest = entry.offset >= start ? entry : { timestamp: NO_TIMESTAMP, offset: start };
  const reader = new SegmentReader(context, segment);
  await reader.walk(Math.max(start, largest.offset), (window, at) => {
    const last = lastOffset(window, at);
    if (last >= limit) return false;
    // What compaction has emptied keeps its time, of a record that is not there any more.
    const timestamp = recordCount(window, at) > 0 ? maxTimestamp(window, at) : NO_TIMESTAMP;
    if (timestamp > largest.timestamp) largest = { timestamp, offset: last };
    return true;
  });
  return largest;
}

/** Of a range larger than this the last part in so many may be left to the next one. */
const EXACT_BYTES = 1024 * 1024;
const LARGE_RANGE_PARTS = 64;

/** A range of whole batches that grows at its end. */
class BatchRange {
  firstOffset = 0;
  nextOffset = 0;
  /** Of the range; where the first batch begins as long as there is none. */
  end: number;
  readonly #start: number;
  readonly #maxEnd: number;
  readonly #enough: number;
  readonly #limit: number;

  constructor(start: number, maxBytes: number, limit: number) {
    this.#start = start;
    this.end = start;
    this.#maxEnd = start + maxBytes;
    // Each look at a header costs a read of its own where batches are large.
    this.#enough = maxBytes <= EXACT_BYTES ? 0 : Math.floor(maxBytes / LARGE_RANGE_PARTS);
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.end === this.#start;
  }

  /** Takes a batch, unless it is over the limits; false when no other one is to follow. */
  take(window: Buffer, at: number, position: number): boolean {
    const stop = position + batchBytes(window, at);
    const last = lastOffset(window, at);
    if (last >= this.#limit || (stop > this.#maxEnd && !this.isEmpty)) return false;
    if (this.isEmpty) this.firstOffset = baseOffset(window, at);
    this.end = stop;
    this.nextOffset = last + 1;
    return stop < this.#maxEnd - this.#enough;
  }
}

/** Where about `maxBytes` of whole batches lie; the first batch also when it is larger. */
export async function findBytes(
  context: LogContext,
  segment: Segment,
  from: number,
  maxBytes: number,
  limit: number,
): Promise<SegmentBytes | undefined> {
  const reader = new SegmentReader(context, segment);
  const { sizeBytes } = segment;
  const first = await reader.find(from);
  if (first === undefined) return undefined;
  const { position } = first;
  const range = new BatchRange(position, maxBytes, limit);
  let wantsMore = false;
  await reader.walkAt(first, (window, at, place) => {
    wantsMore = range.take(window, at, place);
    return false;
  });
  if (range.isEmpty) return undefined;
  if (wantsMore) {
    const { offsets } = await segment.indexes();
    // An entry whose batch fits, whatever its size: the last one of all, or one before another.
    const maxEnd = position + maxBytes;
    const last = offsets.positionAtOrBelow(Math.min(maxEnd, sizeBytes - 1));
    const fitting = maxEnd >= sizeBytes ? last : offsets.positionAtOrBelow(Math.max(0, last - 1));
    const jump = Math.min(fitting, offsets.lookup(limit - 1).position);
    const place =
      jump > range.end
        ? { position: jump, due: undefined }
        : { position: range.end, due: range.nextOffset };
    await reader.walkAt(place, (window, at, where) => range.take(window, at, where));
  }
  const { firstOffset, nextOffset, end } = range;
  segment.rememberPlace(nextOffset, end);
  return { position, length: end - position, firstOffset, nextOffset };
}

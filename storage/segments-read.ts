/** Reads over the segments of one log: whole batches for a slice, or all of them for who looks. */

import { baseOffset } from '../protocol/record-batch.ts';
import type { Segment } from './segment.ts';
import type { SegmentList } from './segment-list.ts';
import { SegmentReader, type SegmentRequest, type SegmentRun } from './segment-reader.ts';
import type { SliceBuilder } from './slice-builder.ts';

/** Large slices are read in pieces of this size, into buffers that are used again. */
const PIECE_BYTES = 1024 * 1024;
/** Less room than this is left empty once there are records of the segment. */
const WORTH_A_READ_BYTES = 128 * 1024;

/** What is asked for; see SegmentLog.read. */
export interface ReadRequest {
  readonly maxBytes: number;
  readonly limit: number;
  readonly atLeastOne: boolean;
}

/** What one segment gives to a slice: what is asked of it next, and what came of it. */
class SegmentPart {
  readonly reader: SegmentReader;
  readonly #slice: SliceBuilder;
  readonly #request: ReadRequest;
  #next: number;
  #hasRecords = false;

  constructor(list: SegmentList, segment: Segment, slice: SliceBuilder, request: ReadRequest) {
    this.reader = new SegmentReader(list.context, segment);
    this.#slice = slice;
    this.#request = request;
    this.#next = Math.max(slice.nextOffset, segment.baseOffset);
  }

  /** Nothing is left of the segment: the slice may go on behind it. */
  get isThrough(): boolean {
    return this.#next >= this.reader.endOffset;
  }

  /** What is to be read next; undefined when that is nothing. */
  next(): SegmentRequest | undefined {
    const { maxBytes, limit, atLeastOne } = this.#request;
    const { recordBytes } = this.#slice;
    if (this.isThrough || this.#next >= limit) return undefined;
    const leftBytes = maxBytes - recordBytes;
    if (this.#hasRecords && leftBytes < WORTH_A_READ_BYTES) return undefined;
    const isFirst = recordBytes === 0;
    return { from: this.#next, maxBytes: leftBytes, limit, atLeastOne: atLeastOne && isFirst };
  }

  add(run: SegmentRun): void {
    this.#slice.add(run);
    this.#next = run.nextOffset;
    this.#hasRecords ||= run.recordBytes > 0;
  }
}

/** As large as a piece at most. */
function pieceOf(request: SegmentRequest): SegmentRequest {
  return request.maxBytes <= PIECE_BYTES ? request : { ...request, maxBytes: PIECE_BYTES };
}

/**
 * Fills a slice with what is in memory of the segments. Gives true when they have nothing more for
 * it, false when the rest must be waited for.
 */
export function readSegmentsNow(
  list: SegmentList,
  slice: SliceBuilder,
  request: ReadRequest,
): boolean {
  for (const segment of list.from(slice.nextOffset)) {
    if (segment.baseOffset >= request.limit || slice.isFull(request.maxBytes)) return true;
    const part = new SegmentPart(list, segment, slice, request);
    for (let rest = part.next(); rest !== undefined; rest = part.next()) {
      const run = part.reader.readNow(pieceOf(rest));
      // The next batch is larger than a piece, not than what is asked for.
      if (run === 'full') return rest.maxBytes <= PIECE_BYTES;
      if (typeof run === 'string') return false;
      part.add(run);
    }
    if (!part.isThrough) return true;
  }
  return true;
}

/** Fills a slice from the segments as they are now. */
export async function readSegments(
  list: SegmentList,
  slice: SliceBuilder,
  request: ReadRequest,
): Promise<void> {
  for (const segment of list.from(slice.nextOffset)) {
    if (segment.baseOffset >= request.limit || slice.isFull(request.maxBytes)) return;
    if (!(await readSegment(list, segment, slice, request))) return;
  }
}

/** Gives false when the slice ends within this segment. */
async function readSegment(
  list: SegmentList,
  segment: Segment,
  slice: SliceBuilder,
  request: ReadRequest,
): Promise<boolean> {
  const part = new SegmentPart(list, segment, slice, request);
  for (let rest = part.next(); rest !== undefined; rest = part.next()) {
    let run = await part.reader.read(pieceOf(rest));
    // The next batch is larger than a piece, not than what is asked for.
    if (run === 'full' && rest.maxBytes > PIECE_BYTES) run = await part.reader.read(rest);
    if (run === 'end') return true;
    if (run === 'full') return false;
    part.add(run);
  }
  return part.isThrough;
}

/**
 * Calls the visitor with the whole sound batches from the one that contains `from` on, below `to`,
 * over damage, until it gives false. The window is not to be kept.
 */
export async function scanSegments(
  list: SegmentList,
  from: number,
  to: number,
  visit: (window: Buffer, at: number) => boolean | undefined,
): Promise<void> {
  for (const segment of list.from(from)) {
    if (segment.baseOffset >= to) return;
    let isWanted = true;
    await new SegmentReader(list.context, segment).scan(from, (window, at) => {
      isWanted = baseOffset(window, at) < to && visit(window, at) !== false;
      return isWanted;
    });
    if (!isWanted) return;
  }
}

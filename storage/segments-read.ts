/** Reads over the segments of one log: whole batches for a slice, or all of them for who looks. */

import { baseOffset } from '../protocol/record-batch.ts';
import type { Segment } from './segment.ts';
import type { SegmentList } from './segment-list.ts';
import { SegmentReader } from './segment-reader.ts';
import type { SliceBuilder } from './slice-builder.ts';

/** Large slices are read in pieces of this size, into buffers that are used again. */
const PIECE_BYTES = 1024 * 1024;
/** Less room than this is left empty once there are records of the segment. */
const WORTH_A_READ_BYTES = 128 * 1024;

/** What is asked for; see SegmentLog.read. */
export interface ReadRequest {
  readonly from: number;
  readonly maxBytes: number;
  readonly limit: number;
  readonly atLeastOne: boolean;
}

/** Fills a slice from the segments as they are now. */
export async function readSegments(
  list: SegmentList,
  slice: SliceBuilder,
  request: ReadRequest,
): Promise<void> {
  for (const segment of list.from(request.from)) {
    if (segment.baseOffset >= request.limit || slice.isFull(request.maxBytes)) return;
    if (!(await readSegment(list, segment, slice, request))) return;
  }
}

/** Gives false when the slice ends within this segment. */
async function readSegment(
  list: SegmentList,
  segment: Segment,
  slice: SliceBuilder,
  { maxBytes, limit, atLeastOne }: ReadRequest,
): Promise<boolean> {
  const reader = new SegmentReader(list.context, segment);
  let next = Math.max(slice.nextOffset, segment.baseOffset);
  let hasRecords = false;
  while (next < reader.endOffset && next < limit) {
    const isFirst = slice.recordBytes === 0;
    const leftBytes = maxBytes - slice.recordBytes;
    if (hasRecords && leftBytes < WORTH_A_READ_BYTES) break;
    const rest = { from: next, maxBytes: leftBytes, limit, atLeastOne: atLeastOne && isFirst };
    let run = await reader.read({ ...rest, maxBytes: Math.min(leftBytes, PIECE_BYTES) });
    // The next batch is larger than a piece, not than what is asked for.
    if (run === 'full' && leftBytes > PIECE_BYTES) run = await reader.read(rest);
    if (run === 'end') return true;
    if (run === 'full') return false;
    slice.add(run);
    next = run.nextOffset;
    hasRecords ||= run.recordBytes > 0;
  }
  return next >= reader.endOffset;
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

/** Indexes of a segment whose headers do not lead to its end: the checksums tell which of them lies. */

import { lastOffset } from '../protocol/record-batch.ts';
import type { LogContext } from './log-context.ts';
import type { Segment } from './segment.ts';
import { SegmentIndexes } from './segment-indexes.ts';
import { SegmentPlaces } from './segment-places.ts';

/** What is no sound batch, or is not there, is noted and reported as damage up to the known end. */
export async function indexOverDamage(
  context: LogContext,
  segment: Segment,
  intervalBytes: number,
): Promise<SegmentIndexes> {
  const { path, baseOffset, nextOffset, sizeBytes } = segment;
  const indexes = new SegmentIndexes(baseOffset);
  let reached = baseOffset;
  await new SegmentPlaces(context, segment).scanAll((window, at, position) => {
    indexes.noteBatch(window, at, position, intervalBytes);
    reached = lastOffset(window, at) + 1;
    return true;
  });
  if (reached < nextOffset && !segment.endsInDamage) {
    const reason = 'records that were synced are gone';
    const firstOffset = reached;
    segment.addDamage({ path, position: sizeBytes, length: 0, reason, firstOffset, nextOffset });
  }
  return indexes;
}

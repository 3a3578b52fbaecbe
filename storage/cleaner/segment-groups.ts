/**
 * Which closed segments are made into one. Small neighbours are joined as long as all together fit
 * a segment, so that cleaning a log again and again does not leave ever more ever smaller ones.
 * Source: Kafka's Cleaner.groupSegmentsBySize.
 */

import { OFFSET_ENTRY_BYTES } from '../offset-index.ts';
import { TIME_ENTRY_BYTES } from '../time-index.ts';
import type { CleaningJob, SegmentInput } from './cleaning-job.ts';

/** Offsets of one segment differ by less than 2^31 from its base. */
const MAX_OFFSET_SPAN = 0x7fff_ffff;

/** The segments below an offset in groups, in order. */
export function groupSegments(job: CleaningJob, endOffset: number): SegmentInput[][] {
  const groups: SegmentInput[][] = [];
  let group: SegmentInput[] = [];
  let sizeBytes = 0;
  for (const segment of job.segments) {
    if (segment.baseOffset >= endOffset) break;
    const first = group[0];
    const joined = sizeBytes + segment.sizeBytes;
    const fits =
      first !== undefined &&
      joined <= job.segmentBytes &&
      indexBytes(job, joined, group.length + 1) <= job.segmentIndexBytes &&
      segment.nextOffset - 1 - first.baseOffset <= MAX_OFFSET_SPAN;
    if (fits) {
      group.push(segment);
      sizeBytes = joined;
      continue;
    }
    group = [segment];
    groups.push(group);
    sizeBytes = segment.sizeBytes;
  }
  return groups;
}

/** What the larger index of so many bytes of log has at most, from so many segments. */
function indexBytes(job: CleaningJob, sizeBytes: number, segments: number): number {
  const entries = Math.floor(sizeBytes / Math.max(job.indexIntervalBytes, 1)) + segments;
  return entries * Math.max(OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES);
}

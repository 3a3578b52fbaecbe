/**
 * How much of a log can be cleaned, and whether it is worth it. Nothing is cleaned of the active
 * segment, above the last stable offset or what is persisted, and from the first dirty segment on
 * that has a record younger than `min.compaction.lag.ms`.
 * Source: Kafka's LogCleanerManager.cleanableOffsets, maxCompactionDelay, LogToClean.
 */

import type { LogOptions } from '../types.ts';
import type { SegmentInput } from './cleaning-job.ts';

/** A closed segment, and what may have to be read of it. */
export interface ClosedSegment extends SegmentInput {
  firstTimestamp(): Promise<number>;
  /** The largest of its records, else when it was written last. */
  newestTimestamp(): Promise<number>;
}

/** A log as the plan sees it. */
export interface LogToClean {
  readonly options: LogOptions;
  readonly closed: readonly ClosedSegment[];
  readonly logStartOffset: number;
  readonly endOffset: number;
  /** The last stable offset, and no more than what is persisted. */
  readonly stableOffset: number;
  /** Where the last pass ended; undefined when there was none. */
  readonly checkpoint: number | undefined;
}

export interface CleaningPlan {
  readonly firstDirtyOffset: number;
  /** All closed segments up to where nothing may be cleaned. */
  readonly segments: readonly ClosedSegment[];
  readonly cleanBytes: number;
  readonly dirtyBytes: number;
  /** The share that is dirty, in [0, 1]. */
  readonly dirtyRatio: number;
  /** By how much `max.compaction.lag.ms` is exceeded. */
  readonly delayMs: number;
  /** A pass is due. */
  readonly isDue: boolean;
}

export async function planCleaning(log: LogToClean, nowMs: number): Promise<CleaningPlan> {
  const { options, closed } = log;
  const firstDirtyOffset = firstDirtyOf(log);
  const segments: ClosedSegment[] = [];
  for (const segment of closed) {
    if (segment.nextOffset > log.stableOffset) break;
    const isDirty = segment.nextOffset > firstDirtyOffset;
    if (isDirty && (await isTooYoung(segment, options, nowMs))) break;
    segments.push(segment);
  }
  const dirty = segments.filter(({ nextOffset }) => nextOffset > firstDirtyOffset);
  const dirtyBytes = bytesOf(dirty);
  const totalBytes = bytesOf(segments);
  const dirtyRatio = totalBytes === 0 ? 0 : dirtyBytes / totalBytes;
  const delayMs = await delayOf(closed, firstDirtyOffset, options, nowMs);
  const isDue = dirtyBytes > 0 && (delayMs > 0 || dirtyRatio > options.minCleanableDirtyRatio);
  const cleanBytes = totalBytes - dirtyBytes;
  return { firstDirtyOffset, segments, cleanBytes, dirtyBytes, dirtyRatio, delayMs, isDue };
}

/** A checkpoint that does not lie in the log says nothing of it. */
function firstDirtyOf({ checkpoint, logStartOffset, endOffset }: LogToClean): number {
  if (checkpoint === undefined || checkpoint > endOffset) return logStartOffset;
  return Math.max(checkpoint, logStartOffset);
}

async function isTooYoung(segment: ClosedSegment, options: LogOptions, nowMs: number) {
  const { minCompactionLagMs } = options;
  if (minCompactionLagMs <= 0) return false;
  return (await segment.newestTimestamp()) > nowMs - minCompactionLagMs;
}

/** For how long the oldest dirty segment should have been cleaned already. */
async function delayOf(
  closed: readonly ClosedSegment[],
  firstDirtyOffset: number,
  { maxCompactionLagMs }: LogOptions,
  nowMs: number,
): Promise<number> {
  const dueBefore = nowMs - Math.max(maxCompactionLagMs, 0);
  if (dueBefore <= 0) return 0;
  let oldest = Number.POSITIVE_INFINITY;
  for (const segment of closed) {
    if (segment.nextOffset <= firstDirtyOffset) continue;
    const timestamp = await segment.firstTimestamp();
    if (timestamp > 0) oldest = Math.min(oldest, timestamp);
  }
  return oldest < dueBefore ? dueBefore - oldest : 0;
}

function bytesOf(segments: readonly SegmentInput[]): number {
  return segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

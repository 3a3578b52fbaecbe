/**
 * Which part of a log's beginning is to go, by its size and by the age of its records. Whole
 * segments go; what is in memory counts as the end of the last one, which it will be.
 * Source: Kafka's UnifiedLog.deleteOldSegments.
 */

import type { LogOptions } from './types.ts';

export type RetentionReason = 'size' | 'time' | 'start';

/** A segment, oldest first; the last one with all that is in memory. */
export interface RetainedPart {
  readonly endOffset: number;
  readonly sizeBytes: number;
  /** Its largest timestamp; where its records have none, when it was written last. */
  newestMs(): Promise<number>;
}

export interface Expired {
  /** Everything below goes. */
  readonly endOffset: number;
  readonly reason: RetentionReason;
}

export interface RetentionRules {
  readonly options: LogOptions;
  readonly highWatermark: number;
  /** Undefined while the clock is not to be trusted: nothing is too old then. */
  readonly nowMs: number | undefined;
  /** Told of a part that lies in the future, which keeps it and all behind it. */
  readonly onFuture: (part: RetainedPart, newestMs: number) => void;
}

/** The end of what is to go; undefined when nothing is. */
export async function findExpired(
  parts: readonly RetainedPart[],
  rules: RetentionRules,
): Promise<Expired | undefined> {
  if (!rules.options.deletes) return undefined;
  const bySize = tooLarge(parts, rules);
  const byTime = await tooOld(parts, rules);
  if (byTime !== undefined && byTime > (bySize ?? -1)) return { endOffset: byTime, reason: 'time' };
  return bySize === undefined ? undefined : { endOffset: bySize, reason: 'size' };
}

/** The oldest parts without which the log is still as large as it may be. */
function tooLarge(parts: readonly RetainedPart[], rules: RetentionRules): number | undefined {
  const { retentionBytes } = rules.options;
  if (retentionBytes < 0) return undefined;
  let excess = -retentionBytes;
  for (const part of parts) excess += part.sizeBytes;
  let end: number | undefined;
  for (const part of parts) {
    if (part.sizeBytes > excess || part.endOffset > rules.highWatermark) break;
    excess -= part.sizeBytes;
    end = part.endOffset;
  }
  return end;
}

/** The oldest parts up to the first whose newest record is young enough. */
async function tooOld(
  parts: readonly RetainedPart[],
  { options, highWatermark, nowMs, onFuture }: RetentionRules,
): Promise<number | undefined> {
  if (nowMs === undefined || options.retentionMs < 0) return undefined;
  let end: number | undefined;
  for (const part of parts) {
    if (part.endOffset > highWatermark) break;
    const newestMs = await part.newestMs();
    if (newestMs > nowMs) onFuture(part, newestMs);
    if (nowMs - newestMs <= options.retentionMs) break;
    end = part.endOffset;
  }
  return end;
}

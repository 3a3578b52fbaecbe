/** What the cleaner has done and could not do: the numbers behind its metrics. */

import type { PartitionLog } from '../partition-log.ts';
import type { CleaningStats } from './cleaning-job.ts';
import type { CleaningPlan } from './cleaning-plan.ts';

export class CleanerRecord {
  passes = 0;
  bytesRead = 0;
  bytesWritten = 0;
  recordsRead = 0;
  recordsWritten = 0;
  failures = 0;
  /** Largest share of a log that is dirty and could be cleaned, when it was last looked for. */
  maxDirtyRatio = 0;
  /** By how much `max.compaction.lag.ms` is exceeded at most. */
  maxDelayMs = 0;
  /** Dirty bytes of all compacted logs that could be cleaned. */
  dirtyBytes = 0;
  /** On the wall clock: when logs to clean were last looked for; 0 before. */
  lastRunMs = 0;
  /** Of the last pass. */
  lastSeconds = 0;
  lastUtilization = 0;
  /** With the monotonic time from which they are tried again. */
  readonly #uncleanable = new Map<PartitionLog, number>();

  get uncleanable(): number {
    return this.#uncleanable.size;
  }

  get uncleanableBytes(): number {
    let bytes = 0;
    for (const log of this.#uncleanable.keys()) bytes += log.segments.sizeBytes;
    return bytes;
  }

  isUncleanable(log: PartitionLog, nowMs: number): boolean {
    const until = this.#uncleanable.get(log);
    return until !== undefined && nowMs < until;
  }

  surveyed(candidates: readonly { readonly plan: CleaningPlan }[], nowMs: number): void {
    this.lastRunMs = nowMs;
    this.maxDirtyRatio = 0;
    this.maxDelayMs = 0;
    this.dirtyBytes = 0;
    for (const { plan } of candidates) {
      this.maxDirtyRatio = Math.max(this.maxDirtyRatio, plan.dirtyRatio);
      this.maxDelayMs = Math.max(this.maxDelayMs, plan.delayMs);
      this.dirtyBytes += plan.dirtyBytes;
    }
  }

  cleaned(log: PartitionLog, stats: CleaningStats, seconds: number): void {
    this.#uncleanable.delete(log);
    this.passes++;
    this.bytesRead += stats.bytesRead;
    this.bytesWritten += stats.bytesWritten;
    this.recordsRead += stats.recordsRead;
    this.recordsWritten += stats.recordsWritten;
    this.lastSeconds = seconds;
    this.lastUtilization = stats.mapUtilization;
  }

  failed(log: PartitionLog, retryAtMs: number): void {
    this.failures++;
    this.#uncleanable.set(log, retryAtMs);
  }

  forget(log: PartitionLog): void {
    this.#uncleanable.delete(log);
  }
}

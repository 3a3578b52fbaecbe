/**
 * What the on-the-fly compaction may do, in one place; why it is right stands in
 * docs/architecture.md. A record goes only for a newer one of its key that is durable and stable; a
 * delete goes, behind its insert, only when nobody can tell.
 */

import type { SegmentLog } from './segment-log.ts';
import type { LogOptions } from './types.ts';

/** The log whose chunks are compacted, as the rule sees it. */
export interface CompactableLog {
  readonly options: LogOptions;
  readonly segments: SegmentLog;
  readonly failure: Error | undefined;
  readonly logStartOffset: number;
  readonly durableOffset: number;
  readonly lastStableOffset: number;
  /** Offset after the last one that was, or may yet be, given to a reader. */
  readonly servedOffset: number;
  /** An acknowledgement waits for a segment to have what lies below an offset. */
  isAwaited(end: number): boolean;
}

export interface TailRule {
  /** Batches of each producer that are not taken out: by them a repeated batch is known. */
  readonly batchesKept: number;
  /** What reaches this offset is neither dropped nor a reason to drop anything else. */
  limitOf(log: CompactableLog): number;
  /** Somebody may have seen the record at an offset. */
  wasServed(log: CompactableLog, offset: number): boolean;
  /** Some segment may have a record of the key, or had one that a reader may know. */
  mayBePersisted(log: CompactableLog, firstHash: number, secondHash: number): boolean;
}

const BATCHES_KEPT = 5;

export const TAIL_RULE: TailRule = {
  batchesKept: BATCHES_KEPT,
  limitOf: (log) => Math.min(log.durableOffset, log.lastStableOffset),
  wasServed: (log, offset) => log.servedOffset > offset,
  // What retention took away, readers may still know: of such a log no key counts as new.
  mayBePersisted: (log, firstHash, secondHash) =>
    log.logStartOffset > 0 || log.segments.keyFilters.mayHave(firstHash, secondHash),
};

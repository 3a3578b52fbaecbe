/** What a store tells whoever counts: each call is one event, and costs the caller nothing. */

import type { RetentionReason } from './retention-rules.ts';

export interface StoreEvents {
  readonly onJournalSync: (durationMs: number) => void;
  readonly onSegmentSync: (durationMs: number) => void;
  /** A range of a segment was found that is not what was written. */
  readonly onDamage: () => void;
  /** Retention has taken so many segments, of so many bytes together, out of a log. */
  readonly onExpired: (reason: RetentionReason, segments: number, sizeBytes: number) => void;
}

/**
 * What several readers of a segment read one after the other, or at once: the first one reads it,
 * the others get the same bytes. A run is kept when a second reader has come for it; from then on
 * all of that segment's are, as long as that is of use. A reader alone keeps nothing here.
 *
 * Bounded; the longest unused go first, and what nobody came for goes at the next trim.
 */

import type { SegmentRun } from './segment-reader.ts';

interface KeptRun {
  readonly run: SegmentRun;
  readonly owner: SegmentRuns;
  readonly from: number;
  isUsed: boolean;
}

/** Of one segment; by the offset that was asked for. */
export class SegmentRuns {
  readonly kept = new Map<number, KeptRun>();
  /** Reads under way, and whether others wait for them. */
  readonly readings = new Map<number, { readonly ended: Promise<void>; isAwaited: boolean }>();
  /** More than one reader has come lately. */
  isShared = false;
}

export class RunCache {
  readonly #limitBytes: number;
  /** The longest unused first. */
  readonly #runs = new Set<KeptRun>();
  #heldBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The run that was read from an offset on; whoever takes it retains its buffer. */
  find(runs: SegmentRuns, from: number): SegmentRun | undefined {
    const kept = runs.kept.get(from);
    if (kept === undefined) return undefined;
    kept.isUsed = true;
    this.#runs.delete(kept);
    this.#runs.add(kept);
    return kept.run;
  }

  keep(runs: SegmentRuns, from: number, run: SegmentRun): void {
    const sizeBytes = run.held.buffer.length;
    if (runs.kept.has(from) || sizeBytes > this.#limitBytes) return;
    run.held.retain();
    const kept = { run, owner: runs, from, isUsed: true };
    runs.kept.set(from, kept);
    this.#runs.add(kept);
    this.#heldBytes += sizeBytes;
    for (const oldest of this.#runs) {
      if (this.#heldBytes <= this.#limitBytes) return;
      this.#drop(oldest);
    }
  }

  /** Drops what nobody has come for since the last call; to be called now and then. */
  trim(): void {
    for (const kept of this.#runs) {
      if (!kept.isUsed) this.#drop(kept);
      kept.isUsed = false;
    }
  }

  /** Memory is short. */
  clear(): void {
    for (const kept of this.#runs) this.#drop(kept);
  }

  #drop(kept: KeptRun): void {
    const { owner, from, run } = kept;
    this.#runs.delete(kept);
    owner.kept.delete(from);
    if (owner.kept.size === 0) owner.isShared = false;
    this.#heldBytes -= run.held.buffer.length;
    run.held.release();
  }
}

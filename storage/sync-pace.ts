/**
 * Where the next sync of the journal is done: beside the turn of the event loop, by a thread, or in
 * the turn, which stands still for it. Waking a thread and being woken by it takes a third of the
 * time that a quick disk takes to sync, and half of its work. So what few wait for is synced in the
 * turn, as long as syncs are quick and nothing else is being written: one in the turn that was not
 * quick ends this for long, so that a disk that dawdles now and then stops the loop seldom.
 */

/** A sync that took no longer is quick. */
const QUICK_MS = 1;
/** So many quick ones in a row come before one is done in the turn. */
const ROW = 16;
/** The row after one in the turn that was not quick. */
const LONG_ROW = 1024;
/** Where more waits, requests that come during the sync are better served meanwhile. */
const MOST_BATCHES = 4;
const MOST_BYTES = 64 * 1024;

export class SyncPace {
  /** Quick ones that are still to come before one is done in the turn. */
  #missing = ROW;

  /** Whether a sync of so much is done in the turn. */
  fitsTurn(batches: number, sizeBytes: number): boolean {
    return this.#missing <= 0 && batches <= MOST_BATCHES && sizeBytes <= MOST_BYTES;
  }

  /** Takes note of how long a sync took. */
  took(durationMs: number, isInTurn: boolean): void {
    if (durationMs <= QUICK_MS) this.#missing -= 1;
    else this.#missing = isInTurn ? LONG_ROW : Math.max(this.#missing, ROW);
  }
}

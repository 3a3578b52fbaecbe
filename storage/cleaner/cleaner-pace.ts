/**
 * Keeps a cleaning to so many bytes a second, and ends it when it is told to. What was not used is
 * not saved up: after a pause there is no burst.
 */

import { CleaningAborted, type Pace } from './cleaning-job.ts';

/** Waits shorter than this are put off until they have added up. */
const SHORTEST_WAIT_MS = 5;

export interface PaceWorld {
  /** Milliseconds that never go back. */
  now(): number;
  sleep(ms: number): Promise<void>;
  isAborted(): boolean;
}

export class CleanerPace implements Pace {
  readonly #bytesPerMs: number;
  readonly #world: PaceWorld;
  /** When the bytes so far are paid for. */
  #paidMs: number;

  constructor(maxBytesPerSecond: number, world: PaceWorld) {
    this.#bytesPerMs = maxBytesPerSecond / 1000;
    this.#world = world;
    this.#paidMs = world.now();
  }

  async spent(bytes: number): Promise<void> {
    if (this.#world.isAborted()) throw new CleaningAborted();
    const now = this.#world.now();
    this.#paidMs = Math.max(this.#paidMs, now) + bytes / this.#bytesPerMs;
    const waitMs = this.#paidMs - now;
    if (waitMs < SHORTEST_WAIT_MS) return;
    await this.#world.sleep(waitMs);
    if (this.#world.isAborted()) throw new CleaningAborted();
  }
}

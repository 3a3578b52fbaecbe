/** One restartable timeout among the many that share the coordinator's deadlines. */

import type { Deadline, Deadlines } from '../deadlines.ts';

export class Timeout implements Deadline {
  rank = 0;
  heapIndex = -1;
  readonly expire: () => void;
  readonly #deadlines: Deadlines;

  constructor(deadlines: Deadlines, expire: () => void) {
    this.#deadlines = deadlines;
    this.expire = expire;
  }

  get isSet(): boolean {
    return this.heapIndex >= 0;
  }

  /** Falls due so many milliseconds from now, whatever was set before. */
  restart(delayMs: number): void {
    this.#deadlines.remove(this);
    this.#deadlines.add(this, delayMs);
  }

  stop(): void {
    this.#deadlines.remove(this);
  }
}

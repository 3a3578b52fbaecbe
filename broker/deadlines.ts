/**
 * Many timeouts on one real timer: a heap of what falls due, and a timer for the earliest of it.
 * Most waits end long before their deadline, so taking one out never touches the timer; the timer
 * then fires once for nothing and sets itself for the next.
 */

import type { Clock, Timer } from '../storage/env.ts';
import { IndexedHeap, type Ranked } from './indexed-heap.ts';

/** Something with a deadline; `rank` is the deadline on the monotonic clock. */
export interface Deadline extends Ranked {
  /** Called once, when the deadline has come. */
  expire(): void;
}

/** The deadlines of one broker. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #heap = new IndexedHeap<Deadline>();
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#heap.size;
  }

  /** All that waits, in no order. */
  items(): Iterable<Deadline> {
    return this.#heap.items();
  }

  /** Calls `item.expire` so many milliseconds from now, unless it is removed before. */
  add(item: Deadline, delayMs: number): void {
    item.rank = this.#clock.monotonic() + delayMs;
    this.#heap.add(item);
    if (item.rank < this.#timerAt) this.#arm(item.rank, delayMs);
  }

  /** Takes a deadline back; nothing happens when it has come or was never given. */
  remove(item: Deadline): void {
    this.#heap.remove(item);
  }

  /** Stops the timer: nothing that was added falls due, nor what is added by who ends later. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  #arm(at: number, delayMs: number): void {
    if (this.#isClosed) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#clock.setTimer(Math.max(0, delayMs), () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonic();
    for (let item = this.#heap.first; item !== undefined; item = this.#heap.first) {
      if (item.rank > now) {
        if (item.rank < this.#timerAt) this.#arm(item.rank, item.rank - now);
        return;
      }
      this.#heap.remove(item);
      item.expire();
    }
  }
}

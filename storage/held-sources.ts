/**
 * Sources held back for want of room, and who comes in next. Each has the same share of what the
 * disk takes, however much it asks for at once: start-time fair queueing, in which a source's turn
 * comes by the bytes that it was let in with while others waited. Those of a source come in order.
 *
 * A small request of a source that has had less than its share does not wait at all: it draws on an
 * allowance of its own, which grows with what is persisted. So who sends little is answered as long
 * as the disk moves, and the queue is exceeded by the allowance at most.
 * Source: Goyal, Vin, Cheng, "Start-time Fair Queueing" (1996).
 */

import type { Clock, Timer } from './env.ts';
import { HoldTimeout } from './errors.ts';

/** The largest request that may pass those that wait. */
const LIGHT_REQUEST_BYTES = 64 * 1024;
/** How far beyond its share a source may be and still pass: the requests of one moment. */
const LIGHT_AHEAD_BYTES = 16 * 1024;
/** The share of the disk that may go to those that pass. */
const LIGHT_SHARE = 1 / 8;

export interface Held {
  readonly bytes: number;
  readonly internal: boolean;
  /** When its turn is, in bytes that each source has been let in with. */
  readonly turn: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly timer: Timer;
}

export class HeldSources {
  readonly #clock: Clock;
  readonly #holdMaxMs: number;
  readonly #lightMaxBytes: number;
  #lightBytes: number;
  /** By turn; those of one turn as they came. */
  readonly #held: Held[] = [];
  /** The turn from which on a source comes in next; none is below `#now`. */
  readonly #turns = new WeakMap<object, number>();
  #now = 0;
  #latest = 0;

  constructor(clock: Clock, holdMaxMs: number, lightMaxBytes: number) {
    this.#clock = clock;
    this.#holdMaxMs = holdMaxMs;
    this.#lightMaxBytes = lightMaxBytes;
    this.#lightBytes = lightMaxBytes;
  }

  get size(): number {
    return this.#held.length;
  }

  /** Who comes in next. */
  get first(): Held | undefined {
    return this.#held[0];
  }

  /** Whether a request may pass those that wait; it is counted as let in. */
  passes(bytes: number, source: object | undefined): boolean {
    if (source === undefined || bytes > LIGHT_REQUEST_BYTES || bytes > this.#lightBytes) {
      return false;
    }
    const turn = this.#turnOf(source);
    if (turn - this.#now > LIGHT_AHEAD_BYTES) return false;
    this.#lightBytes -= bytes;
    this.#count(source, turn + bytes);
    return true;
  }

  /** So many bytes were persisted. */
  persisted(bytes: number): void {
    this.#lightBytes = Math.min(this.#lightMaxBytes, this.#lightBytes + bytes * LIGHT_SHARE);
  }

  /** Resolves when the request is let in; internal ones come before all others. */
  hold(bytes: number, internal: boolean, source: object | undefined): Promise<void> {
    const turn = internal ? Number.NEGATIVE_INFINITY : this.#turnOf(source);
    if (source !== undefined) this.#count(source, Math.max(turn, this.#now) + bytes);
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(this.#holdMaxMs, () => {
        this.#held.splice(this.#held.indexOf(held), 1);
        reject(new HoldTimeout(`no room for ${bytes} bytes in ${this.#holdMaxMs} ms`));
      });
      const held: Held = { bytes, internal, turn, resolve, reject, timer };
      this.#held.splice(this.#placeFor(turn), 0, held);
    });
  }

  /** Lets the first one in. */
  admitFirst(): void {
    const held = this.#held.shift()!;
    this.#now = this.#held.length > 0 ? Math.max(this.#now, held.turn) : this.#latest;
    held.timer.cancel();
    held.resolve();
  }

  refuseAll(error: Error): void {
    for (const held of this.#held.splice(0)) {
      held.timer.cancel();
      held.reject(error);
    }
  }

  #turnOf(source: object | undefined): number {
    const turn = source === undefined ? undefined : this.#turns.get(source);
    return turn === undefined ? this.#now : Math.max(this.#now, turn);
  }

  #count(source: object, turn: number): void {
    this.#turns.set(source, turn);
    this.#latest = Math.max(this.#latest, turn);
  }

  /** Behind all that have their turn before, or at the same time. */
  #placeFor(turn: number): number {
    let low = 0;
    let high = this.#held.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#held[middle]!.turn <= turn) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

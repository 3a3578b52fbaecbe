/**
 * The checker of waiting fetches. One that waits is answered when its time is over; when a record is
 * acknowledged at or behind its offset, which it may see from then on; and not before its least
 * bytes are there or its time has come. Fetches of troubled networks and of brokers that ended are
 * let off.
 */

import { type History, nameOf, type Place } from '../history.ts';

/** Time for the answer to be made and to travel. */
const SLACK_MS = 150;
/** So much sooner than its time an answer with too few bytes may come. */
const EARLY_MS = 20;

/** A fetch that was sent and not yet answered. */
export interface Poll {
  readonly reader: string;
  readonly place: Place;
  readonly position: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

interface Waiting extends Poll {
  readonly sinceMs: number;
  dueMs: number;
  why: string;
}

export class WatcherChecker {
  readonly #history: History;
  readonly #now: () => number;
  readonly #waiting = new Set<Waiting>();
  /** Until when the network keeps things back. */
  #troubledUntilMs = -1;

  constructor(history: History, now: () => number) {
    this.#history = history;
    this.#now = now;
  }

  /** Nothing can be said of what is under way from now until then. */
  troubled(untilMs: number): void {
    this.#troubledUntilMs = Math.max(this.#troubledUntilMs, untilMs);
    this.#waiting.clear();
  }

  /**
   * A fetch is sent; call what this gives when it is answered: with the bytes that it was given if
   * these were all that there was.
   */
  sent(poll: Poll): (allBytes: number | undefined) => void {
    const now = this.#now();
    const waiting: Waiting = {
      ...poll,
      sinceMs: now,
      dueMs: now + poll.maxWaitMs,
      why: 'its time',
    };
    if (now > this.#troubledUntilMs) this.#waiting.add(waiting);
    return (allBytes) => {
      if (this.#waiting.delete(waiting)) this.#answered(waiting, allBytes);
    };
  }

  /** A record may be seen from now on, up to where the offset points. */
  visible(place: Place, offset: number): void {
    const now = this.#now();
    for (const waiting of this.#waiting) {
      if (nameOf(waiting.place) !== nameOf(place) || waiting.minBytes > 1) continue;
      if (waiting.position > offset || waiting.dueMs <= now) continue;
      waiting.dueMs = now;
      waiting.why = `the record at ${offset}`;
    }
  }

  /** A connection or the broker went: an answer is not to be expected. */
  forget(isOf: (poll: Poll) => boolean): void {
    for (const waiting of this.#waiting) if (isOf(waiting)) this.#waiting.delete(waiting);
  }

  #answered(waiting: Waiting, bytes: number | undefined): void {
    const now = this.#now();
    const what = `a fetch at ${waiting.position} of ${nameOf(waiting.place)}`;
    const lateMs = now - waiting.dueMs;
    if (lateMs > SLACK_MS) {
      const text = `${what} was answered ${lateMs.toFixed(0)} ms after ${waiting.why}`;
      this.#history.violate('watcher', waiting.reader, text);
    }
    const earlyMs = waiting.sinceMs + waiting.maxWaitMs - now;
    const leastBytes = Math.min(waiting.minBytes, waiting.maxBytes);
    if (bytes !== undefined && bytes < leastBytes && earlyMs > EARLY_MS) {
      const text = `${what} got ${bytes} bytes of ${leastBytes}, ${earlyMs.toFixed(0)} ms early`;
      this.#history.violate('watcher', waiting.reader, text);
    }
  }
}

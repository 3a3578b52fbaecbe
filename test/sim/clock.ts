/**
 * Simulated time: it stands still until a test moves it. Everything that is due is run in a fixed
 * order: first what was deferred, then timers by time and by the order in which they were set.
 */

import { setImmediate as afterMicrotasks } from 'node:timers/promises';
import type { Clock, Timer } from '../../storage/env.ts';

interface PendingTimer {
  readonly atMs: number;
  readonly fire: () => void;
}

/** 2024-01-01T00:00:00Z. */
const START_MS = 1_704_067_200_000;
const FOREVER_MS = 365 * 24 * 3600 * 1000;

export class SimClock implements Clock {
  #elapsedMs = 0;
  #wallShiftMs: number;
  /** How often the wall clock has jumped. */
  jumps = 0;
  /** In the order in which they were set. */
  readonly #timers = new Set<PendingTimer>();
  #deferred: (() => void)[] = [];

  constructor(startMs = START_MS) {
    this.#wallShiftMs = startMs;
  }

  now(): number {
    return Math.floor(this.#wallShiftMs + this.#elapsedMs);
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const timer = { atMs: this.#elapsedMs + Math.max(0, delayMs), fire };
    this.#timers.add(timer);
    return {
      cancel: () => {
        this.#timers.delete(timer);
      },
    };
  }

  defer(run: () => void): void {
    this.#deferred.push(run);
  }

  /** Lets the wall clock jump; waits are not touched. */
  jumpWall(byMs: number): void {
    this.jumps++;
    this.#wallShiftMs += byMs;
  }

  /** Runs all that is due now, and all that follows from it at once. */
  async settle(): Promise<void> {
    for (;;) {
      await afterMicrotasks();
      const due = this.#deferred;
      if (due.length === 0) return;
      this.#deferred = [];
      for (const run of due) run();
    }
  }

  /** Moves time on, timer by timer. */
  async advance(byMs: number): Promise<void> {
    const end = this.#elapsedMs + byMs;
    await this.settle();
    for (let next = this.#next(); next !== undefined && next.atMs <= end; next = this.#next()) {
      this.#fire(next);
      await this.settle();
    }
    this.#elapsedMs = end;
  }

  /** Moves time on until the work is done, and gives its result. */
  async run<T>(work: Promise<T>, limitMs = FOREVER_MS): Promise<T> {
    let isDone = false;
    const finish = () => {
      isDone = true;
    };
    work.then(finish, finish);
    const end = this.#elapsedMs + limitMs;
    await this.settle();
    while (!isDone) {
      const next = this.#next();
      if (next === undefined) throw new Error('nothing is left that could end the work');
      if (next.atMs > end) throw new Error(`the work is not done after ${limitMs} ms`);
      this.#fire(next);
      await this.settle();
    }
    return work;
  }

  /** Fires timers until there is none, or until `limitMs` have passed. */
  async runUntilIdle(limitMs = FOREVER_MS): Promise<void> {
    const end = this.#elapsedMs + limitMs;
    await this.settle();
    for (let next = this.#next(); next !== undefined && next.atMs <= end; next = this.#next()) {
      this.#fire(next);
      await this.settle();
    }
  }

  #next(): PendingTimer | undefined {
    let first: PendingTimer | undefined;
    for (const timer of this.#timers) {
      if (first === undefined || timer.atMs < first.atMs) first = timer;
    }
    return first;
  }

  #fire(timer: PendingTimer): void {
    this.#timers.delete(timer);
    this.#elapsedMs = Math.max(this.#elapsedMs, timer.atMs);
    timer.fire();
  }
}

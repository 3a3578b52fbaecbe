/** A clock that moves when a test says so. Timers fire in the order of their times. */

import type { Clock, Timer } from '../../storage/env.ts';

interface ManualTimer extends Timer {
  readonly at: number;
  readonly fire: () => void;
}

export class ManualClock implements Clock {
  /** Timers that were set in all. */
  timersSet = 0;
  private nowMs = 0;
  private startMs: number;
  private timers: ManualTimer[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.startMs = startMs;
  }

  now(): number {
    return Math.floor(this.startMs + this.nowMs);
  }

  monotonic(): number {
    return this.nowMs;
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    this.timersSet++;
    const timer: ManualTimer = {
      at: this.nowMs + delayMs,
      fire,
      cancel: () => {
        this.timers = this.timers.filter((other) => other !== timer);
      },
    };
    this.timers.push(timer);
    return timer;
  }

  defer(run: () => void): void {
    setImmediate(run);
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.timers.length;
  }

  /** The wall clock jumps, and no time passes. */
  jump(byMs: number): void {
    this.startMs += byMs;
  }

  /** Moves on, and fires what falls due on the way, each at its time. */
  advance(byMs: number): void {
    const end = this.nowMs + byMs;
    for (;;) {
      const due = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.timers = this.timers.filter((other) => other !== due);
      this.nowMs = Math.max(this.nowMs, due.at);
      due.fire();
    }
    this.nowMs = end;
  }
}

/**
 * Whether the wall clock can be trusted to tell how old records are. A jump of more than an hour
 * against the monotonic clock is more likely a mistake than time that has passed, and would let
 * retention delete what nobody wanted gone. Time counts again when the clock has come back, when it
 * has kept to its new course for a day, in which somebody can notice, or after a restart.
 */

import type { Env } from './env.ts';

const JUMP_MS = 3_600_000;
const ACCEPTED_AFTER_MS = 24 * 3_600_000;

export class WallClockWatch {
  readonly #env: Env;
  /** Wall clock less monotonic clock, as it is believed to be. */
  #shiftMs: number;
  /** Another course that the wall clock has taken, and since when on the monotonic clock. */
  #jump: { readonly shiftMs: number; readonly sinceMs: number } | undefined;

  constructor(env: Env) {
    this.#env = env;
    this.#shiftMs = this.#currentShift;
  }

  /** The clock has jumped, and retention by time is suspended. */
  get isSuspended(): boolean {
    return this.#jump !== undefined;
  }

  get #currentShift(): number {
    const { clock } = this.#env;
    return clock.now() - clock.monotonic();
  }

  /** The wall clock's time; undefined while it is not to be trusted. */
  now(): number | undefined {
    const shiftMs = this.#currentShift;
    const { clock, log } = this.#env;
    if (Math.abs(shiftMs - this.#shiftMs) <= JUMP_MS) {
      if (this.#jump !== undefined) log.info({}, 'the clock is back; retention by time goes on');
      this.#jump = undefined;
      return clock.now();
    }
    const sinceMs = clock.monotonic();
    if (this.#jump === undefined || Math.abs(shiftMs - this.#jump.shiftMs) > JUMP_MS) {
      this.#jump = { shiftMs, sinceMs };
      const facts = { jumpMs: Math.round(shiftMs - this.#shiftMs), nowMs: clock.now() };
      log.warn(facts, 'the wall clock has jumped: retention by time is suspended');
    }
    if (sinceMs - this.#jump.sinceMs < ACCEPTED_AFTER_MS) return undefined;
    log.warn({ nowMs: clock.now() }, 'the wall clock stays as it is; retention by time goes on');
    this.#shiftMs = shiftMs;
    this.#jump = undefined;
    return clock.now();
  }
}

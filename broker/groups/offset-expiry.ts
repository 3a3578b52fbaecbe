/**
 * Looks from time to time for offsets that have outlived their retention, and groups of which nothing
 * is left. Retention goes by the wall clock: after a jump of it nothing expires.
 */

import type { Env, Timer } from '../../storage/env.ts';
import { expireOffsets } from './offset-operations.ts';
import type { Shard } from './shard.ts';

/** So many groups are looked at before others get their turn. */
const EXPIRY_GROUPS = 500;
/** Nothing expires while the wall clock is further than this from where the start would have it. */
const MAX_CLOCK_DRIFT_MS = 60 * 60 * 1000;

export class OffsetExpiry {
  readonly #env: Env;
  readonly #intervalMs: number;
  readonly #shards: readonly Shard[];
  /** Wall clock minus monotonic clock at the start. */
  readonly #clockOffsetMs: number;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(env: Env, intervalMs: number, shards: readonly Shard[]) {
    this.#env = env;
    this.#intervalMs = intervalMs;
    this.#shards = shards;
    this.#clockOffsetMs = env.clock.now() - env.clock.monotonic();
  }

  start(): void {
    this.#timer = this.#env.clock.setTimer(this.#intervalMs, () => {
      void this.#expire().then(() => {
        if (!this.#isClosed) this.start();
      });
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  /** Looks through all groups, some at a time. */
  async #expire(): Promise<void> {
    const { clock, log } = this.#env;
    const driftMs = clock.now() - clock.monotonic() - this.#clockOffsetMs;
    if (Math.abs(driftMs) > MAX_CLOCK_DRIFT_MS) {
      log.warn(
        { driftMs },
        'the wall clock jumped: committed offsets do not expire until a restart',
      );
      return;
    }
    for (const shard of this.#shards) {
      const entries = [...shard.entries];
      for (let from = 0; from < entries.length; from += EXPIRY_GROUPS) {
        if (this.#isClosed) return;
        await expireOffsets(shard, entries.slice(from, from + EXPIRY_GROUPS), clock.now());
        await new Promise<void>((resolve) => clock.defer(resolve));
      }
    }
  }
}

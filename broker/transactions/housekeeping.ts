/**
 * What the coordinator does by itself, from time to time: transactions that are open for longer
 * than their producer asked for are aborted, and ids that nobody used for long are forgotten.
 *
 * How long a transaction is open is measured on the monotonic clock, so that a jump of the wall
 * clock aborts none; ids go by the wall clock, and none is forgotten after such a jump.
 */

import type { Env, Timer } from '../../storage/env.ts';
import { shown } from '../limited-log.ts';
import type { TransactionOptions } from './options.ts';
import type { TransactionShard } from './shard.ts';
import type { Transaction } from './transaction.ts';
import { mayExpire } from './transaction-state.ts';

/** So many ids are forgotten with one write, before others get their turn. */
const EXPIRED_AT_ONCE = 500;
/** Nothing expires while the wall clock is further than this from where the start would have it. */
const MAX_CLOCK_DRIFT_MS = 60 * 60 * 1000;

export class Housekeeping {
  readonly #env: Env;
  readonly #options: TransactionOptions;
  readonly #shards: readonly TransactionShard[];
  /** Transactions that have begun and are not decided, each with its shard. */
  readonly #open = new Map<Transaction, TransactionShard>();
  readonly #abort: (shard: TransactionShard, transaction: Transaction) => void;
  /** Wall clock minus monotonic clock at the start. */
  readonly #clockOffsetMs: number;
  #timers: Timer[] = [];
  #isClosed = false;

  constructor(
    env: Env,
    options: TransactionOptions,
    shards: readonly TransactionShard[],
    abort: (shard: TransactionShard, transaction: Transaction) => void,
  ) {
    this.#env = env;
    this.#options = options;
    this.#shards = shards;
    this.#abort = abort;
    this.#clockOffsetMs = env.clock.now() - env.clock.monotonic();
  }

  get openCount(): number {
    return this.#open.size;
  }

  start(): void {
    const { abortCheckIntervalMs, expirationCheckIntervalMs } = this.#options;
    this.#repeat(0, abortCheckIntervalMs, async () => this.#abortTimedOut());
    this.#repeat(1, expirationCheckIntervalMs, () => this.#expireIds());
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
  }

  /** A transaction has moved, or was loaded: its time begins with the transaction. */
  follow(shard: TransactionShard, transaction: Transaction): void {
    const { name, timeoutMs, startMs } = transaction.state;
    if (name !== 'Ongoing') {
      this.#open.delete(transaction);
      transaction.deadlineMs = Number.POSITIVE_INFINITY;
      return;
    }
    if (this.#open.has(transaction)) return;
    const { clock } = this.#env;
    const ranMs = Math.min(Math.max(clock.now() - startMs, 0), timeoutMs);
    transaction.deadlineMs = clock.monotonic() + timeoutMs - ranMs;
    this.#open.set(transaction, shard);
  }

  #repeat(slot: number, intervalMs: number, run: () => Promise<void>): void {
    if (this.#isClosed) return;
    this.#timers[slot] = this.#env.clock.setTimer(intervalMs, () => {
      void run().then(() => this.#repeat(slot, intervalMs, run));
    });
  }

  #abortTimedOut(): void {
    const { clock, log } = this.#env;
    const nowMs = clock.monotonic();
    for (const [transaction, shard] of this.#open) {
      if (transaction.deadlineMs > nowMs || transaction.isBusy) continue;
      const { producerId, producerEpoch, timeoutMs } = transaction.state;
      log.info(
        { transactionalId: shown(transaction.id), producerId, producerEpoch, timeoutMs },
        'a transaction was open for too long and is aborted',
      );
      this.#abort(shard, transaction);
    }
  }

  async #expireIds(): Promise<void> {
    const { clock, log } = this.#env;
    const driftMs = clock.now() - clock.monotonic() - this.#clockOffsetMs;
    if (Math.abs(driftMs) > MAX_CLOCK_DRIFT_MS) {
      log.warn(
        { driftMs },
        'the wall clock jumped: transactional ids do not expire until a restart',
      );
      return;
    }
    const before = clock.now() - this.#options.idExpirationMs;
    for (const shard of this.#shards) {
      const idle = [...shard.transactions].filter(
        ({ state, isBusy }) => !isBusy && mayExpire(state) && state.updateMs <= before,
      );
      for (let from = 0; from < idle.length; from += EXPIRED_AT_ONCE) {
        if (this.#isClosed) return;
        const some = idle.slice(from, from + EXPIRED_AT_ONCE);
        // Somebody may have come back to one of them since.
        await shard.expire(some.filter(({ state, isBusy }) => !isBusy && state.updateMs <= before));
        await new Promise<void>((resolve) => clock.defer(resolve));
      }
    }
  }
}

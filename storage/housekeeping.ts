/**
 * What a store does beside its clients' work: checkpoints, forgetting old producers, retention,
 * cleaning. Each is a `Chore`; the store starts them when all its logs are open, and stops them
 * before it closes the logs. A chore's failure is reported and ends nothing but its present run.
 */

import type { Env, Timer } from './env.ts';
import type { LogContext } from './log-context.ts';
import type { PartitionLog } from './partition-log.ts';
import type { StoreOptions } from './store-options.ts';

/** Work in the background. */
export interface Chore {
  /** Called once, when all logs are open. */
  start(): void;
  /** Begins nothing more; resolves when what runs has ended, which may not wait for clients. */
  stop(): Promise<void>;
}

/** What a chore is made of: the store's logs as they are at any time, and what they share. */
export interface ChoreContext {
  readonly env: Env;
  readonly options: StoreOptions;
  readonly files: LogContext;
  /** All logs, the metadata log too. */
  readonly logs: ReadonlyMap<string, PartitionLog>;
}

/** Runs something again and again, so long after it has ended the last time. */
export class PeriodicChore implements Chore {
  readonly #env: Env;
  readonly #name: string;
  readonly #intervalMs: number;
  #delayMs: number;
  readonly #run: () => void | Promise<void>;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  /** `firstMs`: before the first run, where that is not the interval. */
  constructor(
    env: Env,
    name: string,
    intervalMs: number,
    run: () => void | Promise<void>,
    firstMs = intervalMs,
  ) {
    this.#env = env;
    this.#name = name;
    this.#intervalMs = intervalMs;
    this.#delayMs = firstMs;
    this.#run = run;
  }

  start(): void {
    if (this.#isStopped) return;
    this.#timer = this.#env.clock.setTimer(this.#delayMs, () => {
      this.#running = this.#runOnce();
    });
  }

  async #runOnce(): Promise<void> {
    this.#delayMs = this.#intervalMs;
    try {
      await this.#run();
    } catch (error) {
      this.#env.log.error({ err: error, chore: this.#name }, 'work in the background failed');
    }
    this.start();
  }

  stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    return this.#running;
  }
}

/** All chores of a store. */
export class Housekeeping implements Chore {
  readonly #chores: readonly Chore[];

  constructor(chores: readonly Chore[]) {
    this.#chores = chores;
  }

  start(): void {
    for (const chore of this.#chores) chore.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#chores.map((chore) => chore.stop()));
  }
}

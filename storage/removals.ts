/**
 * Files and folders that have left their log and are removed a while later, so that who reads them
 * can finish. Those of deleted logs, too, which nobody else knows any more: a stop leaves to the next
 * start what has not been begun, and waits for what has.
 */

import type { Env, Timer } from './env.ts';

export class Removals {
  readonly #env: Env;
  readonly #timers = new Set<Timer>();
  readonly #running = new Set<Promise<void>>();
  #isStopped = false;

  constructor(env: Env) {
    this.#env = env;
  }

  /** `folder`: what a log line of a failure names. */
  later(delayMs: number, folder: string, remove: () => Promise<void>): void {
    if (this.#isStopped) return;
    const timer = this.#env.clock.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      const running = remove()
        .catch((error: unknown) => {
          this.#env.log.warn({ err: error, folder }, 'a deleted file could not be removed');
        })
        .finally(() => this.#running.delete(running));
      this.#running.add(running);
    });
    this.#timers.add(timer);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    await Promise.all(this.#running);
  }
}

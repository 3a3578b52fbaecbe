/**
 * Files and folders that have left their log and are removed a while later, so that who reads them
 * can finish. Those of deleted logs, too, which nobody else knows any more: a stop leaves to the next
 * start what has not been begun, and waits for what has.
 *
 * Segments go one after the other, and large ones bit by bit: the file system takes back what a file
 * had within one step of its own, and syncs of others wait for that.
 */

import type { Env, Timer } from './env.ts';
import { SerialQueue } from './serial-queue.ts';

/** Between two steps of a removal; others' syncs come in between. */
const REST_MS = 10;

export class Removals {
  readonly #env: Env;
  readonly #queue = new SerialQueue();
  readonly #timers = new Set<Timer>();
  readonly #running = new Set<Promise<void>>();
  #isStopped = false;
  #resting: Timer | undefined;
  #endRest = () => {};

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

  /**
   * Removes a segment's file when its turn has come; gives false when a stop came first.
   * `mayBeRead`: somebody may have it open, who keeps all of it until it is closed.
   */
  removeSegmentFile(file: string, mayBeRead: boolean): Promise<boolean> {
    return this.#queue.run(async () => {
      if (this.#isStopped) return false;
      const { disk } = this.#env;
      if (mayBeRead || disk.removeInSteps === undefined) await disk.remove(file);
      else await disk.removeInSteps(file, () => this.#rest());
      return true;
    });
  }

  /** Gives whether there is time for more. */
  async #rest(): Promise<boolean> {
    if (this.#isStopped) return false;
    await new Promise<void>((resolve) => {
      this.#endRest = resolve;
      this.#resting = this.#env.clock.setTimer(REST_MS, resolve);
    });
    return !this.#isStopped;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#resting?.cancel();
    this.#endRest();
    await Promise.all(this.#running);
  }
}

/** Runs cleanings in the caller's thread: deterministic, for simulations and small tools. */

import type { Env } from '../env.ts';
import { CleanerPace } from './cleaner-pace.ts';
import { Cleaning } from './cleaning.ts';
import type { Cleaners, CleaningJob, CleaningRun } from './cleaning-job.ts';

export class InlineCleaners implements Cleaners {
  readonly #env: Pick<Env, 'clock' | 'disk'>;

  constructor(env: Pick<Env, 'clock' | 'disk'>) {
    this.#env = env;
  }

  begin(job: CleaningJob): CleaningRun {
    const { clock, disk } = this.#env;
    let isAborted = false;
    const pace = new CleanerPace(job.maxBytesPerSecond, {
      now: () => clock.monotonic(),
      sleep: (ms) => new Promise((resolve) => clock.setTimer(ms, resolve)),
      isAborted: () => isAborted,
    });
    return new Cleaning(disk, job, pace, () => {
      isAborted = true;
    });
  }

  idle(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

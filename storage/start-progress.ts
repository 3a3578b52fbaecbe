/** Says every few seconds how far a start is that takes longer, so that nobody takes it for dead. */

import type { Env, Timer } from './env.ts';

const EVERY_MS = 3000;

export class StartProgress {
  readonly #env: Env;
  readonly #logs: number;
  readonly #beganMs: number;
  #opened = 0;
  #checkedBytes = 0;
  #timer: Timer;

  /** `logs`: how many there are to be opened. */
  constructor(env: Env, logs: number) {
    this.#env = env;
    this.#logs = logs;
    this.#beganMs = env.clock.monotonic();
    this.#timer = this.#later();
  }

  get durationMs(): number {
    return Math.round(this.#env.clock.monotonic() - this.#beganMs);
  }

  /** Bytes of segments that were read and checked. */
  get checkedBytes(): number {
    return this.#checkedBytes;
  }

  opened(): void {
    this.#opened++;
  }

  checked(bytes: number): void {
    this.#checkedBytes += bytes;
  }

  #later(): Timer {
    return this.#env.clock.setTimer(EVERY_MS, () => {
      const { durationMs, checkedBytes } = this;
      const facts = { opened: this.#opened, logs: this.#logs, checkedBytes, durationMs };
      this.#env.log.info(facts, 'the logs are being opened');
      this.#timer = this.#later();
    });
  }

  end(): void {
    this.#timer.cancel();
  }
}

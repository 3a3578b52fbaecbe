/** How far a long read is: a bar on standard error where that is a terminal, else nothing. */

import { Presets, SingleBar } from 'cli-progress';

const MIB = 1024 * 1024;

export class Progress {
  readonly #bar: SingleBar | undefined;
  #done = 0;

  constructor(totalBytes: number) {
    if (process.stderr.isTTY !== true || totalBytes === 0) return;
    const format = '{bar} {percentage} % of {total} MiB, {eta_formatted} left  {log}';
    this.#bar = new SingleBar({ format, stream: process.stderr, hideCursor: true }, Presets.rect);
    this.#bar.start(Math.ceil(totalBytes / MIB), 0, { log: '' });
  }

  get done(): number {
    return this.#done;
  }

  add(bytes: number): void {
    this.#done += bytes;
    this.#bar?.update(Math.floor(this.#done / MIB));
  }

  /** What is being read. */
  at(log: string): void {
    this.#bar?.update({ log });
  }

  end(): void {
    this.#bar?.stop();
  }
}

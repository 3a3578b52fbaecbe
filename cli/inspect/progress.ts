/** How far a long read is: a bar on standard error where that is a terminal, else nothing. */

import { Presets, SingleBar } from 'cli-progress';

const MIB = 1024 * 1024;

export class Progress {
  readonly #bar: SingleBar | undefined;
  readonly #total: number;
  #done = 0;

  constructor(totalBytes: number) {
    this.#total = Math.ceil(totalBytes / MIB);
    if (process.stderr.isTTY !== true || totalBytes === 0) return;
    const format = '{bar} {percentage} % of {total} MiB, {eta_formatted} left  {log}';
    const options = { format, stream: process.stderr, hideCursor: true, formatTime };
    this.#bar = new SingleBar(options, Presets.rect);
    this.#bar.start(this.#total, 0, { log: '' });
  }

  get done(): number {
    return this.#done;
  }

  add(bytes: number): void {
    this.#done += bytes;
    this.#bar?.update(Math.min(Math.round(this.#done / MIB), this.#total));
  }

  /** What is being read. */
  at(log: string): void {
    this.#bar?.update({ log });
  }

  end(): void {
    this.#bar?.stop();
  }
}

/** Before anything was read there is no number. */
function formatTime(seconds: unknown): string {
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) return 'some time';
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

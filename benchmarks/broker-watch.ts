/** What a broker's process holds while it is watched: its most and its present memory, descriptors. */

import { readdirSync } from 'node:fs';
import { processStats } from './process-stats.ts';

const SAMPLE_MS = 100;

export class BrokerWatch {
  peakMebibytes = 0;
  peakDescriptors = 0;
  readonly #pid: number | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number | undefined) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#sample();
  }

  get mebibytes(): number {
    return processStats(this.#pid)?.residentMebibytes ?? Number.NaN;
  }

  get descriptors(): number {
    return this.#pid === undefined ? Number.NaN : readdirSync(`/proc/${this.#pid}/fd`).length;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    if (this.#pid === undefined) return;
    this.peakMebibytes = Math.max(this.peakMebibytes, this.mebibytes);
    this.peakDescriptors = Math.max(this.peakDescriptors, this.descriptors);
  }
}

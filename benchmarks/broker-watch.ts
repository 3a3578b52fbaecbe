/** What a broker's process holds while it is watched: its most and its present memory, descriptors. */

import { readdirSync, readlinkSync } from 'node:fs';
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

  /** Those of the descriptors that are connections; files stay open to be read again. */
  get sockets(): number {
    const folder = `/proc/${this.#pid}/fd`;
    return this.#pid === undefined
      ? Number.NaN
      : readdirSync(folder).filter((name) => isSocket(`${folder}/${name}`)).length;
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

/** False of what was closed meanwhile. */
function isSocket(link: string): boolean {
  try {
    return readlinkSync(link).startsWith('socket:');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** The two ends of moving runs of batches: cutting a run for its segments, joining what was read. */

import type { SegmentRun } from './segment-reader.ts';
import type { LogSlice } from './types.ts';

/** Goes through a list of buffers as if it were one. */
export class RunCursor {
  readonly #buffers: readonly Buffer[];
  #index = 0;
  #at = 0;

  constructor(buffers: readonly Buffer[]) {
    this.#buffers = buffers;
  }

  skip(sizeBytes: number): void {
    this.take(sizeBytes);
  }

  /** The next so many bytes, not copied. */
  take(sizeBytes: number): Buffer[] {
    const taken: Buffer[] = [];
    let left = sizeBytes;
    while (left > 0) {
      const buffer = this.#buffers[this.#index];
      if (buffer === undefined) throw new RangeError(`${left} bytes of batches are missing`);
      const length = Math.min(left, buffer.length - this.#at);
      if (length > 0) taken.push(buffer.subarray(this.#at, this.#at + length));
      left -= length;
      this.#at += length;
      if (this.#at < buffer.length) break;
      this.#index++;
      this.#at = 0;
    }
    return taken;
  }
}

/** A slice that grows by the runs read for it. */
export class SliceBuilder implements LogSlice {
  #runs: SegmentRun[] = [];
  sizeBytes = 0;
  recordBytes = 0;
  nextOffset: number;

  constructor(from: number) {
    this.nextOffset = from;
  }

  get buffers(): Buffer[] {
    return this.#runs.map((run) => run.bytes);
  }

  isFull(maxBytes: number): boolean {
    return this.recordBytes > 0 && this.recordBytes >= maxBytes;
  }

  /** Adds a run; batches without records before it are dropped, since nobody needs them. */
  add(run: SegmentRun): void {
    if (this.recordBytes === 0) this.release();
    this.#runs.push(run);
    this.sizeBytes += run.bytes.length;
    this.recordBytes += run.recordBytes;
    this.nextOffset = run.nextOffset;
  }

  release(): void {
    for (const run of this.#runs) run.held.release();
    this.#runs = [];
    this.sizeBytes = 0;
  }
}

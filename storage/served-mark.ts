/**
 * Up to where readers may have seen what is in memory. A slice counts from when it is read, since
 * its bytes may leave at any time; one that is given back without its bytes having been taken (a
 * fetch that goes on waiting) no longer does.
 */

import { SparseSet } from './sparse.ts';

/** Bytes that were read and are still held. */
export interface HeldSlice {
  readonly nextOffset: number;
}

export class ServedMark {
  #served = 0;
  readonly #held = new SparseSet<HeldSlice>();

  /** Offset after the last one that was, or may yet be, given to somebody. */
  get offset(): number {
    let offset = this.#served;
    for (const { nextOffset } of this.#held) offset = Math.max(offset, nextOffset);
    return offset;
  }

  hold(slice: HeldSlice): void {
    this.#held.add(slice);
  }

  letGo(slice: HeldSlice): void {
    this.#held.delete(slice);
  }

  /** What lies below an offset was given to somebody. */
  note(offset: number): void {
    this.#served = Math.max(this.#served, offset);
  }
}

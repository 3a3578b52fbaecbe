/**
 * The part of a segment that this process wrote, one batch behind the other. Each batch's checksum
 * was right when it came; as long as the bytes are in the system's memory and the file's time says
 * that nobody else has written to it, they are what they were, and need no second check.
 */

import type { DiskFile } from './env.ts';
import type { PageCache } from './page-cache.ts';

/** Ages are kept by blocks of this size. */
const BLOCK_BYTES = 16 * 1024 * 1024;

export class WrittenRange {
  readonly #cache: PageCache;
  #from = 0;
  #to = 0;
  /** By block from the one of `from` on: how much was written in all when it was last written to. */
  #ages: number[] = [];
  /** The file's time after the last write. */
  #modifiedMs = Number.NaN;
  #isWriting = false;

  constructor(cache: PageCache) {
    this.#cache = cache;
  }

  /** Bytes are about to be written at a position. */
  begin(file: DiskFile, position: number): void {
    if (position !== this.#to || !this.isAsWritten(file)) this.#restart(position);
    this.#isWriting = true;
  }

  /** They were written, up to `to`. */
  end(file: DiskFile, to: number): void {
    this.#cache.wrote(to - this.#to);
    const first = Math.floor(this.#from / BLOCK_BYTES);
    for (let block = Math.floor(this.#to / BLOCK_BYTES); block * BLOCK_BYTES < to; block++) {
      this.#ages[block - first] = this.#cache.writtenBytes;
    }
    this.#to = to;
    this.#modifiedMs = file.statSync().modifiedMs;
    this.#isWriting = false;
  }

  /** They were not. */
  fail(): void {
    this.#restart(this.#to);
  }

  /** Whether the bytes from a position on are of this process, and in memory. */
  holds(position: number): boolean {
    if (position < this.#from || position >= this.#to) return false;
    const block = Math.floor(position / BLOCK_BYTES) - Math.floor(this.#from / BLOCK_BYTES);
    return this.#cache.holds(this.#ages[block]!);
  }

  /** Whether nobody else has written to the file. While a write is under way its time says nothing. */
  isAsWritten(file: DiskFile): boolean {
    return this.#isWriting || file.statSync().modifiedMs === this.#modifiedMs;
  }

  #restart(position: number): void {
    this.#from = position;
    this.#to = position;
    this.#ages = [];
    this.#isWriting = false;
  }
}

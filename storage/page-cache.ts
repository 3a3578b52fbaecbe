/**
 * What the system holds in memory of the segments: the bytes that this process wrote not long ago.
 * A read of them is a copy and no wait, so it is done at once and not in a thread, which costs half
 * of it.
 *
 * Bounds: so many bytes a turn, that others have theirs; and reads that take longer than a copy can
 * show that the system has given its memory to others: then none is done at once for a while.
 */

import type { Clock, DiskFile } from './env.ts';

/** Read at once in one turn, of all readers together: about two milliseconds. */
const TURN_BYTES = 8 * 1024 * 1024;
/** In the mean of the last reads of a megabyte or less, which are copied in a tenth of it. */
const SLOW_READ_MS = 2;
/** The weight of the last read in that mean: one alone may be long, when the processor was taken. */
const LAST_WEIGHT = 1 / 8;
const REST_MS = 5_000;

export class PageCache {
  readonly #clock: Clock;
  readonly #cachedBytes: number;
  #writtenBytes = 0;
  #turnBytes = 0;
  #turn: Promise<void> | undefined;
  #meanMs = 0;
  #restsUntilMs = Number.NEGATIVE_INFINITY;

  /** `cachedBytes`: see Disk.cachedBytes; 0 makes it hold nothing. */
  constructor(clock: Clock, cachedBytes: number) {
    this.#clock = clock;
    this.#cachedBytes = cachedBytes;
  }

  get isKnown(): boolean {
    return this.#cachedBytes > 0;
  }

  /** Bytes written so far, to all segments: the age of what was written is counted by it. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  wrote(sizeBytes: number): void {
    this.#writtenBytes += sizeBytes;
  }

  /** Whether what was written when `writtenBytes` was so much is still in memory. */
  holds(writtenBytes: number): boolean {
    if (this.#writtenBytes - writtenBytes > this.#cachedBytes) return false;
    return this.#clock.monotonic() >= this.#restsUntilMs;
  }

  /** Whether so many bytes more may be read in this turn. */
  hasRoom(sizeBytes: number): boolean {
    return this.#turnBytes === 0 || this.#turnBytes + sizeBytes <= TURN_BYTES;
  }

  /** Resolves in a turn in which there is room again. */
  nextTurn(): Promise<void> {
    this.#turn ??= new Promise((resolve) =>
      this.#clock.defer(() => {
        this.#turn = undefined;
        this.#turnBytes = 0;
        resolve();
      }),
    );
    return this.#turn;
  }

  /** Reads what it holds. */
  read(file: DiskFile, target: Buffer, length: number, position: number): number {
    if (this.#turnBytes === 0) void this.nextTurn();
    this.#turnBytes += length;
    const began = this.#clock.monotonic();
    const count = file.readSync(target, 0, length, position);
    const ended = this.#clock.monotonic();
    this.#meanMs += (ended - began - this.#meanMs) * LAST_WEIGHT;
    if (this.#meanMs > SLOW_READ_MS) {
      this.#meanMs = 0;
      this.#restsUntilMs = ended + REST_MS;
    }
    return count;
  }
}

/**
 * Large buffers used again: fresh memory costs more than filling it. A buffer that several read at
 * once is counted, and goes back to the pool when the last one lets go.
 */

const SMALLEST = 4 * 1024;
const LARGEST = 4 * 1024 * 1024;
/** A read of a round size takes the next batch's header with it: that must not double the buffer. */
const SLACK_BYTES = 256;

/** Free buffers of one size. */
interface SizeClass {
  readonly buffers: Buffer[];
  /** How many of them nobody has needed since the last trim. */
  spare: number;
}

/** Free buffers by size class (powers of two up to 4 MiB, and a little more), up to a limit kept. */
export class BufferPool {
  readonly #free = new Map<number, SizeClass>();
  readonly #keepBytes: number;
  readonly #smallest: number;
  #freeBytes = 0;

  /**
   * `keepBytes`: free buffers beyond this are left to the collector; `smallest`: the smallest size
   * class, a power of two.
   */
  constructor(keepBytes: number, smallest = SMALLEST) {
    this.#keepBytes = keepBytes;
    this.#smallest = smallest;
  }

  /** Bytes of free buffers kept. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** A buffer of at least so many bytes with whatever contents; above 4 MiB of just that size. */
  acquire(bytes: number): Buffer {
    if (bytes > LARGEST + SLACK_BYTES) return Buffer.allocUnsafeSlow(bytes);
    let round = this.#smallest;
    while (round + SLACK_BYTES < bytes) round *= 2;
    const size = round + SLACK_BYTES;
    const free = this.#free.get(size);
    const buffer = free?.buffers.pop();
    if (free === undefined || buffer === undefined) return Buffer.allocUnsafeSlow(size);
    free.spare = Math.min(free.spare, free.buffers.length);
    this.#freeBytes -= size;
    return buffer;
  }

  /** Takes back a whole buffer that nobody uses any more. */
  release(buffer: Buffer): void {
    const size = buffer.length;
    const round = size - SLACK_BYTES;
    const isPooled = round >= this.#smallest && round <= LARGEST && (round & (round - 1)) === 0;
    if (!isPooled || this.#freeBytes + size > this.#keepBytes) return;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, { buffers: [buffer], spare: 0 });
    else free.buffers.push(buffer);
    this.#freeBytes += size;
  }

  /** Lets go of what nobody has needed since the last call; to be called now and then. */
  trim(): void {
    for (const [size, free] of this.#free) {
      free.buffers.splice(0, free.spare);
      this.#freeBytes -= free.spare * size;
      free.spare = free.buffers.length;
    }
  }
}

/** A buffer with a count of who holds it; made with one holder. */
export class SharedBuffer {
  readonly buffer: Buffer;
  readonly #pool: Pick<BufferPool, 'release'> | undefined;
  #holders = 1;

  /** `pool`: where the buffer goes in the end; undefined leaves it to the collector. */
  constructor(buffer: Buffer, pool: Pick<BufferPool, 'release'> | undefined) {
    this.buffer = buffer;
    this.#pool = pool;
  }

  retain(): void {
    if (this.#holders === 0) throw new Error('a shared buffer was retained after its release');
    this.#holders++;
  }

  release(): void {
    if (this.#holders === 0) throw new Error('a shared buffer was released twice');
    if (--this.#holders === 0) this.#pool?.release(this.buffer);
  }
}

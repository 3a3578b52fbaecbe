/**
 * A queue of (end offset, position) pairs, both rising: where in a partition's counted bytes each
 * appended batch ends, for the batches that a mark has not passed yet. A ring of numbers that
 * doubles; with a limit, neighbours are merged past it, so that the position of the first of two is
 * known only with the second's.
 */

const FIRST_CAPACITY = 8;

export class PositionQueue {
  #ends: number[] = [];
  #positions: number[] = [];
  #head = 0;
  #size = 0;
  #merged = false;
  readonly #maxCapacity: number;

  /** `maxCapacity` is a power of two. */
  constructor(maxCapacity = Number.POSITIVE_INFINITY) {
    this.#maxCapacity = maxCapacity;
  }

  get size(): number {
    return this.#size;
  }

  /** Some pairs were merged: the position at an offset between two ends is not known. */
  get isMerged(): boolean {
    return this.#merged;
  }

  /** End offset of the first pair; Infinity when there is none. */
  get firstEnd(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#ends[this.#head]!;
  }

  /** End offset of the last pair; -1 when there is none. */
  get lastEnd(): number {
    return this.#size === 0 ? -1 : this.#ends[this.#indexOfLast]!;
  }

  /** Position of the last pair; there must be one. */
  get lastPosition(): number {
    return this.#positions[this.#indexOfLast]!;
  }

  get #indexOfLast(): number {
    return (this.#head + this.#size - 1) & (this.#ends.length - 1);
  }

  add(end: number, position: number): void {
    if (this.#size === this.#ends.length) this.#makeRoom();
    const at = (this.#head + this.#size) & (this.#ends.length - 1);
    this.#ends[at] = end;
    this.#positions[at] = position;
    this.#size++;
  }

  /** Takes the first pair out and gives its position; there must be one. */
  shift(): number {
    const position = this.#positions[this.#head]!;
    this.#head = (this.#head + 1) & (this.#ends.length - 1);
    this.#size--;
    if (this.#size === 0) this.#merged = false;
    return position;
  }

  /** Takes the last pair out; there must be one. */
  pop(): void {
    this.#size--;
  }

  /** Doubles the ring; at its limit, of each two pairs the second stays. */
  #makeRoom(): void {
    const capacity = this.#ends.length;
    const merges = capacity === this.#maxCapacity;
    const step = merges ? 2 : 1;
    this.#merged ||= merges;
    const next = merges ? capacity : Math.max(FIRST_CAPACITY, capacity * 2);
    const ends = new Array<number>(next).fill(0);
    const positions = new Array<number>(next).fill(0);
    let size = 0;
    for (let i = step - 1; i < this.#size; i += step) {
      const at = (this.#head + i) & (capacity - 1);
      ends[size] = this.#ends[at]!;
      positions[size] = this.#positions[at]!;
      size++;
    }
    this.#ends = ends;
    this.#positions = positions;
    this.#head = 0;
    this.#size = size;
  }
}

/**
 * Entries of one fixed size in a growing buffer, as they stand in an index file: what is new since
 * the last write to the file is known, so that the file only ever grows at its end.
 */

const FIRST_ENTRIES = 8;

export class EntryTable {
  readonly entryBytes: number;
  #bytes: Buffer;
  #count: number;
  #stored: number;

  /** `stored`: whole entries that are in the file already. */
  constructor(entryBytes: number, stored: Buffer = Buffer.alloc(0)) {
    this.entryBytes = entryBytes;
    this.#bytes = stored;
    this.#count = stored.length / entryBytes;
    this.#stored = this.#count;
  }

  get count(): number {
    return this.#count;
  }

  get sizeBytes(): number {
    return this.#count * this.entryBytes;
  }

  /** Bytes of memory held. */
  get heldBytes(): number {
    return this.#bytes.length;
  }

  /** The entries; the buffer changes when one is added. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** Makes room for one more entry and gives its place in `bytes`. */
  add(): number {
    const at = this.sizeBytes;
    if (at + this.entryBytes > this.#bytes.length) {
      const size = Math.max(this.#bytes.length * 2, FIRST_ENTRIES * this.entryBytes);
      const grown = Buffer.allocUnsafeSlow(size);
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    this.#count++;
    return at;
  }

  truncate(count: number): void {
    this.#count = Math.min(this.#count, count);
    this.#stored = Math.min(this.#stored, this.#count);
  }

  /** Bytes that the file does not have yet. */
  get pendingBytes(): number {
    return (this.#count - this.#stored) * this.entryBytes;
  }

  /** A copy of what the file does not have yet, and where in the file it goes. */
  pending(): { bytes: Buffer; position: number; count: number } {
    const position = this.#stored * this.entryBytes;
    return {
      bytes: Buffer.from(this.#bytes.subarray(position, this.sizeBytes)),
      position,
      count: this.#count,
    };
  }

  /** The file has the first `count` entries now. */
  markStored(count: number): void {
    this.#stored = Math.min(count, this.#count);
  }

  /** Nothing of it counts as in the file any more: the next write starts the file anew. */
  forgetStored(): void {
    this.#stored = 0;
  }

  /** Number of leading entries for which `isBelow` holds; it must hold for a prefix only. */
  partition(isBelow: (bytes: Buffer, at: number) => boolean): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBelow(this.#bytes, middle * this.entryBytes)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

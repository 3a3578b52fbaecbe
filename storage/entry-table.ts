/**
 * Entries of one fixed size in a growing buffer, as they stand in an index file: what is new since
 * the last write to the file is known, so that the file only ever grows at its end.
 */

const FIRST_ENTRIES = 8;
const NOTHING = Buffer.alloc(0);

export class EntryTable {
  readonly entryBytes: number;
  #bytes: Buffer;
  #count: number;
  #stored: number;
  /** Whether the file holds just the first `stored` entries. */
  #isFileExact: boolean;

  /** `stored`: whole entries that are in the file already. */
  constructor(entryBytes: number, stored?: Buffer) {
    this.entryBytes = entryBytes;
    this.#bytes = stored ?? NOTHING;
    this.#count = this.#bytes.length / entryBytes;
    this.#stored = this.#count;
    this.#isFileExact = stored !== undefined;
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
    if (count >= this.#count) return;
    this.#count = count;
    if (this.#stored <= count) return;
    this.#stored = count;
    this.#isFileExact = false;
  }

  /** Whether the file is what is in memory. */
  get isStored(): boolean {
    return this.#isFileExact && this.#stored === this.#count;
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
    this.#isFileExact = count <= this.#count;
    this.#stored = Math.min(count, this.#count);
  }

  /** Nothing of it counts as in the file any more: the next write starts the file anew. */
  forgetStored(): void {
    this.#stored = 0;
    this.#isFileExact = false;
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

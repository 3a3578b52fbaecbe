/**
 * Bounds the memory of the indexes that closed segments have loaded: the longest unused are
 * dropped, and read again when they are needed.
 */

export interface CachedIndexes {
  readonly heldBytes: number;
  dropIndexes(): void;
}

export class IndexCache {
  readonly #maxBytes: number;
  /** The longest unused first; with the bytes that were counted. */
  readonly #entries = new Map<CachedIndexes, number>();
  #heldBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Says that these indexes are in memory and were used now. */
  touch(indexes: CachedIndexes): void {
    this.forget(indexes);
    this.#entries.set(indexes, indexes.heldBytes);
    this.#heldBytes += indexes.heldBytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#heldBytes <= this.#maxBytes || oldest === indexes) return;
      this.forget(oldest);
      oldest.dropIndexes();
    }
  }

  forget(indexes: CachedIndexes): void {
    const bytes = this.#entries.get(indexes);
    if (bytes === undefined) return;
    this.#entries.delete(indexes);
    this.#heldBytes -= bytes;
  }
}

/** The open chunks of all logs: which to seal because they are old, or because memory is short. */

import type { Chunk } from './memory-tail.ts';

/** A log with an open chunk. */
export interface ChunkOwner {
  readonly openChunk: Chunk | undefined;
  seal(urgent: boolean): void;
}

export class OpenChunks {
  /** In the order in which the chunks were opened, with the bytes counted for each. */
  readonly #owners = new Map<ChunkOwner, number>();
  #bytes = 0;

  /** Bytes kept alive by open chunks. */
  get sizeBytes(): number {
    return this.#bytes;
  }

  /** The owner's chunk keeps so many bytes alive now. */
  set(owner: ChunkOwner, heldBytes: number): void {
    this.#bytes += heldBytes - (this.#owners.get(owner) ?? 0);
    this.#owners.set(owner, heldBytes);
  }

  /** The owner has no open chunk any more. */
  delete(owner: ChunkOwner): void {
    this.#bytes -= this.#owners.get(owner) ?? 0;
    this.#owners.delete(owner);
  }

  /** Seals the chunks opened before a time of the monotonic clock. */
  sealOpenedBefore(timeMs: number): void {
    for (const owner of this.#owners.keys()) {
      const chunk = owner.openChunk;
      if (chunk === undefined) this.delete(owner);
      else if (chunk.openedMs <= timeMs) owner.seal(false);
      else return;
    }
  }

  /** Seals the largest chunks until so many bytes are open at most. */
  sealLargest(targetBytes: number): void {
    const bySize = [...this.#owners].sort(([, a], [, b]) => b - a);
    for (const [owner] of bySize) {
      if (this.#bytes <= targetBytes) return;
      owner.seal(false);
    }
  }

  sealAll(): void {
    for (const owner of [...this.#owners.keys()]) owner.seal(false);
  }
}

/**
 * Slices that hold batches in memory. Whoever takes a slice's bytes is served by that; the tail is
 * told, as what was served is compacted differently.
 */

import type { SharedBuffer } from './buffer-pool.ts';
import { type MemoryTail, SliceJoiner } from './memory-tail.ts';
import type { LogSlice } from './types.ts';

const NOTHING: readonly Buffer[] = [];

/** A slice without data, of a reader at the end, or of one that only steps over emptied batches. */
export function emptySlice(nextOffset: number): LogSlice {
  return { buffers: NOTHING, sizeBytes: 0, recordBytes: 0, nextOffset, release: () => {} };
}

class TailSlice implements LogSlice {
  readonly sizeBytes: number;
  readonly nextOffset: number;
  readonly #tail: MemoryTail;
  readonly #buffers: readonly Buffer[];
  readonly #extents: readonly SharedBuffer[];

  constructor(tail: MemoryTail, joiner: SliceJoiner, sizeBytes: number, nextOffset: number) {
    this.#tail = tail;
    this.#buffers = joiner.buffers;
    this.#extents = joiner.extents;
    this.sizeBytes = sizeBytes;
    this.nextOffset = nextOffset;
    tail.served.hold(this);
  }

  get buffers(): readonly Buffer[] {
    this.#tail.served.note(this.nextOffset);
    return this.#buffers;
  }

  /** Batches without records are not given. */
  get recordBytes(): number {
    return this.sizeBytes;
  }

  release(): void {
    this.#tail.served.letGo(this);
    for (const extent of this.#extents) extent.release();
  }
}

/**
 * Whole batches from memory, from the one that contains `from`; the buffers are held till release.
 * Batches that compaction has emptied are stepped over.
 */
export function readTail(
  tail: MemoryTail,
  from: number,
  maxBytes: number,
  limit: number,
  atLeastOne: boolean,
): LogSlice {
  const joiner = new SliceJoiner();
  let sizeBytes = 0;
  let nextOffset = from;
  tail.forEachFrom(from, (batch) => {
    if (batch.lastOffset >= limit) return false;
    if (batch.recordCount > 0) {
      const isFirst = sizeBytes === 0;
      const fits = sizeBytes + batch.sizeBytes <= maxBytes || (isFirst && atLeastOne);
      if (!fits) return false;
      joiner.add(batch);
      sizeBytes += batch.sizeBytes;
    }
    nextOffset = batch.lastOffset + 1;
    return true;
  });
  if (sizeBytes === 0) return emptySlice(nextOffset);
  return new TailSlice(tail, joiner, sizeBytes, nextOffset);
}

/** Two slices, one behind the other. */
export function joinSlices(first: LogSlice, second: LogSlice): LogSlice {
  if (second.sizeBytes === 0) return first;
  return {
    get buffers() {
      return [...first.buffers, ...second.buffers];
    },
    sizeBytes: first.sizeBytes + second.sizeBytes,
    recordBytes: first.recordBytes + second.recordBytes,
    nextOffset: second.nextOffset,
    release: () => {
      first.release();
      second.release();
    },
  };
}

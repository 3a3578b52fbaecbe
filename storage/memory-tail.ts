/**
 * The data of a partition that is only in memory: sealed chunks, oldest first, and one open chunk.
 * A chunk is a list of extents, into which batches are copied one behind the other: the frames they
 * came in are used again. Nothing moves once it is in, so readers and writers share the bytes.
 */

import { type BatchHeader, readBatchHeader } from '../protocol/record-batch.ts';
import { type BufferPool, SharedBuffer } from './buffer-pool.ts';
import type { KeyHashes } from './key-hash.ts';
import type { CompletedTransaction } from './producer-state.ts';
import { ServedMark } from './served-mark.ts';

/** Extents grow from here, fourfold each, so that a quiet partition holds little. */
const FIRST_EXTENT_BYTES = 4 * 1024;
const EXTENT_GROWTH = 4;
/** What an entry costs beside the batch's bytes; counted so that tiny batches are bounded too. */
const ENTRY_BYTES = 160;

/** One batch in memory. */
export interface TailBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly maxTimestamp: number;
  readonly sizeBytes: number;
  readonly recordCount: number;
  readonly leaderEpoch: number;
  /** A producer is known by it. */
  readonly hasProducer: boolean;
  /** The batch's own bytes. */
  readonly bytes: Buffer;
  readonly extent: SharedBuffer;
  /** Hashes of its records' keys, for the segment's filter; undefined where nobody looked at them. */
  keyHashes: KeyHashes | undefined;
}

/** A run of batches in offset order: open while it grows, sealed when it waits to be persisted. */
export class Chunk {
  readonly baseOffset: number;
  /** On the monotonic clock. */
  readonly openedMs: number;
  readonly batches: TailBatch[] = [];
  /** Transactions that markers in this chunk aborted, once the flush has come to it. */
  readonly aborted: CompletedTransaction[] = [];
  endOffset: number;
  /** Compaction has looked at it: what is written of it does not change any more. */
  wasCompacted = false;
  /** Bytes of batches. */
  sizeBytes = 0;
  /** Bytes of the buffers kept alive, and of the entries. */
  heldBytes = 0;
  readonly #extents: SharedBuffer[] = [];
  #used = 0;

  constructor(baseOffset: number, openedMs: number) {
    this.baseOffset = baseOffset;
    this.endOffset = baseOffset;
    this.openedMs = openedMs;
  }

  /**
   * Takes a copy of a batch whose offset is assigned; `pool` gives the extents.
   */
  append(
    batch: Buffer,
    header: BatchHeader,
    epoch: number,
    pool: BufferPool,
    limit: number,
  ): TailBatch {
    const entry = this.#copy(batch, header, epoch, pool, limit);
    this.batches.push(entry);
    this.endOffset = entry.lastOffset + 1;
    this.sizeBytes += entry.sizeBytes;
    this.heldBytes += ENTRY_BYTES;
    return entry;
  }

  #copy(
    batch: Buffer,
    header: BatchHeader,
    epoch: number,
    pool: BufferPool,
    limit: number,
  ): TailBatch {
    let extent = this.#extents.at(-1);
    if (extent === undefined || extent.buffer.length - this.#used < batch.length) {
      const next = extent === undefined ? FIRST_EXTENT_BYTES : grown(extent.buffer.length);
      const sizeBytes = Math.max(Math.min(next, limit), batch.length);
      extent = new SharedBuffer(pool.acquire(sizeBytes), pool);
      this.#extents.push(extent);
      this.heldBytes += extent.buffer.length;
      this.#used = 0;
    }
    const bytes = extent.buffer.subarray(this.#used, this.#used + batch.length);
    batch.copy(bytes);
    this.#used += batch.length;
    return entryOf(bytes, header, this.endOffset, epoch, extent);
  }

  /** Drops the batches from an offset on; only what nobody has been given may go. */
  truncate(offset: number): void {
    while (this.batches.length > 0 && this.batches.at(-1)!.baseOffset >= offset) {
      const dropped = this.batches.pop()!;
      this.sizeBytes -= dropped.sizeBytes;
      this.heldBytes -= ENTRY_BYTES;
    }
    const last = this.batches.at(-1);
    this.endOffset = last === undefined ? this.baseOffset : last.lastOffset + 1;
    // The space of what was dropped may still be on its way to a file: it is not used again.
    this.#used = this.#extents.at(-1)?.buffer.length ?? 0;
  }

  /**
   * Puts what compaction left of batches in their place, over the same offsets. Who reads the old
   * ones keeps them; what the chunk counts as held does not change.
   */
  replace(at: number, count: number, entry: TailBatch): void {
    let sizeBytes = entry.sizeBytes;
    for (const batch of this.batches.splice(at, count, entry)) sizeBytes -= batch.sizeBytes;
    this.sizeBytes += sizeBytes;
  }

  /** Lets go of the buffers; readers that hold them keep them. */
  release(): void {
    for (const extent of this.#extents) extent.release();
    this.#extents.length = 0;
    this.heldBytes = 0;
  }

  /** Index of the batch that contains an offset, or of the first one after it. */
  find(offset: number): number {
    let low = 0;
    let high = this.batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.batches[middle]!.lastOffset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The pool's buffers are a little larger than they are asked to be; that must not add up. */
function grown(extentBytes: number): number {
  return (extentBytes - (extentBytes % FIRST_EXTENT_BYTES)) * EXTENT_GROWTH;
}

function entryOf(
  bytes: Buffer,
  header: BatchHeader,
  baseOffset: number,
  leaderEpoch: number,
  extent: SharedBuffer,
): TailBatch {
  return {
    baseOffset,
    lastOffset: baseOffset + (header.lastOffset - header.baseOffset),
    maxTimestamp: header.maxTimestamp,
    sizeBytes: bytes.length,
    recordCount: header.recordCount,
    leaderEpoch,
    hasProducer: header.producerId >= 0,
    bytes,
    extent,
    keyHashes: undefined,
  };
}

/** What compaction made of a batch, or of several: other bytes for the same offsets. */
export function compactedEntry(bytes: Buffer): TailBatch {
  const header = readBatchHeader(bytes, 0);
  const extent = new SharedBuffer(bytes, undefined);
  return entryOf(bytes, header, header.baseOffset, header.leaderEpoch, extent);
}

/** One slice over two that lie side by side in memory; undefined when they do not. */
function bridge(first: Buffer | undefined, second: Buffer): Buffer | undefined {
  if (first === undefined || first.buffer !== second.buffer) return undefined;
  if (first.byteOffset + first.length !== second.byteOffset) return undefined;
  return Buffer.from(first.buffer, first.byteOffset, first.length + second.length);
}

/** The bytes of batches in as few slices as can be. */
export function joinBatches(batches: readonly TailBatch[]): Buffer[] {
  const buffers: Buffer[] = [];
  for (const { bytes } of batches) {
    const joined = bridge(buffers.at(-1), bytes);
    if (joined === undefined) buffers.push(bytes);
    else buffers[buffers.length - 1] = joined;
  }
  return buffers;
}

/** Collects batches for a reader: few large slices, and the extents that they keep. */
export class SliceJoiner {
  readonly buffers: Buffer[] = [];
  readonly extents: SharedBuffer[] = [];

  add(batch: TailBatch): void {
    const joined = bridge(this.buffers.at(-1), batch.bytes);
    if (joined !== undefined) {
      this.buffers[this.buffers.length - 1] = joined;
      return;
    }
    batch.extent.retain();
    this.extents.push(batch.extent);
    this.buffers.push(batch.bytes);
  }
}

/** The chunks of one partition. */
export class MemoryTail {
  /** Oldest first; the last may be open. */
  readonly chunks: Chunk[] = [];
  readonly served = new ServedMark();
  #open: Chunk | undefined;

  get open(): Chunk | undefined {
    return this.#open;
  }

  /** First offset in memory; undefined when there is nothing. */
  get baseOffset(): number | undefined {
    return this.chunks[0]?.baseOffset;
  }

  get sizeBytes(): number {
    let bytes = 0;
    for (const chunk of this.chunks) bytes += chunk.sizeBytes;
    return bytes;
  }

  openAt(baseOffset: number, nowMs: number): Chunk {
    this.#open = new Chunk(baseOffset, nowMs);
    this.chunks.push(this.#open);
    return this.#open;
  }

  /** Closes the open chunk to further batches and gives it; undefined when there is none. */
  seal(): Chunk | undefined {
    const chunk = this.#open;
    this.#open = undefined;
    return chunk;
  }

  /** Takes out the oldest chunk, which is persisted now. */
  dropFirst(chunk: Chunk): void {
    if (this.chunks[0] !== chunk) throw new Error('chunks leave memory in order');
    this.chunks.shift();
    chunk.release();
  }

  /** Drops a chunk that truncation has emptied. */
  dropLast(chunk: Chunk): void {
    if (this.chunks.at(-1) !== chunk) throw new Error('truncation starts at the end');
    this.chunks.pop();
    if (this.#open === chunk) this.#open = undefined;
    chunk.release();
  }

  /** Batches from the one that contains `from` on, oldest first, until `visit` gives false. */
  forEachFrom(from: number, visit: (batch: TailBatch) => boolean): void {
    for (const chunk of this.chunks) {
      if (chunk.endOffset <= from) continue;
      for (let at = chunk.find(from); at < chunk.batches.length; at++) {
        if (!visit(chunk.batches[at]!)) return;
      }
    }
  }
}

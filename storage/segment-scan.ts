/**
 * Walks the batches in a file of them, in large reads: with their checksums for recovery, by
 * their headers alone to find a place. Nothing that a header says is believed before it is checked:
 * sizes against the file, offsets against those before.
 */

import { crc32c } from '../protocol/crc32c.ts';
import {
  BATCH_HEADER_BYTES,
  baseOffset,
  batchBytes,
  isCrcRight,
  lastOffset,
  lastOffsetDelta,
  MAGIC,
  magic,
  storedCrc,
} from '../protocol/record-batch.ts';
import type { DiskFile } from './env.ts';

/** Gives large buffers and takes them back; storage/buffer-pool.ts is one. */
export interface BufferSource {
  /** A buffer of at least so many bytes, with whatever contents. */
  acquire(sizeBytes: number): Buffer;
  release(buffer: Buffer): void;
}

const WINDOW_BYTES = 1024 * 1024;
/** Offsets in one segment differ by less than 2^31 from its base. */
const MAX_OFFSET_DELTA = 0x7fff_ffff;
/** Up to here a batch is read whole before its checksum is known to be right. */
export const TRUSTED_BATCH_BYTES = 4 * 1024 * 1024;
const ATTRIBUTES_AT = 21;

/** The part of a file that is walked. */
export interface ScanRange {
  readonly file: DiskFile;
  readonly baseOffset: number;
  /** Position of a batch's first byte. */
  readonly start: number;
  readonly end: number;
  /** No batch below this offset is right; undefined where any is. */
  readonly fromOffset?: number | undefined;
  /** No batch that reaches this offset is right. */
  readonly toOffset?: number | undefined;
  /** Last offset of the first batch, as an index has it: any other is wrong. */
  readonly indexedLast?: number | undefined;
  /** Each batch follows the one before without a gap, as where nothing was ever compacted. */
  readonly isDense?: boolean | undefined;
  /** Bytes read at once; for who needs a few headers only. */
  readonly windowBytes?: number | undefined;
}

/** Where a walk ended. */
export interface ScanEnd {
  /** After the last batch that was right. */
  readonly position: number;
  /** Offset after it; undefined when there was none. */
  readonly nextOffset: number | undefined;
  /** What is wrong with what stands there; undefined at the end, or when the visitor had enough. */
  readonly fault: string | undefined;
}

/** Called for each batch: it begins at `at` of the window, at `position` of the file. */
export type BatchVisitor = (window: Buffer, at: number, position: number) => boolean | undefined;

/**
 * What is wrong with a header, all of which must be there; undefined when nothing is.
 * `leftBytes`: from the batch's first byte to the end of the file.
 */
export function headerFault(
  buffer: Buffer,
  at: number,
  leftBytes: number,
  segmentBase: number,
  fromOffset: number,
): string | undefined {
  const size = batchBytes(buffer, at);
  if (size < BATCH_HEADER_BYTES) return `batch length ${size} is below the header's size`;
  if (magic(buffer, at) !== MAGIC) return `magic ${magic(buffer, at)} instead of ${MAGIC}`;
  if (size > leftBytes) return `batch of ${size} bytes is cut after ${leftBytes}`;
  if (lastOffsetDelta(buffer, at) < 0) return 'negative last offset delta';
  const base = baseOffset(buffer, at);
  if (base < fromOffset) return `offset ${base} where ${fromOffset} or more was due`;
  if (lastOffset(buffer, at) - segmentBase > MAX_OFFSET_DELTA) {
    return `offset ${lastOffset(buffer, at)} is too far from the segment's ${segmentBase}`;
  }
  return undefined;
}

/** A batch that reaches the offset where what follows the segment begins. */
export function reachFault(
  buffer: Buffer,
  at: number,
  toOffset: number | undefined,
): string | undefined {
  const last = lastOffset(buffer, at);
  if (toOffset === undefined || last < toOffset) return undefined;
  return `offset ${last} where less than ${toOffset} was due`;
}

/** A batch whose offsets contradict the base offset (8 bytes) of the one behind it. */
export function successorFault(buffer: Buffer, at: number, following: Buffer): string | undefined {
  const next = baseOffset(following, 0);
  const last = lastOffset(buffer, at);
  return next > last ? undefined : `offset ${last} before a batch from ${next}`;
}

/** Checks the checksum of a batch without holding it in memory. */
export async function isStoredCrcRight(
  file: DiskFile,
  position: number,
  sizeBytes: number,
  buffers: BufferSource,
): Promise<boolean> {
  const piece = buffers.acquire(WINDOW_BYTES);
  try {
    let expected = 0;
    let sum = 0;
    for (let done = 0; done < sizeBytes; ) {
      const length = Math.min(WINDOW_BYTES, sizeBytes - done);
      if ((await file.read(piece, 0, length, position + done)) < length) return false;
      if (done === 0) expected = storedCrc(piece, 0);
      sum = crc32c(piece.subarray(done === 0 ? ATTRIBUTES_AT : 0, length), sum);
      done += length;
    }
    return sum === expected;
  } finally {
    buffers.release(piece);
  }
}

/** One walk; a class because the window, which may be exchanged for a larger one, is its state. */
class Walk {
  readonly #range: ScanRange;
  readonly #buffers: BufferSource;
  readonly #isChecked: boolean;
  readonly #visit: BatchVisitor;
  #window: Buffer;
  #windowBytes: number;
  #position: number;
  #nextOffset: number | undefined;
  #hasEnough = false;

  constructor(range: ScanRange, buffers: BufferSource, isChecked: boolean, visit: BatchVisitor) {
    this.#range = range;
    this.#buffers = buffers;
    this.#isChecked = isChecked;
    this.#visit = visit;
    this.#position = range.start;
    const wanted = Math.min(range.windowBytes ?? WINDOW_BYTES, range.end - range.start);
    this.#windowBytes = Math.max(BATCH_HEADER_BYTES, wanted);
    this.#window = buffers.acquire(this.#windowBytes);
  }

  async run(): Promise<ScanEnd> {
    try {
      let fault: string | undefined;
      while (fault === undefined && !this.#hasEnough && this.#position < this.#range.end) {
        fault = await this.#step();
      }
      return { position: this.#position, nextOffset: this.#nextOffset, fault };
    } finally {
      this.#buffers.release(this.#window);
    }
  }

  /** Reads one window and goes through its batches; gives the first fault. */
  async #step(): Promise<string | undefined> {
    const { file, end } = this.#range;
    const length = Math.min(this.#windowBytes, end - this.#position);
    const count = await file.read(this.#window, 0, length, this.#position);
    let at = 0;
    while (count - at >= BATCH_HEADER_BYTES && !this.#hasEnough) {
      const fault = this.#headerFault(at) ?? (await this.#offsetFault(at, count));
      if (fault !== undefined) return fault;
      const size = batchBytes(this.#window, at);
      if (size > count - at) break;
      if (this.#isChecked && !isCrcRight(this.#window, at)) return 'wrong checksum';
      this.#take(at);
      at += size;
      this.#position += size;
    }
    if (at > 0 || this.#hasEnough) return undefined;
    if (count < length) return `the file ends after ${this.#position + count} bytes`;
    if (count < BATCH_HEADER_BYTES) return 'fewer bytes than a batch header';
    return this.#passLarge();
  }

  /** The batch at the window's start is larger than the window. */
  async #passLarge(): Promise<string | undefined> {
    const size = batchBytes(this.#window, 0);
    if (!this.#isChecked) {
      this.#take(0);
      this.#position += size;
      return undefined;
    }
    if (size > TRUSTED_BATCH_BYTES) {
      const { file } = this.#range;
      const isRight = await isStoredCrcRight(file, this.#position, size, this.#buffers);
      if (!isRight) return 'wrong checksum';
    }
    this.#buffers.release(this.#window);
    this.#window = this.#buffers.acquire(size);
    this.#windowBytes = this.#window.length;
    return undefined;
  }

  #headerFault(at: number): string | undefined {
    const { baseOffset: base, end, fromOffset } = this.#range;
    const least = this.#nextOffset ?? fromOffset ?? base;
    return (
      headerFault(this.#window, at, end - this.#position, base, least) ??
      reachFault(this.#window, at, this.#range.toOffset)
    );
  }

  /**
   * The base offset is not under the checksum. A batch that follows the one before, or is where
   * the index has it, is believed; any other must at least agree with the batch behind.
   */
  async #offsetFault(at: number, count: number): Promise<string | undefined> {
    const { baseOffset: segmentBase, fromOffset, indexedLast, isDense, start } = this.#range;
    const base = baseOffset(this.#window, at);
    const isFirst = this.#position === start;
    if (isFirst && indexedLast !== undefined) {
      const last = lastOffset(this.#window, at);
      return last === indexedLast ? undefined : `offset ${last} where the index has ${indexedLast}`;
    }
    if (base === (this.#nextOffset ?? fromOffset ?? segmentBase)) return undefined;
    if (isDense && (!isFirst || start === 0)) return `offset ${base} where there is no gap`;
    const size = batchBytes(this.#window, at);
    if (this.#position + size + 8 > this.#range.end) return undefined;
    let following = this.#window.subarray(at + size, count);
    if (following.length < 8) {
      following = Buffer.alloc(8);
      await this.#range.file.read(following, 0, 8, this.#position + size);
    }
    return successorFault(this.#window, at, following);
  }

  #take(at: number): void {
    this.#nextOffset = lastOffset(this.#window, at) + 1;
    if (this.#visit(this.#window, at, this.#position) === false) this.#hasEnough = true;
  }
}

/** Walks by headers alone: only the 61 bytes of the header are sure to be in the window. */
export function walkHeaders(
  range: ScanRange,
  buffers: BufferSource,
  visit: BatchVisitor,
): Promise<ScanEnd> {
  return new Walk(range, buffers, false, visit).run();
}

/** Walks whole batches and checks every checksum. The visitor must not keep the window. */
export function walkChecked(
  range: ScanRange,
  buffers: BufferSource,
  visit: BatchVisitor,
): Promise<ScanEnd> {
  return new Walk(range, buffers, true, visit).run();
}

/**
 * Position of the first sound batch in a range that begins with damage; undefined when there is
 * none. It counts only when it ends at the range's end or another sound header follows it, so that
 * a batch inside a record's value is not taken for one of the log.
 */
export async function findBatch(
  range: ScanRange,
  buffers: BufferSource,
): Promise<number | undefined> {
  const { file, start, end } = range;
  const window = buffers.acquire(WINDOW_BYTES);
  try {
    let position = start;
    while (end - position >= BATCH_HEADER_BYTES) {
      const length = Math.min(window.length, end - position);
      const count = await file.read(window, 0, length, position);
      if (count < BATCH_HEADER_BYTES) return undefined;
      const last = count - BATCH_HEADER_BYTES;
      for (let at = 0; at <= last; at++) {
        if (window[at + 16] !== MAGIC || candidateFault(range, window, at, position + at)) continue;
        if (await isSound(range, buffers, position + at)) return position + at;
      }
      position += last + 1;
    }
    return undefined;
  } finally {
    buffers.release(window);
  }
}

function candidateFault(range: ScanRange, window: Buffer, at: number, position: number) {
  const least = range.fromOffset ?? range.baseOffset;
  return headerFault(window, at, range.end - position, range.baseOffset, least) !== undefined;
}

async function isSound(range: ScanRange, buffers: BufferSource, start: number): Promise<boolean> {
  let size = 0;
  const first = await walkChecked({ ...range, start }, buffers, (window, at) => {
    size = batchBytes(window, at);
    return false;
  });
  if (size === 0 || first.fault !== undefined) return false;
  if (first.position === range.end) return true;
  let follows = false;
  const next = { ...range, start: first.position, fromOffset: first.nextOffset };
  await walkHeaders(next, buffers, () => {
    follows = true;
    return false;
  });
  return follows;
}

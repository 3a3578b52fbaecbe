/**
 * Reads whole batches of one segment: index look-up and a short walk to the batch that contains the
 * offset, then one large positioned read, checksums, and a cut at the last whole batch. What is no
 * sound batch is an error for who asks for just that, and an end for who comes from before it;
 * never wrong data.
 */

import {
  BATCH_HEADER_BYTES,
  baseOffset,
  batchBytes,
  isCrcRight,
  lastOffset,
  recordCount,
} from '../protocol/record-batch.ts';
import type { DiskFile } from './env.ts';
import { CorruptLog } from './errors.ts';
import type { LogContext } from './log-context.ts';
import type { Damage, Segment } from './segment.ts';
import {
  type BatchVisitor,
  findBatch,
  headerFault,
  isStoredCrcRight,
  reachFault,
  type ScanRange,
  successorFault,
  TRUSTED_BATCH_BYTES,
  walkChecked,
  walkHeaders,
} from './segment-scan.ts';

/** Read at once while looking for a place; index entries are closer together. */
const SEEK_WINDOW_BYTES = 16 * 1024;

/** An offset was asked for that lies in damage. */
class DamagedRange extends CorruptLog {
  readonly damage: Damage;

  constructor(damage: Damage) {
    const { path, position, length, reason, firstOffset, nextOffset } = damage;
    super(
      `${path}: ${length} bytes at ${position} (offsets ${firstOffset} to ${nextOffset - 1}) ` +
        `are damaged: ${reason}`,
    );
    this.name = 'CorruptLog';
    this.damage = damage;
  }
}

/** What is asked of one segment. */
export interface SegmentRequest {
  readonly from: number;
  readonly maxBytes: number;
  /** Batches that reach this offset are not given. */
  readonly limit: number;
  readonly atLeastOne: boolean;
}

/** A batch's place, and the offset it should begin with; undefined where that is not known. */
export interface BatchPlace {
  readonly position: number;
  readonly due: number | undefined;
}

/** Batches that were read; `buffer` goes back to the source when `bytes` are not needed any more. */
export interface SegmentRun {
  readonly buffer: Buffer;
  readonly bytes: Buffer;
  readonly position: number;
  readonly firstOffset: number;
  readonly recordBytes: number;
  readonly nextOffset: number;
}

/** Result of going through the batches in a buffer. */
interface Taken {
  sizeBytes: number;
  recordBytes: number;
  nextOffset: number;
  /** Why it ended before the buffer did, when something is wrong there. */
  fault: string | undefined;
  /** Size of the batch that was cut by the buffer's end. */
  cutBytes: number | undefined;
}

export class SegmentReader {
  readonly #context: LogContext;
  readonly #segment: Segment;
  /** No offset of the segment is at or above this. */
  readonly endOffset: number;
  /** Up to here there are whole batches; what is written meanwhile is not looked at. */
  readonly #end: number;

  constructor(context: LogContext, segment: Segment) {
    this.#context = context;
    this.#segment = segment;
    this.endOffset = segment.nextOffset;
    this.#end = segment.sizeBytes;
  }

  /**
   * Reads what is asked for. `end`: the segment has no batch from there on. `full`: there is one,
   * but it reaches the limit or is too large.
   */
  async read(request: SegmentRequest): Promise<SegmentRun | 'end' | 'full'> {
    return this.#segment.use(async (file) => {
      const place = await this.findIn(file, request.from);
      return place === undefined ? 'end' : this.#readAt(file, place, request);
    });
  }

  /** Place of the batch that contains an offset, or of the first one after it. */
  find(offset: number): Promise<BatchPlace | undefined> {
    return this.#segment.use((file) => this.findIn(file, offset));
  }

  /**
   * Goes through the headers from the batch that contains an offset on, over damage, which is
   * reported, until the visitor gives false.
   */
  walk(offset: number, visit: BatchVisitor): Promise<void> {
    return this.#segment.use(async (file) => {
      const place = await this.#findNext(file, offset);
      if (place !== undefined) await this.#walkOver(file, place, walkHeaders, visit);
    });
  }

  /** The same with whole batches, whose checksums are right. */
  scan(offset: number, visit: BatchVisitor): Promise<void> {
    return this.#segment.use(async (file) => {
      const place = await this.#findNext(file, offset);
      if (place !== undefined) await this.#walkOver(file, place, walkChecked, visit);
    });
  }

  /** Goes through the headers from a batch's place on, in small reads: for a few batches. */
  walkAt(place: BatchPlace, visit: BatchVisitor): Promise<void> {
    return this.#segment.use((file) =>
      this.#walkOver(file, place, walkHeaders, visit, SEEK_WINDOW_BYTES),
    );
  }

  /** As `findIn`, but the next sound batch where the offset lies in damage. */
  async #findNext(file: DiskFile, offset: number): Promise<BatchPlace | undefined> {
    let from = offset;
    for (;;) {
      try {
        return await this.findIn(file, from);
      } catch (error) {
        if (!(error instanceof DamagedRange)) throw error;
        from = error.damage.nextOffset;
        if (from >= this.endOffset) return undefined;
      }
    }
  }

  async #walkOver(
    file: DiskFile,
    place: BatchPlace,
    walk: typeof walkHeaders,
    visit: BatchVisitor,
    windowBytes?: number,
  ): Promise<void> {
    let start = place.position;
    let fromOffset = place.due;
    while (start < this.#end) {
      const range = { ...this.#range(file, start, fromOffset), windowBytes };
      const stop = await walk(range, this.#context.buffers, visit);
      if (stop.fault === undefined) return;
      const first = stop.nextOffset ?? fromOffset ?? this.#segment.baseOffset;
      const damage = await this.#findDamage(file, stop.position, first, stop.fault);
      start = damage.position + damage.length;
      fromOffset = damage.nextOffset;
    }
  }

  #range(file: DiskFile, start: number, fromOffset: number | undefined): ScanRange {
    const { baseOffset: base } = this.#segment;
    const toOffset = this.endOffset;
    return { file, baseOffset: base, start, end: this.#end, fromOffset, toOffset };
  }

  async findIn(file: DiskFile, offset: number): Promise<BatchPlace | undefined> {
    const known = this.#segment.knownPlace(offset);
    if (known !== undefined)
      return known < this.#end ? { position: known, due: offset } : undefined;
    let range = await this.#startRange(file, offset);
    for (;;) {
      let found: BatchPlace | undefined;
      let { fromOffset: due } = range;
      const stop = await walkHeaders(range, this.#context.buffers, (window, at, position) => {
        const last = lastOffset(window, at);
        const isIndexed = position === range.start && range.indexedLast !== undefined;
        if (last >= offset) found = { position, due: isIndexed ? baseOffset(window, at) : due };
        due = last + 1;
        return last < offset;
      });
      if (found !== undefined || stop.fault === undefined) return found;
      if (range.indexedLast !== undefined && (await this.#segment.distrustIndexes(stop.fault))) {
        range = await this.#startRange(file, offset);
        continue;
      }
      const first = stop.nextOffset ?? range.fromOffset ?? this.#segment.baseOffset;
      const damage = await this.#findDamage(file, stop.position, first, stop.fault);
      if (offset < damage.nextOffset) throw new DamagedRange(damage);
      range = this.#range(file, damage.position + damage.length, damage.nextOffset);
    }
  }

  /** The range from the last index entry at or below an offset on, behind damage that is known. */
  async #startRange(file: DiskFile, offset: number): Promise<ScanRange> {
    const indexes = await this.#segment.indexes();
    const entry = indexes.offsets.lookup(offset);
    let { position } = entry;
    let indexedLast = position > 0 ? entry.offset : undefined;
    let fromOffset = position > 0 ? undefined : this.#segment.baseOffset;
    for (const damage of this.#segment.damage) {
      if (damage.firstOffset <= offset && offset < damage.nextOffset)
        throw new DamagedRange(damage);
      const behind = damage.position + damage.length;
      if (damage.nextOffset <= offset && behind > position) {
        position = behind;
        fromOffset = damage.nextOffset;
        indexedLast = undefined;
      }
    }
    const windowBytes = SEEK_WINDOW_BYTES;
    return { ...this.#range(file, position, fromOffset), indexedLast, windowBytes };
  }

  async #readAt(
    file: DiskFile,
    place: BatchPlace,
    request: SegmentRequest,
  ): Promise<SegmentRun | 'full'> {
    const { buffers } = this.#context;
    const left = this.#end - place.position;
    // One header more than asked for, so that the last batch is held against its successor.
    let wanted = Math.min(request.maxBytes + BATCH_HEADER_BYTES, left);
    for (;;) {
      const buffer = buffers.acquire(wanted);
      let isKept = false;
      try {
        const count = await file.read(buffer, 0, wanted, place.position);
        const taken = this.#take(buffer.subarray(0, count), place, request);
        if (count < wanted) taken.fault ??= `the file ends at ${place.position + count}`;
        if (taken.sizeBytes > 0) {
          isKept = true;
          return this.#runOf(buffer, place, taken);
        }
        if (taken.fault !== undefined) {
          const first = place.due ?? request.from;
          throw new DamagedRange(await this.#findDamage(file, place.position, first, taken.fault));
        }
        const { cutBytes } = taken;
        if (cutBytes === undefined) return 'full';
        if (cutBytes > request.maxBytes && !request.atLeastOne) return 'full';
        await this.#checkLarge(file, place, request, cutBytes);
        wanted = Math.min(cutBytes + BATCH_HEADER_BYTES, left);
      } finally {
        if (!isKept) buffers.release(buffer);
      }
    }
  }

  /** Memory is given to a large batch only once its length is known to be no lie. */
  async #checkLarge(
    file: DiskFile,
    place: BatchPlace,
    request: SegmentRequest,
    sizeBytes: number,
  ): Promise<void> {
    if (sizeBytes <= TRUSTED_BATCH_BYTES) return;
    if (await isStoredCrcRight(file, place.position, sizeBytes, this.#context.buffers)) return;
    const first = place.due ?? request.from;
    throw new DamagedRange(await this.#findDamage(file, place.position, first, 'wrong checksum'));
  }

  #runOf(buffer: Buffer, place: BatchPlace, taken: Taken): SegmentRun {
    const { position } = place;
    this.#segment.markVerified(position, position + taken.sizeBytes);
    this.#segment.rememberPlace(taken.nextOffset, position + taken.sizeBytes);
    return {
      buffer,
      bytes: buffer.subarray(0, taken.sizeBytes),
      position,
      firstOffset: baseOffset(buffer, 0),
      recordBytes: taken.recordBytes,
      nextOffset: taken.nextOffset,
    };
  }

  /** Goes through the batches at the buffer's start, which lies at the place. */
  #take(buffer: Buffer, place: BatchPlace, request: SegmentRequest): Taken {
    const taken: Taken = {
      sizeBytes: 0,
      recordBytes: 0,
      nextOffset: request.from,
      fault: undefined,
      cutBytes: undefined,
    };
    let due = place.due;
    for (let at = 0; at < buffer.length; ) {
      taken.fault = this.#fault(buffer, at, place.position + at, due);
      if (taken.fault !== undefined) break;
      const size = batchBytes(buffer, at);
      const last = lastOffset(buffer, at);
      if (last >= request.limit) break;
      const isEmpty = recordCount(buffer, at) === 0;
      const isFree = isEmpty || (taken.recordBytes === 0 && request.atLeastOne);
      if (!isFree && taken.recordBytes + size > request.maxBytes) break;
      if (size > buffer.length - at) {
        taken.cutBytes = size;
        break;
      }
      const position = place.position + at;
      if (!this.#segment.isVerified(position, position + size) && !isCrcRight(buffer, at)) {
        taken.fault = 'wrong checksum';
        break;
      }
      at += size;
      due = last + 1;
      taken.sizeBytes = at;
      taken.nextOffset = due;
      if (!isEmpty) taken.recordBytes += size;
    }
    return taken;
  }

  #fault(
    buffer: Buffer,
    at: number,
    position: number,
    due: number | undefined,
  ): string | undefined {
    const left = this.#end - position;
    if (left < BATCH_HEADER_BYTES) return 'fewer bytes than a batch header';
    // The header that was read only to be looked at may itself be cut: then it is not taken.
    if (buffer.length - at < BATCH_HEADER_BYTES) return `the file ends at ${position}`;
    const base = this.#segment.baseOffset;
    const fault =
      headerFault(buffer, at, left, base, due ?? base) ?? reachFault(buffer, at, this.endOffset);
    if (fault !== undefined || baseOffset(buffer, at) === due) return fault;
    const next = at + batchBytes(buffer, at);
    if (next + 8 > buffer.length) return undefined;
    return successorFault(buffer, at, buffer.subarray(next));
  }

  /** Finds where the damage that begins at a position ends, and reports it. */
  async #findDamage(
    file: DiskFile,
    position: number,
    firstOffset: number,
    reason: string,
  ): Promise<Damage> {
    const known = this.#segment.damage.find((damage) => damage.position === position);
    if (known !== undefined) return known;
    const range = this.#range(file, position + 1, firstOffset);
    const next = await findBatch(range, this.#context.buffers);
    let nextOffset = this.endOffset;
    if (next !== undefined) {
      const header = Buffer.alloc(BATCH_HEADER_BYTES);
      await file.read(header, 0, header.length, next);
      nextOffset = baseOffset(header, 0);
    }
    const damage: Damage = {
      path: this.#segment.path,
      position,
      length: (next ?? this.#end) - position,
      reason,
      firstOffset,
      nextOffset,
    };
    this.#segment.addDamage(damage);
    return damage;
  }
}

/**
 * Finds places in a segment: index look-up and a short walk to the batch that contains an offset;
 * walks over damage, whose end is looked for and which is reported.
 */

import { BATCH_HEADER_BYTES, baseOffset, lastOffset } from '../protocol/record-batch.ts';
import type { DiskFile } from './env.ts';
import { CorruptLog } from './errors.ts';
import type { LogContext } from './log-context.ts';
import type { Damage, Segment } from './segment.ts';
import {
  type BatchVisitor,
  findBatch,
  type ScanRange,
  walkChecked,
  walkHeaders,
} from './segment-scan.ts';

/** Read at once while looking for a place; index entries are closer together. */
const SEEK_WINDOW_BYTES = 16 * 1024;

/** An offset was asked for that lies in damage. */
export class DamagedRange extends CorruptLog {
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

/** A batch's place, and the offset it should begin with; undefined where that is not known. */
export interface BatchPlace {
  readonly position: number;
  readonly due: number | undefined;
}

/** One segment as it is at this moment, for who looks for places in it or goes through it. */
export class SegmentPlaces {
  protected readonly context: LogContext;
  protected readonly segment: Segment;
  /** No offset of the segment is at or above this. */
  readonly endOffset: number;
  /** Up to here there are whole batches; what is written meanwhile is not looked at. */
  protected readonly end: number;

  constructor(context: LogContext, segment: Segment) {
    this.context = context;
    this.segment = segment;
    this.endOffset = segment.nextOffset;
    this.end = segment.sizeBytes;
  }

  /** Place of the batch that contains an offset, or of the first one after it. */
  find(offset: number): Promise<BatchPlace | undefined> {
    return this.segment.use((file) => this.findIn(file, offset));
  }

  /**
   * Goes through the headers from the batch that contains an offset on, over damage, which is
   * reported, until the visitor gives false.
   */
  walk(offset: number, visit: BatchVisitor): Promise<void> {
    return this.segment.use(async (file) => {
      const place = await this.#findNext(file, offset);
      if (place !== undefined) await this.#walkOver(file, place, walkHeaders, visit);
    });
  }

  /** The same with whole batches, whose checksums are right. */
  scan(offset: number, visit: BatchVisitor): Promise<void> {
    return this.segment.use(async (file) => {
      const place = await this.#findNext(file, offset);
      if (place !== undefined) await this.#walkOver(file, place, walkChecked, visit);
    });
  }

  /** The same with all of them, without the indexes. */
  scanAll(visit: BatchVisitor): Promise<void> {
    const first = { position: 0, due: this.segment.baseOffset };
    return this.segment.use((file) => this.#walkOver(file, first, walkChecked, visit));
  }

  /** Goes through the headers from a batch's place on, in small reads: for a few batches. */
  walkAt(place: BatchPlace, visit: BatchVisitor): Promise<void> {
    return this.segment.use((file) =>
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
    while (start < this.end) {
      const range = { ...this.#range(file, start, fromOffset), windowBytes };
      const stop = await walk(range, this.context.buffers, visit);
      if (stop.fault === undefined) return;
      const first = stop.nextOffset ?? fromOffset ?? this.segment.baseOffset;
      const damage = await this.findDamage(file, stop.position, first, stop.fault);
      start = damage.position + damage.length;
      fromOffset = damage.nextOffset;
    }
  }

  #range(file: DiskFile, start: number, fromOffset: number | undefined): ScanRange {
    const { baseOffset: base } = this.segment;
    const toOffset = this.endOffset;
    return { file, baseOffset: base, start, end: this.end, fromOffset, toOffset };
  }

  /** The same in its open file. */
  protected async findIn(file: DiskFile, offset: number): Promise<BatchPlace | undefined> {
    const known = this.segment.knownPlace(offset);
    if (known !== undefined) return known < this.end ? { position: known, due: offset } : undefined;
    let range = await this.#startRange(file, offset);
    for (;;) {
      let found: BatchPlace | undefined;
      let { fromOffset: due } = range;
      const stop = await walkHeaders(range, this.context.buffers, (window, at, position) => {
        const last = lastOffset(window, at);
        const isIndexed = position === range.start && range.indexedLast !== undefined;
        if (last >= offset) found = { position, due: isIndexed ? baseOffset(window, at) : due };
        due = last + 1;
        return last < offset;
      });
      if (found !== undefined || stop.fault === undefined) return found;
      if (range.indexedLast !== undefined && (await this.segment.distrustIndexes(stop.fault))) {
        range = await this.#startRange(file, offset);
        continue;
      }
      const first = stop.nextOffset ?? range.fromOffset ?? this.segment.baseOffset;
      const damage = await this.findDamage(file, stop.position, first, stop.fault);
      if (offset < damage.nextOffset) throw new DamagedRange(damage);
      range = this.#range(file, damage.position + damage.length, damage.nextOffset);
    }
  }

  /** The range from the last index entry at or below an offset on, behind damage that is known. */
  async #startRange(file: DiskFile, offset: number): Promise<ScanRange> {
    const indexes = await this.segment.indexes();
    const entry = indexes.offsets.lookup(offset);
    let { position } = entry;
    let indexedLast = position > 0 ? entry.offset : undefined;
    let fromOffset = position > 0 ? undefined : this.segment.baseOffset;
    for (const damage of this.segment.damage) {
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

  /** Finds where the damage that begins at a position ends, and reports it. */
  protected async findDamage(
    file: DiskFile,
    position: number,
    firstOffset: number,
    reason: string,
  ): Promise<Damage> {
    const known = this.segment.damage.find((damage) => damage.position === position);
    if (known !== undefined) return known;
    const range = this.#range(file, position + 1, firstOffset);
    const next = await findBatch(range, this.context.buffers);
    let nextOffset = this.endOffset;
    if (next !== undefined) {
      const header = Buffer.alloc(BATCH_HEADER_BYTES);
      await file.read(header, 0, header.length, next);
      nextOffset = baseOffset(header, 0);
    }
    const damage: Damage = {
      path: this.segment.path,
      position,
      length: (next ?? this.end) - position,
      reason,
      firstOffset,
      nextOffset,
    };
    this.segment.addDamage(damage);
    return damage;
  }
}

/**
 * Brings a segment back after an unclean stop: everything above the recovery point is read, its
 * checksums and offsets checked, what is sound is written again (after a failed fsync the cache may
 * hold what the disk never got, and call it clean) and synced, and the indexes are made to fit.
 *
 * A torn tail is cut at the last sound batch. Damage below the recovery point, or with sound batches
 * behind it, is another thing: after a kill the disk has all that was written, so it is bit rot, and
 * it stays where it is, reported, an error for who reads there. After a power cut un-synced pages
 * may have been lost in any order, so what follows the damage was not promised either: the rest is
 * put aside into a file of its own, reported, and cut.
 */

import path from 'node:path';
import {
  BATCH_HEADER_BYTES,
  baseOffset,
  lastOffset,
  maxTimestamp,
} from '../protocol/record-batch.ts';
import type { DiskFile } from './env.ts';
import type { LogContext } from './log-context.ts';
import type { Segment } from './segment.ts';
import { readIndexes, SegmentIndexes } from './segment-indexes.ts';
import { LOG_SUFFIX, segmentFileName } from './segment-names.ts';
import {
  findBatch,
  type ScanEnd,
  type ScanRange,
  walkChecked,
  walkHeaders,
} from './segment-scan.ts';

const COPY_BYTES = 1024 * 1024;

export interface RecoveryRequest {
  /** All below this offset was synced. */
  readonly recoveryPoint: number;
  /** Base of the segment behind; undefined for the last one, whose tail may be torn. */
  readonly nextBase: number | undefined;
  /** The machine was off since, or nobody knows: un-synced pages may be lost in any order. */
  readonly powerLost: boolean;
  readonly indexIntervalBytes: number;
  /** Called with bytes that were checked. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface Recovered {
  /** Offset after the last sound batch; undefined when there is none. */
  readonly nextOffset: number | undefined;
  readonly cutBytes: number;
}

export class SegmentRecovery {
  readonly #context: LogContext;
  readonly #segment: Segment;
  readonly #folder: string;
  readonly #request: RecoveryRequest;

  constructor(context: LogContext, segment: Segment, folder: string, request: RecoveryRequest) {
    this.#context = context;
    this.#segment = segment;
    this.#folder = folder;
    this.#request = request;
  }

  run(): Promise<Recovered> {
    return this.#segment.use((file) => this.#recover(file));
  }

  async #recover(file: DiskFile): Promise<Recovered> {
    const segment = this.#segment;
    const size = segment.sizeBytes;
    const { indexes, start } = await this.#startOf(file);
    segment.startIndexes(indexes);
    let nextOffset: number | undefined;
    let range = this.#range(file, start, undefined);
    for (;;) {
      const stop = await this.#walk(range, indexes);
      nextOffset = stop.nextOffset ?? nextOffset;
      if (stop.fault === undefined) break;
      const next = await this.#handleFault(file, stop, nextOffset);
      nextOffset = next.nextOffset;
      range = this.#range(file, next.position, nextOffset);
    }
    await this.#writeAgain(file, start, segment.sizeBytes);
    await file.sync();
    if (this.#request.nextBase !== undefined) indexes.seal();
    await segment.storeIndexes(false);
    return { nextOffset, cutBytes: size - segment.sizeBytes };
  }

  #range(file: DiskFile, start: number, fromOffset: number | undefined): ScanRange {
    const { baseOffset: base, sizeBytes } = this.#segment;
    const toOffset = this.#request.nextBase;
    // The last segment was never compacted, so that its offsets leave no gap.
    const isDense = toOffset === undefined;
    return { file, baseOffset: base, start, end: sizeBytes, fromOffset, toOffset, isDense };
  }

  async #walk(range: ScanRange, indexes: SegmentIndexes): Promise<ScanEnd> {
    const { indexIntervalBytes, onProgress } = this.#request;
    const stop = await walkChecked(range, this.#context.buffers, (window, at, position) => {
      indexes.noteBatch(window, at, position, indexIntervalBytes);
      return true;
    });
    this.#segment.markVerified(range.start, stop.position);
    onProgress?.(stop.position - range.start);
    return stop;
  }

  /** Cuts or notes what is no batch; gives the place behind it, which may be the segment's end. */
  async #handleFault(
    file: DiskFile,
    stop: ScanEnd,
    nextOffset: number | undefined,
  ): Promise<{ position: number; nextOffset: number }> {
    const segment = this.#segment;
    const firstOffset = nextOffset ?? segment.baseOffset;
    const { position, fault: reason = 'no batch' } = stop;
    const next = await findBatch(
      this.#range(file, position + 1, firstOffset),
      this.#context.buffers,
    );
    const { nextBase, powerLost, recoveryPoint } = this.#request;
    const isTail = nextBase === undefined && (next === undefined || powerLost);
    if (isTail && firstOffset >= recoveryPoint) {
      await this.#cut(file, position, reason, firstOffset, next !== undefined);
      return { position: segment.sizeBytes, nextOffset: firstOffset };
    }
    const end = next ?? segment.sizeBytes;
    const endOffset = await this.#offsetAt(file, next);
    segment.addDamage({
      path: segment.path,
      position,
      length: end - position,
      reason,
      firstOffset,
      nextOffset: endOffset,
    });
    return { position: end, nextOffset: endOffset };
  }

  async #offsetAt(file: DiskFile, position: number | undefined): Promise<number> {
    if (position === undefined) return this.#request.nextBase ?? this.#request.recoveryPoint;
    const header = Buffer.alloc(BATCH_HEADER_BYTES);
    await file.read(header, 0, header.length, position);
    return baseOffset(header, 0);
  }

  async #cut(
    file: DiskFile,
    position: number,
    reason: string,
    nextOffset: number,
    isMore: boolean,
  ): Promise<void> {
    const segment = this.#segment;
    const { log } = this.#context.env;
    const cutBytes = segment.sizeBytes - position;
    const facts = { segment: segment.path, position, cutBytes, nextOffset, reason };
    if (isMore) {
      const aside = await this.#putAside(file, position);
      log.error({ ...facts, aside }, 'damage in what was not synced: the rest was put aside');
    } else {
      log.warn(facts, 'a torn tail was cut');
    }
    await file.truncate(position);
    segment.sizeBytes = position;
  }

  /** Copies all from a position on into a file beside the segment. */
  async #putAside(file: DiskFile, position: number): Promise<string> {
    const { disk } = this.#context.env;
    const name = `${segmentFileName(this.#segment.baseOffset, LOG_SUFFIX)}-${position}.damaged`;
    const aside = path.join(this.#folder, name);
    await disk.remove(aside);
    const target = await disk.open(aside, 'create');
    try {
      await this.#copy(file, position, this.#segment.sizeBytes, target, position);
      await target.sync();
    } finally {
      await target.close();
    }
    await disk.syncDir(this.#folder);
    return aside;
  }

  #writeAgain(file: DiskFile, start: number, end: number): Promise<void> {
    return this.#copy(file, start, end, file, 0);
  }

  /** Copies [start, end) to the same positions less `shift` of the target. */
  async #copy(file: DiskFile, start: number, end: number, target: DiskFile, shift: number) {
    const { buffers } = this.#context;
    if (start >= end) return;
    const buffer = buffers.acquire(Math.min(COPY_BYTES, end - start));
    try {
      for (let at = start; at < end; ) {
        const length = Math.min(buffer.length, end - at);
        const count = await file.read(buffer, 0, length, at);
        if (count === 0) return;
        await target.write([buffer.subarray(0, count)], at - shift);
        at += count;
      }
    } finally {
      buffers.release(buffer);
    }
  }

  /**
   * Where the checks begin: at the last index entry that the recovery point covers, if the index
   * files can be trusted so far, else at the segment's start with new indexes.
   */
  async #startOf(file: DiskFile): Promise<{ indexes: SegmentIndexes; start: number }> {
    const segment = this.#segment;
    const fresh = { indexes: new SegmentIndexes(segment.baseOffset), start: 0 };
    if (this.#request.recoveryPoint <= segment.baseOffset) return fresh;
    const place = { folder: this.#folder, baseOffset: segment.baseOffset, suffix: '' };
    const stored = await readIndexes(this.#context.env.disk, place, segment.sizeBytes);
    if (typeof stored === 'string') return fresh;
    const entry = stored.offsets.lookup(this.#request.recoveryPoint);
    // The time index may lack entries that the power cut took: all behind its last one is read.
    const { offset: timedOffset, timestamp } = stored.times.last;
    const timed = stored.offsets.lookup(timedOffset);
    const first = timed.position < entry.position ? timed : entry;
    if (first.position === 0) return fresh;
    if (!(await this.#isBatchAt(file, first.position, first.offset))) return fresh;
    if (!(await this.#hasTimestamp(file, timed.position, timedOffset, timestamp))) return fresh;
    stored.truncateAfter(first.position);
    return { indexes: stored, start: first.position };
  }

  async #isBatchAt(file: DiskFile, position: number, last: number): Promise<boolean> {
    let isRight = false;
    await walkChecked(
      this.#range(file, position, undefined),
      this.#context.buffers,
      (window, at) => {
        isRight = lastOffset(window, at) === last;
        return false;
      },
    );
    return isRight;
  }

  async #hasTimestamp(file: DiskFile, start: number, offset: number, timestamp: number) {
    let isRight = false;
    await walkHeaders(this.#range(file, start, undefined), this.#context.buffers, (window, at) => {
      if (lastOffset(window, at) < offset) return true;
      isRight = baseOffset(window, at) <= offset && maxTimestamp(window, at) === timestamp;
      return false;
    });
    return isRight;
  }
}

/**
 * One pass over a log: the dirty part is read into the offset map, as far as the map holds its keys;
 * then all closed segments up to there are written anew, group by group, without what the map knows
 * a newer record of. It reads closed segments, writes `.cleaned` files, and touches nothing else;
 * putting them in place is the partition's own step. A pass that ends early has done no harm: what
 * it has put in place lacks only what newer records have replaced.
 * Source: Kafka's Cleaner.
 */

import path from 'node:path';
import {
  type BatchCodec,
  CorruptCompression,
  DecompressionLimit,
  loadCodec,
} from '../../protocol/compression.ts';
import {
  BATCH_HEADER_BYTES,
  baseOffset,
  batchBytes,
  codec,
  isControl,
  lastOffset,
  maxTimestamp,
} from '../../protocol/record-batch.ts';
import { InvalidRecords, payloadOf, RecordCursor } from '../../protocol/records.ts';
import type { Disk, DiskFile } from '../env.ts';
import { CorruptLog } from '../errors.ts';
import { LOG_SUFFIX, segmentFileName } from '../segment-names.ts';
import { BatchFilter, recordsLimit } from './batch-filter.ts';
import { BatchWalk } from './batch-walk.ts';
import { CleanedFiles } from './cleaned-files.ts';
import { CleanedTransactions } from './cleaned-transactions.ts';
import type {
  CleaningJob,
  CleaningRun,
  CleaningStats,
  GroupResult,
  Pace,
  SegmentInput,
} from './cleaning-job.ts';
import { KEYS_AT_ONCE, OffsetMap } from './offset-map.ts';
import { groupSegments } from './segment-groups.ts';

export class Cleaning implements CleaningRun {
  readonly abort: () => void;
  readonly #disk: Disk;
  readonly #job: CleaningJob;
  readonly #pace: Pace;
  readonly #map: OffsetMap;
  readonly #walk: BatchWalk;
  readonly #txns: CleanedTransactions;
  readonly #filter: BatchFilter;
  readonly #codecs = new Map<number, BatchCodec>();
  readonly #offsets = new Float64Array(KEYS_AT_ONCE);
  #groups: SegmentInput[][] = [];
  #mapBytesRead = 0;
  #bytesRead = 0;
  #bytesWritten = 0;
  #isFull = false;

  /** `abort` lets `pace` throw CleaningAborted. */
  constructor(disk: Disk, job: CleaningJob, pace: Pace, abort: () => void) {
    this.#disk = disk;
    this.#job = job;
    this.#pace = pace;
    this.abort = abort;
    this.#map = new OffsetMap({
      maxBytes: job.mapBytes,
      loadFactor: job.mapLoadFactor,
      baseOffset: job.firstDirtyOffset,
      secret: job.secret,
    });
    this.#walk = new BatchWalk(job.bufferBytes, pace);
    this.#txns = new CleanedTransactions(job.aborted);
    this.#filter = new BatchFilter(job, this.#map, this.#txns);
  }

  async map(): Promise<void> {
    const { segments, firstDirtyOffset, aborted } = this.#job;
    const dirty = segments.filter(({ nextOffset }) => nextOffset > firstDirtyOffset);
    const from = dirty[0]?.baseOffset ?? 0;
    const txns = new CleanedTransactions(aborted.filter(({ lastOffset }) => lastOffset >= from));
    const visitor = {
      batch: (window: Buffer, at: number) =>
        this.#whenLoaded(window, at, () => this.#noteBatch(window, at, txns)),
      windowEnded: async () => this.#isFull,
    };
    for (const segment of dirty) {
      await this.#withFile(segment, (file) => this.#walk.run(file, segment, visitor));
      if (this.#isFull) break;
      this.#mapBytesRead += segment.sizeBytes;
      // Also the offsets behind the last batch are known to have no record.
      this.#map.latestOffset = segment.nextOffset - 1;
    }
    this.#groups = groupSegments(this.#job, this.#map.latestOffset + 1);
  }

  /** Runs something once the codec of a batch is there; waits only for the first of its kind. */
  #whenLoaded(window: Buffer, at: number, run: () => void): Promise<void> | undefined {
    const number = codec(window, at);
    if (number !== 0 && !this.#codecs.has(number)) return this.#load(number).then(run);
    run();
    return undefined;
  }

  async #load(number: number): Promise<void> {
    try {
      this.#codecs.set(number, await loadCodec(number));
    } catch (error) {
      if (error instanceof RangeError) throw new CorruptLog(error.message, { cause: error });
      throw error;
    }
  }

  #noteBatch(window: Buffer, at: number, txns: CleanedTransactions): void {
    if (this.#isFull) return;
    const isMarker = isControl(window, at);
    const isOver = isMarker ? txns.control(window, at) : txns.batch(window, at);
    const last = lastOffset(window, at);
    if (last < this.#job.firstDirtyOffset) return;
    if (!isMarker && !isOver && !this.#noteRecords(window, at)) {
      this.#isFull = true;
      return;
    }
    this.#map.latestOffset = last;
  }

  /** False when there is no room for a key: the map speaks of the records before it. */
  #noteRecords(window: Buffer, at: number): boolean {
    const { firstDirtyOffset } = this.#job;
    const base = baseOffset(window, at);
    const batchCodec = this.#codecs.get(codec(window, at));
    let payload = window;
    let start = at + BATCH_HEADER_BYTES;
    let end = at + batchBytes(window, at);
    if (batchCodec !== undefined) {
      const packed = payloadOf(window, at);
      payload = batchCodec.decompress(packed, recordsLimit(packed, this.#job));
      start = 0;
      end = payload.length;
    }
    const cursor = new RecordCursor(payload, start, end);
    for (let count = KEYS_AT_ONCE; count === KEYS_AT_ONCE; ) {
      count = 0;
      while (count < KEYS_AT_ONCE && cursor.next()) {
        const offset = base + cursor.offsetDelta;
        if (cursor.keyBytes < 0 || offset < firstDirtyOffset) continue;
        this.#map.hash(count, payload, cursor.keyAt, cursor.keyBytes);
        this.#offsets[count++] = offset;
      }
      this.#map.touch(count);
      for (let slot = 0; slot < count; slot++) {
        if (!this.#map.note(slot, this.#offsets[slot]!)) return false;
        this.#map.latestOffset = this.#offsets[slot]!;
      }
    }
    return true;
  }

  async cleanNext(): Promise<GroupResult | undefined> {
    const group = this.#groups.shift();
    if (group === undefined) return undefined;
    const { folder, indexIntervalBytes, bufferBytes } = this.#job;
    const options = { folder, baseOffset: group[0]!.baseOffset, indexIntervalBytes, bufferBytes };
    const files = await CleanedFiles.create(this.#disk, options, this.#pace);
    let isDone = false;
    try {
      const isChanged = await this.#cleanInto(files, group);
      const kept = this.#txns.kept.splice(0);
      if (group.length === 1 && !isChanged) return { cleaned: undefined };
      const hasTxnIndex = await files.finish(kept);
      isDone = true;
      return {
        cleaned: {
          bases: group.map((segment) => segment.baseOffset),
          oldBytes: bytesOf(group),
          sizeBytes: files.sizeBytes,
          hasTxnIndex,
        },
      };
    } finally {
      if (!isDone) await files.abandon();
    }
  }

  /** Gives whether anything is not as it was. */
  async #cleanInto(files: CleanedFiles, group: readonly SegmentInput[]): Promise<boolean> {
    const lastSegment = group.findLast((segment) => segment.sizeBytes > 0);
    let isChanged = false;
    const clean = (window: Buffer, at: number, isLast: boolean) => {
      const filter = this.#filter;
      filter.run(window, at, this.#codecs.get(codec(window, at)), isLast);
      const { bytes, start, end } = filter;
      if (filter.isChanged) isChanged = true;
      if (start === end) return;
      files.append(bytes, start, end, lastOffset(bytes, start), maxTimestamp(bytes, start));
    };
    for (const segment of group) {
      const lastEnd = segment === lastSegment ? segment.sizeBytes : -1;
      const visitor = {
        batch: (window: Buffer, at: number, position: number) => {
          const isLast = position + batchBytes(window, at) === lastEnd;
          return this.#whenLoaded(window, at, () => clean(window, at, isLast));
        },
        windowEnded: async () => {
          await files.settle();
          return false;
        },
      };
      await this.#withFile(segment, (file) => this.#walk.run(file, segment, visitor));
      this.#bytesRead += segment.sizeBytes;
    }
    this.#bytesWritten += files.sizeBytes;
    return isChanged;
  }

  async #withFile(segment: SegmentInput, run: (file: DiskFile) => Promise<void>): Promise<void> {
    const name = segmentFileName(segment.baseOffset, LOG_SUFFIX);
    const file = await this.#disk.open(path.join(this.#job.folder, name), 'read');
    try {
      await run(file);
    } catch (error) {
      throw asCorrupt(file.path, error);
    } finally {
      await file.close();
    }
  }

  stats(): Promise<CleaningStats> {
    return Promise.resolve({
      endOffset: this.#map.latestOffset + 1,
      mapBytesRead: this.#mapBytesRead,
      bytesRead: this.#bytesRead,
      bytesWritten: this.#bytesWritten,
      recordsRead: this.#filter.recordsRead,
      recordsWritten: this.#filter.recordsWritten,
      recordsWithoutKey: this.#filter.recordsWithoutKey,
      keys: this.#map.size,
      mapHeldBytes: this.#map.heldBytes,
      mapUtilization: this.#map.utilization,
    });
  }

  end(): Promise<void> {
    this.abort();
    return Promise.resolve();
  }
}

function bytesOf(group: readonly SegmentInput[]): number {
  return group.reduce((sum, segment) => sum + segment.sizeBytes, 0);
}

/** Bytes that cannot be read are the log's fault. */
function asCorrupt(file: string, error: unknown): unknown {
  const isFault =
    error instanceof InvalidRecords ||
    error instanceof CorruptCompression ||
    error instanceof DecompressionLimit;
  return isFault ? new CorruptLog(`${file}: ${error.message}`, { cause: error }) : error;
}

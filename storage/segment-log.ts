/**
 * The persisted segments of one partition. Appends come as large runs of batches in offset order;
 * they are durable after `sync`, and only then the caller lets readers at them. Files and folder
 * are made with the first append. Not a byte that was synced is ever written again.
 *
 * When a write fails, what was written of it is cut off and the append can be repeated; when a
 * sync fails, or the cut, the log takes nothing any more: what the disk has is known only after
 * the log was opened anew.
 * Source: Kafka's LocalLog, LogSegment.shouldRoll.
 */

import path from 'node:path';
import { baseOffset } from '../protocol/record-batch.ts';
import type { DiskFile, Timer } from './env.ts';
import { LogDeleted, LogFailed, OffsetOutOfRange } from './errors.ts';
import { Generations } from './generations.ts';
import type { LogContext } from './log-context.ts';
import { SIDE_SUFFIXES } from './log-folder.ts';
import { formatPartitionMetadata, PARTITION_METADATA_FILE } from './meta-properties.ts';
import { type LogFolder, Segment } from './segment.ts';
import { type BatchExtent, SegmentIndexes } from './segment-indexes.ts';
import { type OpenedSegments, type OpenRequest, SegmentOpener } from './segment-log-open.ts';
import {
  DELETED_SUFFIX,
  deletedFolderName,
  LOG_SUFFIX,
  partitionFolderName,
} from './segment-names.ts';
import {
  findBytes,
  findMaxTimestampOffset,
  findOffsetForTime,
  type SegmentSpan,
  type TimedRecord,
} from './segment-queries.ts';
import { SegmentReader } from './segment-reader.ts';
import { SerialQueue } from './serial-queue.ts';
import { RunCursor, SliceBuilder } from './slice-builder.ts';
import type { AbortedTxn } from './txn-index.ts';
import type { Location, LogOptions, LogSlice } from './types.ts';

/** Whose log it is. */
export interface LogPlace {
  readonly dataDir: string;
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
}

/** A segment as tools and retention see it. */
export interface SegmentInfo {
  readonly path: string;
  readonly baseOffset: number;
  readonly endOffset: number;
  readonly sizeBytes: number;
  readonly isActive: boolean;
  /** -1 when no record has a time. */
  largestTimestamp(): Promise<number>;
}

const NOTHING_OPENED: Omit<OpenedSegments, 'endOffset' | 'replayFrom'> = {
  segments: [],
  hasFolder: false,
  snapshots: [],
};

export class SegmentLog {
  readonly place: LogPlace;
  /** Offsets of the producer snapshots that were found. */
  readonly snapshots: readonly number[];
  /**
   * Aborted transactions whose markers are at or above this are not known any more: they are to be
   * found by reading on from a producer snapshot, and handed in by `restoreAborted`.
   */
  readonly replayFrom: number;

  readonly #context: LogContext;
  readonly #folder: LogFolder;
  readonly #generations: Generations;
  readonly #segments: Segment[];
  readonly #queue = new SerialQueue();
  /** Segments with bytes that were not synced; their files stay open. */
  readonly #dirty = new Map<Segment, DiskFile>();
  readonly #timers = new Set<Timer>();
  #options: LogOptions;
  #endOffset: number;
  #hasFolder: boolean;
  #isFolderSynced: boolean;
  #areNamesSynced = true;
  #failure: Error | undefined;
  #isRemoved = false;

  private constructor(
    context: LogContext,
    place: LogPlace,
    folder: LogFolder,
    options: LogOptions,
    opened: OpenedSegments,
  ) {
    this.#context = context;
    this.place = place;
    this.#folder = folder;
    this.#options = options;
    this.#generations = new Generations(context, folder);
    this.#segments = [...opened.segments];
    this.#endOffset = opened.endOffset;
    this.#hasFolder = opened.hasFolder;
    this.#isFolderSynced = opened.hasFolder;
    this.snapshots = opened.snapshots;
    this.replayFrom = opened.replayFrom;
  }

  /** A log without files, which begins at an offset. */
  static create(
    context: LogContext,
    place: LogPlace,
    options: LogOptions,
    startOffset: number,
  ): SegmentLog {
    const opened = { ...NOTHING_OPENED, endOffset: startOffset, replayFrom: startOffset };
    return new SegmentLog(context, place, folderOf(place), options, opened);
  }

  /** The log of what lies in the partition's folder. */
  static async open(
    context: LogContext,
    place: LogPlace,
    options: LogOptions,
    request: OpenRequest,
  ): Promise<SegmentLog> {
    const folder = folderOf(place);
    const opened = await new SegmentOpener(context, folder, options, request).run();
    return new SegmentLog(context, place, folder, options, opened);
  }

  /** The partition's folder; it exists once something was appended. */
  get folder(): string {
    return this.#folder.path;
  }

  /** Offset after the last batch written. */
  get endOffset(): number {
    return this.#endOffset;
  }

  /** Base of the first segment; the end of a log without one. */
  get firstOffset(): number {
    return this.#segments[0]?.baseOffset ?? this.#endOffset;
  }

  get sizeBytes(): number {
    let size = 0;
    for (const segment of this.#segments) size += segment.sizeBytes;
    return size;
  }

  /** Why the log takes nothing any more; undefined as long as it does. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  setOptions(options: LogOptions): void {
    this.#options = options;
    for (const segment of this.#segments) segment.setOptions(options);
  }

  segments(): SegmentInfo[] {
    return this.#spans().map(({ segment, endOffset }, index) => ({
      path: segment.path,
      baseOffset: segment.baseOffset,
      endOffset,
      sizeBytes: segment.sizeBytes,
      isActive: index === this.#segments.length - 1,
      largestTimestamp: async () => (await segment.largestTimestamp()).timestamp,
    }));
  }

  /**
   * Writes a run of batches: `buffers` hold just their bytes, one batch behind the other. Batches
   * below the end are passed over, so that an append which failed can be repeated as it was.
   * `aborted`: the transactions whose abort markers are in the run.
   */
  append(
    buffers: readonly Buffer[],
    batches: readonly BatchExtent[],
    aborted: readonly AbortedTxn[] = [],
  ): Promise<void> {
    return this.#queue.run(() =>
      this.#guard('append', () => this.#append(buffers, batches, aborted)),
    );
  }

  /** Makes everything that was appended durable, names too. */
  sync(): Promise<void> {
    return this.#queue.run(() => this.#guard('sync', () => this.#sync()));
  }

  /** Closes the active segment and starts another at the end, unless there is nothing in it. */
  roll(): Promise<void> {
    return this.#queue.run(() => this.#guard('roll', () => this.#roll(this.#endOffset)));
  }

  /** Hands in again, in order, what `replayFrom` asks for; what lies below it is passed over. */
  restoreAborted(aborted: readonly AbortedTxn[]): Promise<void> {
    return this.#queue.run(() =>
      this.#guard('restore aborted transactions', async () => {
        const due = aborted.filter((txn) => txn.lastOffset >= this.replayFrom);
        const changed = await this.#addAborted(due);
        for (const segment of changed) await segment.storeTxns();
      }),
    );
  }

  /**
   * Reads whole batches from the one that contains `from` (or the next one where it was compacted
   * away), none that reaches `limit`, also over segments. Batches without records do not count
   * towards `maxBytes`, and are given alone only where nothing else comes before the limit.
   */
  async read(
    from: number,
    maxBytes: number,
    limit: number,
    atLeastOne: boolean,
  ): Promise<LogSlice> {
    if (from < this.firstOffset || from > this.#endOffset) {
      throw new OffsetOutOfRange(`${this.#folder.path}: no offset ${from}`);
    }
    const slice = new SliceBuilder(this.#context.buffers, from);
    try {
      for (const span of this.#spansFrom(from)) {
        if (span.segment.baseOffset >= limit || slice.isFull(maxBytes)) break;
        if (!(await this.#readSegment(span, slice, maxBytes, limit, atLeastOne))) break;
      }
    } catch (error) {
      // What was read before the damage is good; who goes on from there gets the error.
      if (slice.sizeBytes === 0) throw this.#asDeleted(error);
    }
    return slice;
  }

  /** Gives false when the slice ends within this segment. */
  async #readSegment(
    { segment, endOffset }: SegmentSpan,
    slice: SliceBuilder,
    maxBytes: number,
    limit: number,
    atLeastOne: boolean,
  ): Promise<boolean> {
    const reader = new SegmentReader(this.#context, segment, endOffset);
    let next = Math.max(slice.nextOffset, segment.baseOffset);
    while (next < endOffset) {
      const isFirst = slice.recordBytes === 0;
      const run = await reader.read({
        from: next,
        maxBytes: maxBytes - slice.recordBytes,
        limit,
        atLeastOne: atLeastOne && isFirst,
      });
      if (run === 'end') return true;
      if (run === 'full') return false;
      slice.add(run);
      next = run.nextOffset;
      if (run.recordBytes > 0) return next >= endOffset;
    }
    return true;
  }

  /**
   * Calls the visitor with the whole sound batches from the one that contains `from` on, below `to`,
   * over damage, until it gives false. The window is not to be kept.
   */
  async scan(
    from: number,
    to: number,
    visit: (window: Buffer, at: number) => boolean | undefined,
  ): Promise<void> {
    for (const { segment, endOffset } of this.#spansFrom(from)) {
      if (segment.baseOffset >= to) return;
      let isWanted = true;
      const reader = new SegmentReader(this.#context, segment, endOffset);
      await reader.scan(from, (window, at) => {
        isWanted = baseOffset(window, at) < to && visit(window, at) !== false;
        return isWanted;
      });
      if (!isWanted) return;
    }
  }

  /** Where the bytes of whole batches lie, of one segment, the first also when it is larger. */
  async locate(from: number, maxBytes: number, limit: number): Promise<Location | undefined> {
    const [span] = this.#spansFrom(from);
    if (span === undefined || from < this.firstOffset) return undefined;
    const bytes = await findBytes(this.#context, span, from, maxBytes, limit);
    if (bytes === undefined) return undefined;
    const { segment } = span;
    const stat = await segment.use((file) => file.stat());
    return {
      path: segment.path,
      device: stat.device,
      inode: stat.inode,
      segmentBaseOffset: segment.baseOffset,
      generation: await this.#generations.of(segment.baseOffset, stat),
      ...bytes,
    };
  }

  /** First record at or after a time, from `start` on and below `limit`. */
  offsetForTime(timestamp: number, start: number, limit: number): Promise<TimedRecord | undefined> {
    return findOffsetForTime(this.#context, this.#spans(), timestamp, start, limit);
  }

  /** The record with the largest time, the first of equals, from `start` on and below `limit`. */
  offsetOfMaxTimestamp(start: number, limit: number): Promise<TimedRecord | undefined> {
    return findMaxTimestampOffset(this.#context, this.#spans(), start, limit);
  }

  /** Aborted transactions that overlap [from, to). */
  async abortedTransactions(from: number, to: number): Promise<AbortedTxn[]> {
    const found: AbortedTxn[] = [];
    for (const { segment } of this.#spansFrom(from)) {
      if ((await segment.txns()).collect(from, to, found)) break;
    }
    return found;
  }

  /** Takes all segments that end at or below an offset out of the log; the last one stays. */
  deleteSegmentsBelow(offset: number): Promise<void> {
    return this.#queue.run(async () => {
      const removed: Segment[] = [];
      while (this.#segments.length > 1 && this.#segments[1]!.baseOffset <= offset) {
        removed.push(this.#segments.shift()!);
      }
      if (removed.length === 0) return;
      for (const segment of removed) await this.#markDeleted(segment);
      await this.#generations.forget(removed.map((segment) => segment.baseOffset));
    });
  }

  /** Takes the log away: its folder has another name when it resolves, and goes after a while. */
  removeAll(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#isRemoved) return;
      this.#isRemoved = true;
      const segments = this.#segments.splice(0);
      for (const segment of segments) this.#context.indexes.forget(segment);
      await this.#unpinAll();
      if (this.#hasFolder) await this.#removeFolder(segments);
    });
  }

  /** Stores the indexes and lets go of the files. What was not synced is synced first. */
  close(): Promise<void> {
    return this.#queue.run(async () => {
      for (const timer of this.#timers) timer.cancel();
      this.#timers.clear();
      try {
        if (this.#failure === undefined && !this.#isRemoved) {
          await this.#guard('sync', () => this.#sync());
          await this.#storeIndexes();
        }
      } finally {
        await this.#unpinAll();
        for (const segment of this.#segments) {
          this.#context.files.retire(segment.file);
          this.#context.indexes.forget(segment);
        }
      }
    });
  }

  // --- appending

  async #append(
    buffers: readonly Buffer[],
    batches: readonly BatchExtent[],
    aborted: readonly AbortedTxn[],
  ): Promise<void> {
    const run = new RunCursor(buffers);
    let next = 0;
    while (next < batches.length && batches[next]!.lastOffset < this.#endOffset) {
      run.skip(batches[next]!.sizeBytes);
      next++;
    }
    const from = this.#endOffset;
    while (next < batches.length) {
      const first = batches[next]!;
      if (first.baseOffset < this.#endOffset) {
        throw new RangeError(`a batch from ${first.baseOffset} at end ${this.#endOffset}`);
      }
      const { segment, count } = await this.#room(batches, next);
      const taken = batches.slice(next, next + count);
      let bytes = 0;
      for (const batch of taken) bytes += batch.sizeBytes;
      await this.#pin(segment);
      await segment.write(run.take(bytes), taken, (error) => this.#fail('cut', error));
      next += count;
      this.#endOffset = taken.at(-1)!.lastOffset + 1;
    }
    await this.#addAborted(aborted.filter((txn) => txn.lastOffset >= from));
  }

  /** The segment that takes the next batches, rolled if need be, and how many of them it takes. */
  async #room(
    batches: readonly BatchExtent[],
    next: number,
  ): Promise<{ segment: Segment; count: number }> {
    const first = batches[next]!;
    const active = this.#segments.at(-1) ?? (await this.#startSegment(first.baseOffset));
    const count = await this.#countFor(active, batches, next);
    if (count > 0) return { segment: active, count };
    await this.#roll(first.baseOffset);
    const segment = this.#segments.at(-1)!;
    return { segment, count: await this.#countFor(segment, batches, next) };
  }

  async #countFor(segment: Segment, batches: readonly BatchExtent[], next: number) {
    const options = this.#options;
    const firstTimestamp =
      segment.sizeBytes === 0 ? batches[next]!.maxTimestamp : await segment.firstTimestamp();
    let rollAt = firstTimestamp + options.segmentMs;
    if (firstTimestamp < 0) {
      const age = this.#context.env.clock.now() - segment.createdMs;
      rollAt = age > options.segmentMs ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    }
    const indexes = await segment.indexes();
    return indexes.room(batches, next, segment.sizeBytes, options, rollAt);
  }

  /**
   * The closed segment is synced before the next one gets its first byte: whatever a power cut
   * takes, only the last segment of a log can be torn.
   */
  async #roll(baseOffset: number): Promise<void> {
    const active = this.#segments.at(-1);
    if (active !== undefined && active.baseOffset === baseOffset) return;
    if (active !== undefined) {
      (await active.indexes()).seal();
      await active.storeIndexes(true);
      await this.#syncSegment(active);
      active.isClosed = true;
      this.#context.indexes.touch(active);
    }
    await this.#startSegment(baseOffset);
  }

  async #startSegment(baseOffset: number): Promise<Segment> {
    await this.#ensureFolder();
    const segment = new Segment(this.#context, this.#folder, baseOffset, 0, false, false);
    segment.setOptions(this.#options);
    segment.startIndexes(new SegmentIndexes(baseOffset));
    this.#context.files.adopt(
      segment.file,
      await this.#context.env.disk.open(segment.path, 'create'),
    );
    this.#areNamesSynced = false;
    this.#segments.push(segment);
    return segment;
  }

  async #ensureFolder(): Promise<void> {
    if (this.#hasFolder) return;
    const { disk } = this.#context.env;
    await disk.makeDir(this.#folder.path);
    const metadata = path.join(this.#folder.path, PARTITION_METADATA_FILE);
    await disk.remove(metadata);
    const file = await disk.open(metadata, 'create');
    try {
      await file.write([formatPartitionMetadata(this.place.topicId)], 0);
      await file.sync();
    } finally {
      await file.close();
    }
    this.#hasFolder = true;
  }

  async #addAborted(aborted: readonly AbortedTxn[]): Promise<Set<Segment>> {
    const changed = new Set<Segment>();
    for (const txn of aborted) {
      const [span] = this.#spansFrom(txn.lastOffset);
      if (span === undefined) continue;
      (await span.segment.txns()).append(txn);
      changed.add(span.segment);
    }
    return changed;
  }

  // --- making durable

  async #pin(segment: Segment): Promise<void> {
    if (this.#dirty.has(segment)) return;
    this.#dirty.set(segment, await this.#context.files.acquire(segment.file));
  }

  #unpin(segment: Segment): void {
    this.#dirty.delete(segment);
    this.#context.files.release(segment.file);
  }

  async #unpinAll(): Promise<void> {
    for (const segment of [...this.#dirty.keys()]) this.#unpin(segment);
    await this.#context.files.settled();
  }

  async #sync(): Promise<void> {
    for (const segment of [...this.#dirty.keys()]) await this.#syncSegment(segment);
    const { disk } = this.#context.env;
    if (!this.#areNamesSynced) await this.#final(disk.syncDir(this.#folder.path));
    this.#areNamesSynced = true;
    if (this.#hasFolder && !this.#isFolderSynced) {
      await this.#final(disk.syncDir(this.place.dataDir));
      this.#isFolderSynced = true;
    }
  }

  async #syncSegment(segment: Segment): Promise<void> {
    const file = this.#dirty.get(segment);
    if (file !== undefined) await this.#final(file.sync());
    const { table } = await segment.txns();
    if (table.pendingBytes > 0) await segment.storeTxns();
    if (file !== undefined) this.#unpin(segment);
  }

  /** A sync that fails is never tried again: the pages may be clean now and not on the disk. */
  async #final(sync: Promise<void>): Promise<void> {
    try {
      await sync;
    } catch (error) {
      this.#fail('sync', error);
      throw error;
    }
  }

  #fail(what: string, error: unknown): void {
    const { log } = this.#context.env;
    log.error({ err: error, folder: this.#folder.path }, `${what} failed: the log takes no more`);
    this.#failure ??= new LogFailed(`${this.#folder.path}: ${what} failed`, { cause: error });
  }

  async #guard<T>(what: string, run: () => Promise<T>): Promise<T> {
    if (this.#isRemoved) throw new LogDeleted(`${this.#folder.path} was deleted`);
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return await run();
    } catch (error) {
      const message = `${this.#folder.path}: ${what} failed: ${(error as Error).message}`;
      throw this.#failure ?? new LogFailed(message, { cause: error });
    }
  }

  // --- segments and their files

  #spans(): SegmentSpan[] {
    return this.#segments.map((segment, index) => ({
      segment,
      endOffset: this.#segments[index + 1]?.baseOffset ?? this.#endOffset,
    }));
  }

  /** The segment that an offset belongs to, and those behind it. */
  *#spansFrom(offset: number): Generator<SegmentSpan> {
    const segments = [...this.#segments];
    let low = 0;
    let high = segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (segments[middle]!.baseOffset <= offset) low = middle + 1;
      else high = middle;
    }
    for (let index = Math.max(0, low - 1); index < segments.length; index++) {
      const endOffset = segments[index + 1]?.baseOffset ?? this.#endOffset;
      yield { segment: segments[index]!, endOffset };
    }
  }

  async #storeIndexes(): Promise<void> {
    for (const segment of this.#segments) {
      const isActive = segment === this.#segments.at(-1);
      if (!isActive && segment.heldBytes === 0) continue;
      const indexes = await segment.indexes();
      if (isActive) indexes.seal();
      await segment.storeIndexes(false);
    }
  }

  /** The file is kept open over its renaming, so that a reader that comes now finds it. */
  async #markDeleted(segment: Segment): Promise<void> {
    const { files, env } = this.#context;
    const paths = [LOG_SUFFIX, ...SIDE_SUFFIXES].map((suffix) => segment.pathOf(suffix));
    await files.use(segment.file, async () => {
      for (const file of paths) {
        if ((await env.disk.stat(file)) === undefined) continue;
        await env.disk.rename(file, file + DELETED_SUFFIX);
      }
      segment.suffix = DELETED_SUFFIX;
    });
    env.log.info({ segment: segment.path }, 'a segment was deleted');
    this.#context.indexes.forget(segment);
    this.#later(async () => {
      files.retire(segment.file);
      for (const file of paths) await env.disk.remove(file + DELETED_SUFFIX);
    });
  }

  async #removeFolder(segments: readonly Segment[]): Promise<void> {
    const { env, files } = this.#context;
    const { dataDir, topic, partition } = this.place;
    const name = deletedFolderName(topic, partition, env.random.bytes(16));
    const target = path.join(dataDir, name);
    await env.disk.rename(this.#folder.path, target);
    this.#folder.path = target;
    await env.disk.syncDir(dataDir);
    env.log.info({ folder: target }, 'a partition was deleted');
    this.#later(async () => {
      for (const segment of segments) files.retire(segment.file);
      await env.disk.removeTree(target);
    });
  }

  /** Removes files after `file.delete.delay.ms`; at the latest the next start does it. */
  #later(remove: () => Promise<void>): void {
    const { clock, log } = this.#context.env;
    const timer = clock.setTimer(this.#options.fileDeleteDelayMs, () => {
      this.#timers.delete(timer);
      remove().catch((error: unknown) => {
        log.warn({ err: error, folder: this.#folder.path }, 'a deleted file could not be removed');
      });
    });
    this.#timers.add(timer);
  }

  #asDeleted(error: unknown): unknown {
    return this.#isRemoved ? new LogDeleted(`${this.#folder.path} was deleted`) : error;
  }
}

function folderOf({ dataDir, topic, partition }: LogPlace): LogFolder {
  return { path: path.join(dataDir, partitionFolderName(topic, partition)) };
}

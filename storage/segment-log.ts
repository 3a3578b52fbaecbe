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
import { type CleanedSegment, CleaningAborted } from './cleaner/cleaning-job.ts';
import { LogDeleted, LogFailed, OffsetOutOfRange } from './errors.ts';
import { Generations } from './generations.ts';
import { forgetKeyFilters, KeyFilters } from './key-filters.ts';
import { openLeft, openSegment } from './located.ts';
import type { LogContext } from './log-context.ts';
import type { LogFolder } from './segment.ts';
import { newestTimestamp } from './segment-age.ts';
import type { BatchExtent } from './segment-indexes.ts';
import { type LogPlace, SegmentList } from './segment-list.ts';
import {
  type KnownEnd,
  type OpenedSegments,
  type OpenRequest,
  SegmentOpener,
} from './segment-log-open.ts';
import { partitionFolderName } from './segment-names.ts';
import {
  findBytes,
  findMaxTimestampOffset,
  findOffsetForTime,
  type TimedRecord,
} from './segment-queries.ts';
import { SegmentRemover } from './segment-remover.ts';
import { swapSegments } from './segment-swap.ts';
import { SegmentWriter, type SyncMore } from './segment-writer.ts';
import { type ReadRequest, readSegments, readSegmentsNow, scanSegments } from './segments-read.ts';
import { SerialQueue } from './serial-queue.ts';
import { SliceBuilder } from './slice-builder.ts';
import type { AbortedTxn } from './txn-index.ts';
import type { LocatedFile, Location, LogOptions, LogSlice } from './types.ts';

export type { LogPlace } from './segment-list.ts';

/** A segment as tools and retention see it. */
export interface SegmentInfo {
  readonly path: string;
  readonly baseOffset: number;
  readonly endOffset: number;
  readonly sizeBytes: number;
  readonly isActive: boolean;
  /** The largest of its records; when the file was written last where none has a time. */
  newestTimestamp(): Promise<number>;
  /** That of the first batch; -1 when it has none. */
  firstTimestamp(): Promise<number>;
}

export class SegmentLog {
  readonly place: LogPlace;
  /** Offsets of the producer snapshots that were found. */
  readonly snapshots: readonly number[];
  /**
   * Aborted transactions whose markers are at or above this are not known any more: they are to be
   * found by reading on from a producer snapshot, and handed in by `restoreAborted`.
   */
  readonly replayFrom: number;
  /** It ends where the last checkpoint said, and nothing had to be looked for. */
  readonly isEndKnown: boolean;

  /** Which keys the segments may have. */
  readonly keyFilters: KeyFilters;

  readonly #list: SegmentList;
  readonly #generations: Generations;
  readonly #writer: SegmentWriter;
  readonly #remover: SegmentRemover;
  /** Whatever changes files happens one after the other. */
  readonly #queue = new SerialQueue();
  #isRemoved = false;

  private constructor(
    list: SegmentList,
    { snapshots, replayFrom, isEndKnown }: Omit<OpenedSegments, 'segments' | 'startOffset'>,
  ) {
    this.#list = list;
    this.place = list.place;
    this.snapshots = snapshots;
    this.replayFrom = replayFrom;
    this.isEndKnown = isEndKnown;
    this.#generations = new Generations(list);
    this.#writer = new SegmentWriter(list);
    this.#remover = new SegmentRemover(list);
    this.keyFilters = new KeyFilters(list);
  }

  /** A log without files, which begins at an offset. */
  static create(
    context: LogContext,
    place: LogPlace,
    options: LogOptions,
    startOffset: number,
  ): SegmentLog {
    const list = new SegmentList(context, place, folderOf(place), options, [], startOffset);
    return new SegmentLog(list, { snapshots: [], replayFrom: startOffset, isEndKnown: false });
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
    const { segments, startOffset } = opened;
    const list = new SegmentList(context, place, folder, options, segments, startOffset);
    return new SegmentLog(list, opened);
  }

  /** The partition's folder; it exists once something was appended. */
  get folder(): string {
    return this.#list.folder.path;
  }

  /** Offset after the last batch written. */
  get endOffset(): number {
    return this.#list.endOffset;
  }

  /** Base of the first segment; the end of a log without one. */
  get firstOffset(): number {
    return this.#list.segments[0]?.baseOffset ?? this.endOffset;
  }

  get sizeBytes(): number {
    return this.#list.sizeBytes;
  }

  /** What the next start may believe once all is synced; undefined for a log without segments. */
  get knownEnd(): KnownEnd | undefined {
    const { active } = this.#list;
    if (active === undefined) return undefined;
    const { baseOffset: base, sizeBytes, nextOffset: endOffset } = active;
    return { baseOffset: base, sizeBytes, endOffset };
  }

  /** Why the log takes nothing any more; undefined as long as it does. */
  get failure(): Error | undefined {
    return this.#writer.failure;
  }

  /** Its last bytes are no batch: what came behind them could be taken for a part of it. */
  get endsInDamage(): boolean {
    return this.#list.active?.endsInDamage ?? false;
  }

  setOptions(options: LogOptions): void {
    this.#list.options = options;
    for (const segment of this.#list.segments) segment.setOptions(options);
  }

  segments(): SegmentInfo[] {
    return this.#list.segments.map((segment) => ({
      path: segment.path,
      baseOffset: segment.baseOffset,
      endOffset: segment.nextOffset,
      sizeBytes: segment.sizeBytes,
      isActive: segment === this.#list.active,
      newestTimestamp: () => newestTimestamp(this.#list.context, segment),
      firstTimestamp: () => segment.firstTimestamp(),
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
      this.#guard('append', () => this.#writer.append(buffers, batches, aborted)),
    );
  }

  /**
   * Makes everything that was appended durable, names too, and with it what `more` does. Where the
   * active segment's file is all there is to be synced, what is appended next does not wait for it.
   */
  sync(more: SyncMore = nothingMore): Promise<void> {
    const beside = this.failure === undefined && !this.#isRemoved && this.#writer.syncBeside();
    if (beside) return this.#guard('sync', () => beside.then(() => more(false)));
    return this.#queue.run(() => this.#guard('sync', () => this.#writer.sync(more)));
  }

  /** Closes the active segment and starts another at the end, unless there is nothing in it. */
  roll(): Promise<void> {
    return this.#queue.run(() => this.#guard('roll', () => this.#writer.roll(this.endOffset)));
  }

  /** Hands in again, in order, what `replayFrom` asks for; what lies below it is passed over. */
  restoreAborted(aborted: readonly AbortedTxn[]): Promise<void> {
    return this.#queue.run(() =>
      this.#guard('restore aborted transactions', async () => {
        const due = aborted.filter((txn) => txn.lastOffset >= this.replayFrom);
        await this.#writer.addAborted(due);
        await this.#writer.sync(nothingMore);
      }),
    );
  }

  /**
   * Reads whole batches from the one that contains `from` (or the next one where it was compacted
   * away), none that reaches `limit`, also over segments. Batches without records do not count
   * towards `maxBytes`, and are given alone only where nothing else comes before the limit.
   */
  read(
    from: number,
    maxBytes: number,
    limit: number,
    atLeastOne: boolean,
  ): LogSlice | Promise<LogSlice> {
    if (this.#isRemoved) throw new LogDeleted(`${this.folder} was deleted`);
    if (from < this.firstOffset || from > this.endOffset) {
      throw new OffsetOutOfRange(`${this.folder}: no offset ${from}`);
    }
    const slice = new SliceBuilder(from);
    const request = { maxBytes, limit, atLeastOne };
    return this.#readNow(slice, request) ? slice : this.#readRest(slice, request);
  }

  /** What is in memory; where that fails, the other way finds out why. */
  #readNow(slice: SliceBuilder, request: ReadRequest): boolean {
    try {
      return readSegmentsNow(this.#list, slice, request);
    } catch (error) {
      this.#list.context.env.log.warn({ err: error, log: this.folder }, 'a read at once failed');
      return false;
    }
  }

  async #readRest(slice: SliceBuilder, request: ReadRequest): Promise<LogSlice> {
    try {
      await readSegments(this.#list, slice, request);
    } catch (error) {
      // What was read before the damage is good; who goes on from there gets the error.
      if (slice.sizeBytes === 0) throw this.#asDeleted(error);
    }
    return slice;
  }

  /** See scanSegments. */
  scan(
    from: number,
    to: number,
    visit: (window: Buffer, at: number) => boolean | undefined,
  ): Promise<void> {
    return scanSegments(this.#list, from, to, visit);
  }

  /** Where the bytes of whole batches lie, of one segment, the first also when it is larger. */
  async locate(from: number, maxBytes: number, limit: number): Promise<Location | undefined> {
    const [segment] = this.#list.from(from);
    if (segment === undefined || from < this.firstOffset) return undefined;
    const bytes = await findBytes(this.#list.context, segment, from, maxBytes, limit);
    if (bytes === undefined) return undefined;
    const stat = await segment.identity();
    const generation = await this.#generations.of(segment, stat);
    if (generation === undefined) return undefined;
    return {
      path: segment.path,
      device: stat.device,
      inode: stat.inode,
      segmentBaseOffset: segment.baseOffset,
      generation,
      isLinked: this.#generations.isLinked(generation),
      ...bytes,
    };
  }

  /**
   * Opens the file that a location names, also one that has left the log a while ago; of it what
   * lies below `endOffset`. Undefined when it is gone.
   */
  async openLocated(
    base: number,
    generation: string,
    endOffset: number,
  ): Promise<LocatedFile | undefined> {
    try {
      return await this.#openLocated(base, generation, endOffset);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      // Its name was being changed: once that is done it is known under the new one, or gone.
      await this.#queue.run(() => Promise.resolve());
      return this.#openLocated(base, generation, endOffset);
    }
  }

  async #openLocated(
    base: number,
    generation: string,
    endOffset: number,
  ): Promise<LocatedFile | undefined> {
    const { context, place } = this.#list;
    const check = await this.#generations.check(base, generation);
    const [segment] = this.#list.from(base);
    if (check !== undefined && segment?.baseOffset === base) {
      return openSegment(context, place.topic, segment, endOffset, check);
    }
    return openLeft(context, { ...place, baseOffset: base, generation });
  }

  /** First record at or after a time, from `start` on and below `limit`. */
  offsetForTime(timestamp: number, start: number, limit: number): Promise<TimedRecord | undefined> {
    return findOffsetForTime(this.#list.context, [...this.#list.segments], timestamp, start, limit);
  }

  /** The record with the largest time, the first of equals, from `start` on and below `limit`. */
  offsetOfMaxTimestamp(start: number, limit: number): Promise<TimedRecord | undefined> {
    return findMaxTimestampOffset(this.#list.context, [...this.#list.segments], start, limit);
  }

  /** Aborted transactions that overlap [from, to). */
  async abortedTransactions(from: number, to: number): Promise<AbortedTxn[]> {
    const found: AbortedTxn[] = [];
    for (const segment of this.#list.from(from)) {
      if ((await segment.txns()).collect(from, to, found)) break;
    }
    return found;
  }

  /** Whether there are segments that `deleteSegmentsBelow` would take. */
  hasSegmentsBelow(offset: number): boolean {
    const second = this.#list.segments[1];
    return second !== undefined && second.baseOffset <= offset;
  }

  /**
   * Takes all segments that end at or below an offset out of the log; the last one stays. Where the
   * new log start could not be recorded (`isRecorded`) each goes durably before the next does, so
   * that a power cut leaves no hole.
   */
  deleteSegmentsBelow(offset: number, isRecorded = true): Promise<void> {
    return this.#queue.run(async () => {
      const { segments } = this.#list;
      let count = 0;
      while (count + 1 < segments.length && segments[count + 1]!.baseOffset <= offset) count++;
      if (count === 0) return;
      const gone = segments.slice(0, count);
      if (isRecorded) await this.#generations.forget(gone);
      else {
        await this.#guard('sync', () => this.#writer.sync(nothingMore));
        await this.#generations.leave(gone);
      }
      segments.splice(0, count);
      for (const segment of gone) {
        await this.#remover.removeSegment(segment);
        if (!isRecorded) await this.#list.context.env.disk.syncDir(this.folder);
      }
      // A full disk may not take this either; no segment will begin at these offsets again.
      if (!isRecorded) await this.#generations.forget(gone);
    });
  }

  /**
   * Puts a cleaned segment in the place of those that it was made of, durably. Throws
   * CleaningAborted, the files taken away, when those have left the log meanwhile.
   */
  replace(cleaned: CleanedSegment): Promise<void> {
    const fail = (error: unknown) => this.#writer.fail('swap', error);
    const parts = {
      list: this.#list,
      generations: this.#generations,
      remover: this.#remover,
      fail,
    };
    return this.#queue.run(() => {
      if (this.#isRemoved) throw new CleaningAborted();
      if (this.failure !== undefined) throw this.failure;
      return swapSegments(parts, cleaned);
    });
  }

  /**
   * Takes the log away: its folder has another name when it resolves, and goes after a while.
   * `persisted`: what locations may still be read up to.
   */
  removeAll(persisted = this.endOffset): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#isRemoved) return;
      this.#isRemoved = true;
      await this.#writer.stop();
      const { segments, hasFolder } = this.#list;
      // The side file goes with them.
      if (hasFolder) await this.#generations.leave(segments, persisted);
      await this.#generations.stop();
      await this.#remover.removeAll();
    });
  }

  /** Stores the indexes and lets go of the files. What was not synced is synced first. */
  close(): Promise<void> {
    return this.#queue.run(async () => {
      const { context, segments } = this.#list;
      try {
        await forgetKeyFilters(this.#list, segments);
        if (this.failure !== undefined || this.#isRemoved) return;
        await this.#guard('sync', () => this.#writer.sync(nothingMore));
        await this.#writer.storeIndexes();
      } finally {
        for (const segment of segments) {
          context.files.retire(segment.file);
          context.indexes.forget(segment);
        }
        await this.#writer.stop();
        await this.#generations.stop();
      }
    });
  }

  async #guard<T>(what: string, run: () => Promise<T>): Promise<T> {
    if (this.#isRemoved) throw new LogDeleted(`${this.folder} was deleted`);
    if (this.failure !== undefined) throw this.failure;
    try {
      return await run();
    } catch (error) {
      const message = `${this.folder}: ${what} failed: ${(error as Error).message}`;
      throw this.failure ?? new LogFailed(message, { cause: error });
    }
  }

  #asDeleted(error: unknown): unknown {
    return this.#isRemoved ? new LogDeleted(`${this.folder} was deleted`) : error;
  }
}

async function nothingMore(): Promise<void> {}

function folderOf({ dataDir, topic, partition }: LogPlace): LogFolder {
  return { path: path.join(dataDir, partitionFolderName(topic, partition)) };
}

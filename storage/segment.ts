/**
 * One segment: a `.log` file of contiguous batches, its indexes, and what is known of it. Bytes
 * below `sizeBytes` are whole batches and never change; only the log's last segment grows.
 * Source: Kafka's LogSegment.
 */

import path from 'node:path';
import { lastOffset, maxTimestamp, NO_TIMESTAMP } from '../protocol/record-batch.ts';
import type { DiskFile, FileStat } from './env.ts';
import { CachedFile } from './file-cache.ts';
import type { CachedIndexes } from './index-cache.ts';
import type { LogContext } from './log-context.ts';
import type { SegmentRuns } from './run-cache.ts';
import { SegmentFilter } from './segment-filter.ts';
import {
  type BatchExtent,
  type IndexPlace,
  readIndexes,
  SegmentIndexes,
  writeIndexes,
} from './segment-indexes.ts';
import { LOG_SUFFIX, segmentFileName, TXN_INDEX_SUFFIX } from './segment-names.ts';
import { indexOverDamage } from './segment-reindex.ts';
import { findBatch, type ScanRange, walkHeaders } from './segment-scan.ts';
import { storeTable } from './table-file.ts';
import type { TimestampOffset } from './time-index.ts';
import { TxnIndex } from './txn-index.ts';
import type { LogOptions } from './types.ts';
import { WrittenRange } from './written-range.ts';

/** The folder of a partition's files; it is renamed when the partition is deleted. */
export interface LogFolder {
  path: string;
}

/** What is known of a segment whose file is there. */
export interface ExistingSegment {
  readonly sizeBytes: number;
  readonly nextOffset: number;
  /** There is a `.txnindex` to be read. */
  readonly hasTxnIndex: boolean;
  readonly isClosed: boolean;
}

/** Bytes of a segment that are not what was written. */
export interface Damage {
  readonly path: string;
  readonly position: number;
  readonly length: number;
  readonly reason: string;
  /** Offsets that were in it: from here up to, but without, `nextOffset`. */
  readonly firstOffset: number;
  readonly nextOffset: number;
}

/** Index entries that wait for their file; beyond this they are written. */
const PENDING_INDEX_BYTES = 4096;
/** Readers of one segment whose next place is remembered. */
const KNOWN_PLACES = 128;

export class Segment implements CachedIndexes {
  readonly baseOffset: number;
  readonly file: CachedFile;
  /** Whole batches, all written. */
  sizeBytes = 0;
  /** Offset after them; at most the base of the next segment. Changes with `sizeBytes`. */
  nextOffset: number;
  /** On the wall clock: when the segment was made or opened. */
  readonly createdMs: number;
  /** Ranges known to be unreadable, by position. */
  readonly damage: Damage[] = [];
  /** Its largest timestamp while it had that size; kept by storage/segment-age.ts. */
  knownAge: { readonly sizeBytes: number; readonly newestMs: number } | undefined;
  /** `.deleted` once the segment has left the log. */
  suffix = '';
  isClosed: boolean;
  /** It is about to leave the log, or has left it: no location leads to it any more. */
  hasLeft = false;
  /** What of it this process wrote; undefined where nothing is to be had of that. */
  written: WrittenRange | undefined;
  /** What several of its readers have read. */
  runs: SegmentRuns | undefined;
  /** Its end is as a checkpoint said and was not looked for yet. */
  isEndUnproven = false;

  readonly #context: LogContext;
  readonly #folder: LogFolder;
  #firstTimestamp: number | undefined;
  #identity: Promise<FileStat> | undefined;
  #indexes: SegmentIndexes | undefined;
  #loading: Promise<SegmentIndexes> | undefined;
  #areIndexesProven = false;
  #jitter: number | undefined;
  #filter: SegmentFilter | undefined;
  #txns: TxnIndex | undefined;
  #hasTxnIndex: boolean;
  /** Batches in between have had their checksums checked by this process. */
  #verifiedFrom = 0;
  #verifiedTo = 0;
  /** Where the batches from some offsets begin: where readers stopped and will go on. */
  #places: Map<number, number> | undefined;

  /** A new segment; what `existing` says makes it one that is there. */
  constructor(
    context: LogContext,
    folder: LogFolder,
    baseOffset: number,
    existing?: ExistingSegment,
  ) {
    this.#context = context;
    this.#folder = folder;
    this.baseOffset = baseOffset;
    this.nextOffset = existing?.nextOffset ?? baseOffset;
    this.sizeBytes = existing?.sizeBytes ?? 0;
    this.isClosed = existing?.isClosed ?? false;
    this.createdMs = context.env.clock.now();
    this.file = new CachedFile(() => this.path);
    this.#hasTxnIndex = existing?.hasTxnIndex ?? false;
    if (!this.#hasTxnIndex) this.#txns = new TxnIndex();
  }

  get path(): string {
    return this.pathOf(LOG_SUFFIX);
  }

  pathOf(kind: string): string {
    return path.join(this.#folder.path, segmentFileName(this.baseOffset, kind) + this.suffix);
  }

  get heldBytes(): number {
    return this.#indexes?.heldBytes ?? 0;
  }

  /** The indexes of the active segment have entries that no file has; they stay. */
  dropIndexes(): void {
    if (this.isClosed && this.#indexes?.pendingBytes === 0) this.#indexes = undefined;
  }

  isVerified(from: number, to: number): boolean {
    return from >= this.#verifiedFrom && to <= this.#verifiedTo;
  }

  /** The checksums of the batches in between were right. Only one such range is remembered. */
  markVerified(from: number, to: number): void {
    if (from > this.#verifiedTo || to < this.#verifiedFrom) {
      this.#verifiedFrom = from;
      this.#verifiedTo = to;
    } else {
      this.#verifiedFrom = Math.min(this.#verifiedFrom, from);
      this.#verifiedTo = Math.max(this.#verifiedTo, to);
    }
  }

  /** Position of the batch that begins with an offset, if a reader has stopped before it. */
  knownPlace(offset: number): number | undefined {
    return this.#places?.get(offset);
  }

  /** Gives whether that was known. */
  rememberPlace(offset: number, position: number): boolean {
    this.#places ??= new Map();
    const places = this.#places;
    const wasKnown = places.delete(offset);
    places.set(offset, position);
    if (places.size <= KNOWN_PLACES) return wasKnown;
    for (const oldest of places.keys()) {
      places.delete(oldest);
      break;
    }
    return wasKnown;
  }

  /** Notes and reports bytes that are not what was written. */
  addDamage(damage: Damage): void {
    this.damage.push(damage);
    this.#context.onDamage();
    this.#context.env.log.error({ ...damage, segment: this.path }, 'a segment is damaged');
  }

  /** Its last bytes are no batch: what came behind them could be taken for a part of it. */
  get endsInDamage(): boolean {
    return this.damage.some(({ position, length }) => position + length === this.sizeBytes);
  }

  use<T>(run: (file: DiskFile) => Promise<T>): Promise<T> {
    return this.#context.files.use(this.file, run);
  }

  /** What names its file: the same one as long as the segment is there. */
  identity(): Promise<FileStat> {
    this.#identity ??= this.use((file) => file.stat()).catch((error: unknown) => {
      this.#identity = undefined;
      throw error;
    });
    return this.#identity;
  }

  /** The indexes when they are in memory. */
  get loadedIndexes(): SegmentIndexes | undefined {
    return this.#indexes;
  }

  /** Which keys it may have; made when it is first asked for. */
  get filter(): SegmentFilter {
    this.#filter ??= new SegmentFilter(this.#context, this);
    return this.#filter;
  }

  /** The same if it was ever asked for. */
  get knownFilter(): SegmentFilter | undefined {
    return this.#filter;
  }

  /** A new segment begins with empty indexes. */
  startIndexes(indexes: SegmentIndexes): void {
    this.#indexes = indexes;
    this.#areIndexesProven = true;
  }

  /** The indexes, read from their files, or made anew where those cannot be right. */
  async indexes(): Promise<SegmentIndexes> {
    const indexes = this.#indexes ?? (await this.#load());
    if (this.isClosed) this.#context.indexes.touch(this);
    return indexes;
  }

  #load(): Promise<SegmentIndexes> {
    this.#loading ??= this.#readOrRebuild().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #readOrRebuild(): Promise<SegmentIndexes> {
    const { env } = this.#context;
    const stored = await readIndexes(env.disk, this.#indexPlace, this.sizeBytes);
    if (typeof stored === 'string') {
      // The files of a segment that grows come with their first entries, or at a stop.
      const level = this.isClosed ? 'warn' : 'debug';
      env.log[level]({ segment: this.path, reason: stored }, 'an index is made anew');
      return this.rebuildIndexes();
    }
    // What a killed process had not written of the indexes of its last segment is added.
    const fits = this.isClosed || (await this.#walk(stored, stored.catchUpPosition));
    if (!fits) {
      const reason = 'its last entry is not where that batch is';
      env.log.warn({ segment: this.path, reason }, 'an index is made anew');
      return this.rebuildIndexes();
    }
    this.#indexes = stored;
    return stored;
  }

  /**
   * A look-up in the indexes led to what is no batch. Gives true when they were made anew and the
   * look-up is worth another try, false when the log itself is damaged.
   */
  async distrustIndexes(reason: string): Promise<boolean> {
    if (this.#areIndexesProven) return false;
    const { log } = this.#context.env;
    log.warn({ segment: this.path, reason }, 'an index did not fit its segment and is made anew');
    await this.rebuildIndexes();
    return true;
  }

  /** Makes the indexes from the batches, over damage where there is some. */
  async rebuildIndexes(): Promise<SegmentIndexes> {
    let indexes = new SegmentIndexes(this.baseOffset);
    if (!(await this.#walk(indexes, 0))) {
      indexes = await indexOverDamage(this.#context, this, this.#indexIntervalBytes);
      this.isEndUnproven = false;
    }
    if (this.isClosed) indexes.seal();
    this.#indexes = indexes;
    this.#areIndexesProven = true;
    await this.storeIndexes(false);
    return indexes;
  }

  /**
   * Notes all batches from a position on; checks that the segment ends as it is said to. Gives false
   * where it does not, and where the indexes, as they are, contradict the batches.
   */
  async #walk(indexes: SegmentIndexes, start: number): Promise<boolean> {
    const interval = this.#indexIntervalBytes;
    const end = this.sizeBytes;
    const { isEndUnproven } = this;
    let { nextOffset } = this;
    let fits = true;
    await this.use(async (file) => {
      let range: ScanRange = { file, baseOffset: this.baseOffset, start, end };
      for (;;) {
        const stop = await walkHeaders(range, this.#context.buffers, (window, at, position) => {
          fits = !indexes.contradicts(lastOffset(window, at), position);
          if (!fits) return false;
          indexes.noteBatch(window, at, position, interval);
          return true;
        });
        nextOffset = stop.nextOffset ?? nextOffset;
        if (stop.fault === undefined || !fits) break;
        const fromOffset = stop.nextOffset ?? range.fromOffset;
        const next = { ...range, start: stop.position + 1, fromOffset };
        const found = await findBatch(next, this.#context.buffers);
        if (found === undefined) break;
        range = { ...next, start: found };
      }
    });
    if (!fits || (isEndUnproven && nextOffset !== this.nextOffset)) return false;
    this.isEndUnproven = false;
    return true;
  }

  /** How much earlier than `segment.ms` this segment is rolled; drawn once. */
  rollJitterMs({ segmentJitterMs, segmentMs }: LogOptions): number {
    if (segmentJitterMs === 0) return 0;
    this.#jitter ??= this.#context.env.random.fraction();
    return Math.floor(this.#jitter * Math.min(segmentJitterMs, segmentMs));
  }

  #indexIntervalBytes = 4096;

  /** Takes over the options that shape its indexes. */
  setOptions(options: LogOptions): void {
    this.#indexIntervalBytes = options.indexIntervalBytes;
  }

  get #indexPlace(): IndexPlace {
    return { folder: this.#folder.path, baseOffset: this.baseOffset, suffix: this.suffix };
  }

  /**
   * Writes what the index files lack. They are a cache: where they cannot be written, the entries
   * stay in memory, and the next start makes the files anew.
   */
  async storeIndexes(isSynced: boolean): Promise<void> {
    if (this.#indexes === undefined || this.suffix !== '' || this.hasLeft) return;
    const { env } = this.#context;
    try {
      await writeIndexes(env.disk, this.#indexPlace, this.#indexes, isSynced);
    } catch (error) {
      env.log.warn({ err: error, segment: this.path }, 'an index file could not be written');
    }
  }

  /** Timestamp of the first batch, by which a segment's age is counted; -1 without one. */
  async firstTimestamp(): Promise<number> {
    if (this.#firstTimestamp !== undefined) return this.#firstTimestamp;
    if (this.sizeBytes === 0) return NO_TIMESTAMP;
    let timestamp = NO_TIMESTAMP;
    await this.use(async (file) => {
      const range = { file, baseOffset: this.baseOffset, start: 0, end: this.sizeBytes };
      await walkHeaders(range, this.#context.buffers, (window, at) => {
        timestamp = maxTimestamp(window, at);
        return false;
      });
    });
    this.#firstTimestamp = timestamp;
    return timestamp;
  }

  /** The largest timestamp and the last offset of the first batch that has it. */
  async largestTimestamp(): Promise<TimestampOffset> {
    return (await this.indexes()).largest;
  }

  /**
   * Writes batches behind those that are there. When the write fails, the file is cut back to
   * where it was, and nothing has changed; when that fails too, `cutFailed` is called.
   */
  async write(
    buffers: readonly Buffer[],
    batches: readonly BatchExtent[],
    cutFailed: (error: unknown) => void,
  ): Promise<void> {
    const indexes = await this.indexes();
    const start = this.sizeBytes;
    const hasKeys = batches[0]!.keyHashes !== undefined;
    // As long as it speaks of what is there.
    if (hasKeys && start > 0) await this.filter.load();
    const { pageCache } = this.#context;
    if (pageCache.isKnown) this.written ??= new WrittenRange(pageCache);
    await this.use(async (file) => {
      this.written?.begin(file, start);
      try {
        await file.write(buffers, start);
      } catch (error) {
        this.written?.fail();
        await file.truncate(start).catch(cutFailed);
        throw error;
      }
      const sizeBytes = batches.reduce((sum, batch) => sum + batch.sizeBytes, start);
      this.written?.end(file, sizeBytes);
    });
    if (start === 0) this.#firstTimestamp = batches[0]!.maxTimestamp;
    let position = start;
    for (const batch of batches) {
      const time = batch.recordCount > 0 ? batch.maxTimestamp : NO_TIMESTAMP;
      indexes.note(batch.lastOffset, time, position, this.#indexIntervalBytes);
      position += batch.sizeBytes;
    }
    this.sizeBytes = position;
    this.nextOffset = batches.at(-1)!.lastOffset + 1;
    if (hasKeys || this.#filter !== undefined) this.filter.note(batches, start);
    if (indexes.pendingBytes >= PENDING_INDEX_BYTES) await this.storeIndexes(false);
  }

  /** The aborted transactions whose markers are here. */
  async txns(): Promise<TxnIndex> {
    if (this.#txns !== undefined) return this.#txns;
    const file = this.pathOf(TXN_INDEX_SUFFIX);
    const stored = await this.#context.env.disk.readFile(file);
    this.#txns ??= new TxnIndex(stored);
    return this.#txns;
  }

  setTxns(txns: TxnIndex): void {
    this.#txns = txns;
  }

  /** Makes the `.txnindex` what is in memory, durably but for its name. */
  async storeTxns(): Promise<void> {
    if (this.suffix !== '') return;
    const { table } = await this.txns();
    if (table.count === 0 && !this.#hasTxnIndex) return;
    await storeTable(this.#context.env.disk, this.pathOf(TXN_INDEX_SUFFIX), table, true);
    this.#hasTxnIndex = true;
  }
}

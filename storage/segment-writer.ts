/**
 * Writes to the segments of one log: appends, rolls and syncs, and knows what was not synced yet
 * and whether the log still takes anything. Its calls come one after the other, but for
 * `syncBeside`.
 */

import path from 'node:path';
import type { DiskFile } from './env.ts';
import { isOutOfDescriptors, LogFailed } from './errors.ts';
import { formatPartitionMetadata, PARTITION_METADATA_FILE } from './meta-properties.ts';
import { Segment } from './segment.ts';
import { type BatchExtent, SegmentIndexes } from './segment-indexes.ts';
import type { SegmentList } from './segment-list.ts';
import { RunCursor } from './slice-builder.ts';
import { SparseMap, SparseSet } from './sparse.ts';
import type { AbortedTxn } from './txn-index.ts';

/** See SegmentWriter.sync. */
export type SyncMore = (areNamesSyncedThen: boolean) => Promise<void>;

export class SegmentWriter {
  /** Why the log takes nothing any more. */
  failure: Error | undefined;
  readonly #list: SegmentList;
  /** Segments with bytes that were not synced; their files stay open. */
  readonly #dirty = new SparseMap<Segment, DiskFile>();
  /** Segments with aborted transactions that no file has yet. */
  readonly #withNewTxns = new SparseSet<Segment>();
  /** Segments whose transaction index this process has stored before, and its name. */
  readonly #withNamedTxns = new SparseSet<Segment>();
  #isFolderSynced: boolean;
  #areNamesSynced = true;
  /** A sync beside the appends. */
  #overlapping: Promise<void> | undefined;

  constructor(list: SegmentList) {
    this.#list = list;
    this.#isFolderSynced = list.hasFolder;
  }

  async append(
    buffers: readonly Buffer[],
    batches: readonly BatchExtent[],
    aborted: readonly AbortedTxn[],
  ): Promise<void> {
    const run = new RunCursor(buffers);
    let next = 0;
    while (next < batches.length && batches[next]!.lastOffset < this.#list.endOffset) {
      run.skip(batches[next]!.sizeBytes);
      next++;
    }
    while (next < batches.length) {
      const first = batches[next]!;
      if (first.baseOffset < this.#list.endOffset) {
        throw new RangeError(`a batch from ${first.baseOffset} at end ${this.#list.endOffset}`);
      }
      const { segment, count } = await this.#room(batches, next);
      const taken = batches.slice(next, next + count);
      let bytes = 0;
      for (const batch of taken) bytes += batch.sizeBytes;
      await this.#pin(segment);
      await segment.write(run.take(bytes), taken, (error) => this.fail('cut', error));
      // A sync that began meanwhile took it for clean.
      await this.#pin(segment);
      next += count;
      // Not at the end of the run: what comes next may fail, and this is not written again.
      const { nextOffset } = segment;
      await this.addAborted(
        aborted.filter(
          ({ lastOffset }) => lastOffset >= first.baseOffset && lastOffset < nextOffset,
        ),
      );
    }
  }

  /** The segment that takes the next batches, rolled if need be, and how many of them it takes. */
  async #room(
    batches: readonly BatchExtent[],
    next: number,
  ): Promise<{ segment: Segment; count: number }> {
    const first = batches[next]!;
    const active = this.#list.active ?? (await this.#startSegment(first.baseOffset));
    const count = await this.#countFor(active, batches, next);
    if (count > 0) return { segment: active, count };
    await this.roll(first.baseOffset);
    const segment = this.#list.active!;
    return { segment, count: await this.#countFor(segment, batches, next) };
  }

  async #countFor(segment: Segment, batches: readonly BatchExtent[], next: number) {
    const options = this.#list.options;
    const firstTimestamp =
      segment.sizeBytes === 0 ? batches[next]!.maxTimestamp : await segment.firstTimestamp();
    const rollMs = options.segmentMs - segment.rollJitterMs(options);
    let rollAt = firstTimestamp + rollMs;
    if (firstTimestamp < 0) {
      const age = this.#list.context.env.clock.now() - segment.createdMs;
      rollAt = age > rollMs ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    }
    const indexes = await segment.indexes();
    if (segment.endsInDamage) return 0;
    return indexes.room(batches, next, segment.sizeBytes, options, rollAt);
  }

  /**
   * The closed segment and its name are synced before the next one is made: whatever a power cut
   * takes, only the last segment of a log can be torn, and none before it can be missing.
   */
  async roll(baseOffset: number): Promise<void> {
    const active = this.#list.active;
    if (active !== undefined && active.baseOffset === baseOffset) return;
    await this.#overlapping;
    if (active !== undefined) {
      (await active.indexes()).seal();
      await active.storeIndexes(true);
      await this.#syncSegment(active);
      await this.#syncNames();
      await active.knownFilter?.store();
    }
    await this.#startSegment(baseOffset);
    if (active === undefined) return;
    active.isClosed = true;
    this.#list.context.indexes.touch(active);
  }

  async #startSegment(baseOffset: number): Promise<Segment> {
    await this.#ensureFolder();
    const segment = new Segment(this.#list.context, this.#list.folder, baseOffset);
    segment.setOptions(this.#list.options);
    segment.startIndexes(new SegmentIndexes(baseOffset));
    this.#list.context.files.adopt(
      segment.file,
      await this.#list.context.env.disk.open(segment.path, 'create'),
    );
    this.#areNamesSynced = false;
    this.#list.segments.push(segment);
    return segment;
  }

  async #ensureFolder(): Promise<void> {
    if (this.#list.hasFolder) return;
    const { disk } = this.#list.context.env;
    await disk.makeDir(this.#list.folder.path);
    const metadata = path.join(this.#list.folder.path, PARTITION_METADATA_FILE);
    await disk.remove(metadata);
    const file = await disk.open(metadata, 'create');
    try {
      // Not synced: where a power cut takes it, the start writes it again (strays.ts).
      await file.write([formatPartitionMetadata(this.#list.place.topicId)], 0);
    } finally {
      await file.close();
    }
    this.#list.hasFolder = true;
  }

  /** Takes aborted transactions into the indexes of the segments that have their markers. */
  async addAborted(aborted: readonly AbortedTxn[]): Promise<void> {
    for (const txn of aborted) {
      const [segment] = this.#list.from(txn.lastOffset);
      if (segment === undefined) continue;
      (await segment.txns()).append(txn);
      this.#withNewTxns.add(segment);
    }
  }

  async #pin(segment: Segment): Promise<void> {
    if (this.#dirty.has(segment)) return;
    this.#dirty.set(segment, await this.#list.context.files.acquire(segment.file));
  }

  #unpin(segment: Segment): void {
    this.#dirty.delete(segment);
    this.#list.context.files.release(segment.file);
  }

  /** Lets go of the files. */
  async stop(): Promise<void> {
    await this.#overlapping?.catch(() => {
      // Told to who asked for it, and kept as the log's failure.
    });
    for (const segment of [...this.#dirty.keys()]) this.#unpin(segment);
    await this.#list.context.files.settled();
  }

  /**
   * Syncs the active segment while appends to it go on, when nothing else needs a sync; else gives
   * undefined, and `sync` must follow. What is being appended meanwhile is not covered.
   */
  syncBeside(): Promise<void> | undefined {
    const { active } = this.#list;
    const file = active && this.#dirty.get(active);
    const isPlain = this.#dirty.size === 1 && this.#withNewTxns.size === 0 && this.#areNamesSynced;
    if (active === undefined || file === undefined || !isPlain) return undefined;
    if (!this.#isFolderSynced || this.#overlapping !== undefined) return undefined;
    // Its pin passes to this sync.
    this.#dirty.delete(active);
    const syncing = this.#final(file.sync()).finally(() => {
      this.#overlapping = undefined;
      this.#list.context.files.release(active.file);
    });
    this.#overlapping = syncing;
    return syncing;
  }

  /** `more` makes other files of the folder durable; it is told whether their names are synced then. */
  async sync(more: SyncMore): Promise<void> {
    await this.#overlapping;
    const steps = [this.#syncSegments(), more(!this.#areNamesSynced)];
    // Both are over before either may be tried again.
    for (const step of await Promise.allSettled(steps)) {
      if (step.status === 'rejected') throw step.reason;
    }
    await this.#syncNames();
  }

  async #syncSegments(): Promise<void> {
    for (const segment of [...this.#dirty.keys()]) await this.#syncSegment(segment);
    for (const segment of this.#withNewTxns) {
      await segment.storeTxns();
      this.#withNewTxns.delete(segment);
      // A process that ended, or an attempt that failed, may have made the file: it tells nothing.
      if (this.#withNamedTxns.has(segment)) continue;
      this.#withNamedTxns.add(segment);
      this.#areNamesSynced = false;
    }
  }

  async #syncNames(): Promise<void> {
    const { disk } = this.#list.context.env;
    if (!this.#areNamesSynced) await this.#final(disk.syncDir(this.#list.folder.path));
    this.#areNamesSynced = true;
    if (this.#list.hasFolder && !this.#isFolderSynced) {
      await this.#final(this.#list.context.folderSyncs.sync(this.#list.place.dataDir));
      this.#isFolderSynced = true;
    }
  }

  async #syncSegment(segment: Segment): Promise<void> {
    const file = this.#dirty.get(segment);
    if (file === undefined) return;
    await this.#final(file.sync());
    // A sync beside this one may have taken the pin over, and gives it back itself.
    if (this.#dirty.has(segment)) this.#unpin(segment);
  }

  /**
   * A sync that fails is never tried again: the pages may be clean now and not on the disk. Where
   * there was no descriptor for the folder it was not begun.
   */
  async #final(sync: Promise<void>): Promise<void> {
    try {
      await sync;
    } catch (error) {
      if (!isOutOfDescriptors(error)) this.fail('sync', error);
      throw error;
    }
  }

  /** What the disk has is known only after the log was opened anew. */
  fail(what: string, error: unknown): void {
    const { log } = this.#list.context.env;
    log.error(
      { err: error, folder: this.#list.folder.path },
      `${what} failed: the log takes no more`,
    );
    this.failure ??= new LogFailed(`${this.#list.folder.path}: ${what} failed`, { cause: error });
  }

  /** Stores the indexes that are in memory; what is not loaded has not changed. */
  async storeIndexes(): Promise<void> {
    const { active } = this.#list;
    active?.loadedIndexes?.seal();
    for (const segment of this.#list.segments) {
      await segment.storeIndexes(false);
      await segment.knownFilter?.store();
    }
  }
}

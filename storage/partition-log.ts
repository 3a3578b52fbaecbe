/**
 * The data of one partition: segments on disk, chunks in memory, and the marks between them.
 *
 * ```
 * log start <= end, persisted <= durable <= written <= end
 * ```
 * `append` puts a batch into the open chunk and into this turn's journal group, without waiting.
 * What one turn brought in bulk skips the journal and goes to the segments with all chunks before
 * it. Readers see up to the mark of the topic's visibility.
 */

import { assignOffset, type BatchHeader, readBatchHeader } from '../protocol/record-batch.ts';
import { LogDeleted, OffsetOutOfRange } from './errors.ts';
import type { FlushTarget } from './flush-queue.ts';
import type { JournalRun, JournalSource } from './journal.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import { LogReader } from './log-reader.ts';
import { MarkWaiters } from './mark-waiters.ts';
import { LogMarks } from './marks.ts';
import { type Chunk, joinBatches, MemoryTail, type TailBatch } from './memory-tail.ts';
import type { CompletedTransaction, ProducerStates } from './producer-state.ts';
import type { SegmentLog } from './segment-log.ts';
import type {
  AbortedTransaction,
  AppendResult,
  Location,
  LogOptions,
  LogSlice,
  Mark,
  PartitionLogView,
  TimedRecord,
} from './types.ts';
import type { WritePath } from './write-path.ts';

/** What a log is opened with: its files, and what recovery found out. */
export interface OpenedLog {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly options: LogOptions;
  readonly segments: SegmentLog;
  readonly epochs: LeaderEpochs;
  /** State at the segments' end. */
  readonly producers: ProducerStates;
  readonly logStartOffset: number;
  /** Epoch of the batches to come. */
  readonly leaderEpoch: number;
}

export class PartitionLog implements PartitionLogView, JournalSource, FlushTarget {
  readonly topic: string;
  readonly topicId: string;
  readonly topicIdBytes: Buffer;
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly segments: SegmentLog;
  readonly epochs: LeaderEpochs;
  /** State at what the flush has reached, for the files; the head's is for validation. */
  readonly flushedProducers: ProducerStates;
  onAdvance: (() => void) | undefined;

  readonly #path: WritePath;
  readonly #tail = new MemoryTail();
  readonly #marks: LogMarks;
  readonly #reader: LogReader;
  readonly #waiters = {
    written: new MarkWaiters(),
    durable: new MarkWaiters(),
    persisted: new MarkWaiters(),
  };
  #head: ProducerStates;
  /** Aborted transactions whose markers are not in the segments yet. */
  #aborted: CompletedTransaction[] = [];
  #options: LogOptions;
  #logStart: number;
  #end: number;
  /** Batches for the journal's next group, and from where it has not confirmed the last one. */
  #pending: TailBatch[] = [];
  #pendingBytes = 0;
  #inFlightFrom: number | undefined;
  /** End of the newest lease asked for. */
  #leaseAsked: number;
  #unsyncedBatches = 0;
  #failure: Error | undefined;
  #persisting: Promise<void> = Promise.resolve();

  constructor(path: WritePath, opened: OpenedLog) {
    this.#path = path;
    this.topic = opened.topic;
    this.topicId = opened.topicId;
    this.topicIdBytes = Buffer.from(opened.topicId, 'base64url');
    this.partition = opened.partition;
    this.leaderEpoch = opened.leaderEpoch;
    this.segments = opened.segments;
    this.epochs = opened.epochs;
    this.flushedProducers = opened.producers;
    this.#options = opened.options;
    this.#head = opened.producers.clone();
    this.#end = opened.segments.endOffset;
    this.#logStart = opened.logStartOffset;
    this.#leaseAsked = this.#end;
    this.#marks = new LogMarks(this.#end);
    this.#reader = new LogReader(opened.segments, this.#tail, path.inflate);
  }

  get options(): LogOptions {
    return this.#options;
  }

  setOptions(options: LogOptions): void {
    this.#options = options;
    this.segments.setOptions(options);
    this.#advance();
  }

  get logStartOffset(): number {
    return this.#logStart;
  }

  get persistedOffset(): number {
    return this.#marks.persisted;
  }

  get durableOffset(): number {
    return this.#marks.durable;
  }

  get writtenOffset(): number {
    return this.#marks.written;
  }

  get endOffset(): number {
    return this.#end;
  }

  get highWatermark(): number {
    return this.#isLeased ? this.#marks.written : this.#marks.durable;
  }

  get lastStableOffset(): number {
    const unstable = this.#head.firstUnstableOffset;
    const mark = this.highWatermark;
    return unstable === undefined ? mark : Math.min(unstable, mark);
  }

  get producers(): ProducerStates {
    return this.#head;
  }

  get sizeBytes(): number {
    return this.segments.sizeBytes + this.#tail.sizeBytes;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  get openChunk(): Chunk | undefined {
    return this.#tail.open;
  }

  /** Readers may see what a power cut takes back, so offsets are leased before they are used. */
  get #isLeased(): boolean {
    return this.#options.visibility === 'written';
  }

  append(batch: Buffer, header: BatchHeader, nowMs: number): AppendResult {
    const refusal = this.#failure ?? this.#path.journal.failure;
    if (refusal !== undefined) throw refusal;
    const { env, openChunks, options, pool } = this.#path;
    const baseOffset = this.#end;
    assignOffset(batch, 0, baseOffset, this.leaderEpoch);
    const chunk = this.#tail.open ?? this.#tail.openAt(baseOffset, env.clock.monotonic());
    const entry = chunk.append(batch, header, this.leaderEpoch, pool, options.chunkBytes);
    this.#remember(entry, header, nowMs);
    this.#end = entry.lastOffset + 1;
    this.#pending.push(entry);
    this.#pendingBytes += entry.sizeBytes;
    this.#path.journal.touch(this);
    openChunks.set(this, chunk.heldBytes);
    if (chunk.sizeBytes >= options.chunkBytes) this.seal(false);
    else this.#path.onGrowth();
    const logAppendTimeMs = header.logAppendTime ? header.maxTimestamp : -1;
    return { baseOffset, lastOffset: entry.lastOffset, logAppendTimeMs };
  }

  #remember(entry: TailBatch, header: BatchHeader, nowMs: number): void {
    this.epochs.assign(this.leaderEpoch, entry.baseOffset);
    if (header.producerId < 0) return;
    const completed = this.#head.append(readBatchHeader(entry.bytes, 0), entry.bytes, 0, nowMs);
    if (completed?.aborted === true) this.#aborted.push(completed);
  }

  /** Closes the open chunk and queues it. `urgent`: an acknowledgement waits for the segment. */
  seal(urgent: boolean): void {
    const chunk = this.#tail.seal();
    if (chunk === undefined) return;
    this.#path.openChunks.delete(this);
    if (this.#failure === undefined) this.#path.queue.push(this, chunk, urgent);
  }

  // What the journal asks and tells.

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get wantsSync(): boolean {
    const isDue = this.#unsyncedBatches >= this.#options.flushMessages;
    return this.#waiters.durable.size > 0 || !this.#isLeased || (isDue && !this.#acksWaitForSync);
  }

  get syncDelayMs(): number {
    return this.#options.flushMs;
  }

  takeRun(): JournalRun | undefined {
    const batches = this.#pending;
    if (batches.length === 0) return undefined;
    const previousEnd = batches[0]!.baseOffset;
    const end = batches.at(-1)!.lastOffset + 1;
    const sizeBytes = this.#pendingBytes;
    this.#pending = [];
    this.#pendingBytes = 0;
    const isBulk = sizeBytes >= this.#path.options.journalBypassBytes;
    if (isBulk || end <= this.#marks.persisted) {
      this.#marks.detour(previousEnd, end);
      this.seal(true);
      return undefined;
    }
    this.#inFlightFrom = previousEnd;
    this.#unsyncedBatches += batches.length;
    return { previousEnd, end, buffers: joinBatches(batches), sizeBytes };
  }

  takeLease(): number | undefined {
    if (!this.#isLeased) return undefined;
    const { offsetLeaseRecords } = this.#path.options;
    if (this.#leaseAsked - this.#end >= offsetLeaseRecords / 2) return undefined;
    this.#leaseAsked = this.#end + offsetLeaseRecords;
    return this.#leaseAsked;
  }

  onWritten(end: number): void {
    this.#inFlightFrom = undefined;
    this.#marks.journalWrote(end);
    this.#advance();
  }

  onDurable(end: number): void {
    this.#unsyncedBatches = 0;
    this.#marks.journalSynced(end);
    this.#advance();
  }

  onLeaseDurable(leaseEnd: number): void {
    this.#marks.lease(leaseEnd);
    this.#advance();
  }

  giveUpLease(): boolean {
    if (this.durableOffset < this.#end || this.#leaseAsked > this.#marks.leased) return false;
    this.#marks.endLease();
    this.#leaseAsked = this.#end;
    return true;
  }

  renewLease(): void {
    if (this.#leaseAsked > this.#marks.leased) return;
    // As if it were used up: the next group records a new one.
    this.#leaseAsked = this.#end;
    this.#path.journal.touch(this);
  }

  /**
   * Takes back what the journal did not write: it was neither acknowledged nor served. What is
   * sealed already goes its way to the segments.
   */
  onWriteFailed(error: Error): void {
    const from = this.#inFlightFrom ?? this.#pending[0]?.baseOffset;
    this.#inFlightFrom = undefined;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#leaseAsked = this.#marks.leased;
    if (from === undefined) return;
    const open = this.#tail.open;
    const cut = open === undefined ? this.#end : Math.max(from, open.baseOffset);
    if (cut > from) this.#marks.detour(from, cut);
    if (open !== undefined && cut < this.#end) this.#truncate(open, cut);
    this.#waiters.written.failAbove(cut, error);
    this.#waiters.durable.failAbove(cut, error);
    this.#advance();
  }

  #truncate(open: Chunk, cut: number): void {
    open.truncate(cut);
    this.#end = cut;
    if (open.batches.length === 0) {
      this.#tail.dropLast(open);
      this.#path.openChunks.delete(this);
    }
    const nowMs = this.#path.env.clock.now();
    const head = this.flushedProducers.clone();
    this.#tail.forEachFrom(head.endOffset, ({ bytes }) => {
      head.append(readBatchHeader(bytes, 0), bytes, 0, nowMs);
      return true;
    });
    head.markDurable(this.durableOffset);
    this.#head = head;
    this.#aborted = this.#aborted.filter(({ lastOffset }) => lastOffset < cut);
    this.epochs.truncateFromEnd(cut);
  }

  onSyncFailed(error: Error): void {
    this.fail(error);
  }

  /** Nothing more is taken; what is readable stays readable. */
  fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#path.openChunks.delete(this);
    this.#path.queue.forget(this);
    this.#waiters.written.failAbove(this.writtenOffset, error);
    this.#waiters.durable.failAbove(this.durableOffset, error);
    this.#waiters.persisted.failAbove(this.persistedOffset, error);
  }

  // Marks.

  #advance(): void {
    const marks = this.#marks;
    marks.update(this.#isLeased);
    this.#head.markDurable(marks.durable);
    this.#waiters.written.reach(marks.written);
    this.#waiters.durable.reach(marks.durable);
    this.onAdvance?.();
  }

  onMark(mark: Mark, end: number, done: (error?: Error) => void): void {
    if (end <= this.#marks[mark]) done();
    else if (this.#failure !== undefined) done(this.#failure);
    else {
      this.#waiters[mark].add(end, done);
      // What is pending asks for itself; for what is written already a sync must be asked for.
      if (mark === 'durable') this.#path.journal.requestSync();
    }
  }

  get #acksWaitForSync(): boolean {
    const { flushMessages, internal } = this.#options;
    return flushMessages === 1 || internal || !this.#isLeased;
  }

  ackMark(acks: 1 | -1): Mark {
    return acks === -1 && this.#acksWaitForSync ? 'durable' : 'written';
  }

  // Persisting.

  persist(chunks: readonly Chunk[]): Promise<void> {
    const persisting = this.#persist(chunks);
    this.#persisting = persisting.catch(() => {
      // Told to the queue, which asked for it; this copy is only waited for.
    });
    return persisting;
  }

  async #persist(chunks: readonly Chunk[]): Promise<void> {
    const { clock } = this.#path.env;
    const end = chunks.at(-1)!.endOffset;
    try {
      for (const chunk of chunks) {
        await this.segments.append(
          joinBatches(chunk.batches),
          chunk.batches,
          this.#abortedIn(chunk),
        );
      }
      this.#marks.segmentsWrote(end);
      this.#advance();
      const started = clock.monotonic();
      await this.segments.sync();
      await this.epochs.save(end);
      this.#path.onSegmentSync(clock.monotonic() - started);
    } catch (error) {
      if (this.segments.failure !== undefined) this.fail(this.segments.failure);
      throw error;
    }
    if (this.#failure instanceof LogDeleted) throw this.#failure;
    this.#becamePersisted(chunks, end);
  }

  #becamePersisted(chunks: readonly Chunk[], end: number): void {
    let sizeBytes = 0;
    this.#marks.segmentsSynced(end);
    this.#aborted = this.#aborted.filter(({ lastOffset }) => lastOffset >= end);
    this.#advance();
    for (const chunk of chunks) {
      sizeBytes += chunk.sizeBytes;
      this.#tail.dropFirst(chunk);
    }
    this.#waiters.persisted.reach(end);
    this.#path.journal.release(this, end);
    this.#path.onPersisted(this, sizeBytes);
  }

  /** The state for the files runs ahead once, also when writing a chunk is tried again. */
  #abortedIn(chunk: Chunk): readonly CompletedTransaction[] {
    if (this.flushedProducers.endOffset >= chunk.endOffset) return chunk.aborted;
    const nowMs = this.#path.env.clock.now();
    for (const { bytes } of chunk.batches) {
      const completed = this.flushedProducers.append(readBatchHeader(bytes, 0), bytes, 0, nowMs);
      if (completed?.aborted === true) chunk.aborted.push(completed);
    }
    return chunk.aborted;
  }

  flush(): Promise<void> {
    this.seal(true);
    return new Promise((resolve, reject) => {
      const end = this.#tail.chunks.at(-1)?.endOffset ?? this.persistedOffset;
      if (end <= this.persistedOffset) resolve();
      else if (this.#failure !== undefined) reject(this.#failure);
      else this.#waiters.persisted.add(end, (error) => (error ? reject(error) : resolve()));
    });
  }

  // Reading.

  read(
    from: number,
    maxBytes: number,
    limit: number,
    atLeastOne: boolean,
  ): LogSlice | Promise<LogSlice> {
    if (from < this.#logStart || from > this.#end) {
      throw new OffsetOutOfRange(
        `offset ${from} of ${this.topic}-${this.partition} is not in [${this.#logStart}, ${this.#end}]`,
      );
    }
    return this.#reader.read(from, maxBytes, limit, this.persistedOffset, atLeastOne);
  }

  async locate(from: number, maxBytes: number): Promise<Location | undefined> {
    if (from < this.#logStart || from >= this.persistedOffset) return undefined;
    return this.segments.locate(from, maxBytes, this.persistedOffset);
  }

  async abortedTransactions(from: number, to: number): Promise<AbortedTransaction[]> {
    const inMemory = this.#aborted.filter((txn) => txn.lastOffset >= from && txn.firstOffset < to);
    const stored = await this.segments.abortedTransactions(from, to);
    const known = new Set(stored.map(({ firstOffset }) => firstOffset));
    const more = inMemory.filter(({ firstOffset }) => !known.has(firstOffset));
    return [...stored, ...more].map(({ producerId, firstOffset }) => ({ producerId, firstOffset }));
  }

  offsetForTime(timestamp: number, limit: number): Promise<TimedRecord | undefined> {
    return this.#reader.offsetForTime(timestamp, this.#logStart, limit);
  }

  offsetOfMaxTimestamp(limit: number): Promise<TimedRecord | undefined> {
    return this.#reader.offsetOfMaxTimestamp(this.#logStart, limit);
  }

  endOffsetForEpoch(epoch: number): { leaderEpoch: number; endOffset: number } | undefined {
    return this.epochs.endOffsetFor(epoch, this.#end);
  }

  epochAt(offset: number): number {
    return this.epochs.epochAt(offset);
  }

  // Deleting.

  async deleteRecordsBefore(offset: number): Promise<number> {
    if (offset > this.highWatermark) {
      throw new OffsetOutOfRange(`offset ${offset} is above the high watermark`);
    }
    if (offset <= this.#logStart) return this.#logStart;
    this.#logStart = offset;
    await this.#path.saveLogStart(this);
    this.epochs.truncateFromStart(offset);
    await this.segments.deleteSegmentsBelow(offset);
    return this.#logStart;
  }

  /** Takes the log out of use; the files stay for who removes them. */
  async retire(): Promise<void> {
    const error = new LogDeleted(`${this.topic}-${this.partition} was deleted`);
    if (this.#failure !== undefined) this.#failure = undefined;
    this.fail(error);
    this.#path.journal.forget(this);
    await this.#persisting;
    for (const chunk of this.#tail.chunks.splice(0)) chunk.release();
  }
}

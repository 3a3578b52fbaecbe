/**
 * The way of a partition's batches to the disk, and the marks of how far they are.
 *
 * `append` puts a batch into the open chunk and into this turn's journal group, without waiting.
 * What one turn brought in bulk skips the journal and goes to the segments with all chunks before
 * it. A sealed chunk leaves memory when it is in fsynced segments.
 */

import { assignOffset, type BatchHeader, readBatchHeader } from '../protocol/record-batch.ts';
import { LogDeleted } from './errors.ts';
import type { FlushTarget } from './flush-queue.ts';
import type { JournalRun, JournalSource } from './journal.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import { LogPersister, type PersistedLog } from './log-persister.ts';
import { MarkWaiters } from './mark-waiters.ts';
import { LogMarks } from './marks.ts';
import { type Chunk, MemoryTail, type TailBatch } from './memory-tail.ts';
import { OffsetLease } from './offset-lease.ts';
import { PendingRun } from './pending-run.ts';
import type { CompletedTransaction, ProducerStates } from './producer-state.ts';
import type { SegmentLog } from './segment-log.ts';
import type { AppendResult, LogOptions, Mark } from './types.ts';
import type { WritePath } from './write-path.ts';

/**
 * A turn that brought so many times `journal.bypass.bytes` is a bulk load, however many partitions
 * share it: then this part of it is enough for a log to skip the journal.
 */
const CROWDED_TURN = 2;
const CROWDED_SHARE = 1 / 8;

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

export abstract class LogWriter implements JournalSource, FlushTarget, PersistedLog {
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

  protected readonly path: WritePath;
  protected readonly tail = new MemoryTail();
  readonly #marks: LogMarks;
  readonly #waiters = {
    written: new MarkWaiters(),
    durable: new MarkWaiters(),
    persisted: new MarkWaiters(),
  };
  #head: ProducerStates;
  /** Aborted transactions whose markers are not in the segments yet. */
  protected aborted: CompletedTransaction[] = [];
  #options: LogOptions;
  #end: number;
  readonly #pending = new PendingRun();
  readonly #lease: OffsetLease;
  #unsyncedBatches = 0;
  #failure: Error | undefined;
  readonly #persister: LogPersister;

  constructor(path: WritePath, opened: OpenedLog) {
    this.path = path;
    this.topic = opened.topic;
    this.topicId = opened.topicId;
    this.topicIdBytes = Buffer.from(opened.topicId, 'base64url');
    this.partition = opened.partition;
    this.leaderEpoch = opened.leaderEpoch;
    this.segments = opened.segments;
    this.epochs = opened.epochs;
    this.flushedProducers = opened.producers;
    this.#options = opened.options;
    this.#end = opened.segments.endOffset;
    // What was read back is durable: its markers hold nobody back.
    opened.producers.markDurable(this.#end);
    this.#head = opened.producers.clone();
    this.#lease = new OffsetLease(this.#end);
    this.#marks = new LogMarks(this.#end);
    this.#persister = new LogPersister(path, this, this.tail);
  }

  get options(): LogOptions {
    return this.#options;
  }

  setOptions(options: LogOptions): void {
    this.#options = options;
    this.segments.setOptions(options);
    this.#advance();
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

  abstract get logStartOffset(): number;

  get servedOffset(): number {
    return this.tail.served.offset;
  }

  isAwaited(end: number): boolean {
    return this.#marks.hasDetourBelow(end);
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

  get failure(): Error | undefined {
    return this.#failure;
  }

  get openChunk(): Chunk | undefined {
    return this.tail.open;
  }

  /** Readers may see what a power cut takes back, so offsets are leased before they are used. */
  get #isLeased(): boolean {
    return this.#options.visibility === 'written';
  }

  append(batch: Buffer, header: BatchHeader, nowMs: number): AppendResult {
    const refusal = this.#failure ?? this.path.journal.failure;
    if (refusal !== undefined) {
      this.#head.refuse(header);
      throw refusal;
    }
    const { env, openChunks, options, pool } = this.path;
    const baseOffset = this.#end;
    assignOffset(batch, 0, baseOffset, this.leaderEpoch);
    const chunk = this.tail.open ?? this.tail.openAt(baseOffset, env.clock.monotonic());
    const entry = chunk.append(batch, header, this.leaderEpoch, pool, options.chunkBytes);
    this.#remember(entry, header, nowMs);
    this.#end = entry.lastOffset + 1;
    this.#pending.add(entry);
    this.path.journal.touch(this, entry.sizeBytes);
    openChunks.set(this, chunk.heldBytes);
    if (chunk.sizeBytes >= options.chunkBytes) this.seal(false);
    else this.path.onGrowth();
    const logAppendTimeMs = header.logAppendTime ? header.maxTimestamp : -1;
    return { baseOffset, lastOffset: entry.lastOffset, logAppendTimeMs };
  }

  #remember(entry: TailBatch, header: BatchHeader, nowMs: number): void {
    this.epochs.assign(this.leaderEpoch, entry.baseOffset);
    if (header.producerId < 0) return;
    const completed = this.#head.append(readBatchHeader(entry.bytes, 0), entry.bytes, 0, nowMs);
    if (completed?.aborted === true) this.aborted.push(completed);
  }

  /** Closes the open chunk and queues it. `urgent`: an acknowledgement waits for the segment. */
  seal(urgent: boolean): void {
    const chunk = this.tail.seal();
    if (chunk === undefined) return;
    this.path.openChunks.delete(this);
    if (this.#failure === undefined) this.path.queue.push(this, chunk, urgent);
  }

  // What the journal asks and tells.

  get pendingBytes(): number {
    return this.#pending.sizeBytes;
  }

  get wantsSync(): boolean {
    const isDue = this.#unsyncedBatches >= this.#options.flushMessages;
    return this.#waiters.durable.size > 0 || !this.#isLeased || (isDue && !this.#acksWaitForSync);
  }

  get syncDelayMs(): number {
    return this.#options.flushMs;
  }

  takeRun(groupBytes: number): JournalRun | undefined {
    const run = this.#pending.take(this.#marks.persisted);
    if (run === undefined) return undefined;
    const { journalBypassBytes } = this.path.options;
    const isCrowded = groupBytes >= CROWDED_TURN * journalBypassBytes;
    const bypassBytes = isCrowded ? journalBypassBytes * CROWDED_SHARE : journalBypassBytes;
    const isBulk = run.sizeBytes >= bypassBytes;
    if (isBulk) {
      this.#pending.letGo();
      this.#marks.detour(run.previousEnd, run.end);
      this.seal(true);
      return undefined;
    }
    this.#pending.sent(run);
    this.#unsyncedBatches += run.batches;
    return run;
  }

  takeLease(): number | undefined {
    if (!this.#isLeased) return undefined;
    return this.#lease.due(this.#end, this.path.options.offsetLeaseRecords);
  }

  onWritten(end: number): void {
    this.#pending.letGo();
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
    if (this.durableOffset < this.#end || this.#lease.isOnItsWay(this.#marks.leased)) return false;
    this.#marks.endLease();
    this.#lease.reset(this.#end);
    return true;
  }

  renewLease(): void {
    if (this.#lease.isOnItsWay(this.#marks.leased)) return;
    // As if it were used up: the next group records a new one.
    this.#lease.reset(this.#end);
    this.path.journal.touch(this, 0);
  }

  /**
   * Takes back what the journal did not write: it was neither acknowledged nor served. What is
   * sealed already goes its way to the segments.
   */
  onWriteFailed(error: Error): void {
    const from = this.#pending.unconfirmedFrom;
    this.#pending.clear();
    this.#pending.letGo();
    this.#lease.reset(this.#marks.leased);
    if (from === undefined) return;
    const open = this.tail.open;
    const cut = open === undefined ? this.#end : Math.max(from, open.baseOffset);
    if (cut > from) this.#marks.detour(from, cut);
    if (open !== undefined && cut < this.#end) this.#truncate(open, cut);
    this.#waiters.written.failAbove(cut, error);
    this.#waiters.durable.failAbove(cut, error);
    this.#advance();
  }

  #truncate(open: Chunk, cut: number): void {
    const refused = open.batches.filter(({ baseOffset }) => baseOffset >= cut);
    const headers = refused.map(({ bytes }) => readBatchHeader(bytes, 0));
    open.truncate(cut);
    this.#end = cut;
    if (open.batches.length === 0) {
      this.tail.dropLast(open);
      this.path.openChunks.delete(this);
    }
    const nowMs = this.path.env.clock.now();
    const head = this.flushedProducers.clone();
    this.tail.forEachFrom(head.endOffset, ({ bytes }) => {
      head.append(readBatchHeader(bytes, 0), bytes, 0, nowMs);
      return true;
    });
    head.markDurable(this.durableOffset);
    head.adoptRefusals(this.#head);
    for (const header of headers) head.refuse(header);
    this.#head = head;
    this.aborted = this.aborted.filter(({ lastOffset }) => lastOffset < cut);
    this.epochs.truncateFromEnd(cut);
  }

  onSyncFailed(error: Error): void {
    this.fail(error);
  }

  /** Nothing more is taken; what is readable stays readable. */
  fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#pending.clear();
    this.path.openChunks.delete(this);
    this.path.queue.forget(this);
    this.#waiters.written.failAbove(this.writtenOffset, error);
    this.#waiters.durable.failAbove(this.durableOffset, error);
    this.#waiters.persisted.failAbove(this.persistedOffset, error);
  }

  // Marks.

  #advance(): void {
    const marks = this.#marks;
    marks.update(this.#isLeased);
    this.#head.markDurable(marks.durable);
    this.flushedProducers.markDurable(marks.durable);
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
      if (mark === 'durable') this.path.journal.requestSync();
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

  write(chunks: readonly Chunk[]): Promise<void> {
    return this.#persister.write(chunks);
  }

  sync(chunks: readonly Chunk[]): Promise<void> {
    return this.#persister.sync(chunks);
  }

  /** Compaction in memory looks at what is persisted and at what waits, and at nothing in between. */
  get overlapsSync(): boolean {
    return !this.#options.compactsTail;
  }

  /** The segments have all below an offset, not synced yet. */
  onSegmentsWrote(end: number): void {
    this.#marks.segmentsWrote(end);
    this.#advance();
  }

  /** Everything below an offset is in fsynced segments; the chunks leave memory. */
  onPersisted(chunks: readonly Chunk[], end: number): void {
    let sizeBytes = 0;
    this.#marks.segmentsSynced(end);
    this.aborted = this.aborted.filter(({ lastOffset }) => lastOffset >= end);
    this.#advance();
    for (const chunk of chunks) {
      sizeBytes += chunk.sizeBytes;
      this.tail.dropFirst(chunk);
    }
    this.#waiters.persisted.reach(end);
    this.path.journal.release(this, end);
    this.path.onPersisted(this, sizeBytes);
  }

  flush(): Promise<void> {
    this.seal(true);
    return new Promise((resolve, reject) => {
      const end = this.tail.chunks.at(-1)?.endOffset ?? this.persistedOffset;
      if (end <= this.persistedOffset) resolve();
      else if (this.#failure !== undefined) reject(this.#failure);
      else this.#waiters.persisted.add(end, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Takes the log out of use; the files stay for who removes them. */
  async retire(): Promise<void> {
    const error = new LogDeleted(`${this.topic}-${this.partition} was deleted`);
    if (this.#failure !== undefined) this.#failure = undefined;
    this.fail(error);
    this.path.journal.forget(this);
    await this.#persister.settled();
    for (const chunk of this.tail.chunks.splice(0)) chunk.release();
  }
}

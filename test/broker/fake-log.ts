/**
 * The log of a partition in memory, with its marks in the test's hand: nothing is written, durable
 * or persisted before `write`, `sync` or `persist` says so. What is persisted is read by a promise,
 * as from a disk. Counts the slices that were given and not given back.
 */

import { assignOffset, type BatchHeader, readBatchHeader } from '../../protocol/record-batch.ts';
import { LogDeleted, LogFailed, OffsetOutOfRange } from '../../storage/errors.ts';
import { MarkWaiters } from '../../storage/mark-waiters.ts';
import { ProducerStates } from '../../storage/producer-state.ts';
import type {
  AbortedTransaction,
  AppendResult,
  Location,
  LogOptions,
  LogSlice,
  Mark,
  PartitionLogView,
  TimedRecord,
} from '../../storage/types.ts';
import { LOG_OPTIONS } from '../storage/log-options.ts';

interface StoredBatch {
  readonly bytes: Buffer;
  readonly header: BatchHeader;
}

export class FakeLog implements PartitionLogView {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  options: LogOptions;
  logStartOffset = 0;
  persistedOffset = 0;
  durableOffset = 0;
  writtenOffset = 0;
  endOffset = 0;
  leaderEpoch = 0;
  onAdvance: (() => void) | undefined;
  producers = new ProducerStates();
  readonly batches: StoredBatch[] = [];
  /** First offset of an open transaction; readers of committed data stop there. */
  unstableFrom: number | undefined;
  aborted: AbortedTransaction[] = [];
  /** First offset of each epoch, in order. */
  readonly epochs: { epoch: number; start: number }[] = [];
  /** Of the one file of what is persisted. */
  generation = '0123456789abcdef';
  failure: Error | undefined;
  /** Fails every read from the disk. */
  readFailure: Error | undefined;
  /** Marks follow each append at once. */
  isAutomatic = false;
  slicesHeld = 0;
  reads = 0;
  diskReads = 0;
  /** Bytes asked for by each read. */
  readonly askedBytes: number[] = [];
  private readonly waiters = { written: new MarkWaiters(), durable: new MarkWaiters() };

  constructor(
    topic: string,
    topicId: string,
    partition: number,
    options: Partial<LogOptions> = {},
  ) {
    this.topic = topic;
    this.topicId = topicId;
    this.partition = partition;
    this.options = { ...LOG_OPTIONS, ...options };
  }

  get highWatermark(): number {
    return this.options.visibility === 'written' ? this.writtenOffset : this.durableOffset;
  }

  get lastStableOffset(): number {
    return Math.min(this.highWatermark, this.unstableFrom ?? Number.POSITIVE_INFINITY);
  }

  get sizeBytes(): number {
    return this.batches.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  append(batch: Buffer, header: BatchHeader, nowMs: number): AppendResult {
    if (this.failure !== undefined) throw this.failure;
    const baseOffset = this.endOffset;
    assignOffset(batch, 0, baseOffset, this.leaderEpoch);
    const bytes = Buffer.from(batch);
    const stored = readBatchHeader(bytes, 0);
    if (this.epochs.at(-1)?.epoch !== this.leaderEpoch) {
      this.epochs.push({ epoch: this.leaderEpoch, start: baseOffset });
    }
    this.batches.push({ bytes, header: stored });
    if (header.producerId >= 0) this.producers.append(stored, bytes, 0, nowMs);
    this.endOffset = stored.lastOffset + 1;
    if (this.isAutomatic) this.sync();
    const logAppendTimeMs = header.logAppendTime ? header.maxTimestamp : -1;
    return { baseOffset, lastOffset: stored.lastOffset, logAppendTimeMs };
  }

  /** The journal has written up to here. */
  write(end = this.endOffset): void {
    this.writtenOffset = Math.max(this.writtenOffset, end);
    this.waiters.written.reach(this.writtenOffset);
    this.onAdvance?.();
  }

  /** The journal has synced up to here. */
  sync(end = this.endOffset): void {
    this.writtenOffset = Math.max(this.writtenOffset, end);
    this.durableOffset = Math.max(this.durableOffset, end);
    this.waiters.written.reach(this.writtenOffset);
    this.waiters.durable.reach(this.durableOffset);
    this.onAdvance?.();
  }

  /** What lies below is read from the disk from now on. */
  persist(end = this.endOffset): void {
    this.sync(end);
    this.persistedOffset = end;
  }

  /** Writing failed: what was not written is taken back, and its offsets come again. */
  takeBack(error: Error): void {
    while ((this.batches.at(-1)?.header.lastOffset ?? -1) >= this.writtenOffset) this.batches.pop();
    this.endOffset = this.writtenOffset;
    this.waiters.written.failAbove(this.endOffset, error);
    this.waiters.durable.failAbove(this.endOffset, error);
    this.onAdvance?.();
  }

  /** Takes nothing from now on; who waits is told. */
  fail(error: Error = new LogFailed('the disk is full')): void {
    this.failure = error;
    this.waiters.written.failAbove(this.writtenOffset, error);
    this.waiters.durable.failAbove(this.durableOffset, error);
  }

  remove(): void {
    this.fail(new LogDeleted(`${this.topic}-${this.partition} was deleted`));
  }

  onMark(mark: Mark, end: number, done: (error?: Error) => void): void {
    const reached = mark === 'written' ? this.writtenOffset : this.durableOffset;
    if (end <= reached) done();
    else if (this.failure !== undefined) done(this.failure);
    else this.waiters[mark].add(end, done);
  }

  ackMark(acks: 1 | -1): Mark {
    const { flushMessages, internal, visibility } = this.options;
    const waitsForSync = flushMessages === 1 || internal || visibility === 'durable';
    return acks === -1 && waitsForSync ? 'durable' : 'written';
  }

  read(
    from: number,
    maxBytes: number,
    limit: number,
    atLeastOne: boolean,
  ): LogSlice | Promise<LogSlice> {
    if (from < this.logStartOffset || from > this.endOffset) {
      throw new OffsetOutOfRange(`offset ${from} is not there`);
    }
    this.reads++;
    this.askedBytes.push(maxBytes);
    if (from >= this.persistedOffset) return this.slice(from, maxBytes, limit, atLeastOne);
    this.diskReads++;
    return this.readDisk(from, maxBytes, limit, atLeastOne);
  }

  /** As if all persisted batches lay in one file. */
  async locate(
    from: number,
    maxBytes: number,
    limit = this.persistedOffset,
  ): Promise<Location | undefined> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.readFailure !== undefined) throw this.readFailure;
    const end = Math.min(limit, this.persistedOffset);
    const first = this.batches.findIndex(({ header }) => header.lastOffset >= from);
    let position = 0;
    for (const { bytes } of this.batches.slice(0, first)) position += bytes.length;
    let length = 0;
    let nextOffset = from;
    for (const { bytes, header } of this.batches.slice(first)) {
      if (header.lastOffset >= end || (length > 0 && length + bytes.length > maxBytes)) break;
      length += bytes.length;
      nextOffset = header.lastOffset + 1;
    }
    if (length === 0) return undefined;
    return {
      path: `/data/${this.topic}-${this.partition}/00000000000000000000.log`,
      device: 5,
      inode: 70 + this.partition,
      segmentBaseOffset: 0,
      generation: this.generation,
      isLinked: false,
      position,
      length,
      firstOffset: this.batches[first]!.header.baseOffset,
      nextOffset,
    };
  }

  async openLocated(): Promise<undefined> {
    return undefined;
  }

  abortedTransactions(from: number, to: number): Promise<AbortedTransaction[]> {
    return Promise.resolve(this.aborted.filter(({ firstOffset }) => firstOffset < to && to > from));
  }

  async offsetForTime(timestamp: number, limit: number): Promise<TimedRecord | undefined> {
    const found = this.batches.find(({ header }) => header.maxTimestamp >= timestamp);
    return found === undefined || found.header.baseOffset >= limit ? undefined : timed(found);
  }

  async offsetOfMaxTimestamp(limit: number): Promise<TimedRecord | undefined> {
    let largest: StoredBatch | undefined;
    for (const batch of this.batches) {
      if (batch.header.lastOffset >= limit) break;
      if (batch.header.maxTimestamp > (largest?.header.maxTimestamp ?? -1)) largest = batch;
    }
    return largest === undefined ? undefined : timed(largest);
  }

  endOffsetForEpoch(epoch: number): { leaderEpoch: number; endOffset: number } | undefined {
    if (epoch < 0 || epoch > this.leaderEpoch) return undefined;
    if (epoch === this.leaderEpoch) return { leaderEpoch: epoch, endOffset: this.endOffset };
    const at = this.epochs.findLastIndex((entry) => entry.epoch <= epoch);
    const endOffset = this.epochs[at + 1]?.start ?? this.endOffset;
    return { leaderEpoch: this.epochs[at]?.epoch ?? epoch, endOffset };
  }

  epochAt(offset: number): number {
    return this.epochs.findLast(({ start }) => start <= offset)?.epoch ?? -1;
  }

  async deleteRecordsBefore(offset: number): Promise<number> {
    this.logStartOffset = Math.max(this.logStartOffset, offset);
    return this.logStartOffset;
  }

  async flush(): Promise<void> {
    this.persist();
  }

  private async readDisk(
    from: number,
    maxBytes: number,
    limit: number,
    atLeastOne: boolean,
  ): Promise<LogSlice> {
    // What lies in memory is not in the files.
    const below = Math.min(limit, this.persistedOffset);
    await new Promise((resolve) => setImmediate(resolve));
    if (this.readFailure !== undefined) throw this.readFailure;
    return this.slice(from, maxBytes, below, atLeastOne);
  }

  private slice(from: number, maxBytes: number, limit: number, atLeastOne: boolean): LogSlice {
    const buffers: Buffer[] = [];
    let sizeBytes = 0;
    let recordBytes = 0;
    let nextOffset = from;
    for (const { bytes, header } of this.batches) {
      if (header.lastOffset < from) continue;
      const fits = sizeBytes + bytes.length <= maxBytes || (sizeBytes === 0 && atLeastOne);
      if (!fits || header.lastOffset >= limit) break;
      buffers.push(Buffer.from(bytes));
      sizeBytes += bytes.length;
      if (header.recordCount > 0) recordBytes += bytes.length;
      nextOffset = header.lastOffset + 1;
    }
    if (sizeBytes > 0) this.slicesHeld++;
    let isReleased = sizeBytes === 0;
    const release = () => {
      if (isReleased && sizeBytes > 0) throw new Error('a slice was given back twice');
      if (!isReleased) this.slicesHeld--;
      isReleased = true;
      // Whoever still looks at it sees it.
      for (const buffer of buffers) buffer.fill(0xee);
    };
    return { buffers, sizeBytes, recordBytes, nextOffset, release };
  }
}

function timed({ header }: StoredBatch): TimedRecord {
  const { baseOffset, maxTimestamp, leaderEpoch } = header;
  return { offset: baseOffset, timestamp: maxTimestamp, leaderEpoch };
}

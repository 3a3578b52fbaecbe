/**
 * The data of one partition: segments on disk, chunks in memory, and the marks between them.
 *
 * ```
 * log start <= end, persisted <= durable <= written <= end
 * ```
 * Readers see up to the mark of the topic's visibility.
 */

import { NO_TIMESTAMP } from '../protocol/record-batch.ts';
import { OffsetOutOfRange } from './errors.ts';
import { LogReader } from './log-reader.ts';
import { LogWriter, type OpenedLog } from './log-writer.ts';
import type { AbortedTxn } from './txn-index.ts';
import type {
  AbortedTransaction,
  LocatedFile,
  Location,
  LogSlice,
  PartitionLogView,
  TimedRecord,
} from './types.ts';
import type { WritePath } from './write-path.ts';

export class PartitionLog extends LogWriter implements PartitionLogView {
  /** What goes through its segments now: retention and the cleaner leave each other alone. */
  upkeep: 'retention' | 'cleaning' | undefined;
  readonly #reader: LogReader;
  #logStart: number;
  /** What is durable of it. */
  #recordedLogStart: number;

  constructor(path: WritePath, opened: OpenedLog) {
    super(path, opened);
    this.#logStart = opened.logStartOffset;
    this.#recordedLogStart = opened.logStartOffset;
    this.#reader = new LogReader(opened.segments, this.tail, path.inflate);
  }

  get logStartOffset(): number {
    return this.#logStart;
  }

  /** What a transaction wrote that is open still may have been deleted since. */
  override get lastStableOffset(): number {
    return Math.max(super.lastStableOffset, this.#logStart);
  }

  get sizeBytes(): number {
    return this.segments.sizeBytes + this.tail.sizeBytes;
  }

  /** What is not persisted yet: batches' bytes, and the chunks that hold them. */
  get inMemory(): { readonly sizeBytes: number; readonly chunks: number } {
    return { sizeBytes: this.tail.sizeBytes, chunks: this.tail.chunks.length };
  }

  read(
    from: number,
    maxBytes: number,
    limit: number,
    atLeastOne: boolean,
  ): LogSlice | Promise<LogSlice> {
    if (from < this.#logStart || from > this.endOffset) {
      throw new OffsetOutOfRange(
        `offset ${from} of ${this.topic}-${this.partition} is not in [${this.#logStart}, ${this.endOffset}]`,
      );
    }
    return this.#reader.read(from, maxBytes, limit, this.persistedOffset, atLeastOne);
  }

  async locate(
    from: number,
    maxBytes: number,
    limit: number = this.persistedOffset,
  ): Promise<Location | undefined> {
    const end = Math.min(limit, this.persistedOffset);
    if (from < this.#logStart || from >= end) return undefined;
    return this.segments.locate(from, maxBytes, end);
  }

  openLocated(baseOffset: number, generation: string): Promise<LocatedFile | undefined> {
    return this.segments.openLocated(baseOffset, generation, this.persistedOffset);
  }

  abortedTransactions(
    from: number,
    to: number,
  ): AbortedTransaction[] | Promise<AbortedTransaction[]> {
    if (from >= this.persistedOffset) return this.#abortedInMemory(from, to).map(withoutMarker);
    return this.abortedWithin(from, to).then((aborted) => aborted.map(withoutMarker));
  }

  /** The same with their markers. */
  async abortedWithin(from: number, to: number): Promise<AbortedTxn[]> {
    const inMemory = this.#abortedInMemory(from, to);
    const stored = await this.segments.abortedTransactions(from, to);
    const known = new Set(stored.map(({ lastOffset }) => lastOffset));
    // A marker may have come to the segments while they were asked.
    return [...stored, ...inMemory.filter(({ lastOffset }) => !known.has(lastOffset))];
  }

  #abortedInMemory(from: number, to: number): AbortedTxn[] {
    return this.aborted.filter(
      ({ firstOffset, lastOffset }) => lastOffset >= from && firstOffset < to,
    );
  }

  offsetForTime(timestamp: number, limit: number): Promise<TimedRecord | undefined> {
    return this.#reader.offsetForTime(timestamp, this.#logStart, limit);
  }

  offsetOfMaxTimestamp(limit: number): Promise<TimedRecord | undefined> {
    return this.#reader.offsetOfMaxTimestamp(this.#logStart, limit);
  }

  endOffsetForEpoch(epoch: number): { leaderEpoch: number; endOffset: number } | undefined {
    return this.epochs.endOffsetFor(epoch, this.leaderEpoch, this.endOffset);
  }

  epochAt(offset: number): number {
    return this.epochs.epochAt(offset);
  }

  async deleteRecordsBefore(offset: number): Promise<number> {
    if (offset > this.highWatermark) {
      throw new OffsetOutOfRange(`offset ${offset} is above the high watermark`);
    }
    this.#logStart = Math.max(this.#logStart, offset);
    const start = this.#logStart;
    // Asked for again after a failure, it is only done when it is recorded.
    if (this.#recordedLogStart < start) {
      await this.#recordLogStart(start);
      await this.#deleteSegmentsBelow(start, true);
    }
    return this.#logStart;
  }

  /**
   * Retention: the segments below an offset at or below the high watermark go. Where a full disk
   * cannot take the new log start they go all the same, or it would stay full.
   */
  async dropSegmentsBefore(offset: number): Promise<void> {
    if (!this.segments.hasSegmentsBelow(offset)) return;
    this.#logStart = Math.max(this.#logStart, offset);
    let isRecorded = true;
    try {
      if (this.#recordedLogStart < offset) await this.#recordLogStart(offset);
    } catch (error) {
      isRecorded = false;
      const { topic, partition } = this;
      const facts = { err: error, topic, partition, logStartOffset: offset };
      this.path.env.log.warn(
        facts,
        'a log start could not be recorded; its segments go one by one',
      );
    }
    await this.#deleteSegmentsBelow(offset, isRecorded);
  }

  async #recordLogStart(start: number): Promise<void> {
    await this.path.saveLogStart();
    this.#recordedLogStart = Math.max(this.#recordedLogStart, start);
  }

  async #deleteSegmentsBelow(offset: number, isRecorded: boolean): Promise<void> {
    this.epochs.truncateFromStart(offset);
    if (!this.segments.hasSegmentsBelow(offset)) return;
    await this.path.saveProducers(this);
    await this.segments.deleteSegmentsBelow(offset, isRecorded);
  }

  /** What is in memory and not persisted, as retention sees it. */
  memoryExtent(): { readonly sizeBytes: number; newestMs(): number } {
    return { sizeBytes: this.tail.sizeBytes, newestMs: () => this.#newestInMemory() };
  }

  /** Now where no record has a time. */
  #newestInMemory(): number {
    let newest = NO_TIMESTAMP;
    this.tail.forEachFrom(0, ({ maxTimestamp }) => {
      newest = Math.max(newest, maxTimestamp);
      return true;
    });
    return newest > NO_TIMESTAMP ? newest : this.path.env.clock.now();
  }
}

function withoutMarker({ producerId, firstOffset }: AbortedTxn): AbortedTransaction {
  return { producerId, firstOffset };
}

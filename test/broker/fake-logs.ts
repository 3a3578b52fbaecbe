/**
 * Logs in memory for tests of what lies above the storage. Appends become durable at once, or when
 * the test says so; what was durable is there after a "restart" on the same store.
 */

import {
  assignOffset,
  type BatchHeader,
  batchBytes,
  lastOffset,
} from '../../protocol/record-batch.ts';
import { LogDeleted, LogFailed, OffsetOutOfRange } from '../../storage/errors.ts';
import { ProducerStates } from '../../storage/producer-state.ts';
import type {
  AppendResult,
  LogOptions,
  LogSlice,
  LogStore,
  Mark,
  PartitionLogView,
} from '../../storage/types.ts';

interface Waiting {
  readonly end: number;
  readonly done: (error?: Error) => void;
}

export class FakeLog implements PartitionLogView {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  options: LogOptions;
  batches: Buffer[] = [];
  logStartOffset = 0;
  durableOffset = 0;
  endOffset = 0;
  leaderEpoch = 0;
  appends = 0;
  onAdvance: (() => void) | undefined;
  /** While set, appends wait for `sync`. */
  held = false;
  deleted = false;
  readonly producers = new ProducerStates();
  #waiting: Waiting[] = [];

  constructor(topic: string, topicId: string, partition: number, options: LogOptions) {
    this.topic = topic;
    this.topicId = topicId;
    this.partition = partition;
    this.options = options;
  }

  get persistedOffset(): number {
    return this.durableOffset;
  }

  get writtenOffset(): number {
    return this.endOffset;
  }

  get highWatermark(): number {
    return this.durableOffset;
  }

  get lastStableOffset(): number {
    return this.durableOffset;
  }

  get sizeBytes(): number {
    return this.batches.reduce((sum, batch) => sum + batch.length, 0);
  }

  append(batch: Buffer, header: BatchHeader): AppendResult {
    const baseOffset = this.endOffset;
    assignOffset(batch, 0, baseOffset, this.leaderEpoch);
    this.batches.push(batch);
    this.appends++;
    this.endOffset += header.lastOffset - header.baseOffset + 1;
    if (!this.held) queueMicrotask(() => this.sync());
    return { baseOffset, lastOffset: this.endOffset - 1, logAppendTimeMs: -1 };
  }

  /** Makes all that was appended durable. */
  sync(): void {
    this.durableOffset = this.endOffset;
    const waiting = this.#waiting.splice(0);
    for (const { done } of waiting) done();
    this.onAdvance?.();
  }

  /** Writing fails: what was not durable is lost, unless it reached the disk after all. */
  failWrites(reachedTheDisk: boolean): void {
    if (reachedTheDisk) this.durableOffset = this.endOffset;
    while (this.batches.length > 0 && lastOffset(this.batches.at(-1)!, 0) >= this.durableOffset) {
      this.batches.pop();
    }
    this.endOffset = this.durableOffset;
    const waiting = this.#waiting.splice(0);
    for (const { done } of waiting) done(new LogFailed('the disk is full'));
  }

  /** What a stop without warning leaves. */
  crash(): void {
    this.failWrites(false);
  }

  onMark(_mark: Mark, end: number, done: (error?: Error) => void): void {
    if (end <= this.durableOffset) done();
    else this.#waiting.push({ end, done });
  }

  ackMark(): Mark {
    return 'durable';
  }

  read(from: number, maxBytes: number, limit: number): LogSlice {
    if (from < this.logStartOffset || from > this.endOffset) {
      throw new OffsetOutOfRange(`${from} is not in the log`);
    }
    const buffers: Buffer[] = [];
    let sizeBytes = 0;
    let nextOffset = from;
    for (const batch of this.batches) {
      const last = lastOffset(batch, 0);
      if (last < from) continue;
      if (last >= limit || (sizeBytes > 0 && sizeBytes + batchBytes(batch, 0) > maxBytes)) break;
      buffers.push(batch);
      sizeBytes += batch.length;
      nextOffset = last + 1;
    }
    return { buffers, sizeBytes, recordBytes: sizeBytes, nextOffset, release: () => undefined };
  }

  async locate(): Promise<undefined> {
    return undefined;
  }

  async openLocated(): Promise<undefined> {
    return undefined;
  }

  abortedTransactions(): [] {
    return [];
  }

  async offsetForTime(): Promise<undefined> {
    return undefined;
  }

  async offsetOfMaxTimestamp(): Promise<undefined> {
    return undefined;
  }

  endOffsetForEpoch(): undefined {
    return undefined;
  }

  epochAt(): number {
    return this.leaderEpoch;
  }

  async deleteRecordsBefore(offset: number): Promise<number> {
    this.logStartOffset = offset;
    this.batches = this.batches.filter((batch) => lastOffset(batch, 0) >= offset);
    return offset;
  }

  async flush(): Promise<void> {
    this.sync();
  }

  remove(): void {
    this.deleted = true;
    const waiting = this.#waiting.splice(0);
    for (const { done } of waiting) done(new LogDeleted('deleted'));
  }
}

export class FakeLogStore implements LogStore {
  readonly logs = new Map<string, FakeLog>();
  readonly removed: string[] = [];
  readonly optionsSet: string[] = [];
  /** Resolves before a removal does; undefined when nothing holds removals. */
  removal: Promise<void> | undefined;
  /** Resolves before anything is admitted. */
  admission: Promise<void> | undefined;

  create(topic: string, topicId: string, partition: number, options: LogOptions): FakeLog {
    const log = new FakeLog(topic, topicId, partition, options);
    this.logs.set(`${topicId}/${partition}`, log);
    return log;
  }

  get(topicId: string, partition: number): FakeLog | undefined {
    return this.logs.get(`${topicId}/${partition}`);
  }

  async openLocated(): Promise<undefined> {
    return undefined;
  }

  setOptions(topicId: string, options: LogOptions): void {
    this.optionsSet.push(topicId);
    for (const log of this.logs.values()) if (log.topicId === topicId) log.options = options;
  }

  async remove(topicId: string, partition: number): Promise<void> {
    const log = this.get(topicId, partition);
    this.logs.delete(`${topicId}/${partition}`);
    log?.remove();
    await this.removal;
    this.removed.push(`${log?.topic}-${partition}`);
  }

  admit(): Promise<void> | undefined {
    return this.admission;
  }

  async cleanNow() {
    return false;
  }

  live() {
    return [];
  }

  gauges() {
    return {
      tailBytes: 0,
      queueBytes: 0,
      queueLimitBytes: 0,
      queuedChunks: 0,
      heldSources: 0,
      journalBytes: 0,
      journalLimitBytes: 0,
      logs: this.logs.size,
      failedLogs: 0,
      isRetentionSuspended: false,
      compactedRecords: 0,
      compactedBytes: 0,
      vanishedPairs: 0,
    };
  }

  async close(): Promise<void> {}
}

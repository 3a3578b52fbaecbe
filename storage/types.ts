/**
 * What the rooms around the storage see of it: the log of one partition, and the logs of all.
 * Offsets are safe integers; an "end" is the offset after the last one.
 */

import type { BatchHeader } from '../protocol/record-batch.ts';
import type { LiveLog } from './inspect/live.ts';

/** Storage options of one topic, in storage's own words; broker/config.ts derives them. */
export interface LogOptions {
  /** `segment.bytes`: a segment is rolled before it would grow past this. */
  readonly segmentBytes: number;
  /** `segment.ms`: a segment is rolled when its first record is older than this. */
  readonly segmentMs: number;
  /** `segment.jitter.ms`: up to so much earlier, so that logs are not rolled in step. */
  readonly segmentJitterMs: number;
  readonly segmentIndexBytes: number;
  readonly indexIntervalBytes: number;
  readonly fileDeleteDelayMs: number;
  /** `flush.messages`: 1 makes acks=all wait for the durable mark. */
  readonly flushMessages: number;
  readonly flushMs: number;
  readonly producerIdExpirationMs: number;
  /** `cleanup.policy`: whether whole old segments go, and whether old values of a key go. */
  readonly deletes: boolean;
  readonly compacts: boolean;
  /** `retention.ms`; -1 keeps segments of any age. */
  readonly retentionMs: number;
  /** `retention.bytes`; -1 keeps any size. */
  readonly retentionBytes: number;
  /** `delete.retention.ms`: how long the mark of a deleted key stays. */
  readonly deleteRetentionMs: number;
  readonly minCompactionLagMs: number;
  readonly maxCompactionLagMs: number;
  /** `min.cleanable.dirty.ratio`, in [0, 1]. */
  readonly minCleanableDirtyRatio: number;
  /** `tail.compaction.enable`, where `cleanup.policy` contains compact. */
  readonly compactsTail: boolean;
  /** Which mark readers may see up to: `fetch.visibility`. */
  readonly visibility: 'written' | 'durable';
  /** Internal topics draw on the reserve and always ask for the sync. */
  readonly internal: boolean;
}

export type Mark = 'written' | 'durable';

/** What a read gave: whole batches in order, the first of which contains the asked offset. */
export interface LogSlice {
  /** The batches' bytes; shared with others, never to be written to. Empty when there is nothing. */
  readonly buffers: readonly Buffer[];
  readonly sizeBytes: number;
  /** Bytes of batches that hold at least one record: what min_bytes counts. */
  readonly recordBytes: number;
  /** Offset after the last batch given, or the asked offset when nothing was given. */
  readonly nextOffset: number;
  /** Gives the buffers back; call exactly once, when the bytes have left. */
  release(): void;
}

/** Where persisted bytes lie; immutable below the persisted mark. */
export interface Location {
  readonly path: string;
  readonly device: number;
  readonly inode: number;
  readonly segmentBaseOffset: number;
  /** Random 64-bit id of the file as 16 hex digits. */
  readonly generation: string;
  readonly position: number;
  readonly length: number;
  readonly firstOffset: number;
  readonly nextOffset: number;
  /** The file has a name for static servers: `<located folder>/` and locatedPath. */
  readonly isLinked: boolean;
}

/** A file that a location names, opened; it stays readable until it is given back. */
export interface LocatedFile {
  /** Whose it is, or was. */
  readonly topic: string;
  /** Whole batches, all persisted; nothing beyond is given. */
  readonly sizeBytes: number;
  /** Reads up to `length` bytes at `position`; fewer only at `sizeBytes`. */
  read(target: Buffer, targetStart: number, length: number, position: number): Promise<number>;
  /** Call exactly once. */
  release(): void;
}

export interface AppendResult {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** -1 unless the log set the time. */
  readonly logAppendTimeMs: number;
}

/** A record found by its time. */
export interface TimedRecord {
  readonly offset: number;
  readonly timestamp: number;
  readonly leaderEpoch: number;
}

/** Uncompresses the records of a batch, in bounds. */
export type Inflate = (codec: number, payload: Buffer) => Promise<Buffer>;

/** Compresses the records of a batch in a codec. */
export type Deflate = (codec: number, payload: Buffer) => Promise<Buffer>;

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/** What readers may know of one producer. */
export interface ProducerState {
  readonly producerId: number;
  readonly epoch: number;
  /** Epoch of the transaction coordinator that wrote the last marker; -1 when there was none. */
  readonly coordinatorEpoch: number;
  readonly lastTimestamp: number;
  /** -1 when no transaction is open. */
  readonly currentTxnFirstOffset: number;
  /** The last five, oldest first. */
  readonly batches: readonly { readonly lastSequence: number }[];
}

/** The five batches remembered of a producer, and its epoch: what a repeated batch is known by. */
export interface ProducerStates {
  /**
   * Checks a client's batch against the head state. Gives the last offset of the original when the
   * batch repeats one of the last five, undefined when it may be appended. Throws
   * OutOfOrderSequence or InvalidProducerEpoch (storage/errors.ts).
   */
  check(
    header: BatchHeader,
    origin?: 'client' | 'coordinator',
  ): { baseOffset: number; lastOffset: number } | undefined;
  /** Checks a marker: throws InvalidProducerEpoch or TransactionCoordinatorFenced. */
  checkMarker(
    producerId: number,
    producerEpoch: number,
    coordinatorEpoch: number,
    transactionVersion: number,
  ): void;
  /** What is known of a producer. */
  get(producerId: number): ProducerState | undefined;
  /** All producers that are remembered. */
  entries(): Iterable<ProducerState>;
  /** Remembers that a client's batch could not be taken, so that what follows it is not either. */
  refuse(header: BatchHeader): void;
}

/** One partition's data: persisted segments, chunks in memory, and the marks between them. */
export interface PartitionLogView {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly options: LogOptions;

  readonly logStartOffset: number;
  /** In fsynced segments up to here. */
  readonly persistedOffset: number;
  readonly durableOffset: number;
  readonly writtenOffset: number;
  readonly endOffset: number;
  /** The mark of the topic's visibility. */
  readonly highWatermark: number;
  /** First offset of the oldest open transaction, else the high watermark. */
  readonly lastStableOffset: number;
  /** Epoch that new batches get. */
  readonly leaderEpoch: number;
  readonly producers: ProducerStates;
  /** Bytes of all batches in segments and memory. */
  readonly sizeBytes: number;

  /**
   * Takes one checked batch: assigns offset and epoch in place, remembers producer and epoch, puts
   * it into the memory tail, copied, and into this turn's journal group. Never waits. Throws
   * LogFailed when writing to this log has failed before.
   */
  append(batch: Buffer, header: BatchHeader, nowMs: number): AppendResult;

  /** Calls back, in offset order, once a mark has reached the end; at once when it has already. */
  onMark(mark: Mark, endOffset: number, done: (error?: Error) => void): void;

  /** Which mark an acknowledgement waits for. */
  ackMark(acks: 1 | -1): Mark;

  /** Called after the high watermark or the last stable offset moved. One listener: the partition. */
  onAdvance: (() => void) | undefined;

  /**
   * Reads whole batches from the one that contains `from`, up to `limit` (exclusive) and about
   * `maxBytes`. `atLeastOne`: the first batch is given even when larger. A promise only when the
   * disk must be asked. Throws OffsetOutOfRange below the log start or above the end.
   */
  read(
    from: number,
    maxBytes: number,
    limit: number,
    atLeastOne: boolean,
  ): LogSlice | Promise<LogSlice>;

  /**
   * Where persisted bytes from an offset lie, whole batches below `limit` (the persisted mark when
   * not given), the first one also when it is larger; undefined when there are none.
   */
  locate(from: number, maxBytes: number, limit?: number): Promise<Location | undefined>;

  /**
   * Opens the file that a location names; undefined when that generation is gone: never was, or
   * left the log more than `file.delete.delay.ms` ago.
   */
  openLocated(baseOffset: number, generation: string): Promise<LocatedFile | undefined>;

  /** Aborted transactions that overlap [from, to). */
  abortedTransactions(
    from: number,
    to: number,
  ): AbortedTransaction[] | Promise<AbortedTransaction[]>;

  /** First record at or after a time, below `limit`; undefined when there is none. */
  offsetForTime(timestamp: number, limit: number): Promise<TimedRecord | undefined>;

  /** The record with the largest timestamp below `limit`, the first of equals. */
  offsetOfMaxTimestamp(limit: number): Promise<TimedRecord | undefined>;

  /** The largest epoch at or below the asked one, with its end offset; undefined when unknown. */
  endOffsetForEpoch(epoch: number): { leaderEpoch: number; endOffset: number } | undefined;
  /** Epoch of the batch at an offset. */
  epochAt(offset: number): number;

  /** Raises the log start; durable when it resolves. Throws OffsetOutOfRange above the high watermark. */
  deleteRecordsBefore(offset: number): Promise<number>;

  /** Seals and persists all that is in memory. */
  flush(): Promise<void>;
}

/** Gauges of the write path, in bytes and counts. */
export interface StorageGauges {
  readonly tailBytes: number;
  readonly queueBytes: number;
  readonly queueLimitBytes: number;
  readonly queuedChunks: number;
  /** Sources that are held back at present. */
  readonly heldSources: number;
  readonly journalBytes: number;
  readonly journalLimitBytes: number;
  readonly logs: number;
  readonly failedLogs: number;
  /** The wall clock has jumped: nothing is deleted for its age. */
  readonly isRetentionSuspended: boolean;
  /** What was compacted away before it reached a segment, since the process started. */
  readonly compactedRecords: number;
  readonly compactedBytes: number;
  /** Deletes among those records that went together with what they deleted. */
  readonly vanishedPairs: number;
}

/** The logs of one data folder. */
export interface LogStore {
  /** Makes or opens the log of a partition; synchronous, its folder comes with its first file. */
  create(topic: string, topicId: string, partition: number, options: LogOptions): PartitionLogView;
  get(topicId: string, partition: number): PartitionLogView | undefined;
  /** As the log's own; also where the log is gone and its files are not yet. */
  openLocated(
    topicId: string,
    partition: number,
    baseOffset: number,
    generation: string,
  ): Promise<LocatedFile | undefined>;
  /** New options of a topic's logs. */
  setOptions(topicId: string, options: LogOptions): void;
  /** Takes a log out of use, answers all that waits on it with LogDeleted, removes its files. */
  remove(topicId: string, partition: number): Promise<void>;
  /**
   * Room for so many bytes from a source: undefined when there is, else a promise that resolves
   * when there is and rejects with HoldTimeout after `produce.hold.max.ms`, or at once with
   * LogFailed when writing fails. Internal sources draw on a reserve. Room is shared among the
   * sources that are told apart by `source`, whatever each asks for.
   */
  admit(sizeBytes: number, internal: boolean, source?: object): Promise<void> | undefined;
  gauges(): StorageGauges;
  /**
   * Cleans a compacted log below an offset, due or not; false when nothing could be cleaned. Rejects
   * with StorageError where it is not one to be cleaned now.
   */
  cleanNow(topicId: string, partition: number, below: number): Promise<boolean>;
  /** What each log is like at this time. */
  live(): Iterable<LiveLog>;
  /** Flushes everything, writes the checkpoints and the clean-shutdown mark, frees the folder. */
  close(): Promise<void>;
}

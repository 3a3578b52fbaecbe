/**
 * One partition as the broker sees it: the log of the storage, what of it readers may see, the
 * producer's checks, and the watchers that wait for more.
 *
 * Everything of an append runs in one turn without waiting, so a partition needs no lock. The
 * positions that watchers are ordered by count the bytes of batches with records from the start of
 * the process: batches appended and not yet visible stand in `#hidden`, those that are visible but
 * above the last stable offset in `#unstable`.
 */

import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchBytes,
  MAGIC,
  magic,
  readBatchHeader,
} from '../protocol/record-batch.ts';
import { buildBatch, controlBatch, MarkerType } from '../protocol/records.ts';
import type { Clock } from '../storage/env.ts';
import { LogDeleted } from '../storage/errors.ts';
import type { AppendResult, LogSlice, LogStore, PartitionLogView } from '../storage/types.ts';
import { PositionQueue } from './position-queue.ts';
import type { Topic } from './topics.ts';
import { WatchList } from './watchers.ts';

/** Records for a log of the broker's own. */
export interface OwnRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Defaults to now. */
  readonly timestamp?: number;
}

/** The transaction that records of the broker's own are a part of. */
export interface TransactionalProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Asked right before the append; throws when the transaction is over. */
  check(): void;
}

/** How a transaction ended, for one of its partitions. */
export interface TransactionMarker {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  readonly isCommit: boolean;
  /** From 2 on the end has raised the producer's epoch. */
  readonly transactionVersion: number;
}

export interface AppendedRange {
  readonly baseOffset: number;
  readonly lastOffset: number;
}

/** What partitions need of the broker. */
export interface PartitionServices {
  readonly logs: LogStore;
  readonly clock: Clock;
}

/** How an append of a client's batch came out. */
export interface ClientAppend extends AppendResult {
  /** The batch repeats one of the producer's last five; the offsets are the original's. */
  readonly duplicate: boolean;
}

/** So many batches above the last stable offset are known one by one. */
const MAX_UNSTABLE = 8192;
/** How much `scan` reads at once. */
const SCAN_BYTES = 1024 * 1024;

export class Partition {
  readonly topic: Topic;
  readonly index: number;
  readonly log: PartitionLogView;
  /** Watchers that see up to the high watermark. */
  readonly visible = new WatchList();
  /** Watchers that see up to the last stable offset. */
  readonly stable = new WatchList();
  readonly #services: PartitionServices;
  /** Ends and positions of appended batches that are not visible yet. */
  readonly #hidden = new PositionQueue();
  /** The same of visible batches above the last stable offset; bounded, as transactions are long. */
  readonly #unstable = new PositionQueue(MAX_UNSTABLE);
  #lastStable = 0;
  #deleted = false;
  /** The last of own appends that wait for room: later ones come after it. */
  #admission: Promise<void> | undefined;

  constructor(topic: Topic, index: number, log: PartitionLogView, services: PartitionServices) {
    this.topic = topic;
    this.index = index;
    this.log = log;
    this.#services = services;
    log.onAdvance = () => this.#advanced();
  }

  get isDeleted(): boolean {
    return this.#deleted;
  }

  /**
   * Appends a client's batch, which validate.ts has found sound. Throws OutOfOrderSequence,
   * InvalidProducerEpoch, LogFailed, LogDeleted.
   */
  append(batch: Buffer, header: BatchHeader, nowMs: number): ClientAppend {
    if (this.#deleted) throw new LogDeleted(`${this.topic.name}-${this.index} was deleted`);
    if (header.producerId >= 0) {
      const original = this.log.producers.check(header);
      if (original !== undefined) {
        // As Kafka does it, the time that is told of a repeated batch is that of its records.
        const { baseOffset, lastOffset } = original;
        return { baseOffset, lastOffset, logAppendTimeMs: header.maxTimestamp, duplicate: true };
      }
    }
    const { baseOffset, lastOffset, logAppendTimeMs } = this.log.append(batch, header, nowMs);
    this.#count(baseOffset, lastOffset, header);
    return { baseOffset, lastOffset, logAppendTimeMs, duplicate: false };
  }

  /** A client's batch, not checked yet, could not be taken for a reason that may pass. */
  refuse(batch: Buffer | null): void {
    if (batch === null || batch.length < BATCH_HEADER_BYTES || magic(batch, 0) !== MAGIC) return;
    this.log.producers.refuse(readBatchHeader(batch, 0));
  }

  /**
   * Appends records of the broker's own as one batch, in the order of the calls; resolves when they
   * are durable. Draws on the reserve of internal topics.
   */
  appendRecords(
    records: readonly OwnRecord[],
    producer?: TransactionalProducer,
  ): Promise<AppendedRange> {
    const nowMs = this.#services.clock.now();
    const batch = buildBatch({
      baseOffset: 0,
      records: records.map((record) => ({ timestamp: nowMs, headers: [], ...record })),
      ...(producer === undefined ? {} : transactionalFields(producer)),
    });
    if (producer === undefined) return this.appendOwnBatch(batch);
    return this.appendOwnBatch(batch, (header) => {
      producer.check();
      this.log.producers.check(header, 'coordinator');
    });
  }

  /**
   * Appends the end of a transaction; resolves when it is durable. Draws on the reserve, so that it
   * is never held back. Rejects with InvalidProducerEpoch and TransactionCoordinatorFenced.
   */
  appendMarker(marker: TransactionMarker): Promise<AppendedRange> {
    const { producerId, producerEpoch, coordinatorEpoch, isCommit, transactionVersion } = marker;
    const batch = controlBatch({
      type: isCommit ? MarkerType.commit : MarkerType.abort,
      producerId,
      producerEpoch,
      coordinatorEpoch,
      timestamp: this.#services.clock.now(),
    });
    return this.appendOwnBatch(batch, () => {
      const { producers } = this.log;
      producers.checkMarker(producerId, producerEpoch, coordinatorEpoch, transactionVersion);
    });
  }

  /** The same for a batch that is already built; `check` throws where it may not be appended. */
  appendOwnBatch(batch: Buffer, check?: (header: BatchHeader) => void): Promise<AppendedRange> {
    const room = this.#services.logs.admit(batch.length, true);
    if (room === undefined && this.#admission === undefined) {
      return this.#appendDurably(batch, check);
    }
    const turn = Promise.all([this.#admission, room]).then(() => undefined);
    const settled = turn
      .catch(() => undefined)
      .then(() => {
        if (this.#admission === settled) this.#admission = undefined;
      });
    this.#admission = settled;
    return turn.then(() => this.#appendDurably(batch, check));
  }

  /**
   * Visits all batches from an offset (or the log start, if that is higher) to the end that was
   * durable when the scan began, in order; for loading a topic of the broker's own.
   */
  async scan(from: number, visit: (buffer: Buffer, at: number) => void): Promise<void> {
    const limit = this.log.durableOffset;
    let offset = Math.max(from, this.log.logStartOffset);
    while (offset < limit) {
      const slice: LogSlice = await this.log.read(offset, SCAN_BYTES, limit, true);
      try {
        for (const buffer of slice.buffers) {
          for (let at = 0; at < buffer.length; at += batchBytes(buffer, at)) visit(buffer, at);
        }
      } finally {
        slice.release();
      }
      if (slice.nextOffset <= offset) return;
      offset = slice.nextOffset;
    }
  }

  /** The topic is gone: ends what waits here. */
  deleted(): void {
    this.#deleted = true;
    this.visible.endAll('deleted');
    this.stable.endAll('deleted');
  }

  #appendDurably(
    batch: Buffer,
    check: ((header: BatchHeader) => void) | undefined,
  ): Promise<AppendedRange> {
    return new Promise((resolve, reject) => {
      if (this.#deleted) throw new LogDeleted(`${this.topic.name}-${this.index} was deleted`);
      const header = readBatchHeader(batch, 0);
      check?.(header);
      const nowMs = this.#services.clock.now();
      const { baseOffset, lastOffset } = this.log.append(batch, header, nowMs);
      this.#count(baseOffset, lastOffset, header);
      this.log.onMark('durable', lastOffset + 1, (error) => {
        if (error === undefined) resolve({ baseOffset, lastOffset });
        else reject(error);
      });
    });
  }

  /** Remembers where a batch ends, until readers may see it. */
  #count(baseOffset: number, lastOffset: number, header: BatchHeader): void {
    if (header.recordCount === 0) return;
    const hidden = this.#hidden;
    // What the log took back after a failed write never became visible; its offsets come again.
    while (hidden.lastEnd > baseOffset) hidden.pop();
    const before = hidden.size > 0 ? hidden.lastPosition : this.visible.position;
    hidden.add(lastOffset + 1, before + header.sizeBytes);
    // A mark may have moved within append, when the write was done in the turn.
    if (this.log.highWatermark > lastOffset) this.#advanced();
  }

  /** The high watermark or the last stable offset has moved. */
  #advanced(): void {
    const highWatermark = this.log.highWatermark;
    const lastStable = this.log.lastStableOffset;
    let visible = this.visible.position;
    let stable = this.stable.position;
    const hidden = this.#hidden;
    const unstable = this.#unstable;
    while (hidden.firstEnd <= highWatermark) {
      const end = hidden.firstEnd;
      visible = hidden.shift();
      if (end > lastStable || unstable.size > 0) unstable.add(end, visible);
      else stable = visible;
    }
    while (unstable.firstEnd <= lastStable) stable = unstable.shift();
    if (unstable.size === 0) stable = visible;
    if (visible > this.visible.position) this.visible.advance(visible);
    if (stable > this.stable.position) this.stable.advance(stable);
    // Between merged pairs the position is not known, so all are told and read for themselves.
    if (unstable.isMerged && lastStable > this.#lastStable) this.stable.endAll('bytes');
    this.#lastStable = lastStable;
  }
}

function transactionalFields({ producerId, producerEpoch }: TransactionalProducer) {
  return { producerId, producerEpoch, baseSequence: 0, transactional: true };
}

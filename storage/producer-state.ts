/**
 * What a partition remembers of its producers: epoch, the last five batches, the open transaction.
 * By it a repeated batch is known, a gap in the sequence refused, and the first offset found that
 * readers of committed data may not pass. A log has two of these: the head state, against which
 * clients are checked, and one that follows the flushed batches, of which snapshots are written.
 *
 * Producer id -1 is not tracked, nor is the reserved id of the batches that close gaps.
 * Source: KAFKA.md points 22-25, 33; ProducerStateManager, ProducerAppendInfo, ProducerStateEntry.
 */

import type { BatchHeader } from '../protocol/record-batch.ts';
import {
  GAP_PRODUCER_ID,
  InvalidRecords,
  MarkerType,
  payloadOf,
  readEndTxnMarker,
} from '../protocol/records.ts';
import {
  CorruptLog,
  InvalidProducerEpoch,
  InvalidTxnState,
  OutOfOrderSequence,
  TransactionCoordinatorFenced,
} from './errors.ts';
import {
  addBatch,
  checkEpoch,
  checkSequence,
  emptyEntry,
  findDuplicate,
  type ProducerEntry,
  setEpoch,
} from './producer-entry.ts';
import { SparseMap } from './sparse.ts';

export { BATCHES_KEPT, type BatchMetadata, type ProducerEntry } from './producer-entry.ts';

/** A transaction that ended with data in this partition: what the transaction index records. */
export interface CompletedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Offset of the marker. */
  readonly lastOffset: number;
  readonly aborted: boolean;
  /** First offset of the oldest transaction still open, else the offset after the marker. */
  readonly lastStableOffset: number;
}

/** Who appends: sequences are checked of clients only. */
export type AppendOrigin = 'client' | 'coordinator';

export interface ProducerStatesOptions {
  /** Producers remembered; beyond it the one longest not heard of, without transaction, goes. */
  readonly maxProducers: number;
}

/** What was the first that was refused of a producer of which nothing else is known. */
interface Refusal {
  readonly epoch: number;
  readonly sequence: number;
}

const MAX_PRODUCER_EPOCH = 0x7fff;

/** So many refusals are remembered; they matter for as long as clients have more in flight. */
const MAX_REFUSALS = 1000;

/** A day's worth of short-lived producers; some 5 MiB at worst. */
export const DEFAULT_MAX_PRODUCERS = 10_000;

export class ProducerStates {
  readonly #options: ProducerStatesOptions;
  /** In the order in which they were last heard of. */
  readonly #producers = new SparseMap<number, ProducerEntry>();
  /** First offset to producer id; in offset order, since transactions start in log order. */
  readonly #open = new SparseMap<number, number>();
  /** Transactions whose marker may not be durable yet: they hold readers back as open ones do. */
  #completed: CompletedTransaction[] = [];
  #endOffset: number;
  /** By producer id. */
  #refused = new SparseMap<number, Refusal>();

  constructor(
    endOffset = 0,
    options: ProducerStatesOptions = { maxProducers: DEFAULT_MAX_PRODUCERS },
  ) {
    this.#endOffset = endOffset;
    this.#options = options;
  }

  /** The state speaks of the batches below this offset. */
  get endOffset(): number {
    return this.#endOffset;
  }

  get size(): number {
    return this.#producers.size;
  }

  /** All producers, the one longest not heard of first. */
  entries(): IterableIterator<ProducerEntry> {
    return this.#producers.values();
  }

  get(producerId: number): ProducerEntry | undefined {
    return this.#producers.get(producerId);
  }

  /**
   * Checks a batch that is to be appended. Gives the place of the original when it repeats one of
   * the remembered batches, undefined when it may be appended. Throws OutOfOrderSequence,
   * InvalidProducerEpoch or InvalidTxnState. Changes nothing.
   */
  check(
    header: BatchHeader,
    origin: AppendOrigin = 'client',
  ): { baseOffset: number; lastOffset: number } | undefined {
    if (header.producerId < 0) return undefined;
    const entry = this.#producers.get(header.producerId);
    // Of an unknown producer any sequence is taken: its records may all have been deleted.
    if (entry === undefined || entry.epoch < 0) {
      if (origin === 'client') this.#checkRefused(header);
      return undefined;
    }
    if (origin === 'client') {
      const original = findDuplicate(entry, header);
      if (original !== undefined) {
        const { lastOffset, offsetDelta } = original;
        return { baseOffset: lastOffset - offsetDelta, lastOffset };
      }
    }
    checkEpoch(entry, header.producerEpoch);
    if (origin === 'client') checkSequence(entry, header);
    if (entry.currentTxnFirstOffset >= 0 && !header.transactional) {
      throw new InvalidTxnState(
        `producer ${header.producerId} has a transaction open, its batch is not part of one`,
      );
    }
    return undefined;
  }

  /**
   * A client's batch could not be taken, for a reason that may pass. Of a producer not known, what it
   * has in flight behind that batch must not be taken before it.
   */
  refuse({ producerId, producerEpoch: epoch, baseSequence: sequence }: BatchHeader): void {
    if (producerId < 0 || this.#producers.has(producerId)) return;
    if (this.#refused.get(producerId)?.epoch === epoch) return;
    this.#refused.delete(producerId);
    this.#refused.set(producerId, { epoch, sequence });
    if (this.#refused.size <= MAX_REFUSALS) return;
    const [oldest] = this.#refused.keys();
    this.#refused.delete(oldest!);
  }

  /** Remembers what another state has refused, which this one takes the place of. */
  adoptRefusals(other: ProducerStates): void {
    this.#refused = other.#refused;
  }

  #checkRefused({ producerId, producerEpoch, baseSequence }: BatchHeader): void {
    const refused = this.#refused.get(producerId);
    if (refused?.epoch !== producerEpoch || baseSequence <= refused.sequence) return;
    throw new OutOfOrderSequence(
      `producer ${producerId} sent sequence ${baseSequence}, ${refused.sequence} was refused before`,
    );
  }

  /**
   * Checks a marker that is to be appended: epochs of producer and coordinator never go back. From
   * version 2 of transactions on the end has raised the epoch, so that an open transaction of the
   * marker's own epoch is a later one (KIP-1228).
   */
  checkMarker(
    producerId: number,
    producerEpoch: number,
    coordinatorEpoch: number,
    transactionVersion = 0,
  ): void {
    const entry = this.#producers.get(producerId);
    if (entry === undefined) return;
    checkEpoch(entry, producerEpoch);
    const isLate = entry.currentTxnFirstOffset >= 0 && producerEpoch === entry.epoch;
    if (transactionVersion >= 2 && isLate && producerEpoch < MAX_PRODUCER_EPOCH) {
      throw new InvalidProducerEpoch(
        `marker of epoch ${producerEpoch} for a transaction of producer ${producerId} that began in it`,
      );
    }
    if (coordinatorEpoch < entry.coordinatorEpoch) {
      throw new TransactionCoordinatorFenced(
        `marker of coordinator epoch ${coordinatorEpoch} for producer ${producerId}, ` +
          `the last was of epoch ${entry.coordinatorEpoch}`,
      );
    }
  }

  /** As `append`, for a batch without a producer that ends at an offset. */
  passOver(endOffset: number): void {
    this.#endOffset = endOffset;
  }

  /**
   * Remembers a batch that was appended, or is read back; nothing is checked. Gives the transaction
   * that its marker completed. Throws CorruptLog when a control batch cannot be read.
   */
  append(
    header: BatchHeader,
    buffer: Buffer,
    at: number,
    nowMs: number,
  ): CompletedTransaction | undefined {
    this.#endOffset = header.lastOffset + 1;
    const { producerId } = header;
    if (producerId < 0 || producerId === GAP_PRODUCER_ID) return undefined;
    if (header.control) return this.#appendMarker(header, buffer, at, nowMs);
    const entry = this.#touch(producerId, nowMs);
    setEpoch(entry, header.producerEpoch);
    addBatch(entry.batches, header);
    entry.lastTimestamp = header.maxTimestamp;
    if (header.transactional && entry.currentTxnFirstOffset < 0) {
      entry.currentTxnFirstOffset = header.baseOffset;
      this.#open.set(header.baseOffset, producerId);
    }
    return undefined;
  }

  #appendMarker(
    header: BatchHeader,
    buffer: Buffer,
    at: number,
    nowMs: number,
  ): CompletedTransaction | undefined {
    const marker = readMarker(header, buffer, at);
    if (marker === undefined) return undefined;
    const entry = this.#touch(header.producerId, nowMs);
    const firstOffset = entry.currentTxnFirstOffset;
    setEpoch(entry, header.producerEpoch);
    entry.coordinatorEpoch = marker.coordinatorEpoch;
    entry.lastTimestamp = header.baseTimestamp + marker.timestampDelta;
    entry.currentTxnFirstOffset = -1;
    // A marker without data in this partition holds nobody back and is not in the index.
    if (firstOffset < 0) return undefined;
    this.#open.delete(firstOffset);
    const completed = {
      producerId: header.producerId,
      firstOffset,
      lastOffset: header.lastOffset,
      aborted: marker.type === MarkerType.abort,
      lastStableOffset: this.firstOpenOffset ?? header.lastOffset + 1,
    };
    this.#completed.push(completed);
    return completed;
  }

  /** First offset of the oldest transaction without a marker. */
  get firstOpenOffset(): number | undefined {
    return this.#open.keys().next().value;
  }

  /**
   * First offset of the oldest transaction that is open, or whose marker is not durable yet: readers
   * of committed data stop there.
   */
  get firstUnstableOffset(): number | undefined {
    let first = this.firstOpenOffset;
    for (const { firstOffset } of this.#completed) {
      if (first === undefined || firstOffset < first) first = firstOffset;
    }
    return first;
  }

  /** Markers below this offset are durable: their transactions hold nobody back any more. */
  markDurable(offset: number): void {
    if (this.#completed.length === 0) return;
    this.#completed = this.#completed.filter(({ lastOffset }) => lastOffset >= offset);
  }

  /** Forgets producers not heard of for so long, but none with an open transaction. */
  expire(nowMs: number, producerIdExpirationMs: number): void {
    for (const entry of this.#producers.values()) {
      // The order is that of the last hearing, so that nothing behind is older.
      if (nowMs - entry.seenMs < producerIdExpirationMs) return;
      if (entry.currentTxnFirstOffset < 0) this.#producers.delete(entry.producerId);
    }
  }

  /** Forgets everything; the state then speaks of what lies below an offset of which nothing is known. */
  reset(endOffset: number): void {
    this.#producers.clear();
    this.#open.clear();
    this.#completed = [];
    this.#refused.clear();
    this.#endOffset = endOffset;
  }

  /** Takes over what another state knows, instead of what was known here. */
  load(entries: Iterable<ProducerEntry>, endOffset: number): void {
    this.reset(endOffset);
    const open: ProducerEntry[] = [];
    for (const entry of entries) {
      const batches = entry.batches.map((batch) => ({ ...batch }));
      this.#producers.set(entry.producerId, { ...entry, batches });
      if (entry.currentTxnFirstOffset >= 0) open.push(entry);
    }
    open.sort((a, b) => a.currentTxnFirstOffset - b.currentTxnFirstOffset);
    for (const entry of open) this.#open.set(entry.currentTxnFirstOffset, entry.producerId);
  }

  /** A second state that knows the same. */
  clone(): ProducerStates {
    const copy = new ProducerStates(this.#endOffset, this.#options);
    copy.load(this.#producers.values(), this.#endOffset);
    copy.#completed = [...this.#completed];
    return copy;
  }

  #touch(producerId: number, nowMs: number): ProducerEntry {
    if (this.#refused.size > 0) this.#refused.delete(producerId);
    const known = this.#producers.get(producerId);
    if (known !== undefined) this.#producers.delete(producerId);
    else if (this.#producers.size >= this.#options.maxProducers) this.#evict();
    const entry = known ?? emptyEntry(producerId);
    entry.seenMs = nowMs;
    this.#producers.set(producerId, entry);
    return entry;
  }

  /** Makes room for one. Open transactions are never forgotten: readers would wait for ever. */
  #evict(): void {
    for (const entry of this.#producers.values()) {
      if (entry.currentTxnFirstOffset >= 0) continue;
      this.#producers.delete(entry.producerId);
      return;
    }
  }
}

function readMarker(header: BatchHeader, buffer: Buffer, at: number) {
  try {
    return readEndTxnMarker(payloadOf(buffer, at));
  } catch (error) {
    if (!(error instanceof InvalidRecords)) throw error;
    throw new CorruptLog(`control batch at offset ${header.baseOffset}: ${error.message}`, {
      cause: error,
    });
  }
}

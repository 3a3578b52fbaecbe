/**
 * The indexes of a segment against its batches: both are in order, so one walk over the batches
 * meets every entry. Each check is told of all batches in turn and of the end, and tells what is
 * wrong with the file of the index, at which byte.
 */

import type { BatchHeader } from '../../protocol/record-batch.ts';
import { NO_TIMESTAMP } from '../../protocol/record-batch.ts';
import { OFFSET_ENTRY_BYTES, OffsetIndex } from '../offset-index.ts';
import { TIME_ENTRY_BYTES, TimeIndex } from '../time-index.ts';
import { ABORTED_TXN_BYTES, TxnIndex } from '../txn-index.ts';

/** Told of what is wrong: the byte in the file and why. */
export type IndexFault = (position: number, reason: string) => void;

/**
 * An index without the zeros behind its entries: Kafka gives the index of a segment that grows its
 * largest size at once, and cuts it when the segment is closed.
 */
export function withoutPreallocated(bytes: Buffer, entryBytes: number): Buffer {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.subarray(0, Math.ceil(end / entryBytes) * entryBytes);
}

/** `.index`: each entry has position and last offset of a batch. */
export class OffsetIndexCheck {
  readonly #index: OffsetIndex;
  readonly #fault: IndexFault;
  #next = 0;

  constructor(bytes: Buffer, baseOffset: number, segmentBytes: number, fault: IndexFault) {
    const reason = OffsetIndex.fault(bytes, segmentBytes);
    if (reason !== undefined) fault(0, reason);
    this.#index = new OffsetIndex(baseOffset, reason === undefined ? bytes : Buffer.alloc(0));
    this.#fault = fault;
  }

  batch({ lastOffset }: BatchHeader, position: number): void {
    for (; this.#next < this.#index.table.count; this.#next++) {
      const entry = this.#index.entry(this.#next);
      if (entry.position > position) return;
      const at = this.#next * OFFSET_ENTRY_BYTES;
      if (entry.position < position) {
        this.#fault(at, `no batch begins at ${entry.position}, where an entry points to`);
      } else if (entry.offset !== lastOffset) {
        this.#fault(at, `offset ${entry.offset} for a batch that ends with ${lastOffset}`);
      }
    }
  }

  /** After the last batch of a segment in which all could be read. */
  end(): void {
    if (this.#next >= this.#index.table.count) return;
    const { position } = this.#index.entry(this.#next);
    this.#fault(this.#next * OFFSET_ENTRY_BYTES, `it points to ${position}, behind all batches`);
  }
}

/** `.timeindex`: each entry has the largest timestamp so far, and an offset of the batch with it. */
export class TimeIndexCheck {
  readonly #index: TimeIndex;
  readonly #fault: IndexFault;
  /** The file contradicts itself: that is told, and its entries are not looked at. */
  readonly #isBroken: boolean;
  #next = 0;
  #largest = NO_TIMESTAMP;

  constructor(bytes: Buffer, baseOffset: number, fault: IndexFault) {
    const reason = TimeIndex.fault(bytes);
    if (reason !== undefined) fault(0, reason);
    this.#isBroken = reason !== undefined;
    this.#index = new TimeIndex(baseOffset, this.#isBroken ? Buffer.alloc(0) : bytes);
    this.#fault = fault;
  }

  batch({ baseOffset, lastOffset, maxTimestamp }: BatchHeader): void {
    this.#largest = Math.max(this.#largest, maxTimestamp);
    for (; this.#next < this.#index.table.count; this.#next++) {
      const entry = this.#index.entry(this.#next);
      if (entry.offset > lastOffset) return;
      const at = this.#next * TIME_ENTRY_BYTES;
      if (entry.offset < baseOffset) {
        this.#fault(at, `no batch has offset ${entry.offset}, which an entry names`);
      } else if (entry.timestamp !== maxTimestamp) {
        this.#fault(at, `time ${entry.timestamp} for a batch whose largest is ${maxTimestamp}`);
      } else if (entry.timestamp < this.#largest) {
        this.#fault(at, `time ${entry.timestamp}, but a batch before has ${this.#largest}`);
      }
    }
  }

  /** After the last batch. `isClosed`: the segment grows no more, its largest time is in the index. */
  end(isClosed: boolean): void {
    const { count } = this.#index.table;
    if (this.#next < count) {
      const { offset } = this.#index.entry(this.#next);
      this.#fault(this.#next * TIME_ENTRY_BYTES, `it names offset ${offset}, behind all batches`);
    }
    const { timestamp } = this.#index.last;
    if (isClosed && !this.#isBroken && timestamp < this.#largest) {
      const reason = `it ends with time ${timestamp}, the segment's largest is ${this.#largest}`;
      this.#fault(count * TIME_ENTRY_BYTES, reason);
    }
  }
}

/** A transaction's end with an abort, as the log has it. */
export interface AbortMarker {
  readonly producerId: number;
  readonly offset: number;
  /** Where its transaction began; undefined when that is not in the log any more. */
  readonly firstOffset: number | undefined;
}

/** `.txnindex`: each entry has an abort marker, and where its transaction began. */
export class TxnIndexCheck {
  readonly #index: TxnIndex;
  readonly #fault: IndexFault;
  /** The file contradicts itself: that is told, and its entries are not looked at. */
  readonly #isBroken: boolean;
  #next = 0;

  constructor(bytes: Buffer, baseOffset: number, fault: IndexFault) {
    const reason = TxnIndex.fault(bytes, baseOffset);
    if (reason !== undefined) fault(0, reason);
    this.#isBroken = reason !== undefined;
    this.#index = new TxnIndex(this.#isBroken ? Buffer.alloc(0) : bytes);
    this.#fault = fault;
  }

  marker({ producerId, offset, firstOffset }: AbortMarker): void {
    if (this.#isBroken) return;
    this.passTo(offset);
    const at = this.#next * ABORTED_TXN_BYTES;
    const entry = this.#next < this.#index.table.count ? this.#index.entry(this.#next) : undefined;
    if (entry?.lastOffset !== offset) {
      // A transaction without data here, or whose data was compacted away, needs no entry.
      if (firstOffset === undefined) return;
      this.#fault(at, `the transaction from ${firstOffset}, aborted at ${offset}, is missing`);
      return;
    }
    this.#next++;
    if (entry.producerId !== producerId) {
      const reason = `producer ${entry.producerId} for the marker of ${producerId} at ${offset}`;
      this.#fault(at, reason);
    } else if (firstOffset !== undefined && entry.firstOffset > firstOffset) {
      const reason = `first offset ${entry.firstOffset} for a transaction from ${firstOffset}`;
      this.#fault(at, reason);
    }
  }

  /** No entry below an offset is left that had no marker. */
  passTo(offset: number): void {
    for (; this.#next < this.#index.table.count; this.#next++) {
      const entry = this.#index.entry(this.#next);
      if (entry.lastOffset >= offset) return;
      const reason = `no abort marker is at offset ${entry.lastOffset}, which an entry names`;
      this.#fault(this.#next * ABORTED_TXN_BYTES, reason);
    }
  }
}

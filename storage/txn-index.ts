/**
 * The `.txnindex` of a segment: the aborted transactions whose marker lies in it. It is made with
 * the first of them. Entries, 34 bytes, rise by last offset:
 *
 * ```
 *  0 version int16 (0)     10 firstOffset int64       26 lastStableOffset int64: the first
 *  2 producerId int64      18 lastOffset int64 (the      offset still open at the abort
 *                             marker's)
 * ```
 * Source: Kafka's TransactionIndex, AbortedTxn.
 */

import { readInt64, writeInt64 } from '../protocol/record-batch.ts';
import { EntryTable } from './entry-table.ts';

export const ABORTED_TXN_BYTES = 34;
const VERSION = 0;

export interface AbortedTxn {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Offset of the abort marker. */
  readonly lastOffset: number;
  /** First offset of the transactions still open after the abort, else the offset after it. */
  readonly lastStableOffset: number;
}

export class TxnIndex {
  readonly table: EntryTable;

  constructor(stored?: Buffer) {
    this.table = new EntryTable(ABORTED_TXN_BYTES, stored);
  }

  /** Why the bytes of a file cannot be the index of a segment from there; undefined when they can. */
  static fault(bytes: Buffer, baseOffset: number): string | undefined {
    if (bytes.length % ABORTED_TXN_BYTES !== 0) return 'its size is not a multiple of 34';
    let last = baseOffset - 1;
    for (let at = 0; at < bytes.length; at += ABORTED_TXN_BYTES) {
      if (bytes.readInt16BE(at) !== VERSION) return `version ${bytes.readInt16BE(at)} at ${at}`;
      const lastOffset = readInt64(bytes, at + 18);
      if (lastOffset <= last || readInt64(bytes, at + 10) > lastOffset) {
        return `offsets out of order at ${at}`;
      }
      last = lastOffset;
    }
    return undefined;
  }

  append(txn: AbortedTxn): void {
    const { count } = this.table;
    if (count > 0 && this.entry(count - 1).lastOffset >= txn.lastOffset) {
      throw new RangeError(`aborted transaction at ${txn.lastOffset} is out of order`);
    }
    const at = this.table.add();
    const { bytes } = this.table;
    bytes.writeInt16BE(VERSION, at);
    writeInt64(bytes, txn.producerId, at + 2);
    writeInt64(bytes, txn.firstOffset, at + 10);
    writeInt64(bytes, txn.lastOffset, at + 18);
    writeInt64(bytes, txn.lastStableOffset, at + 26);
  }

  entry(index: number): AbortedTxn {
    const at = index * ABORTED_TXN_BYTES;
    const { bytes } = this.table;
    return {
      producerId: readInt64(bytes, at + 2),
      firstOffset: readInt64(bytes, at + 10),
      lastOffset: readInt64(bytes, at + 18),
      lastStableOffset: readInt64(bytes, at + 26),
    };
  }

  /**
   * Adds to `found` those that overlap [from, to). Gives true when no later segment can have more:
   * an abort after which everything below `to` was decided.
   */
  collect(from: number, to: number, found: AbortedTxn[]): boolean {
    const { count } = this.table;
    const first = this.table.partition((bytes, at) => readInt64(bytes, at + 18) < from);
    for (let index = first; index < count; index++) {
      const txn = this.entry(index);
      if (txn.firstOffset < to) found.push(txn);
      if (txn.lastStableOffset >= to) return true;
    }
    return false;
  }

  /** Keeps the entries whose marker is below an offset. */
  truncateFrom(offset: number): void {
    this.table.truncate(this.table.partition((bytes, at) => readInt64(bytes, at + 18) < offset));
  }
}

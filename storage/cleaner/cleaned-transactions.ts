/**
 * What a pass over a log knows of the transactions on its way, so that it can tell which batches
 * belong to aborted ones, and which markers have nothing left that they speak of. Batches are handed
 * in in log order, from the first one on.
 * Source: Kafka's CleanedTransactionMetadata.
 */

import {
  baseOffset,
  isTransactional,
  lastOffset,
  producerId,
} from '../../protocol/record-batch.ts';
import { MarkerType, payloadOf, readEndTxnMarker } from '../../protocol/records.ts';
import type { AbortedTxn } from '../txn-index.ts';

interface OpenAborted {
  readonly txn: AbortedTxn;
  /** A batch of it was met, emptied or not. */
  isMet: boolean;
}

export class CleanedTransactions {
  /** Aborted transactions whose markers stay: the index of the segment that is made. */
  kept: AbortedTxn[] = [];
  readonly #aborted: readonly AbortedTxn[];
  #next = 0;
  readonly #openAborted = new Map<number, OpenAborted>();
  readonly #openCommitted = new Set<number>();

  /** All aborted transactions that overlap the pass, in any order. */
  constructor(aborted: readonly AbortedTxn[]) {
    this.#aborted = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  /** A batch of records: whether it belongs to an aborted transaction. */
  batch(buffer: Buffer, at: number): boolean {
    if (!isTransactional(buffer, at)) return false;
    this.#openUpTo(lastOffset(buffer, at));
    const id = producerId(buffer, at);
    const open = this.#openAborted.get(id);
    // One that ended before and whose marker was not met says nothing of this batch.
    if (open === undefined || open.txn.lastOffset < baseOffset(buffer, at)) {
      this.#openCommitted.add(id);
      return false;
    }
    open.isMet = true;
    return true;
  }

  /** A control batch: whether nothing is left of what it speaks of. Throws InvalidRecords. */
  control(buffer: Buffer, at: number): boolean {
    this.#openUpTo(lastOffset(buffer, at));
    const payload = payloadOf(buffer, at);
    // One that is empty already was kept for something else than its marker.
    if (payload.length === 0) return true;
    const marker = readEndTxnMarker(payload);
    if (marker === undefined) return false;
    const id = producerId(buffer, at);
    if (marker.type === MarkerType.commit) return !this.#openCommitted.delete(id);
    const open = this.#openAborted.get(id);
    this.#openAborted.delete(id);
    if (open === undefined || !open.isMet) return true;
    this.kept.push(open.txn);
    return false;
  }

  #openUpTo(offset: number): void {
    for (; this.#next < this.#aborted.length; this.#next++) {
      const txn = this.#aborted[this.#next]!;
      if (txn.firstOffset > offset) return;
      this.#openAborted.set(txn.producerId, { txn, isMet: false });
    }
  }
}

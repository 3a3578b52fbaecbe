/**
 * Which batches of one answer a reader is to see. Control batches are for nobody. With
 * read_committed the answer names the aborted transactions that overlap it: a producer's
 * transactional batches from the first offset of such a one to its abort marker are passed over.
 * Source: Kafka's protocol, Fetch; KIP-98.
 */

import * as recordBatch from '../protocol/record-batch.ts';
import { MarkerType, payloadOf, readEndTxnMarker } from '../protocol/records.ts';

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

export class Visibility {
  /** Not begun yet, the earliest last. */
  readonly #coming: AbortedTransaction[];
  /** Producers within a transaction that is to be aborted. */
  readonly #aborting = new Set<number>();

  constructor(aborted: readonly AbortedTransaction[] | null) {
    this.#coming = (aborted ?? []).toSorted((a, b) => b.firstOffset - a.firstOffset);
  }

  /** Takes the batches of the answer in their order. */
  shows(buffer: Buffer, at: number): boolean {
    const last = recordBatch.lastOffset(buffer, at);
    while ((this.#coming.at(-1)?.firstOffset ?? Number.POSITIVE_INFINITY) <= last) {
      this.#aborting.add(this.#coming.pop()!.producerId);
    }
    if (recordBatch.isControl(buffer, at)) {
      this.#takeMarker(buffer, at);
      return false;
    }
    if (!recordBatch.isTransactional(buffer, at)) return true;
    return !this.#aborting.has(recordBatch.producerId(buffer, at));
  }

  #takeMarker(buffer: Buffer, at: number): void {
    if (this.#aborting.size === 0 || recordBatch.recordCount(buffer, at) === 0) return;
    const marker = readEndTxnMarker(payloadOf(buffer, at));
    if (marker?.type !== MarkerType.abort) return;
    this.#aborting.delete(recordBatch.producerId(buffer, at));
  }
}

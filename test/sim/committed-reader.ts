/** A simulated reader of committed data. */

import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import {
  batchBytes,
  isControl,
  isTransactional,
  lastOffset,
  producerId,
} from '../../protocol/record-batch.ts';
import { MarkerType, payloadOf, readEndTxnMarker, readRecords } from '../../protocol/records.ts';
import type { Committed } from './checkers/transactions.ts';
import { nameOf } from './history.ts';
import { Worker } from './worker.ts';

const fetch = { request: FetchRequest, response: FetchResponse, version: 12 };

export class CommittedReader extends Worker {
  readonly taken: Committed[] = [];
  /** Told of every record. */
  onRead: ((record: Committed) => void) | undefined;
  #position = 0;
  #isLast = false;
  #lastMs = Number.POSITIVE_INFINITY;

  /** Reads until `finish`, and then to the end. */
  async run(): Promise<void> {
    while (!(await this.until(() => this.#poll()))) {
      if (this.world.clock.monotonic() > this.#lastMs) {
        this.violate('hanging', `${nameOf(this.place)} is stable up to ${this.#position} only`);
        return;
      }
      await this.pause(100);
    }
  }

  /** Nobody begins a transaction any more: nothing may hold the reader back for longer than this. */
  finish(withinMs: number): void {
    this.#isLast = true;
    this.#lastMs = this.world.clock.monotonic() + withinMs;
  }

  async #poll(): Promise<boolean | undefined> {
    const { topic, partition } = this.place;
    const isLast = this.#isLast;
    const asked = { partition, fetchOffset: this.#position, partitionMaxBytes: 20_000 };
    const { responses } = await this.client.call(fetch, {
      maxWaitMs: this.random.pick([100, 500]),
      minBytes: 1,
      maxBytes: this.random.pick([1, 2000, 2 ** 20]),
      isolationLevel: 1,
      topics: [{ topic, partitions: [asked] }],
    });
    const answer = responses[0]!.partitions[0]!;
    if (answer.errorCode !== 0) return this.isToRepeat(answer.errorCode, 'a fetch');
    this.#take(answer);
    return isLast && this.#position >= answer.highWatermark;
  }

  #take({ records, abortedTransactions, lastStableOffset }: FetchedPartition): void {
    const bytes = records ?? Buffer.alloc(0);
    const from = this.#position;
    const waiting = [...(abortedTransactions ?? [])].sort((a, b) => a.firstOffset - b.firstOffset);
    const aborted = new Set<number>();
    for (let at = 0; at < bytes.length; at += batchBytes(bytes, at)) {
      const last = lastOffset(bytes, at);
      if (last >= lastStableOffset) {
        this.violate('transaction', `${last} is above the last stable offset ${lastStableOffset}`);
      }
      while (waiting.length > 0 && waiting[0]!.firstOffset <= last) {
        aborted.add(waiting.shift()!.producerId);
      }
      this.#position = last + 1;
      const producer = producerId(bytes, at);
      if (isControl(bytes, at)) {
        const marker = readEndTxnMarker(payloadOf(bytes, at));
        if (marker?.type === MarkerType.abort) aborted.delete(producer);
      } else if (!isTransactional(bytes, at) || !aborted.has(producer)) {
        for (const { offset, value } of readRecords(bytes, at)) {
          if (offset >= from) this.#read({ offset, value: String(value) });
        }
      }
    }
    if (this.#position > from) this.note(`${nameOf(this.place)} is read up to ${this.#position}`);
  }

  #read(record: Committed): void {
    this.taken.push(record);
    this.onRead?.(record);
  }
}

interface FetchedPartition {
  readonly records: Buffer | null;
  readonly lastStableOffset: number;
  readonly abortedTransactions:
    | readonly { readonly producerId: number; readonly firstOffset: number }[]
    | null;
}

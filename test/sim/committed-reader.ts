/** A simulated reader of committed data, and what it holds the transactions against. */

import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import {
  batchBytes,
  isControl,
  isTransactional,
  lastOffset,
  producerId,
} from '../../protocol/record-batch.ts';
import { MarkerType, payloadOf, readEndTxnMarker, readRecords } from '../../protocol/records.ts';
import { nameOf } from './history.ts';
import type { Transactor } from './transactions.ts';
import { Worker } from './workload.ts';

const fetch = { request: FetchRequest, response: FetchResponse, version: 12 };

interface Committed {
  readonly offset: number;
  readonly value: string;
}

export class CommittedReader extends Worker {
  readonly taken: Committed[] = [];
  #position = 0;
  #isLast = false;

  /** Reads until `finish`, and then to the end. */
  async run(): Promise<void> {
    while (!(await this.until(() => this.#poll()))) await this.pause(100);
  }

  /** Whatever was begun has ended: nothing may hold the reader back any more. */
  finish(): void {
    this.#isLast = true;
  }

  /** Each value that was committed is there once, in its producer's order, and nothing else. */
  check(transactors: readonly Transactor[]): void {
    const values = this.taken.map(({ value }) => value);
    for (const { name, committed } of transactors) {
      const own = values.filter((value) => value.startsWith(`${name}:`));
      if (own.join() === committed.join()) continue;
      const lost = committed.filter((value) => !own.includes(value));
      const wrong = own.filter(
        (value, at) => !committed.includes(value) || own.indexOf(value) < at,
      );
      this.violate(
        `${nameOf(this.place)} of ${name}: lost ${lost}, wrong ${wrong}, or out of order`,
      );
    }
  }

  /** What another reader was given before must be what this one read. */
  checkAgainst(earlier: CommittedReader): void {
    const offsets = new Map(this.taken.map(({ offset, value }) => [offset, value]));
    for (const { offset, value } of earlier.taken) {
      if (offsets.get(offset) === value) continue;
      this.violate(`${nameOf(this.place)}@${offset} was ${value}, is ${offsets.get(offset)}`);
    }
  }

  async #poll(): Promise<boolean | undefined> {
    const { topic, partition } = this.place;
    const isLast = this.#isLast;
    const asked = { partition, fetchOffset: this.#position, partitionMaxBytes: 20_000 };
    const { responses } = await this.client.call(fetch, {
      maxWaitMs: 100,
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
      if (last >= lastStableOffset) this.violate(`${last} is above the last stable offset`);
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
          if (offset >= from) this.taken.push({ offset, value: String(value) });
        }
      }
    }
    if (this.#position > from) this.note(`committed up to ${this.#position}`);
  }
}

interface FetchedPartition {
  readonly records: Buffer | null;
  readonly lastStableOffset: number;
  readonly abortedTransactions:
    | readonly { readonly producerId: number; readonly firstOffset: number }[]
    | null;
}

/** The batches of a log that the journal has not confirmed: those for its next group, and those in work. */

import type { JournalRun } from './journal.ts';
import { joinBatches, type TailBatch } from './memory-tail.ts';

export class PendingRun {
  #batches: TailBatch[] = [];
  #sizeBytes = 0;
  #inFlightFrom: number | undefined;

  /** Bytes that the journal has not taken yet. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** First offset that the journal has not confirmed; undefined when it has all. */
  get unconfirmedFrom(): number | undefined {
    return this.#inFlightFrom ?? this.#batches[0]?.baseOffset;
  }

  add(batch: TailBatch): void {
    this.#batches.push(batch);
    this.#sizeBytes += batch.sizeBytes;
  }

  /** What is pending, as one run; the journal has it in work only after `sent`. */
  take(): (JournalRun & { readonly batches: number }) | undefined {
    const batches = this.#batches;
    const sizeBytes = this.#sizeBytes;
    if (batches.length === 0) return undefined;
    this.#batches = [];
    this.#sizeBytes = 0;
    const previousEnd = batches[0]!.baseOffset;
    const end = batches.at(-1)!.lastOffset + 1;
    return { previousEnd, end, buffers: joinBatches(batches), sizeBytes, batches: batches.length };
  }

  sent(run: JournalRun): void {
    this.#inFlightFrom = run.previousEnd;
  }

  confirmed(): void {
    this.#inFlightFrom = undefined;
  }

  clear(): void {
    this.#batches = [];
    this.#sizeBytes = 0;
    this.#inFlightFrom = undefined;
  }
}

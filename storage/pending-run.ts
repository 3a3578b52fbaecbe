/**
 * The batches of a log that the journal has not confirmed: those for its next group, and those in
 * work. Their memory is kept until then, whatever becomes of their chunk: one that is persisted
 * meanwhile leaves memory, and its buffers would be used again under the journal's hands.
 */

import type { JournalRun } from './journal.ts';
import { joinBatches, type TailBatch } from './memory-tail.ts';

export class PendingRun {
  #batches: TailBatch[] = [];
  #sizeBytes = 0;
  #taken: readonly TailBatch[] = [];
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
    batch.extent.retain();
    this.#batches.push(batch);
    this.#sizeBytes += batch.sizeBytes;
  }

  /**
   * What is pending, as one run, without what is persisted already; the journal has it in work only
   * after `sent`. To be followed by `letGo`.
   */
  take(persisted: number): JournalRun | undefined {
    const batches = this.#batches.filter(({ lastOffset }) => lastOffset >= persisted);
    for (const batch of this.#batches) if (batch.lastOffset < persisted) batch.extent.release();
    this.#batches = [];
    this.#sizeBytes = 0;
    this.#taken = batches;
    if (batches.length === 0) return undefined;
    let sizeBytes = 0;
    for (const batch of batches) sizeBytes += batch.sizeBytes;
    const previousEnd = batches[0]!.baseOffset;
    const end = batches.at(-1)!.lastOffset + 1;
    return { previousEnd, end, buffers: joinBatches(batches), sizeBytes, batches: batches.length };
  }

  sent(run: JournalRun): void {
    this.#inFlightFrom = run.previousEnd;
  }

  /** What was taken is written, or will not be. */
  letGo(): void {
    for (const { extent } of this.#taken) extent.release();
    this.#taken = [];
    this.#inFlightFrom = undefined;
  }

  /** Forgets what was not taken, and that anything is in work; its memory stays till `letGo`. */
  clear(): void {
    this.#inFlightFrom = undefined;
    for (const { extent } of this.#batches) extent.release();
    this.#batches = [];
    this.#sizeBytes = 0;
  }
}

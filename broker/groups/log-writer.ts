/**
 * Writes the coordinator's records to one partition of __consumer_offsets, and applies each write
 * in the order of the log once it is durable. The topic is made when the first record needs it.
 */

import { ProtocolError } from '../../protocol/errors.ts';
import { LogDeleted } from '../../storage/errors.ts';
import type { Deadlines } from '../deadlines.ts';
import type { TransactionalProducer, TransactionMarker } from '../partition.ts';
import type { KeyedRecord } from './offset-records.ts';
import { Timeout } from './timeout.ts';

/** The partition of the topic, as the coordinator needs it. */
export interface OffsetsPartition {
  readonly log: { readonly logStartOffset: number; readonly endOffset: number };
  /** Durable when it resolves; in the order of the calls. */
  appendRecords(
    records: readonly KeyedRecord[],
    producer?: TransactionalProducer,
  ): Promise<{ readonly baseOffset: number }>;
  /** The same for the end of a transaction. */
  appendMarker(marker: TransactionMarker): Promise<{ readonly baseOffset: number }>;
  /** Visits all durable batches from an offset on. */
  scan(from: number, visit: (buffer: Buffer, at: number) => void): Promise<void>;
}

export interface WritablePartition {
  readonly partition: OffsetsPartition;
  /** `max.message.bytes` of the topic. */
  readonly maxBatchBytes: number;
}

export interface Write {
  /** What is written: records, of a transaction where `producer` is given, or the end of one. */
  readonly records: readonly KeyedRecord[] | TransactionMarker;
  readonly producer?: TransactionalProducer;
  /** The records are durable; gives the offset of each by its place. */
  readonly apply: (offsetOf: (index: number) => number) => void;
  /** The write has come to its end, well or not, however long whoever asked for it waited. */
  readonly settled?: () => void;
}

/** What a record takes in a batch beside key and value, and a batch beside its records, at most. */
const RECORD_OVERHEAD_BYTES = 32;
const BATCH_OVERHEAD_BYTES = 61;
/** Many small records go in batches of about this size, so that none is refused for its size. */
const BATCH_TARGET_BYTES = 256 * 1024;

export class LogWriter {
  readonly #open: () => Promise<WritablePartition>;
  readonly #deadlines: Deadlines;
  readonly #timeoutMs: number;
  #opened: Promise<WritablePartition> | undefined;
  /** Ends when all writes so far have been applied or have failed. */
  #applied: Promise<void> = Promise.resolve();

  constructor(open: () => Promise<WritablePartition>, deadlines: Deadlines, timeoutMs: number) {
    this.#open = open;
    this.#deadlines = deadlines;
    this.#timeoutMs = timeoutMs;
  }

  /** Resolves when all that was written before has been applied, or has failed. */
  drained(): Promise<void> {
    return this.#applied;
  }

  /**
   * Resolves when the records are durable and applied. Rejects with what went wrong, or with
   * REQUEST_TIMED_OUT; the write may then still come to be applied.
   */
  write(write: Write): Promise<void> {
    const appended = this.#append(write);
    appended.catch(() => undefined);
    const applied = this.#applied
      .then(() => appended)
      .then((offsets) => write.apply((index) => offsets[index]!));
    this.#applied = applied.then(
      () => write.settled?.(),
      () => write.settled?.(),
    );
    return this.#limited(applied);
  }

  async #append({ records, producer }: Write): Promise<number[]> {
    this.#opened ??= this.#open();
    const opened = this.#opened;
    try {
      const { partition, maxBatchBytes } = await opened;
      if (isMarker(records)) return [(await partition.appendMarker(records)).baseOffset];
      const batches = batchesOf(records, maxBatchBytes);
      const ends = batches.map(async (batch) => {
        const { baseOffset } = await partition.appendRecords(batch, producer);
        return batch.map((_, index) => baseOffset + index);
      });
      return (await Promise.all(ends)).flat();
    } catch (error) {
      // Next time the topic is looked for, or made, anew.
      const isGone = error instanceof LogDeleted || !(await isFulfilled(opened));
      if (isGone && this.#opened === opened) this.#opened = undefined;
      throw error;
    }
  }

  #limited(applied: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const timeout = new Timeout(this.#deadlines, () => {
        reject(new ProtocolError('REQUEST_TIMED_OUT', 'the record did not become durable in time'));
      });
      timeout.restart(this.#timeoutMs);
      applied.then(resolve, reject).finally(() => timeout.stop());
    });
  }
}

function isMarker(records: Write['records']): records is TransactionMarker {
  return 'isCommit' in records;
}

function isFulfilled(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => true,
    () => false,
  );
}

/** Throws RECORD_LIST_TOO_LARGE for a record that the topic does not take. */
function batchesOf(records: readonly KeyedRecord[], maxBytes: number): KeyedRecord[][] {
  const batches: KeyedRecord[][] = [];
  let current: KeyedRecord[] = [];
  let bytes = BATCH_OVERHEAD_BYTES;
  for (const record of records) {
    const size = RECORD_OVERHEAD_BYTES + record.key.length + (record.value?.length ?? 0);
    if (BATCH_OVERHEAD_BYTES + size > maxBytes) {
      throw new ProtocolError(
        'RECORD_LIST_TOO_LARGE',
        `a record of ${size} bytes where a batch may have ${maxBytes}`,
      );
    }
    if (current.length > 0 && bytes + size > Math.min(maxBytes, BATCH_TARGET_BYTES)) {
      batches.push(current);
      current = [];
      bytes = BATCH_OVERHEAD_BYTES;
    }
    current.push(record);
    bytes += size;
  }
  if (current.length > 0) batches.push(current);
  return batches;
}

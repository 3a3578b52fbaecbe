/**
 * What is remembered of one producer, and what a batch of it is checked against. Source:
 * ProducerStateEntry, ProducerAppendInfo.
 */

import type { BatchHeader } from '../protocol/record-batch.ts';
import { InvalidProducerEpoch, OutOfOrderSequence } from './errors.ts';

/** Batches remembered of each producer: as many as a client may have in flight. */
export const BATCHES_KEPT = 5;

/** What is remembered of one batch. */
export interface BatchMetadata {
  lastSequence: number;
  lastOffset: number;
  /** Last offset less first offset; sequences differ by the same. */
  offsetDelta: number;
  timestamp: number;
}

/** What is remembered of one producer. */
export interface ProducerEntry {
  readonly producerId: number;
  /** -1 when no batch of it is known. */
  epoch: number;
  /** Epoch of the transaction coordinator that wrote the last marker; -1 when there was none. */
  coordinatorEpoch: number;
  /** Largest timestamp of the last batch, or the last marker's. */
  lastTimestamp: number;
  /** -1 when no transaction is open. */
  currentTxnFirstOffset: number;
  /** When it was last heard of, on the clock that `append` is given. */
  seenMs: number;
  /** At most BATCHES_KEPT, all of `epoch`, oldest first. */
  readonly batches: BatchMetadata[];
}

export function emptyEntry(producerId: number): ProducerEntry {
  return {
    producerId,
    epoch: -1,
    coordinatorEpoch: -1,
    lastTimestamp: -1,
    currentTxnFirstOffset: -1,
    seenMs: 0,
    batches: [],
  };
}

export function findDuplicate(
  entry: ProducerEntry,
  header: BatchHeader,
): BatchMetadata | undefined {
  if (header.producerEpoch !== entry.epoch) return undefined;
  for (const batch of entry.batches) {
    if (
      batch.lastSequence === header.lastSequence &&
      decrementSequence(batch.lastSequence, batch.offsetDelta) === header.baseSequence
    ) {
      return batch;
    }
  }
  return undefined;
}

function decrementSequence(sequence: number, by: number): number {
  return sequence >= by ? sequence - by : sequence - by + 0x8000_0000;
}

export function checkEpoch(entry: ProducerEntry, epoch: number): void {
  if (epoch >= entry.epoch) return;
  throw new InvalidProducerEpoch(
    `epoch ${epoch} of producer ${entry.producerId} is older than ${entry.epoch}`,
  );
}

export function checkSequence(entry: ProducerEntry, header: BatchHeader): void {
  const { baseSequence, producerEpoch, producerId } = header;
  if (producerEpoch !== entry.epoch) {
    if (baseSequence === 0) return;
    throw new OutOfOrderSequence(
      `producer ${producerId} starts epoch ${producerEpoch} with sequence ${baseSequence} (epoch ${entry.epoch} before)`,
    );
  }
  const last = entry.batches.at(-1)?.lastSequence ?? -1;
  const expected = last === 0x7fff_ffff ? 0 : last + 1;
  if (baseSequence === expected) return;
  throw new OutOfOrderSequence(
    `producer ${producerId} sent sequence ${baseSequence}, ${expected} was expected`,
  );
}

/** Batches of an older epoch are of no use any more. */
export function setEpoch(entry: ProducerEntry, epoch: number): void {
  if (entry.epoch === epoch) return;
  entry.epoch = epoch;
  entry.batches.length = 0;
}

/** The object of the batch that falls out is used again: this runs for every batch. */
export function addBatch(batches: BatchMetadata[], header: BatchHeader): void {
  const batch =
    batches.length === BATCHES_KEPT
      ? batches.shift()!
      : { lastSequence: 0, lastOffset: 0, offsetDelta: 0, timestamp: 0 };
  batch.lastSequence = header.lastSequence;
  batch.lastOffset = header.lastOffset;
  batch.offsetDelta = header.lastOffset - header.baseOffset;
  batch.timestamp = header.maxTimestamp;
  batches.push(batch);
}

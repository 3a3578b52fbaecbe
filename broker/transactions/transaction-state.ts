/**
 * What is recorded of one transactional id, and the steps from one state to the next. A state is
 * never changed: each step makes the one that follows, which counts once its record is durable.
 *
 * ```
 * Empty ──▶ Ongoing ──▶ PrepareCommit ──▶ CompleteCommit ──▶ Ongoing, Empty
 *                  └──▶ PrepareAbort  ──▶ CompleteAbort  ──▶ Ongoing, Empty
 * ```
 * Version 2 of the protocol (KIP-890) raises the epoch with each end; there, what was never begun
 * can be aborted too. Source: Kafka's TransactionMetadata.
 */

import { NO_PRODUCER_EPOCH, NO_PRODUCER_ID } from '../../protocol/record-batch.ts';
import {
  NO_PARTITIONS,
  type PartitionSet,
  type TopicPartition,
  withPartitions,
} from './partition-set.ts';

/** The states in the order of their ids in the records; the last two are never recorded. */
export const STATE_NAMES = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
] as const;
export type StateName = (typeof STATE_NAMES)[number];

export function isStateName(name: string): name is StateName {
  return (STATE_NAMES as readonly string[]).includes(name);
}

/** The protocol in which the client speaks: 0 of old, 2 of KIP-890. */
export type ClientVersion = 0 | 2;

export interface TransactionState {
  readonly name: StateName;
  readonly producerId: number;
  /** The id before this one, where it ran out of epochs; else the same id. */
  readonly previousProducerId: number;
  /** The id that the producer gets when its transaction has ended; -1 when it keeps its own. */
  readonly nextProducerId: number;
  /** -1 while nothing was recorded. */
  readonly producerEpoch: number;
  /** The epoch before this one, by which a retry is known; not recorded. */
  readonly lastProducerEpoch: number;
  readonly timeoutMs: number;
  readonly partitions: PartitionSet;
  /** -1 while no transaction was begun. */
  readonly startMs: number;
  readonly updateMs: number;
  readonly clientVersion: number;
}

const MAX_EPOCH = 0x7fff;

/** The last epoch is kept back, so that whoever has the one before it can always be fenced. */
export function isEpochExhausted(epoch: number): boolean {
  return epoch >= MAX_EPOCH - 1;
}

export function isPreparing(state: TransactionState): boolean {
  return state.name === 'PrepareCommit' || state.name === 'PrepareAbort';
}

/** Whether the id may be forgotten when nobody has used it for long. */
export function mayExpire(state: TransactionState): boolean {
  return (
    state.name === 'Empty' || state.name === 'CompleteCommit' || state.name === 'CompleteAbort'
  );
}

/** A transactional id that nobody has used. */
export function newState(producerId: number, timeoutMs: number, nowMs: number): TransactionState {
  return {
    name: 'Empty',
    producerId,
    previousProducerId: NO_PRODUCER_ID,
    nextProducerId: NO_PRODUCER_ID,
    producerEpoch: NO_PRODUCER_EPOCH,
    lastProducerEpoch: NO_PRODUCER_EPOCH,
    timeoutMs,
    partitions: NO_PARTITIONS,
    startMs: -1,
    updateMs: nowMs,
    clientVersion: 0,
  };
}

/** A producer begins anew in the next epoch. `lastEpoch`: by which its retry is known. */
export function initialised(
  state: TransactionState,
  epoch: number,
  lastEpoch: number,
  timeoutMs: number,
  nowMs: number,
): TransactionState {
  return {
    ...state,
    name: 'Empty',
    previousProducerId: state.producerId,
    nextProducerId: NO_PRODUCER_ID,
    producerEpoch: epoch,
    lastProducerEpoch: lastEpoch,
    timeoutMs,
    partitions: NO_PARTITIONS,
    startMs: -1,
    updateMs: nowMs,
  };
}

/** The producer's epochs have run out: it begins anew under another id. */
export function rotated(
  state: TransactionState,
  producerId: number,
  lastEpoch: number,
  timeoutMs: number,
  nowMs: number,
): TransactionState {
  return { ...initialised(state, 0, lastEpoch, timeoutMs, nowMs), producerId };
}

export function withAdded(
  state: TransactionState,
  added: readonly TopicPartition[],
  clientVersion: ClientVersion,
  nowMs: number,
): TransactionState {
  return {
    ...state,
    name: 'Ongoing',
    partitions: withPartitions(state.partitions, added),
    startMs: state.name === 'Ongoing' ? state.startMs : nowMs,
    updateMs: nowMs,
    clientVersion,
  };
}

/** The outcome is decided: from here on only the markers are missing. */
export function prepared(
  state: TransactionState,
  isCommit: boolean,
  clientVersion: ClientVersion,
  nextProducerId: number,
  nowMs: number,
): TransactionState {
  const raised =
    clientVersion === 2
      ? {
          producerEpoch: Math.min(state.producerEpoch + 1, MAX_EPOCH),
          lastProducerEpoch: state.producerEpoch,
        }
      : {};
  return {
    ...state,
    ...raised,
    name: isCommit ? 'PrepareCommit' : 'PrepareAbort',
    nextProducerId,
    startMs: state.name === 'Ongoing' ? state.startMs : nowMs,
    updateMs: nowMs,
    clientVersion,
  };
}

/** All markers are durable. */
export function completed(state: TransactionState, nowMs: number): TransactionState {
  const isRotated = state.clientVersion === 2 && state.nextProducerId !== NO_PRODUCER_ID;
  return {
    ...state,
    name: state.name === 'PrepareCommit' ? 'CompleteCommit' : 'CompleteAbort',
    producerId: isRotated ? state.nextProducerId : state.producerId,
    previousProducerId: state.producerId,
    nextProducerId: NO_PRODUCER_ID,
    producerEpoch: isRotated ? 0 : state.producerEpoch,
    partitions: NO_PARTITIONS,
    updateMs: nowMs,
  };
}

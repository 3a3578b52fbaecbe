/**
 * What becomes of a request for a transactional id in a certain state: an error, an answer at once,
 * the next state, or first of all a new producer id. Pure: nothing is changed or written here.
 *
 * `isBusy`: a record of the next state is on its way, so that the state is not certain.
 * Source: Kafka 4.4's TransactionCoordinator; KIP-360, KIP-588, KIP-890.
 */

import type { ErrorName } from '../../protocol/errors.ts';
import { NO_PRODUCER_EPOCH, NO_PRODUCER_ID } from '../../protocol/record-batch.ts';
import { hasPartition, hasPartitions, type TopicPartition } from './partition-set.ts';
import {
  type ClientVersion,
  initialised,
  isEpochExhausted,
  isPreparing,
  prepared,
  rotated,
  type TransactionState,
  withAdded,
} from './transaction-state.ts';

export interface ProducerIdAndEpoch {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export type Decision =
  | { readonly kind: 'refuse'; readonly error: ErrorName }
  /** Nothing is left to be done: it was done before. */
  | { readonly kind: 'done' }
  | { readonly kind: 'move'; readonly next: TransactionState }
  /** Decide again with a producer id that nobody had. */
  | { readonly kind: 'needs producer id' };

const DONE: Decision = { kind: 'done' };
const NEEDS_PRODUCER_ID: Decision = { kind: 'needs producer id' };

function refuse(error: ErrorName): Decision {
  return { kind: 'refuse', error };
}

function move(next: TransactionState): Decision {
  return { kind: 'move', next };
}

export interface InitRequest {
  readonly timeoutMs: number;
  /** Whom the client takes itself for; undefined when it starts. */
  readonly expected: ProducerIdAndEpoch | undefined;
}

/** InitProducerId. A state that follows as PrepareAbort is to be answered with "try again". */
export function decideInit(
  state: TransactionState,
  isBusy: boolean,
  request: InitRequest,
  nowMs: number,
  freshProducerId?: number,
): Decision {
  const { expected, timeoutMs } = request;
  // First of all, as in decideAdd.
  if (isBusy || isPreparing(state)) return refuse('CONCURRENT_TRANSACTIONS');
  if (expected !== undefined && !mayBe(state, expected)) return refuse('PRODUCER_FENCED');
  if (state.name === 'Ongoing') return decideFence(state, isBusy, nowMs, freshProducerId);
  const { producerEpoch, lastProducerEpoch } = state;
  const expectedEpoch = expected?.producerEpoch;
  const isCurrent = expectedEpoch === undefined || expectedEpoch === producerEpoch;
  if (isCurrent && isEpochExhausted(producerEpoch)) {
    if (freshProducerId === undefined) return NEEDS_PRODUCER_ID;
    const lastEpoch = expected === undefined ? NO_PRODUCER_EPOCH : producerEpoch;
    return move(rotated(state, freshProducerId, lastEpoch, timeoutMs, nowMs));
  }
  if (isCurrent || producerEpoch === NO_PRODUCER_EPOCH) {
    const lastEpoch = expected === undefined ? NO_PRODUCER_EPOCH : producerEpoch;
    return move(initialised(state, producerEpoch + 1, lastEpoch, timeoutMs, nowMs));
  }
  // The retry of a call whose answer was lost. Somebody else's call would have cleared the epoch.
  if (expectedEpoch === lastProducerEpoch) {
    return move(initialised(state, producerEpoch, lastProducerEpoch, timeoutMs, nowMs));
  }
  return refuse('PRODUCER_FENCED');
}

/** Whether a client can be who it says; its epoch is looked at later. */
function mayBe(state: TransactionState, { producerId, producerEpoch }: ProducerIdAndEpoch) {
  return (
    state.producerEpoch === NO_PRODUCER_EPOCH ||
    producerId === state.producerId ||
    (producerId === state.previousProducerId && isEpochExhausted(producerEpoch))
  );
}

/** Whether a client is the producer of the transaction; the error where it is not. */
function producerFault(state: TransactionState, client: ProducerIdAndEpoch): ErrorName | undefined {
  if (state.producerId !== client.producerId) return 'INVALID_PRODUCER_ID_MAPPING';
  return state.producerEpoch === client.producerEpoch ? undefined : 'PRODUCER_FENCED';
}

/** AddPartitionsToTxn, AddOffsetsToTxn, and what Produce and TxnOffsetCommit add by themselves. */
export function decideAdd(
  state: TransactionState,
  isBusy: boolean,
  client: ProducerIdAndEpoch,
  partitions: readonly TopicPartition[],
  clientVersion: ClientVersion,
  nowMs: number,
): Decision {
  // First of all: the producer may have got an id already that counts only after the markers.
  if (isBusy || isPreparing(state)) return refuse('CONCURRENT_TRANSACTIONS');
  const fault = producerFault(state, client);
  if (fault !== undefined) return refuse(fault);
  if (state.name === 'Ongoing' && hasPartitions(state.partitions, partitions)) return DONE;
  return move(withAdded(state, partitions, clientVersion, nowMs));
}

/** Whether a partition is in the client's transaction; TRANSACTION_ABORTABLE when it is not. */
export function verifyPartition(
  state: TransactionState,
  client: ProducerIdAndEpoch,
  { topic, partition }: TopicPartition,
): ErrorName {
  const fault = producerFault(state, client);
  if (fault !== undefined) return fault;
  if (isPreparing(state)) return 'CONCURRENT_TRANSACTIONS';
  return hasPartition(state.partitions, topic, partition) ? 'NONE' : 'TRANSACTION_ABORTABLE';
}

export interface EndRequest extends ProducerIdAndEpoch {
  readonly isCommit: boolean;
  readonly clientVersion: ClientVersion;
}

/** EndTxn of a client. */
export function decideEnd(
  state: TransactionState,
  isBusy: boolean,
  request: EndRequest,
  nowMs: number,
  freshProducerId?: number,
): Decision {
  return request.clientVersion === 2
    ? decideEnd2(state, isBusy, request, nowMs, freshProducerId)
    : decideEnd0(state, isBusy, request, nowMs);
}

function decideEnd0(
  state: TransactionState,
  isBusy: boolean,
  request: EndRequest,
  nowMs: number,
): Decision {
  const { isCommit } = request;
  const fault = producerFault(state, request);
  if (fault !== undefined) return refuse(fault);
  if (isBusy) return refuse('CONCURRENT_TRANSACTIONS');
  if (state.name === 'Ongoing') return move(prepared(state, isCommit, 0, NO_PRODUCER_ID, nowMs));
  return decideRepeated(state, isCommit);
}

/** The end was asked for already, or nothing was begun. */
function decideRepeated(state: TransactionState, isCommit: boolean): Decision {
  switch (state.name) {
    case 'PrepareCommit':
    case 'PrepareAbort': {
      const isSame = (state.name === 'PrepareCommit') === isCommit;
      return refuse(isSame ? 'CONCURRENT_TRANSACTIONS' : 'INVALID_TXN_STATE');
    }
    case 'CompleteCommit':
      return isCommit ? DONE : refuse('INVALID_TXN_STATE');
    case 'CompleteAbort':
      return isCommit ? refuse('INVALID_TXN_STATE') : DONE;
    default:
      return refuse('INVALID_TXN_STATE');
  }
}

/** Each end raises the epoch, so a repeated request is known by the epoch before. */
function decideEnd2(
  state: TransactionState,
  isBusy: boolean,
  request: EndRequest,
  nowMs: number,
  freshProducerId: number | undefined,
): Decision {
  const { isCommit, producerId, producerEpoch } = request;
  const isRepeated = state.clientVersion === 2 && producerEpoch + 1 === state.producerEpoch;
  const isRepeatedOverRotation =
    state.clientVersion === 2 &&
    state.previousProducerId === producerId &&
    isEpochExhausted(producerEpoch) &&
    state.producerEpoch === 0;
  // The answer to the end has named this id already, which counts only after the markers.
  const isRotating = isPreparing(state) && state.nextProducerId === producerId;
  if (state.producerId !== producerId && !isRepeatedOverRotation && !isRotating) {
    return refuse('INVALID_PRODUCER_ID_MAPPING');
  }
  // Before the epoch is looked at: a producer may ask for the end of its next transaction, which it
  // left empty, while the markers of the last one are on their way (KAFKA-18464).
  if (isBusy || isPreparing(state)) return refuse('CONCURRENT_TRANSACTIONS');
  const isOver = state.name === 'CompleteCommit' || state.name === 'CompleteAbort';
  const repeats = isOver && (isRepeated || isRepeatedOverRotation);
  // Of a state that an old client's request has made, the epoch was not raised by the end.
  if (!repeats && producerEpoch !== state.producerEpoch) return refuse('PRODUCER_FENCED');
  if (repeats) return decideRepeated(state, isCommit);
  // What was never begun can be aborted, never committed.
  if (state.name !== 'Ongoing' && isCommit) return refuse('INVALID_TXN_STATE');
  return prepare(state, isCommit, nowMs, freshProducerId);
}

/** A producer whose epochs run out with this end goes on under another id. */
function prepare(
  state: TransactionState,
  isCommit: boolean,
  nowMs: number,
  freshProducerId: number | undefined,
): Decision {
  if (!isEpochExhausted(state.producerEpoch)) {
    return move(prepared(state, isCommit, 2, NO_PRODUCER_ID, nowMs));
  }
  if (freshProducerId === undefined) return NEEDS_PRODUCER_ID;
  return move(prepared(state, isCommit, 2, freshProducerId, nowMs));
}

/** The open transaction is taken from its producer, whose epoch is over, and aborted. */
export function decideFence(
  state: TransactionState,
  isBusy: boolean,
  nowMs: number,
  freshProducerId?: number,
): Decision {
  if (isBusy || state.name !== 'Ongoing') return refuse('CONCURRENT_TRANSACTIONS');
  return prepare(state, false, nowMs, freshProducerId);
}

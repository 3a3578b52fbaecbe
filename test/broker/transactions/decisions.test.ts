/** The state machine of a transactional id, held against Kafka's TransactionCoordinator. */

import t from 'tap';
import {
  type Decision,
  decideAdd,
  decideEnd,
  decideInit,
  verifyPartition,
} from '../../../broker/transactions/decisions.ts';
import { NO_PARTITIONS, withPartitions } from '../../../broker/transactions/partition-set.ts';
import {
  completed,
  newState,
  type StateName,
  type TransactionState,
} from '../../../broker/transactions/transaction-state.ts';

const NOW = 5000;
const TP = { topic: 't', partition: 1 };
const OTHER = { topic: 't', partition: 2 };

/** A state of producer 7 in epoch 3. */
function state(name: StateName, more: Partial<TransactionState> = {}): TransactionState {
  const isOpen = name === 'Ongoing' || name === 'PrepareCommit' || name === 'PrepareAbort';
  return {
    ...newState(7, 60_000, 1000),
    name,
    previousProducerId: 7,
    producerEpoch: 3,
    partitions: isOpen ? withPartitions(NO_PARTITIONS, [TP]) : NO_PARTITIONS,
    startMs: name === 'Empty' ? -1 : 1000,
    ...more,
  };
}

function shown(decision: Decision): string {
  if (decision.kind === 'refuse') return decision.error;
  if (decision.kind !== 'move') return decision.kind;
  const { name, producerId, producerEpoch, nextProducerId } = decision.next;
  const next = nextProducerId === -1 ? '' : ` then ${nextProducerId}`;
  return `${name} ${producerId}/${producerEpoch}${next}`;
}

const init = (from: TransactionState, expected?: [id: number, epoch: number], fresh?: number) => {
  const who = expected && { producerId: expected[0], producerEpoch: expected[1] };
  return shown(decideInit(from, false, { timeoutMs: 9000, expected: who }, NOW, fresh));
};

t.test('InitProducerId gives the next epoch', async (t) => {
  t.equal(init(newState(7, 1, 1)), 'Empty 7/0');
  for (const name of ['Empty', 'CompleteCommit', 'CompleteAbort'] as const) {
    t.equal(init(state(name)), 'Empty 7/4', name);
    t.equal(init(state(name), [7, 3]), 'Empty 7/4', `${name}, by the producer itself`);
  }
  const decision = decideInit(state('Empty'), false, { timeoutMs: 9000, expected: undefined }, NOW);
  t.match(decision, { next: { timeoutMs: 9000, updateMs: NOW, lastProducerEpoch: -1 } });
});

t.test(
  'point 27: an open transaction is aborted first, in an epoch that nobody gets',
  async (t) => {
    t.equal(init(state('Ongoing')), 'PrepareAbort 7/4');
    t.equal(init(state('PrepareCommit')), 'CONCURRENT_TRANSACTIONS');
    t.equal(init(state('PrepareAbort')), 'CONCURRENT_TRANSACTIONS');
    t.equal(
      shown(decideInit(state('Empty'), true, { timeoutMs: 1, expected: undefined }, NOW)),
      'CONCURRENT_TRANSACTIONS',
    );
  },
);

t.test('KIP-360: who expects another id or epoch is fenced', async (t) => {
  t.equal(init(state('Empty'), [8, 3]), 'PRODUCER_FENCED');
  t.equal(init(state('Empty'), [7, 2]), 'PRODUCER_FENCED');
  t.equal(init(state('Ongoing'), [8, 3]), 'PRODUCER_FENCED');
  const rotating = state('PrepareCommit', { nextProducerId: 8 });
  t.equal(init(rotating, [8, 0]), 'CONCURRENT_TRANSACTIONS', 'it may have that id already');
  t.equal(init(state('Empty', { lastProducerEpoch: 2 }), [7, 2]), 'Empty 7/3', 'a retry');
  t.equal(init(newState(9, 1, 1), [7, 3]), 'Empty 9/0', 'the id was forgotten');
});

t.test('point 28: after the last epoch comes another producer id', async (t) => {
  const last = state('CompleteCommit', { producerEpoch: 32766 });
  t.equal(init(last), 'needs producer id');
  t.equal(init(last, undefined, 50), 'Empty 50/0');
  t.equal(init(last, [7, 32766], 50), 'Empty 50/0');
  const rotated = { ...newState(50, 1, 1), previousProducerId: 7, producerEpoch: 0 };
  const retried = { ...rotated, lastProducerEpoch: 32766 };
  t.equal(init(retried, [7, 32766]), 'Empty 50/0', 'the retry with the previous id');
  t.equal(init(retried, [7, 5]), 'PRODUCER_FENCED');
  const open = state('Ongoing', { producerEpoch: 32766 });
  t.equal(init(open), 'needs producer id');
  t.equal(init(open, undefined, 52), 'PrepareAbort 7/32767 then 52');
  t.equal(init(state('CompleteAbort', { producerEpoch: 32767 }), undefined, 51), 'Empty 51/0');
});

const add = (from: TransactionState, epoch = 3, id = 7, isBusy = false) =>
  shown(decideAdd(from, isBusy, { producerId: id, producerEpoch: epoch }, [TP], 0, NOW));

t.test('partitions are added to what is open, or begin it', async (t) => {
  for (const name of ['Empty', 'CompleteCommit', 'CompleteAbort'] as const) {
    const client = { producerId: 7, producerEpoch: 3 };
    const decision = decideAdd(state(name), false, client, [TP, OTHER], 2, NOW);
    t.match(decision, { next: { name: 'Ongoing', startMs: NOW, clientVersion: 2 } }, name);
  }
  t.equal(add(state('Ongoing')), 'done', 'it was added before');
  const client = { producerId: 7, producerEpoch: 3 };
  const more = decideAdd(state('Ongoing'), false, client, [OTHER], 0, NOW);
  t.match(more, { next: { startMs: 1000, updateMs: NOW } });
  t.equal(add(state('Ongoing'), 2), 'PRODUCER_FENCED');
  t.equal(add(state('Ongoing'), 4), 'PRODUCER_FENCED');
  t.equal(add(state('Ongoing'), 3, 8), 'INVALID_PRODUCER_ID_MAPPING');
  t.equal(add(state('PrepareCommit')), 'CONCURRENT_TRANSACTIONS');
  t.equal(add(state('PrepareAbort'), 0, 50), 'CONCURRENT_TRANSACTIONS', 'before all else');
  t.equal(add(state('Ongoing'), 3, 7, true), 'CONCURRENT_TRANSACTIONS');
});

t.test('a partition is verified against the transaction', async (t) => {
  const verify = (from: TransactionState, partition = TP, epoch = 3, id = 7) =>
    verifyPartition(from, { producerId: id, producerEpoch: epoch }, partition);
  t.equal(verify(state('Ongoing')), 'NONE');
  t.equal(verify(state('Ongoing'), OTHER), 'TRANSACTION_ABORTABLE');
  t.equal(verify(state('Empty')), 'TRANSACTION_ABORTABLE');
  t.equal(verify(state('CompleteCommit')), 'TRANSACTION_ABORTABLE');
  t.equal(verify(state('PrepareCommit')), 'CONCURRENT_TRANSACTIONS');
  t.equal(verify(state('Ongoing'), TP, 2), 'PRODUCER_FENCED');
  t.equal(verify(state('Ongoing'), TP, 3, 8), 'INVALID_PRODUCER_ID_MAPPING');
});

const end =
  (clientVersion: 0 | 2) =>
  (from: TransactionState, isCommit: boolean, epoch = 3, fresh?: number, id = 7) => {
    const request = { producerId: id, producerEpoch: epoch, isCommit, clientVersion };
    return shown(decideEnd(from, false, request, NOW, fresh));
  };

t.test('point 31: the end of a transaction, as old clients ask for it', async (t) => {
  const ends = end(0);
  t.equal(ends(state('Ongoing'), true), 'PrepareCommit 7/3');
  t.equal(ends(state('Ongoing'), false), 'PrepareAbort 7/3');
  t.equal(ends(state('PrepareCommit'), true), 'CONCURRENT_TRANSACTIONS');
  t.equal(ends(state('PrepareCommit'), false), 'INVALID_TXN_STATE');
  t.equal(ends(state('PrepareAbort'), false), 'CONCURRENT_TRANSACTIONS');
  t.equal(ends(state('PrepareAbort'), true), 'INVALID_TXN_STATE');
  t.equal(ends(state('CompleteCommit'), true), 'done');
  t.equal(ends(state('CompleteCommit'), false), 'INVALID_TXN_STATE');
  t.equal(ends(state('CompleteAbort'), false), 'done');
  t.equal(ends(state('CompleteAbort'), true), 'INVALID_TXN_STATE');
  t.equal(ends(state('Empty'), true), 'INVALID_TXN_STATE');
  t.equal(ends(state('Empty'), false), 'INVALID_TXN_STATE');
  t.equal(ends(state('Ongoing'), true, 2), 'PRODUCER_FENCED');
  t.equal(ends(state('Ongoing'), true, 4), 'PRODUCER_FENCED');
  t.equal(ends(state('Ongoing'), true, 3, undefined, 8), 'INVALID_PRODUCER_ID_MAPPING');
});

t.test('KIP-890: each end raises the epoch, and a retry is known by the one before', async (t) => {
  const ends = end(2);
  const of2 = (name: StateName, more = {}) => state(name, { clientVersion: 2, ...more });
  t.equal(ends(of2('Ongoing'), true), 'PrepareCommit 7/4');
  t.equal(ends(of2('Ongoing'), false), 'PrepareAbort 7/4');
  t.equal(ends(of2('Ongoing'), true, 2), 'PRODUCER_FENCED');
  t.equal(ends(of2('PrepareCommit'), true, 2), 'CONCURRENT_TRANSACTIONS');
  for (const epoch of [1, 2, 3]) {
    t.equal(ends(of2('PrepareCommit'), false, epoch), 'CONCURRENT_TRANSACTIONS', 'KAFKA-18464');
  }
  t.equal(ends(of2('CompleteCommit'), true, 2), 'done');
  t.equal(ends(of2('CompleteCommit'), false, 2), 'INVALID_TXN_STATE');
  t.equal(ends(of2('CompleteCommit'), true, 3), 'INVALID_TXN_STATE', 'nothing was begun');
  t.equal(ends(of2('CompleteCommit'), true, 1), 'PRODUCER_FENCED');
  t.equal(ends(of2('CompleteAbort'), false, 2), 'done');
  t.equal(ends(of2('CompleteAbort'), true, 2), 'INVALID_TXN_STATE');
});

t.test('KIP-890: what was never begun can be aborted', async (t) => {
  const ends = end(2);
  for (const name of ['Empty', 'CompleteCommit', 'CompleteAbort'] as const) {
    t.equal(ends(state(name, { clientVersion: 2 }), false), 'PrepareAbort 7/4', name);
    t.equal(ends(state(name), false), 'PrepareAbort 7/4', `${name}, of an old client`);
  }
  t.equal(ends(state('Empty', { clientVersion: 2 }), true), 'INVALID_TXN_STATE');
});

t.test('KIP-890: the last epoch ends in another producer id', async (t) => {
  const ends = end(2);
  const last = state('Ongoing', { clientVersion: 2, producerEpoch: 32766 });
  t.equal(ends(last, true, 32766), 'needs producer id');
  t.equal(ends(last, true, 32766, 50), 'PrepareCommit 7/32767 then 50');
  const request = {
    producerId: 7,
    producerEpoch: 32766,
    isCommit: true,
    clientVersion: 2,
  } as const;
  const decision = decideEnd(last, false, request, NOW, 50);
  if (decision.kind !== 'move') throw new Error(decision.kind);
  t.equal(ends(decision.next, true, 32766), 'CONCURRENT_TRANSACTIONS');
  t.equal(ends(decision.next, false, 0, undefined, 50), 'CONCURRENT_TRANSACTIONS', 'the next one');
  const after = completed(decision.next, NOW);
  t.match(after, { name: 'CompleteCommit', producerId: 50, producerEpoch: 0, nextProducerId: -1 });
  t.equal(ends(after, true, 32766), 'done', 'the retry with the previous id');
  t.equal(ends(after, false, 32766), 'INVALID_TXN_STATE');
  t.equal(ends(after, true, 5), 'INVALID_PRODUCER_ID_MAPPING');
});

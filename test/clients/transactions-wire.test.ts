/**
 * The requests of transactions by hand, in all versions: what a client that behaves never sends, and
 * the error that each version is told. With TAILRACE_TEST_PEER=kafka the same against Apache Kafka.
 */

import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { type ErrorName, errorName } from '../../protocol/errors.ts';
import {
  AddOffsetsToTxnRequest,
  AddOffsetsToTxnResponse,
} from '../../protocol/messages/add-offsets-to-txn.ts';
import {
  AddPartitionsToTxnRequest,
  AddPartitionsToTxnResponse,
} from '../../protocol/messages/add-partitions-to-txn.ts';
import {
  DescribeProducersRequest,
  DescribeProducersResponse,
} from '../../protocol/messages/describe-producers.ts';
import {
  DescribeTransactionsRequest,
  DescribeTransactionsResponse,
} from '../../protocol/messages/describe-transactions.ts';
import { EndTxnRequest, EndTxnResponse } from '../../protocol/messages/end-txn.ts';
import {
  FindCoordinatorRequest,
  FindCoordinatorResponse,
} from '../../protocol/messages/find-coordinator.ts';
import {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/init-producer-id.ts';
import {
  ListTransactionsRequest,
  ListTransactionsResponse,
} from '../../protocol/messages/list-transactions.ts';
import { OffsetFetchRequest, OffsetFetchResponse } from '../../protocol/messages/offset-fetch.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../protocol/messages/txn-offset-commit.ts';
import {
  WriteTxnMarkersRequest,
  WriteTxnMarkersResponse,
} from '../../protocol/messages/write-txn-markers.ts';
import { buildBatch } from '../../protocol/records.ts';
import type { Decoded } from '../../protocol/schema.ts';
import { readCommitted } from './exactly-once/committed-reader.ts';
import { newTopic } from './kafkajs-client.ts';
import { isApacheKafka, startTestBroker, uniqueName } from './test-broker.ts';

t.setTimeout(120_000);
const broker = await startTestBroker(t, { 'group.initial.rebalance.delay.ms': '0' });
const connection = await WireConnection.open(broker.host, broker.port);
t.teardown(() => connection.close());

interface Client {
  readonly id: string;
  readonly producerId: number;
  readonly producerEpoch: number;
}

const EARLY: ReadonlySet<ErrorName> = new Set([
  'COORDINATOR_NOT_AVAILABLE',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'NOT_COORDINATOR',
  'NOT_ENOUGH_REPLICAS',
  'CONCURRENT_TRANSACTIONS',
]);

/** Repeats a call while the coordinator is not ready, or still completes what was before. */
async function soon<A>(ask: () => Promise<A>, errorOf: (answer: A) => number): Promise<A> {
  for (;;) {
    const answer = await ask();
    const error = errorName(errorOf(answer));
    if (!EARLY.has(error)) return answer;
  }
}

/** Apache Kafka makes the topics of its coordinators when it is first asked for them. */
async function findCoordinator(keyType: number, id: string): Promise<void> {
  const key = { keyType, coordinatorKeys: [id] };
  await soon(
    () => connection.call(FindCoordinatorRequest, FindCoordinatorResponse, 4, key),
    ({ coordinators }) => coordinators[0]!.errorCode,
  );
}

async function init(id: string, version = 5, more = {}): Promise<Client & { error: ErrorName }> {
  await findCoordinator(1, id);
  const request = { transactionalId: id, transactionTimeoutMs: 60_000, ...more };
  const answer = await soon(
    () => connection.call(InitProducerIdRequest, InitProducerIdResponse, version, request),
    ({ errorCode }) => errorCode,
  );
  const { producerId, producerEpoch, errorCode } = answer;
  return { id, producerId, producerEpoch, error: errorName(errorCode) };
}

const newClient = () => init(uniqueName('transactional'));

type AddedPartitions = Decoded<typeof AddPartitionsToTxnResponse>;

async function addPartitions(
  version: number,
  { id, producerId, producerEpoch }: Client,
  topics: Record<string, number[]>,
  verifyOnly = false,
): Promise<ErrorName[]> {
  const asked = Object.entries(topics).map(([name, partitions]) => ({ name, partitions }));
  const request =
    version < 4
      ? {
          v3AndBelowTransactionalId: id,
          v3AndBelowProducerId: producerId,
          v3AndBelowProducerEpoch: producerEpoch,
          v3AndBelowTopics: asked,
        }
      : {
          transactions: [
            { transactionalId: id, producerId, producerEpoch, verifyOnly, topics: asked },
          ],
        };
  const resultsOf = ({ resultsByTransaction, resultsByTopicV3AndBelow }: AddedPartitions) =>
    version < 4 ? resultsByTopicV3AndBelow : (resultsByTransaction[0]?.topicResults ?? []);
  const pair = [AddPartitionsToTxnRequest, AddPartitionsToTxnResponse] as const;
  const answer = await soon(
    () => connection.call(...pair, version, request),
    (one) => resultsOf(one)[0]?.resultsByPartition[0]?.partitionErrorCode ?? 0,
  );
  return resultsOf(answer)
    .flatMap(({ resultsByPartition }) => resultsByPartition)
    .sort((a, b) => a.partitionIndex - b.partitionIndex)
    .map(({ partitionErrorCode }) => errorName(partitionErrorCode));
}

async function end(version: number, client: Client, committed: boolean) {
  const { id: transactionalId, producerId, producerEpoch } = client;
  const request = { transactionalId, producerId, producerEpoch, committed };
  const answer = await soon(
    () => connection.call(EndTxnRequest, EndTxnResponse, version, request),
    ({ errorCode }) => errorCode,
  );
  return { ...answer, error: errorName(answer.errorCode) };
}

async function produce(
  version: number,
  { id, producerId, producerEpoch }: Client,
  topic: string,
  baseSequence = 0,
): Promise<ErrorName> {
  const records = () =>
    buildBatch({
      producerId,
      producerEpoch,
      baseSequence,
      transactional: true,
      records: [{ key: null, value: Buffer.from('x'), timestamp: Date.now() }],
    });
  const { responses } = await soon(
    () =>
      connection.call(ProduceRequest, ProduceResponse, version, {
        transactionalId: id,
        acks: -1,
        timeoutMs: 10_000,
        topicData: [{ name: topic, partitionData: [{ index: 0, records: records() }] }],
      }),
    (answer) => answer.responses[0]!.partitionResponses[0]!.errorCode,
  );
  return errorName(responses[0]!.partitionResponses[0]!.errorCode);
}

async function commitOffset(
  version: number,
  { id, producerId, producerEpoch }: Client,
  groupId: string,
  topic: string,
  more = {},
): Promise<ErrorName> {
  await findCoordinator(0, groupId);
  const line = { partitionIndex: 0, committedOffset: 5, committedMetadata: '' };
  const { topics } = await soon(
    () =>
      connection.call(TxnOffsetCommitRequest, TxnOffsetCommitResponse, version, {
        transactionalId: id,
        groupId,
        producerId,
        producerEpoch,
        topics: [{ name: topic, partitions: [line] }],
        ...more,
      }),
    (answer) => answer.topics[0]!.partitions[0]!.errorCode,
  );
  return errorName(topics[0]!.partitions[0]!.errorCode);
}

t.test('AddPartitionsToTxn: all are added, or none', async (t) => {
  const topic = await newTopic(broker, 2);
  for (let version = 0; version <= 5; version++) {
    const client = await newClient();
    t.same(await addPartitions(version, client, { [topic]: [0, 1] }), ['NONE', 'NONE']);
    const some = await addPartitions(version, client, { [topic]: [1, 7] });
    t.same(some, ['OPERATION_NOT_ATTEMPTED', 'UNKNOWN_TOPIC_OR_PARTITION'], `version ${version}`);
    const stranger = { ...client, producerId: client.producerId + 5000 };
    const mapping = ['INVALID_PRODUCER_ID_MAPPING'];
    t.same(await addPartitions(version, stranger, { [topic]: [0] }), mapping);
    t.same(await addPartitions(version, { ...client, id: 'nobody' }, { [topic]: [0] }), mapping);
    const future = { ...client, producerEpoch: client.producerEpoch + 1 };
    const fenced = version < 2 ? 'INVALID_PRODUCER_EPOCH' : 'PRODUCER_FENCED';
    t.same(await addPartitions(version, future, { [topic]: [0] }), [fenced]);
  }
});

t.test('AddPartitionsToTxn of brokers may only verify', async (t) => {
  const topic = await newTopic(broker, 2);
  const client = await newClient();
  for (const version of [4, 5]) {
    await addPartitions(version, client, { [topic]: [0] });
    const verified = await addPartitions(version, client, { [topic]: [0, 1] }, true);
    t.same(verified, ['NONE', 'TRANSACTION_ABORTABLE']);
    const future = { ...client, producerEpoch: client.producerEpoch + 1 };
    t.same(await addPartitions(version, future, { [topic]: [0] }, true), ['PRODUCER_FENCED']);
  }
});

t.test('EndTxn in every version', async (t) => {
  const topic = await newTopic(broker);
  for (let version = 0; version <= 5; version++) {
    const client = await newClient();
    t.equal((await end(version, client, true)).error, 'INVALID_TXN_STATE', 'nothing was begun');
    await addPartitions(3, client, { [topic]: [0] });
    const future = { ...client, producerEpoch: client.producerEpoch + 1 };
    const fenced = version < 2 ? 'INVALID_PRODUCER_EPOCH' : 'PRODUCER_FENCED';
    t.equal((await end(version, future, true)).error, fenced);
    const { error, producerId, producerEpoch } = await end(version, client, true);
    t.equal(error, 'NONE');
    const raised = { producerId: client.producerId, producerEpoch: client.producerEpoch + 1 };
    const told = version < 5 ? { producerId: -1, producerEpoch: -1 } : raised;
    t.same({ producerId, producerEpoch }, told);
    t.equal((await end(version, client, true)).error, 'NONE', 'point 31: the same again');
    t.equal((await end(version, client, false)).error, 'INVALID_TXN_STATE');
  }
});

t.test('KIP-890: a transaction that was never begun can be aborted in version 5', async (t) => {
  const client = await newClient();
  const aborted = await end(5, client, false);
  t.match(aborted, { error: 'NONE', producerEpoch: client.producerEpoch + 1 });
  t.equal((await end(4, await newClient(), false)).error, 'INVALID_TXN_STATE');
});

t.test('Produce to a partition that was not added', async (t) => {
  const topic = await newTopic(broker);
  t.equal(await produce(10, await newClient(), topic), 'INVALID_TXN_STATE');
  t.equal(await produce(11, await newClient(), topic), 'TRANSACTION_ABORTABLE');
  const client = await newClient();
  t.equal(await produce(12, client, topic, 4), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
  t.equal(await produce(12, client, topic), 'NONE', 'from version 12 on the broker adds it');
  t.equal(await produce(12, client, topic, 1), 'NONE');
  t.equal((await end(5, client, true)).error, 'NONE');
  // Apache Kafka takes it as long as the marker is on its way.
  const late = await produce(12, client, topic, 2);
  if (!isApacheKafka) t.equal(late, 'INVALID_PRODUCER_EPOCH');
  const next = { ...client, producerEpoch: client.producerEpoch + 1 };
  t.equal(await produce(12, next, topic), 'NONE', 'in the next epoch, from its first sequence');
  t.equal((await end(5, next, false)).error, 'NONE');
});

t.test('TxnOffsetCommit and the offsets of an open transaction', async (t) => {
  const topic = await newTopic(broker);
  for (let version = 0; version <= 5; version++) {
    const client = await newClient();
    const groupId = uniqueName('group');
    if (version < 5) {
      const missing = version < 4 ? 'INVALID_TXN_STATE' : 'TRANSACTION_ABORTABLE';
      t.equal(await commitOffset(version, client, groupId, topic), missing);
      const { id: transactionalId, producerId, producerEpoch } = client;
      const pair = [AddOffsetsToTxnRequest, AddOffsetsToTxnResponse] as const;
      const request = { transactionalId, producerId, producerEpoch, groupId };
      const { errorCode } = await connection.call(...pair, Math.min(version, 4), request);
      t.equal(errorName(errorCode), 'NONE');
    }
    const nowhere = await commitOffset(version, client, groupId, 'no-such-topic');
    t.equal(nowhere, 'UNKNOWN_TOPIC_OR_PARTITION');
    t.equal(await commitOffset(version, client, groupId, topic), 'NONE', `version ${version}`);
    t.same(await fetchOffset(groupId, topic, true), ['UNSTABLE_OFFSET_COMMIT', -1]);
    t.same(await fetchOffset(groupId, topic, false), ['NONE', -1]);
    t.equal((await end(version === 5 ? 5 : 3, client, true)).error, 'NONE');
    const settled = await soon(
      () => fetchOffset(groupId, topic, true),
      ([error]) => (error === 'UNSTABLE_OFFSET_COMMIT' ? 51 : 0),
    );
    t.same(settled, ['NONE', 5]);
  }
});

t.test('TxnOffsetCommit of a member that is none', async (t) => {
  const topic = await newTopic(broker);
  const client = await newClient();
  const groupId = uniqueName('group');
  const generation = { generationIdOrMemberEpoch: 3, memberId: 'm' };
  t.equal(await commitOffset(5, client, groupId, topic, generation), 'ILLEGAL_GENERATION');
  t.equal(await commitOffset(5, client, groupId, topic), 'NONE');
  t.equal(await commitOffset(5, client, groupId, topic, generation), 'UNKNOWN_MEMBER_ID');
  await end(5, client, false);
});

async function fetchOffset(
  groupId: string,
  topic: string,
  requireStable: boolean,
): Promise<[error: ErrorName, offset: number]> {
  const topics = [{ name: topic, partitionIndexes: [0] }];
  const request = { groups: [{ groupId, topics }], requireStable };
  const { groups } = await connection.call(OffsetFetchRequest, OffsetFetchResponse, 9, request);
  const found = groups[0]!.topics[0]!.partitions[0]!;
  return [errorName(found.errorCode), found.committedOffset];
}

t.test('InitProducerId fences by epochs', async (t) => {
  const first = await newClient();
  const again = await init(first.id);
  t.same([again.producerId, again.producerEpoch], [first.producerId, first.producerEpoch + 1]);
  const { producerId, producerEpoch } = first;
  for (const version of [3, 4, 5]) {
    const { error } = await init(first.id, version, { producerId, producerEpoch });
    t.equal(error, version < 4 ? 'INVALID_PRODUCER_EPOCH' : 'PRODUCER_FENCED');
  }
  const own = { producerId: again.producerId, producerEpoch: again.producerEpoch };
  t.match(await init(first.id, 5, own), { error: 'NONE', producerEpoch: producerEpoch + 2 });
  t.match(
    await init(first.id, 5, own),
    { error: 'NONE', producerEpoch: producerEpoch + 2 },
    'a retry',
  );
});

t.test('transactions are listed and described', async (t) => {
  const topic = await newTopic(broker, 2);
  const client = await newClient();
  const describe = async (id: string) => {
    const pair = [DescribeTransactionsRequest, DescribeTransactionsResponse] as const;
    const answer = await connection.call(...pair, 0, { transactionalIds: [id] });
    const [state] = answer.transactionStates;
    return { ...state!, error: errorName(state!.errorCode) };
  };
  const list = async (more: object) => {
    const pair = [ListTransactionsRequest, ListTransactionsResponse] as const;
    const request = { stateFilters: [], producerIdFilters: [], ...more };
    const answer = await connection.call(...pair, 2, request);
    const ids = answer.transactionStates.map(({ transactionalId }) => transactionalId);
    return { ...answer, error: errorName(answer.errorCode), has: ids.includes(client.id) };
  };
  t.match(await describe(client.id), { error: 'NONE', transactionState: 'Empty' });
  await addPartitions(3, client, { [topic]: [0, 1] });
  const { producerId, producerEpoch } = client;
  const described = await describe(client.id);
  t.match(described, { transactionState: 'Ongoing', producerId, producerEpoch });
  t.equal(described.transactionTimeoutMs, 60_000);
  t.same(described.topics[0]?.partitions.sort(), [0, 1]);
  t.equal((await describe('nobody')).error, 'TRANSACTIONAL_ID_NOT_FOUND');
  t.equal((await describe('')).error, 'INVALID_REQUEST');

  t.ok((await list({})).has);
  t.ok((await list({ stateFilters: ['Ongoing'], producerIdFilters: [producerId] })).has);
  t.notOk((await list({ stateFilters: ['Empty'] })).has);
  t.notOk((await list({ producerIdFilters: [producerId + 5000] })).has);
  t.notOk((await list({ durationFilter: 3_600_000 })).has);
  const pattern = `${client.id.slice(0, -1)}.`;
  t.ok((await list({ transactionalIdPattern: pattern })).has);
  t.notOk((await list({ transactionalIdPattern: client.id.slice(0, -1) })).has);
  t.equal((await list({ transactionalIdPattern: '(' })).error, 'INVALID_REGULAR_EXPRESSION');
  t.same((await list({ stateFilters: ['Strange'] })).unknownStateFilters, ['Strange']);
  await end(5, client, false);
});

t.test('a hanging transaction is found and ended by hand', async (t) => {
  const topic = await newTopic(broker);
  const client = await init((await newClient()).id);
  await addPartitions(3, client, { [topic]: [0] });
  t.equal(await produce(9, client, topic), 'NONE');
  const describe = async (name: string, index = 0) => {
    const pair = [DescribeProducersRequest, DescribeProducersResponse] as const;
    const topics = [{ name, partitionIndexes: [index] }];
    const answer = await connection.call(...pair, 0, { topics });
    const partition = answer.topics[0]!.partitions[0]!;
    return { ...partition, error: errorName(partition.errorCode) };
  };
  const { producerId, producerEpoch } = client;
  const open = { producerId, producerEpoch, lastSequence: 0, currentTxnStartOffset: 0 };
  t.match(await describe(topic), { error: 'NONE', activeProducers: [open] });
  t.equal((await describe(topic, 7)).error, 'UNKNOWN_TOPIC_OR_PARTITION');
  t.equal((await describe('no/topic')).error, 'INVALID_TOPIC_EXCEPTION');
  t.equal((await readCommitted(connection, topic, 0, 0)).lastStableOffset, 0);

  const mark = async (version: number, coordinatorEpoch: number, index: number, more = {}) => {
    const pair = [WriteTxnMarkersRequest, WriteTxnMarkersResponse] as const;
    const marker = {
      producerId,
      producerEpoch,
      transactionResult: false,
      coordinatorEpoch,
      ...more,
    };
    const topics = [{ name: topic, partitionIndexes: [index] }];
    const answer = await connection.call(...pair, version, { markers: [{ ...marker, topics }] });
    return errorName(answer.markers[0]!.topics[0]!.partitions[0]!.errorCode);
  };
  t.equal(await mark(1, 0, 7), 'UNKNOWN_TOPIC_OR_PARTITION');
  const raised = await mark(2, 0, 0, { transactionVersion: 2 });
  t.equal(raised, 'INVALID_PRODUCER_EPOCH', 'KIP-1228: the transaction is a later one');
  t.equal(await mark(1, 3, 0), 'NONE');
  t.equal(await mark(2, 2, 0), 'TRANSACTION_COORDINATOR_FENCED');
  const earlier = { producerEpoch: producerEpoch - 1 };
  t.equal(await mark(2, 3, 0, earlier), 'INVALID_PRODUCER_EPOCH');
  const read = await readCommitted(connection, topic, 0, 0);
  t.same([read.lastStableOffset, read.records], [2, []]);
});

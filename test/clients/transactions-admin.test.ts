/** Looking at transactions, and ending one by hand. With TAILRACE_TEST_PEER=kafka against Apache Kafka. */

import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { errorName } from '../../protocol/errors.ts';
import {
  DescribeProducersRequest,
  DescribeProducersResponse,
} from '../../protocol/messages/describe-producers.ts';
import {
  DescribeTransactionsRequest,
  DescribeTransactionsResponse,
} from '../../protocol/messages/describe-transactions.ts';
import {
  ListTransactionsRequest,
  ListTransactionsResponse,
} from '../../protocol/messages/list-transactions.ts';
import {
  WriteTxnMarkersRequest,
  WriteTxnMarkersResponse,
} from '../../protocol/messages/write-txn-markers.ts';
import { readCommitted } from './exactly-once/committed-reader.ts';
import { newTopic } from './kafkajs-client.ts';
import { isApacheKafka, startTestBroker } from './test-broker.ts';
import { TransactionWire } from './transaction-wire.ts';

t.setTimeout(120_000);
const broker = await startTestBroker(t, { 'group.initial.rebalance.delay.ms': '0' });
const connection = await WireConnection.open(broker.host, broker.port);
t.teardown(() => connection.close());
const wire = new TransactionWire(connection);

t.test('transactions are listed and described', async (t) => {
  const topic = await newTopic(broker, 2);
  const client = await wire.newClient();
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
  await wire.addPartitions(3, client, { [topic]: [0, 1] });
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
  await wire.end(5, client, false);
});

t.test('a hanging transaction is found and ended by hand', async (t) => {
  const topic = await newTopic(broker);
  const client = await wire.init((await wire.newClient()).id);
  await wire.addPartitions(3, client, { [topic]: [0] });
  t.equal(await wire.produce(9, client, topic), 'NONE');
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
  if (!isApacheKafka) t.equal(await mark(1, 0, 0, { producerEpoch: -1 }), 'INVALID_REQUEST');
  t.equal(await mark(1, 3, 0), 'NONE');
  t.equal(await mark(2, 2, 0), 'TRANSACTION_COORDINATOR_FENCED');
  const earlier = { producerEpoch: producerEpoch - 1 };
  t.equal(await mark(2, 3, 0, earlier), 'INVALID_PRODUCER_EPOCH');
  const read = await readCommitted(connection, topic, 0, 0);
  t.same([read.lastStableOffset, read.records], [2, []]);
});

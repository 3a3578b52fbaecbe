/**
 * The requests of transactions by hand, in all versions: what a client that behaves never sends, and
 * the error that each version is told. With TAILRACE_TEST_PEER=kafka the same against Apache Kafka.
 */

import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { errorName } from '../../protocol/errors.ts';
import {
  AddOffsetsToTxnRequest,
  AddOffsetsToTxnResponse,
} from '../../protocol/messages/add-offsets-to-txn.ts';
import { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts';
import { newTopic } from './kafkajs-client.ts';
import { isApacheKafka, startTestBroker, uniqueName } from './test-broker.ts';
import { soon, TransactionWire } from './transaction-wire.ts';

t.setTimeout(120_000);
const broker = await startTestBroker(t, { 'group.initial.rebalance.delay.ms': '0' });
const connection = await WireConnection.open(broker.host, broker.port);
t.teardown(() => connection.close());
const wire = new TransactionWire(connection);

t.test('AddPartitionsToTxn: all are added, or none', async (t) => {
  const topic = await newTopic(broker, 2);
  for (let version = 0; version <= 5; version++) {
    const client = await wire.newClient();
    t.same(await wire.addPartitions(version, client, { [topic]: [0, 1] }), ['NONE', 'NONE']);
    const some = await wire.addPartitions(version, client, { [topic]: [1, 7] });
    t.same(some, ['OPERATION_NOT_ATTEMPTED', 'UNKNOWN_TOPIC_OR_PARTITION'], `version ${version}`);
    const own = await wire.addPartitions(version, client, {
      [topic]: [0],
      __transaction_state: [0],
    });
    if (version < 4) t.ok(own.includes('TOPIC_AUTHORIZATION_FAILED'), 'a topic of the broker');
    const stranger = { ...client, producerId: client.producerId + 5000 };
    const mapping = ['INVALID_PRODUCER_ID_MAPPING'];
    t.same(await wire.addPartitions(version, stranger, { [topic]: [0] }), mapping);
    t.same(
      await wire.addPartitions(version, { ...client, id: 'nobody' }, { [topic]: [0] }),
      mapping,
    );
    const future = { ...client, producerEpoch: client.producerEpoch + 1 };
    const fenced = version < 2 ? 'INVALID_PRODUCER_EPOCH' : 'PRODUCER_FENCED';
    t.same(await wire.addPartitions(version, future, { [topic]: [0] }), [fenced]);
  }
});

t.test('AddPartitionsToTxn of brokers may only verify', async (t) => {
  const topic = await newTopic(broker, 2);
  const client = await wire.newClient();
  for (const version of [4, 5]) {
    await wire.addPartitions(version, client, { [topic]: [0] });
    const verified = await wire.addPartitions(version, client, { [topic]: [0, 1] }, true);
    t.same(verified, ['NONE', 'TRANSACTION_ABORTABLE']);
    const future = { ...client, producerEpoch: client.producerEpoch + 1 };
    t.same(await wire.addPartitions(version, future, { [topic]: [0] }, true), ['PRODUCER_FENCED']);
  }
});

t.test('EndTxn in every version', async (t) => {
  const topic = await newTopic(broker);
  for (let version = 0; version <= 5; version++) {
    const client = await wire.newClient();
    t.equal(
      (await wire.end(version, client, true)).error,
      'INVALID_TXN_STATE',
      'nothing was begun',
    );
    await wire.addPartitions(3, client, { [topic]: [0] });
    const future = { ...client, producerEpoch: client.producerEpoch + 1 };
    const fenced = version < 2 ? 'INVALID_PRODUCER_EPOCH' : 'PRODUCER_FENCED';
    t.equal((await wire.end(version, future, true)).error, fenced);
    const { error, producerId, producerEpoch } = await wire.end(version, client, true);
    t.equal(error, 'NONE');
    const raised = { producerId: client.producerId, producerEpoch: client.producerEpoch + 1 };
    const told = version < 5 ? { producerId: -1, producerEpoch: -1 } : raised;
    t.same({ producerId, producerEpoch }, told);
    t.equal((await wire.end(version, client, true)).error, 'NONE', 'point 31: the same again');
    t.equal((await wire.end(version, client, false)).error, 'INVALID_TXN_STATE');
  }
});

t.test('KIP-890: a transaction that was never begun can be aborted in version 5', async (t) => {
  const client = await wire.newClient();
  const aborted = await wire.end(5, client, false);
  t.match(aborted, { error: 'NONE', producerEpoch: client.producerEpoch + 1 });
  t.equal((await wire.end(4, await wire.newClient(), false)).error, 'INVALID_TXN_STATE');
});

t.test('Produce to a partition that was not added', async (t) => {
  const topic = await newTopic(broker);
  t.equal(await wire.produce(10, await wire.newClient(), topic), 'INVALID_TXN_STATE');
  t.equal(await wire.produce(11, await wire.newClient(), topic), 'TRANSACTION_ABORTABLE');
  const client = await wire.newClient();
  t.equal(await wire.produce(12, client, topic, 4), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
  t.equal(await wire.produce(12, client, topic), 'NONE', 'from version 12 on the broker adds it');
  t.equal(await wire.produce(12, client, topic, 1), 'NONE');
  t.equal((await wire.end(5, client, true)).error, 'NONE');
  // Apache Kafka takes it as long as the marker is on its way.
  const late = await wire.produce(12, client, topic, 2);
  if (!isApacheKafka) t.equal(late, 'INVALID_PRODUCER_EPOCH');
  const next = { ...client, producerEpoch: client.producerEpoch + 1 };
  t.equal(
    await wire.produce(12, next, topic),
    'NONE',
    'in the next epoch, from its first sequence',
  );
  t.equal((await wire.end(5, next, false)).error, 'NONE');
});

t.test('TxnOffsetCommit and the offsets of an open transaction', async (t) => {
  const topic = await newTopic(broker);
  for (let version = 0; version <= 5; version++) {
    const client = await wire.newClient();
    const groupId = uniqueName('group');
    if (version < 5) {
      const missing = version < 4 ? 'INVALID_TXN_STATE' : 'TRANSACTION_ABORTABLE';
      t.equal(await wire.commitOffset(version, client, groupId, topic), missing);
      const { id: transactionalId, producerId, producerEpoch } = client;
      const pair = [AddOffsetsToTxnRequest, AddOffsetsToTxnResponse] as const;
      const request = { transactionalId, producerId, producerEpoch, groupId };
      const { errorCode } = await connection.call(...pair, Math.min(version, 4), request);
      t.equal(errorName(errorCode), 'NONE');
    }
    const nowhere = await wire.commitOffset(version, client, groupId, 'no-such-topic');
    t.equal(nowhere, 'UNKNOWN_TOPIC_OR_PARTITION');
    t.equal(await wire.commitOffset(version, client, groupId, topic), 'NONE', `version ${version}`);
    t.same(await wire.fetchOffset(groupId, topic, true), ['UNSTABLE_OFFSET_COMMIT', -1]);
    t.same(await wire.fetchOffset(groupId, topic, false), ['NONE', -1]);
    t.equal((await wire.end(version === 5 ? 5 : 3, client, true)).error, 'NONE');
    const settled = await soon(
      () => wire.fetchOffset(groupId, topic, true),
      ([error]) => (error === 'UNSTABLE_OFFSET_COMMIT' ? 51 : 0),
    );
    t.same(settled, ['NONE', 5]);
  }
});

t.test('TxnOffsetCommit 6 names topics by id', async (t) => {
  const topic = await newTopic(broker);
  const client = await wire.newClient();
  const groupId = uniqueName('group');
  const { topics } = await connection.call(MetadataRequest, MetadataResponse, 12, {
    topics: [{ name: topic }],
  });
  const { topicId } = topics[0]!;
  const partitions = [{ partitionIndex: 0, committedOffset: 5, committedMetadata: '' }];
  const byId = (id: string) => ({ topics: [{ topicId: id, partitions }] });
  const unknown = 'AAAAAAAAAAAAAAAAAAAAAQ';
  t.equal(await wire.commitOffset(6, client, groupId, topic, byId(unknown)), 'UNKNOWN_TOPIC_ID');
  t.equal(await wire.commitOffset(6, client, groupId, topic, byId(topicId)), 'NONE');
  t.equal((await wire.end(5, client, true)).error, 'NONE');
  const settled = await soon(
    () => wire.fetchOffset(groupId, topic, true),
    ([error]) => (error === 'UNSTABLE_OFFSET_COMMIT' ? 51 : 0),
  );
  t.same(settled, ['NONE', 5]);
});

t.test('TxnOffsetCommit of a member that is none', async (t) => {
  const topic = await newTopic(broker);
  const client = await wire.newClient();
  const groupId = uniqueName('group');
  const generation = { generationIdOrMemberEpoch: 3, memberId: 'm' };
  t.equal(await wire.commitOffset(5, client, groupId, topic, generation), 'ILLEGAL_GENERATION');
  t.equal(await wire.commitOffset(5, client, groupId, topic), 'NONE');
  t.equal(await wire.commitOffset(5, client, groupId, topic, generation), 'UNKNOWN_MEMBER_ID');
  await wire.end(5, client, false);
});

t.test('InitProducerId fences by epochs', async (t) => {
  const first = await wire.newClient();
  const again = await wire.init(first.id);
  t.same([again.producerId, again.producerEpoch], [first.producerId, first.producerEpoch + 1]);
  const { producerId, producerEpoch } = first;
  for (const version of [3, 4, 5]) {
    const { error } = await wire.init(first.id, version, { producerId, producerEpoch });
    t.equal(error, version < 4 ? 'INVALID_PRODUCER_EPOCH' : 'PRODUCER_FENCED');
  }
  const own = { producerId: again.producerId, producerEpoch: again.producerEpoch };
  t.match(await wire.init(first.id, 5, own), { error: 'NONE', producerEpoch: producerEpoch + 2 });
  t.match(
    await wire.init(first.id, 5, own),
    { error: 'NONE', producerEpoch: producerEpoch + 2 },
    'a retry',
  );
});

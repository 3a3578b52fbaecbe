import t from 'tap';
import { metadata } from '../../broker/apis/03-metadata.ts';
import { describeCluster } from '../../broker/apis/60-describe-cluster.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import { settle } from './harness.ts';
import {
  NODE_ID,
  newTopic,
  rejectsWith,
  startTopics,
  type TestTopics,
  versionsOf,
} from './topics-harness.ts';

const NOT_ASKED = -2147483648;

/** Asks for topics by name. */
function ask(broker: TestTopics, version: number, names: readonly string[] | null, rest = {}) {
  const topics = names?.map((name) => ({ name })) ?? null;
  return broker.call(metadata, version, { topics, ...rest });
}

t.test('every version tells the broker, the controller and the topic', async (t) => {
  const broker = await startTopics(t, { 'broker.rack': 'r1' });
  const topic = await broker.topics.create(newTopic('a', { numPartitions: 2 }));
  for (const version of versionsOf(metadata)) {
    const answer = await ask(broker, version, ['a']);
    t.match(answer.brokers, [{ nodeId: NODE_ID, host: 'broker.test', port: 9092 }]);
    t.equal(answer.brokers[0]!.rack, version >= 1 ? 'r1' : null);
    t.equal(answer.controllerId, version >= 1 ? NODE_ID : -1);
    t.equal(answer.clusterId, version >= 2 ? 'test-cluster' : null);
    t.equal(answer.clusterAuthorizedOperations, NOT_ASKED);
    const [only] = answer.topics;
    t.match(only, { errorCode: 0, name: 'a', isInternal: false });
    t.equal(only!.topicId, version >= 10 ? topic.id : ZERO_UUID);
    t.equal(only!.topicAuthorizedOperations, NOT_ASKED);
    t.strictSame(
      only!.partitions.map(({ partitionIndex, leaderId, replicaNodes, isrNodes }) => [
        partitionIndex,
        leaderId,
        replicaNodes,
        isrNodes,
      ]),
      [0, 1].map((index) => [index, NODE_ID, [NODE_ID], [NODE_ID]]),
    );
    t.equal(only!.partitions[0]!.leaderEpoch, version >= 7 ? 0 : -1);
  }
});

t.test('null asks for all topics, and so does an empty list in version 0 alone', async (t) => {
  const broker = await startTopics(t);
  await broker.topics.create(newTopic('a'));
  await broker.topics.ensureInternal('__consumer_offsets', 1, {});
  const names = async (version: number, topics: [] | null) =>
    (await broker.call(metadata, version, { topics })).topics.map(({ name }) => name);
  t.strictSame(await names(0, []), ['a', '__consumer_offsets']);
  for (const version of versionsOf(metadata).slice(1)) {
    t.strictSame(await names(version, []), []);
    t.strictSame(await names(version, null), ['a', '__consumer_offsets']);
  }
  const answer = await broker.call(metadata, 13, { topics: null });
  t.strictSame(
    answer.topics.map(({ isInternal }) => isInternal),
    [false, true],
  );
});

t.test('an unknown topic is created and comes back in the same answer', async (t) => {
  const broker = await startTopics(t, { 'num.partitions': '3' });
  for (const version of versionsOf(metadata)) {
    const name = `auto-${version}`;
    const answer = await ask(broker, version, [name]);
    t.match(answer.topics, [{ errorCode: ErrorCode.NONE, name }]);
    t.equal(answer.topics[0]!.partitions.length, 3);
    t.ok(broker.topics.get(name));
  }
});

t.test('no topic is created where broker or request forbid it', async (t) => {
  const allowed = await startTopics(t);
  const refused = await ask(allowed, 4, ['a', 'b/'], { allowAutoTopicCreation: false });
  t.match(refused.topics, [
    { name: 'a', errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, partitions: [] },
    { name: 'b/', errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION, partitions: [] },
  ]);
  const forbidding = await startTopics(t, { 'auto.create.topics.enable': 'false' });
  for (const version of versionsOf(metadata)) {
    const answer = await ask(forbidding, version, ['a']);
    t.equal(answer.topics[0]!.errorCode, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  }
  t.equal(allowed.topics.count + forbidding.topics.count, 0);
});

t.test('what cannot be created is answered for itself', async (t) => {
  const broker = await startTopics(t);
  const answer = await ask(broker, 9, [
    'a',
    '..',
    'b c',
    'd',
    '__cluster_metadata',
    '__consumer_offsets',
  ]);
  t.strictSame(
    answer.topics.map(({ name, errorCode }) => [name, errorCode]),
    [
      ['a', ErrorCode.NONE],
      ['..', ErrorCode.INVALID_TOPIC_EXCEPTION],
      ['b c', ErrorCode.INVALID_TOPIC_EXCEPTION],
      ['d', ErrorCode.NONE],
      ['__cluster_metadata', ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
      ['__consumer_offsets', ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    ],
  );
});

t.test('a creation that the disk refuses may be tried again, and is told of', async (t) => {
  const broker = await startTopics(t);
  const { metadataLog, lines } = broker.world;
  metadataLog.held = true;
  const asked = ask(broker, 9, ['a']);
  await settle();
  metadataLog.failWrites(false);
  t.match((await asked).topics, [{ name: 'a', errorCode: ErrorCode.KAFKA_STORAGE_ERROR }]);
  t.match(lines, [{ level: 'error', values: { topic: 'a', clientId: 'test' } }]);
});

t.test('a topic that is named twice is answered once', async (t) => {
  const broker = await startTopics(t);
  await broker.topics.create(newTopic('a'));
  t.equal((await ask(broker, 9, ['a', 'a', 'b', 'b'])).topics.length, 2);
});

t.test('topics are asked for by id from version 12 on', async (t) => {
  const broker = await startTopics(t);
  const topic = await broker.topics.create(newTopic('a'));
  const other = 'BBBBBBBBQACAAAAAAAAAAA';
  const topics = [
    { topicId: topic.id, name: null },
    { topicId: other, name: null },
    { topicId: ZERO_UUID, name: 'not looked at' },
  ];
  for (const version of [12, 13]) {
    const answer = await broker.call(metadata, version, { topics });
    t.match(answer.topics, [
      { name: 'a', topicId: topic.id, errorCode: ErrorCode.NONE },
      { name: null, topicId: other, errorCode: ErrorCode.UNKNOWN_TOPIC_ID },
    ]);
    t.equal(answer.topics.length, 2);
  }
  const byId = { topics: [{ topicId: topic.id, name: null }] };
  await t.rejects(broker.call(metadata, 10, byId), /by id from version 12/);
  const nothing = { topics: [{ topicId: ZERO_UUID, name: null }] };
  await t.rejects(broker.call(metadata, 12, nothing), /neither name nor id/);
});

t.test('operations are told where they are asked for', async (t) => {
  const broker = await startTopics(t);
  const asked = { includeTopicAuthorizedOperations: true };
  const cluster = { includeClusterAuthorizedOperations: true };
  const eight = await ask(broker, 8, ['a'], { ...asked, ...cluster });
  // Bits of the operations that Kafka's resources have.
  t.equal(eight.topics[0]!.topicAuthorizedOperations, 3576);
  t.equal(eight.clusterAuthorizedOperations, 8096);
  const eleven = await ask(broker, 11, ['a'], asked);
  t.equal(eleven.topics[0]!.topicAuthorizedOperations, 3576);
  t.equal(eleven.clusterAuthorizedOperations, NOT_ASKED);
});

t.test('an error of the whole request is told for each topic', async (t) => {
  const broker = await startTopics(t);
  const request = {
    topics: [{ name: null, topicId: ZERO_UUID }],
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  };
  const context = broker.context(metadata, 12);
  t.match(metadata.onError(context, request, ErrorCode.INVALID_REQUEST, ''), {
    errorCode: ErrorCode.INVALID_REQUEST,
    topics: [{ errorCode: ErrorCode.INVALID_REQUEST, name: null }],
  });
});

t.test('DescribeCluster tells the one broker', async (t) => {
  const broker = await startTopics(t, { 'broker.rack': 'r1' });
  for (const version of versionsOf(describeCluster)) {
    const answer = await broker.call(describeCluster, version, {
      includeClusterAuthorizedOperations: version > 0,
    });
    t.match(answer, {
      errorCode: 0,
      errorMessage: null,
      clusterId: 'test-cluster',
      controllerId: NODE_ID,
      endpointType: 1,
      brokers: [{ brokerId: NODE_ID, host: 'broker.test', port: 9092, rack: 'r1' }],
      clusterAuthorizedOperations: version > 0 ? 8096 : NOT_ASKED,
    });
  }
});

t.test('DescribeCluster has endpoints of brokers only', async (t) => {
  const broker = await startTopics(t);
  const ask = (endpointType: number, version = 1) =>
    broker.call(describeCluster, version, {
      includeClusterAuthorizedOperations: false,
      endpointType,
    });
  await rejectsWith(t, ask(2), 'MISMATCHED_ENDPOINT_TYPE');
  await rejectsWith(t, ask(3), 'UNSUPPORTED_ENDPOINT_TYPE');
});

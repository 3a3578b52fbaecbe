/** Topics, configurations and groups, as @platformatic/kafka's admin client sees and changes them. */

import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { createTopic, untilLed } from '../../benchmarks/client/topics.ts';
import { adminOf, take, textConsumer, textProducer } from './platformatic-client.ts';
import {
  ConfigResourceTypes,
  FindCoordinatorKeyTypes,
  IncrementalAlterConfigOperationTypes,
} from './platformatic-release.ts';
import { startTestBroker, uniqueName } from './test-broker.ts';

const broker = await startTestBroker(t);
const admin = adminOf(t, broker);
const connection = await WireConnection.open(broker.host, broker.port);
t.teardown(() => connection.close());

async function newTopic(partitions = 1): Promise<string> {
  const topic = uniqueName('topic');
  await createTopic(connection, topic, partitions);
  return topic;
}

/** Kafka's name of the error that a call fails with. */
async function errorOf(call: Promise<unknown>): Promise<string | undefined> {
  const error = await call.then(
    () => undefined,
    (error) => error,
  );
  const inner = error?.errors?.[0] ?? error;
  return inner?.apiId ?? inner?.errors?.[0]?.apiId ?? error?.message;
}

t.test('topics are made, listed, described and deleted', async (t) => {
  const topic = uniqueName('topic');
  const made = await admin.createTopics({
    topics: [topic],
    partitions: 3,
    replicas: 1,
    configs: [{ name: 'retention.ms', value: '60000' }],
  });
  t.match(made, [{ name: topic, partitions: 3, replicas: 1 }]);
  t.match(made[0]?.id, /^[0-9a-f-]{36}$/);
  t.equal(made[0]?.configuration['retention.ms'], '60000');
  t.ok((await admin.listTopics()).includes(topic));
  const metadata = await admin.metadata({ topics: [topic] });
  t.equal(metadata.topics.get(topic)?.id, made[0]?.id);
  t.equal(metadata.topics.get(topic)?.partitionsCount, 3);
  t.equal(await errorOf(admin.createTopics({ topics: [topic] })), 'TOPIC_ALREADY_EXISTS');
  await admin.deleteTopics({ topics: [topic] });
  t.notOk((await admin.listTopics()).includes(topic));
});

t.test('a topic that is made again has another id', async (t) => {
  const topic = uniqueName('topic');
  const [first] = await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
  await admin.deleteTopics({ topics: [topic] });
  const [second] = await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
  t.not(first?.id, second?.id);
});

t.test('partitions are added', async (t) => {
  const topic = await newTopic(1);
  const [nodeId] = (await admin.metadata({})).brokers.keys();
  const assignments = [{ brokerIds: [nodeId ?? -1] }, { brokerIds: [nodeId ?? -1] }];
  await admin.createPartitions({ topics: [{ name: topic, count: 3, assignments }] });
  await untilLed(connection, topic, 3);
  const producer = textProducer(t, broker);
  const { offsets } = await producer.send({ messages: [{ topic, partition: 2, value: 'v' }] });
  t.match(offsets, [{ topic, partition: 2, offset: 0n }]);
});

t.test('configurations are changed one by one, and all together', async (t) => {
  const topic = await newTopic();
  const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic };
  const configured = async (name: string) => {
    const [described] = await admin.describeConfigs({
      resources: [{ ...resource, configurationKeys: [name] }],
    });
    return described?.configs[0]?.value;
  };
  const change = (name: string, configOperation: 0 | 1 | 2 | 3, value: string) =>
    admin.incrementalAlterConfigs({
      resources: [{ ...resource, configs: [{ name, configOperation, value }] }],
    });
  const { SET, DELETE, APPEND, SUBTRACT } = IncrementalAlterConfigOperationTypes;
  await change('retention.ms', SET, '1234567');
  await change('cleanup.policy', APPEND, 'compact');
  t.equal(await configured('retention.ms'), '1234567');
  t.equal(await configured('cleanup.policy'), 'delete,compact');
  await change('cleanup.policy', SUBTRACT, 'delete');
  t.equal(await configured('cleanup.policy'), 'compact');
  await change('retention.ms', DELETE, '');
  t.equal(await configured('retention.ms'), '604800000');
  await admin.alterConfigs({
    resources: [{ ...resource, configs: [{ name: 'max.message.bytes', value: '5000' }] }],
  });
  t.equal(await configured('max.message.bytes'), '5000');
  t.equal(await configured('cleanup.policy'), 'delete', 'what was not named is reset');
  t.equal(await errorOf(change('retention.ms', SET, 'soon')), 'INVALID_CONFIG');
});

t.test('records are deleted and offsets told', async (t) => {
  const topic = await newTopic();
  const messages = Array.from({ length: 8 }, (_, index) => ({ topic, value: String(index) }));
  await textProducer(t, broker).send({ messages });
  const deleted = await admin.deleteRecords({
    topics: [{ name: topic, partitions: [{ partition: 0, offset: 5n }] }],
  });
  t.same(deleted, [{ name: topic, partitions: [{ partition: 0, lowWatermark: 5n }] }]);
  const offsetAt = async (timestamp: bigint) => {
    const partitions = [{ partitionIndex: 0, timestamp }];
    const [listed] = await admin.listOffsets({ topics: [{ name: topic, partitions }] });
    return listed?.partitions[0]?.offset;
  };
  t.equal(await offsetAt(-2n), 5n);
  t.equal(await offsetAt(-1n), 8n);
});

t.test('groups are found, described, moved and deleted', async (t) => {
  const topic = await newTopic();
  const groupId = uniqueName('group');
  const messages = Array.from({ length: 4 }, (_, index) => ({ topic, value: String(index) }));
  await textProducer(t, broker).send({ messages });
  const consumer = textConsumer(t, broker, { groupId });
  const seen = await take(consumer, { topics: [topic], mode: 'earliest' }, 4);
  await seen[3]?.commit();
  const [coordinator] = await admin.findCoordinator({
    keyType: FindCoordinatorKeyTypes.GROUP,
    keys: [groupId],
  });
  t.match(coordinator, { key: groupId, host: broker.host, port: broker.port });
  // The case of a state's name is the client's own.
  const state = /^stable$/i;
  t.match((await admin.listGroups()).get(groupId), { state, groupType: 'classic' });
  const group = (await admin.describeGroups({ groups: [groupId] })).get(groupId);
  t.match(group, { state, protocol: 'roundrobin', protocolType: 'consumer' });
  t.equal(group?.members.size, 1);
  t.equal(await errorOf(admin.deleteGroups({ groups: [groupId] })), 'NON_EMPTY_GROUP');
  await consumer.close(true);
  const committed = async () => {
    const [listed] = await admin.listConsumerGroupOffsets({ groups: [groupId] });
    return listed?.topics[0]?.partitions[0]?.committedOffset;
  };
  t.equal(await committed(), 4n);
  const partitionOffsets = [{ partition: 0, offset: 2n }];
  await admin.alterConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionOffsets }] });
  t.equal(await committed(), 2n);
  await admin.deleteGroups({ groups: [groupId] });
  t.notOk((await admin.listGroups()).has(groupId));
});

t.test('quotas of clients are set, found and taken back', async (t) => {
  const entityName = uniqueName('user');
  const entity = [{ entityType: 'user', entityName }] as const;
  const key = 'producer_byte_rate';
  const alter = (op: { value: number; remove: false } | { remove: true }) =>
    admin.alterClientQuotas({ entries: [{ entities: [...entity], ops: [{ key, ...op }] }] });
  const find = () =>
    admin.describeClientQuotas({
      components: [{ entityType: 'user', matchType: 0, match: entityName }],
    });
  await alter({ value: 1000, remove: false });
  t.match(await find(), [{ entity, values: [{ key, value: 1000 }] }]);
  await alter({ remove: true });
  t.same(await find(), []);
});

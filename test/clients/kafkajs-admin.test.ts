/** Topics, configurations and the cluster, as kafkajs's admin client sees and changes them. */

import kafkajs, { type ITopicConfig } from 'kafkajs';
import t from 'tap';
import {
  consumerOf,
  deleteRecords,
  errorTypeOf,
  newTopic,
  numbered,
  numbersOf,
  producerOf,
  readAll,
} from './kafkajs-client.ts';
import { isApacheKafka, kafkaFor, Signal, startTestBroker, uniqueName } from './test-broker.ts';

const { ConfigResourceTypes } = kafkajs;
const broker = await startTestBroker(t);
const kafka = kafkaFor(broker);
const admin = kafka.admin();
await admin.connect();
t.teardown(() => admin.disconnect());
/** For calls that are to fail: kafkajs repeats some that never can succeed. */
const impatient = kafkaFor(broker, { retry: { retries: 0 } }).admin();
await impatient.connect();
t.teardown(() => impatient.disconnect());

t.test('a topic can be used as soon as createTopics has answered, a hundred times', async (t) => {
  const producer = await producerOf(t, kafka);
  for (let round = 0; round < 100; round += 1) {
    const topic = uniqueName('hundred');
    // Apache Kafka has no leader yet when it answers, which kafkajs cannot bear.
    const waitForLeaders = isApacheKafka;
    t.ok(await admin.createTopics({ topics: [{ topic, numPartitions: 2 }], waitForLeaders }));
    const [answer] = await producer.send({ topic, messages: numbered(3) });
    if (answer?.errorCode !== 0) t.fail(`round ${round} was answered ${answer?.errorCode}`);
  }
  const made = (await admin.listTopics()).filter((topic) => topic.startsWith('hundred-'));
  t.equal(made.length, 100);
});

t.test('creating a topic again changes nothing, and says so', async (t) => {
  const topic = await newTopic(broker, 3);
  t.notOk(await admin.createTopics({ topics: [{ topic, numPartitions: 7 }] }));
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  t.equal(topics[0]?.partitions.length, 3);
});

t.test('what cannot be created is refused with its reason', async (t) => {
  const create = (topic: ITopicConfig) =>
    admin.createTopics({ topics: [topic] }).then(
      () => undefined,
      (error) => error.errors?.[0]?.type ?? error.type,
    );
  t.equal(await create({ topic: 'no spaces' }), 'INVALID_TOPIC_EXCEPTION');
  t.equal(await create({ topic: '..' }), 'INVALID_TOPIC_EXCEPTION');
  t.equal(await create({ topic: 'x'.repeat(250) }), 'INVALID_TOPIC_EXCEPTION');
  t.equal(
    await create({ topic: uniqueName('t'), replicationFactor: 3 }),
    'INVALID_REPLICATION_FACTOR',
  );
  t.equal(await create({ topic: uniqueName('t'), numPartitions: 0 }), 'INVALID_PARTITIONS');
  t.equal(
    await create({
      topic: uniqueName('t'),
      configEntries: [{ name: 'retention.ms', value: 'soon' }],
    }),
    'INVALID_CONFIG',
  );
  t.equal(
    await create({ topic: uniqueName('t'), configEntries: [{ name: 'no.such', value: '1' }] }),
    'INVALID_CONFIG',
  );
});

t.test('validateOnly checks a topic without making it', async (t) => {
  const topic = uniqueName('checked');
  t.ok(
    await admin.createTopics({ validateOnly: true, waitForLeaders: false, topics: [{ topic }] }),
  );
  t.notOk((await admin.listTopics()).includes(topic));
});

t.test('a deleted topic is gone, and its name begins anew', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  await producer.send({ topic, messages: numbered(5) });
  await admin.deleteTopics({ topics: [topic] });
  t.notOk((await admin.listTopics()).includes(topic));
  t.equal(
    await errorTypeOf(impatient.deleteTopics({ topics: [topic] })),
    'UNKNOWN_TOPIC_OR_PARTITION',
  );
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic }] });
  const [answer] = await producer.send({ topic, messages: numbered(1, 50) });
  t.equal(answer?.baseOffset, '0');
  t.same(numbersOf(await readAll(t, kafka, topic, 1)), [50]);
});

t.test('added partitions take records, and fewer are refused', async (t) => {
  const topic = await newTopic(broker, 2);
  const topicPartitions = (count: number) => ({ topicPartitions: [{ topic, count }] });
  await admin.createPartitions(topicPartitions(4));
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  t.same(topics[0]?.partitions.map(({ partitionId }) => partitionId).toSorted(), [0, 1, 2, 3]);
  const producer = await producerOf(t, kafka);
  await producer.send({ topic, messages: [{ partition: 3, value: '3' }] });
  t.match(await readAll(t, kafka, topic, 1), [{ partition: 3, offset: '0', value: '3' }]);
  t.equal(await errorTypeOf(impatient.createPartitions(topicPartitions(3))), 'INVALID_PARTITIONS');
});

t.test('offsets of a topic are told for each partition', async (t) => {
  const topic = await newTopic(broker, 2);
  const producer = await producerOf(t, kafka);
  await producer.send({
    topic,
    messages: [
      { partition: 0, value: 'a' },
      { partition: 0, value: 'b' },
    ],
  });
  const offsets = await admin.fetchTopicOffsets(topic);
  t.same(
    offsets.toSorted((one, other) => one.partition - other.partition),
    [
      { partition: 0, offset: '2', high: '2', low: '0' },
      { partition: 1, offset: '0', high: '0', low: '0' },
    ],
  );
});

t.test('a topic shows the configurations it was given, and takes new ones', async (t) => {
  const topic = await newTopic(broker, 1, { 'retention.ms': '60000' });
  const describe = async () => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
    });
    t.equal(resources[0]?.errorCode, 0);
    return new Map(resources[0]?.configEntries.map((entry) => [entry.configName, entry]));
  };
  const before = await describe();
  t.match(before.get('retention.ms'), { configValue: '60000', isDefault: false });
  t.match(before.get('cleanup.policy'), { configValue: 'delete', isDefault: true });
  t.match(before.get('segment.bytes'), { configValue: '1073741824', isSensitive: false });
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }],
  });
  const after = await describe();
  t.match(after.get('cleanup.policy'), { configValue: 'compact', isDefault: false });
  t.match(after.get('retention.ms'), { configValue: '604800000' }, 'what was not named is reset');
});

t.test('the broker shows its configurations', async (t) => {
  const { brokers } = await admin.describeCluster();
  const name = String(brokers[0]?.nodeId);
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [
      {
        type: ConfigResourceTypes.BROKER,
        name,
        configNames: ['num.partitions', 'message.max.bytes'],
      },
    ],
  });
  const entries = resources[0]?.configEntries ?? [];
  t.same(
    new Map(entries.map(({ configName, configValue }) => [configName, configValue])),
    new Map([
      ['num.partitions', '1'],
      ['message.max.bytes', '1048588'],
    ]),
  );
});

t.test('the cluster is one broker, at the address it was asked at', async (t) => {
  const { brokers, controller, clusterId } = await admin.describeCluster();
  t.match(brokers, [{ host: broker.host, port: broker.port }]);
  t.equal(brokers.length, 1);
  t.equal(controller, brokers[0]?.nodeId);
  t.match(clusterId, /^[\w-]{22}$/);
});

t.test('records below an offset are deleted for all to see', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  await producer.send({ topic, messages: numbered(10) });
  await deleteRecords(admin, topic, '4');
  t.match(await admin.fetchTopicOffsets(topic), [{ low: '4', high: '10' }]);
  t.same(numbersOf(await readAll(t, kafka, topic, 6)), [4, 5, 6, 7, 8, 9]);
  await deleteRecords(admin, topic, '-1');
  t.match(await admin.fetchTopicOffsets(topic), [{ low: '10', high: '10' }], '-1 is the end');
});

t.test('groups can be listed, described, moved and deleted', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  await producer.send({ topic, messages: numbered(8) });
  const groupId = uniqueName('group');
  const consumer = await consumerOf(t, kafka, { groupId });
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const complete = new Signal();
  await consumer.run({
    eachMessage: async ({ message }) => {
      if (message.offset === '7') complete.resolve();
    },
  });
  await complete.promise;
  const { groups } = await admin.describeGroups([groupId]);
  t.match(groups, [{ groupId, state: 'Stable', protocolType: 'consumer', errorCode: 0 }]);
  t.equal(groups[0]?.members.length, 1);
  t.ok((await admin.listGroups()).groups.some((group) => group.groupId === groupId));
  t.equal(
    await impatient.deleteGroups([groupId]).catch((error) => error.groups?.[0]?.error?.type),
    'NON_EMPTY_GROUP',
  );
  await consumer.disconnect();
  t.equal(await committed(groupId, topic), '8');
  await admin.deleteGroups([groupId]);
  t.notOk((await admin.listGroups()).groups.some((group) => group.groupId === groupId));
  t.equal(await committed(groupId, topic), '-1');
});

t.test('the offsets of an empty group can be set', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  await producer.send({ topic, messages: numbered(8) });
  const groups = [uniqueName('group'), uniqueName('group')] as const;
  // Together, since kafkajs takes five seconds for each: a consumer of its own waits for records.
  await Promise.all([
    admin.setOffsets({ groupId: groups[0], topic, partitions: [{ partition: 0, offset: '3' }] }),
    admin.resetOffsets({ groupId: groups[1], topic, earliest: true }),
  ]);
  t.equal(await committed(groups[0], topic), '3');
  t.equal(await committed(groups[1], topic), '-2', 'the number that stands for the earliest');
});

async function committed(groupId: string, topic: string): Promise<string | undefined> {
  const [entry] = await admin.fetchOffsets({ groupId, topics: [topic] });
  return entry?.partitions[0]?.offset;
}

t.test('ACLs are added, found and removed', { skip: isApacheKafka }, async (t) => {
  const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;
  const entry = {
    resourceType: AclResourceTypes.TOPIC,
    resourceName: 'orders',
    resourcePatternType: ResourcePatternTypes.PREFIXED,
    principal: 'User:reader',
    host: '*',
    operation: AclOperationTypes.READ,
    permissionType: AclPermissionTypes.ALLOW,
  };
  t.equal(await admin.createAcls({ acl: [entry] }), true);
  const filter = { ...entry, resourcePatternType: ResourcePatternTypes.MATCH };
  const found = await admin.describeAcls({ ...filter, resourceName: 'orders-of-today' });
  const { resourceType, resourceName, resourcePatternType, ...acl } = entry;
  t.match(found.resources, [{ resourceType, resourceName, resourcePatternType, acls: [acl] }]);
  const { filterResponses } = await admin.deleteAcls({ filters: [filter] });
  t.match(filterResponses, [{ matchingAcls: [entry] }]);
  t.same((await admin.describeAcls(filter)).resources, []);
});

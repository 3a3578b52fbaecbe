import t from 'tap';
import { knownTopics, type TopicListener } from '../../broker/topics.ts';
import { LogFailed } from '../../storage/errors.ts';
import { settle } from './harness.ts';
import { makeWorld, newTopic, rejectsWith, startTopics, TestTopics } from './topics-harness.ts';

t.test('a topic is there when its creation is answered, by name and by id', async (t) => {
  const { topics, world } = await startTopics(t, { 'num.partitions': '4' });
  const topic = await topics.create(newTopic('orders'));
  t.equal(topics.get('orders'), topic);
  t.equal(topics.byId(topic.id), topic);
  t.strictSame([...topics.all()], [topic]);
  t.equal(topic.partitions.length, 4);
  t.strictSame(
    topic.partitions.map(({ index, log }) => [index, log.topic, log.topicId]),
    [0, 1, 2, 3].map((index) => [index, 'orders', topic.id]),
  );
  t.equal(topic.internal, false);
  t.match(topic.id, /^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/);
  t.equal(world.metadataLog.appends, 1);
  t.equal(topics.count, 1);
  t.equal(topics.partitionCount, 4);
});

t.test('nobody sees a topic before its records are durable', async (t) => {
  const { topics, world } = await startTopics(t);
  world.metadataLog.held = true;
  const creation = topics.create(newTopic('orders'));
  await settle();
  t.equal(topics.get('orders'), undefined);
  t.equal(world.store.logs.size, 0);
  world.metadataLog.sync();
  await creation;
  t.ok(topics.get('orders'));
});

t.test('names are those that Kafka takes', async (t) => {
  const { topics } = await startTopics(t);
  const illegal = ['', '.', '..', 'a/b', 'a b', 'ä', 'a\t', '../x', 'x'.repeat(250), 'a:b'];
  for (const name of illegal) {
    await rejectsWith(t, topics.create(newTopic(name)), 'INVALID_TOPIC_EXCEPTION', name);
  }
  const legal = ['a', '...', '-', '_', 'A.b_c-9', 'x'.repeat(249), '__proto__', 'constructor'];
  for (const name of legal) {
    await topics.create(newTopic(name));
    t.equal(topics.get(name)?.name, name);
  }
  await rejectsWith(t, topics.create(newTopic('__cluster_metadata')), 'INVALID_REQUEST');
});

t.test('a name that differs from another in dots and underscores only is refused', async (t) => {
  const { topics } = await startTopics(t);
  await topics.create(newTopic('a.b'));
  await t.rejects(topics.create(newTopic('a_b')), {
    errorName: 'INVALID_TOPIC_EXCEPTION',
    message: "Topic 'a_b' collides with existing topic: a.b",
  });
  await topics.create(newTopic('a-b'));
  await topics.delete(topics.get('a.b')!);
  await topics.create(newTopic('a_b'));
});

t.test('counts and assignments that one node cannot have are refused', async (t) => {
  const { topics, world } = await startTopics(t);
  const refused = (rest: object, error: string) =>
    rejectsWith(t, topics.create(newTopic('x', rest)), error, JSON.stringify(rest));
  await refused({ numPartitions: 0 }, 'INVALID_PARTITIONS');
  await refused({ numPartitions: -2 }, 'INVALID_PARTITIONS');
  await refused({ numPartitions: 10_001 }, 'POLICY_VIOLATION');
  await refused({ numPartitions: 2 ** 31 - 1 }, 'POLICY_VIOLATION');
  await refused({ replicationFactor: 0 }, 'INVALID_REPLICATION_FACTOR');
  await refused({ replicationFactor: -2 }, 'INVALID_REPLICATION_FACTOR');
  await refused({ replicationFactor: 2 }, 'INVALID_REPLICATION_FACTOR');
  const assign = (...assignments: [number, number[]][]) => ({
    assignments: assignments.map(([partitionIndex, brokerIds]) => ({ partitionIndex, brokerIds })),
  });
  await refused({ ...assign([0, [3]]), numPartitions: 1 }, 'INVALID_REQUEST');
  await refused({ ...assign([0, [3]]), replicationFactor: 1 }, 'INVALID_REQUEST');
  await refused(assign([0, [4]]), 'INVALID_REPLICA_ASSIGNMENT');
  await refused(assign([0, [3, 3]]), 'INVALID_REPLICA_ASSIGNMENT');
  await refused(assign([0, []]), 'INVALID_REPLICA_ASSIGNMENT');
  await refused(assign([0, [3]], [0, [3]]), 'INVALID_REPLICA_ASSIGNMENT');
  await refused(assign([0, [3]], [2, [3]]), 'INVALID_REPLICA_ASSIGNMENT');
  t.equal(world.metadataLog.appends, 0);
  const topic = await topics.create(newTopic('x', assign([1, [3]], [0, [3]])));
  t.equal(topic.partitions.length, 2);
});

t.test('settings are checked, kept and in force', async (t) => {
  const { topics, world } = await startTopics(t);
  const withSetting = (name: string, value: string | null) =>
    newTopic('x', { configs: [{ name, value }] });
  const refused = (name: string, value: string | null) =>
    rejectsWith(t, topics.create(withSetting(name, value)), 'INVALID_CONFIG', `${name}=${value}`);
  await refused('no.such.config', '1');
  await refused('__proto__', '1');
  await refused('retention.ms', null);
  await refused('retention.ms', 'long');
  await refused('segment.bytes', '1000');
  await refused('cleanup.policy', 'shrink');
  await refused('fetch.visibility', 'sometimes');
  await refused('remote.storage.enable', 'true');
  const lag = [
    { name: 'min.compaction.lag.ms', value: '2' },
    { name: 'max.compaction.lag.ms', value: '1' },
  ];
  await rejectsWith(t, topics.create(newTopic('x', { configs: lag })), 'INVALID_CONFIG');
  const topic = await topics.create(withSetting('segment.bytes', '2000000'));
  t.equal(topic.config.get('segment.bytes'), 2000000);
  t.equal(world.store.get(topic.id, 0)?.options.segmentBytes, 2000000);
});

t.test('a topic that is there, or on its way, is not made again', async (t) => {
  const { topics, world } = await startTopics(t);
  await topics.create(newTopic('a'));
  await t.rejects(topics.create(newTopic('a')), {
    errorName: 'TOPIC_ALREADY_EXISTS',
    message: "Topic 'a' already exists.",
  });
  world.metadataLog.held = true;
  const first = topics.create(newTopic('b'));
  const second = topics.create(newTopic('b'));
  second.catch(() => undefined);
  await settle();
  world.metadataLog.sync();
  await first;
  await rejectsWith(t, second, 'TOPIC_ALREADY_EXISTS');
});

t.test('who is told that a topic exists finds it there', async (t) => {
  const { topics, world } = await startTopics(t);
  world.metadataLog.held = true;
  const first = topics.create(newTopic('b'));
  let told = false;
  const second = topics.create(newTopic('b')).catch(() => {
    told = true;
    t.ok(topics.get('b'));
  });
  await settle();
  t.notOk(told);
  world.metadataLog.sync();
  await Promise.all([first, second]);
});

t.test('all that want an unknown topic at the same time get the one that is made', async (t) => {
  const { topics, world } = await startTopics(t, { 'num.partitions': '2' });
  world.metadataLog.held = true;
  const wanted = Array.from({ length: 50 }, () => topics.autoCreate('auto'));
  await settle();
  wanted.push(topics.autoCreate('auto'), topics.ensureInternal('auto', 7, {}));
  await settle();
  world.metadataLog.sync();
  const made = await Promise.all(wanted);
  t.equal(new Set(made).size, 1);
  t.equal(made[0]!.partitions.length, 2);
  t.equal(world.metadataLog.appends, 1);
  t.equal(await topics.autoCreate('auto'), made[0]);
});

t.test('an internal topic has its partitions and settings, and asks for the sync', async (t) => {
  const { topics, world } = await startTopics(t);
  const configs = { 'cleanup.policy': 'compact', 'segment.bytes': '104857600' };
  const topic = await topics.ensureInternal('__consumer_offsets', 50, configs);
  t.equal(topic.partitions.length, 50);
  t.ok(topic.internal);
  t.strictSame(topic.config.get('cleanup.policy'), ['compact']);
  t.equal(world.store.get(topic.id, 49)?.options.internal, true);
});

t.test('many topics of one request are one append, each with an outcome of its own', async (t) => {
  const { topics, world } = await startTopics(t);
  await topics.create(newTopic('there'));
  const outcomes = await topics.createAll(
    [newTopic('a'), newTopic('there'), newTopic('b', { numPartitions: 0 }), newTopic('c')],
    false,
  );
  t.strictSame(
    outcomes.map(({ error }) => error?.errorName),
    [undefined, 'TOPIC_ALREADY_EXISTS', 'INVALID_PARTITIONS', undefined],
  );
  t.equal(world.metadataLog.appends, 2);
  t.strictSame(
    Array.from(topics.all(), ({ name }) => name),
    ['there', 'a', 'c'],
  );
});

t.test('validating changes nothing', async (t) => {
  const { topics, world, metadata } = await startTopics(t);
  const outcomes = await topics.createAll([newTopic('a'), newTopic('b/')], true);
  t.equal(outcomes[0]?.plan?.partitions, 1);
  t.equal(outcomes[1]?.error?.errorName, 'INVALID_TOPIC_EXCEPTION');
  t.equal(world.metadataLog.appends, 0);
  t.equal(metadata.planned.topicCount, 0);
});

t.test('a deleted topic is gone with its logs when that is answered', async (t) => {
  const { topics, world } = await startTopics(t);
  const topic = await topics.create(newTopic('a', { numPartitions: 2 }));
  await topics.create(newTopic('b'));
  let removed = () => {};
  world.store.removal = new Promise((resolve) => {
    removed = resolve;
  });
  let answered = false;
  const deletion = topics.delete(topic).then(() => {
    answered = true;
  });
  await settle();
  t.equal(topics.get('a'), undefined);
  t.equal(topics.byId(topic.id), undefined);
  t.ok(topic.partitions.every((partition) => partition.isDeleted));
  t.notOk(answered, 'the files are still being removed');
  const again = topics.create(newTopic('a'));
  await settle();
  t.equal(topics.get('a'), undefined, 'a new one waits for the folder');
  removed();
  await deletion;
  t.strictSame(world.store.removed, ['a-0', 'a-1']);
  const second = await again;
  t.not(second.id, topic.id);
  t.equal(topics.partitionCount, 2);
  t.strictSame(await topics.deleteAll([topic]), [], 'the old one is not deleted again');
  t.equal(topics.get('a'), second);
});

t.test('partitions are added, never taken away', async (t) => {
  const { topics, world } = await startTopics(t);
  const topic = await topics.create(newTopic('a', { numPartitions: 2 }));
  const [first] = topic.partitions;
  await topics.addPartitions(topic, 5);
  t.equal(topic.partitions.length, 5);
  t.equal(topic.partitions[0], first, 'those that were there stay');
  await t.rejects(topics.addPartitions(topic, 5), {
    errorName: 'INVALID_PARTITIONS',
    message: 'Topic already has 5 partition(s).',
  });
  await rejectsWith(t, topics.addPartitions(topic, 4), 'INVALID_PARTITIONS');
  await rejectsWith(t, topics.addPartitions(topic, 20_000), 'POLICY_VIOLATION');
  const two = [{ brokerIds: [3] }, { brokerIds: [3] }];
  await rejectsWith(t, topics.addPartitions(topic, 6, two), 'INVALID_REPLICA_ASSIGNMENT');
  const other = [{ brokerIds: [9] }];
  await rejectsWith(t, topics.addPartitions(topic, 6, other), 'INVALID_REPLICA_ASSIGNMENT');
  await topics.addPartitions(topic, 7, two, true);
  t.equal(topic.partitions.length, 5, 'validating adds none');
  await topics.addPartitions(topic, 7, two);
  t.equal(topic.partitions.length, 7);
  t.equal(world.metadataLog.appends, 3);
  await topics.delete(topic);
  await rejectsWith(t, topics.addPartitions(topic, 9), 'UNKNOWN_TOPIC_OR_PARTITION');
});

t.test('listeners are told of what comes and goes', async (t) => {
  const { topics } = await startTopics(t);
  const told: string[] = [];
  const listener: TopicListener = {
    added: (topic, firstNew) => told.push(`${topic.name} from ${firstNew}`),
    removed: (topic) => told.push(`${topic.name} gone`),
  };
  topics.onChange(listener);
  const topic = await topics.create(newTopic('a', { numPartitions: 2 }));
  await topics.addPartitions(topic, 3);
  await topics.delete(topic);
  t.strictSame(told, ['a from 0', 'a from 2', 'a gone']);
});

t.test(
  'a restart brings topics, settings and partitions back, and forgets the deleted',
  async (t) => {
    const world = await makeWorld(t);
    const before = await TestTopics.start(world);
    const configs = [{ name: 'segment.bytes', value: '2000000' }];
    const kept = await before.topics.create(newTopic('kept', { configs, numPartitions: 2 }));
    const gone = await before.topics.create(newTopic('gone'));
    await before.topics.addPartitions(kept, 3);
    await before.topics.delete(gone);
    const after = await TestTopics.start(world);
    const topic = after.topics.get('kept')!;
    t.equal(topic.id, kept.id);
    t.equal(topic.partitions.length, 3);
    t.equal(topic.partitions[2]!.log, kept.partitions[2]!.log, 'the recovered log is used');
    t.equal(topic.config.get('segment.bytes'), 2000000);
    t.equal(after.topics.get('gone'), undefined);
    t.match(knownTopics(after.metadata, after.config), [
      { topic: 'kept', topicId: kept.id, partitions: 3, options: { segmentBytes: 2000000 } },
    ]);
  },
);

t.test(
  'a creation that cannot be written is refused, and possible once writing works',
  async (t) => {
    const { topics, world } = await startTopics(t);
    world.metadataLog.held = true;
    const creation = topics.create(newTopic('a'));
    await settle();
    const waiting = topics.autoCreate('a');
    world.metadataLog.failWrites(false);
    await t.rejects(creation, LogFailed);
    await t.rejects(waiting, LogFailed);
    t.equal(topics.get('a'), undefined);
    world.metadataLog.held = false;
    t.equal((await topics.autoCreate('a')).name, 'a');
  },
);

t.test('a creation that failed and reached the disk after all is found there', async (t) => {
  const { topics, world } = await startTopics(t);
  world.metadataLog.held = true;
  const creation = topics.create(newTopic('a'));
  await settle();
  world.metadataLog.failWrites(true);
  await t.rejects(creation, LogFailed);
  world.metadataLog.held = false;
  await rejectsWith(t, topics.create(newTopic('a')), 'TOPIC_ALREADY_EXISTS');
  t.ok(topics.get('a'));
});

t.test('files that cannot be removed are told of, and the deletion stands', async (t) => {
  const { topics, world } = await startTopics(t);
  const topic = await topics.create(newTopic('a'));
  world.store.removal = Promise.reject(new Error('EIO'));
  await topics.delete(topic);
  t.equal(topics.get('a'), undefined);
  t.match(world.lines, [{ level: 'error', text: 'files could not be removed' }]);
});

t.test('a thousand partitions are made in one request without touching the disk', async (t) => {
  const { topics, world } = await startTopics(t);
  const startedMs = performance.now();
  const topic = await topics.create(newTopic('wide', { numPartitions: 1000 }));
  const tookMs = performance.now() - startedMs;
  t.equal(topic.partitions.length, 1000);
  t.equal(world.metadataLog.appends, 1);
  t.ok(tookMs < 1000, `${tookMs} ms`);
  t.ok(topics.partition('wide', 999));
  t.equal(topics.partition('wide', 1000), undefined);
});

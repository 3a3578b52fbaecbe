import t from 'tap';
import { createTopics } from '../../broker/apis/19-create-topics.ts';
import { deleteTopics } from '../../broker/apis/20-delete-topics.ts';
import { createPartitions } from '../../broker/apis/37-create-partitions.ts';
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import { settle } from './harness.ts';
import { newTopic, startTopics, type TestTopics, versionsOf } from './topics-harness.ts';

const OTHER_ID = 'BBBBBBBBQACAAAAAAAAAAA';

function create(
  broker: TestTopics,
  version: number,
  topics: ReturnType<typeof newTopic>[],
  rest = {},
) {
  return broker.call(createTopics, version, { topics, timeoutMs: 1000, ...rest });
}

t.test('CreateTopics creates in every version, and tells what there is to tell', async (t) => {
  const broker = await startTopics(t);
  for (const version of versionsOf(createTopics)) {
    const name = `v${version}`;
    const configs = [{ name: 'retention.ms', value: '5' }];
    const answer = await create(broker, version, [newTopic(name, { numPartitions: 2, configs })]);
    const [only] = answer.topics;
    const topic = broker.topics.get(name)!;
    t.match(only, { name, errorCode: 0, errorMessage: null });
    t.equal(only!.topicId, version >= 7 ? topic.id : ZERO_UUID);
    t.equal(only!.numPartitions, version >= 5 ? 2 : -1);
    t.equal(only!.replicationFactor, version >= 5 ? 1 : -1);
    if (version < 5) continue;
    const shown = new Map(only!.configs!.map((entry) => [entry.name, entry]));
    t.equal(shown.size, 40);
    t.match(shown.get('retention.ms'), { value: '5', configSource: 1, readOnly: false });
    t.match(shown.get('flush.messages'), { value: '1', configSource: 5, isSensitive: false });
  }
});

t.test('CreateTopics answers each topic for itself, with code and text', async (t) => {
  const broker = await startTopics(t);
  await broker.topics.create(newTopic('there'));
  const twice = newTopic('twice');
  const asked = [
    newTopic('a'),
    newTopic('there'),
    twice,
    newTopic('b c'),
    twice,
    newTopic('x', { replicationFactor: 3 }),
    newTopic('y', { configs: [{ name: 'no.such', value: '1' }] }),
  ];
  const answer = await create(broker, 7, asked);
  t.strictSame(
    answer.topics.map(({ name, errorCode }) => [name, errorName(errorCode)]),
    [
      ['a', 'NONE'],
      ['there', 'TOPIC_ALREADY_EXISTS'],
      ['b c', 'INVALID_TOPIC_EXCEPTION'],
      ['x', 'INVALID_REPLICATION_FACTOR'],
      ['y', 'INVALID_CONFIG'],
      ['twice', 'INVALID_REQUEST'],
    ],
  );
  t.match(answer.topics[4], { errorMessage: 'Unknown topic config name: no.such' });
  t.equal(broker.topics.get('twice'), undefined);
  t.match(answer.topics[1], { numPartitions: -1, replicationFactor: -1, configs: [] });
});

t.test('CreateTopics with validate_only answers as if, and creates nothing', async (t) => {
  const broker = await startTopics(t, { 'num.partitions': '6' });
  const answer = await create(broker, 7, [newTopic('a')], { validateOnly: true });
  t.match(answer.topics, [{ name: 'a', errorCode: 0, numPartitions: 6, topicId: ZERO_UUID }]);
  t.equal(broker.topics.get('a'), undefined);
});

t.test('a request whose append fails is answered for each of its topics', async (t) => {
  const broker = await startTopics(t);
  const { metadataLog } = broker.world;
  metadataLog.held = true;
  const asked = create(broker, 7, [newTopic('a'), newTopic('b')]);
  await settle();
  metadataLog.failWrites(false);
  await t.rejects(asked, /the disk is full/);
  const request = { topics: [newTopic('a')], timeoutMs: 1, validateOnly: false };
  const context = broker.context(createTopics, 7);
  const code = ErrorCode.KAFKA_STORAGE_ERROR;
  t.match(createTopics.onError(context, request, code, 'full'), {
    topics: [{ name: 'a', errorCode: code, errorMessage: 'full' }],
  });
});

t.test('DeleteTopics deletes by name, and by id from version 6 on', async (t) => {
  const broker = await startTopics(t);
  for (const version of versionsOf(deleteTopics)) {
    const topic = await broker.topics.create(newTopic('a'));
    const byName = { topicNames: ['a', 'nope'], timeoutMs: 1 };
    const byId = {
      topics: [
        { topicId: topic.id, name: null },
        { topicId: ZERO_UUID, name: 'nope' },
      ],
      timeoutMs: 1,
    };
    const answer = await broker.call(deleteTopics, version, version < 6 ? byName : byId);
    t.match(answer.responses, [
      { name: 'a', errorCode: 0, errorMessage: null },
      { name: 'nope', errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION },
    ]);
    t.equal(answer.responses[0]!.topicId, version < 6 ? ZERO_UUID : topic.id);
    t.equal(broker.topics.count, 0);
  }
});

t.test('DeleteTopics refuses what names nothing, too much, or something twice', async (t) => {
  const broker = await startTopics(t);
  const kept = await broker.topics.create(newTopic('kept'));
  const answer = await broker.call(deleteTopics, 6, {
    timeoutMs: 1,
    topics: [
      { name: null, topicId: ZERO_UUID },
      { name: 'kept', topicId: kept.id },
      { name: null, topicId: OTHER_ID },
      { name: 'kept', topicId: ZERO_UUID },
      { name: null, topicId: kept.id },
      { name: 'twice', topicId: ZERO_UUID },
      { name: 'twice', topicId: ZERO_UUID },
    ],
  });
  t.strictSame(
    answer.responses.map(({ name, topicId, errorCode }) => [name, topicId, errorName(errorCode)]),
    [
      [null, ZERO_UUID, 'INVALID_REQUEST'],
      ['kept', kept.id, 'INVALID_REQUEST'],
      [null, OTHER_ID, 'UNKNOWN_TOPIC_ID'],
      ['kept', kept.id, 'INVALID_REQUEST'],
      ['twice', ZERO_UUID, 'INVALID_REQUEST'],
    ],
  );
  t.equal(broker.topics.get('kept'), kept);
});

t.test('two requests that delete the same topic are answered one success', async (t) => {
  const broker = await startTopics(t);
  const topic = await broker.topics.create(newTopic('a'));
  broker.world.metadataLog.held = true;
  const byName = broker.call(deleteTopics, 5, { topicNames: ['a'], timeoutMs: 1 });
  const byId = broker.call(deleteTopics, 6, {
    topics: [{ name: null, topicId: topic.id }],
    timeoutMs: 1,
  });
  await settle();
  broker.world.metadataLog.sync();
  t.match((await byName).responses, [{ errorCode: 0 }]);
  t.match((await byId).responses, [{ errorCode: ErrorCode.UNKNOWN_TOPIC_ID, name: null }]);
});

t.test('DeleteTopics is refused where delete.topic.enable is false', async (t) => {
  const broker = await startTopics(t, { 'delete.topic.enable': 'false' });
  await broker.topics.create(newTopic('a'));
  for (const version of versionsOf(deleteTopics)) {
    const request = version < 6 ? { topicNames: ['a'] } : { topics: [{ name: 'a' }] };
    const answer = await broker.call(deleteTopics, version, { ...request, timeoutMs: 1 });
    const error = version < 3 ? 'INVALID_REQUEST' : 'TOPIC_DELETION_DISABLED';
    t.match(answer.responses, [{ name: 'a', errorCode: ErrorCode[error] }]);
  }
  t.ok(broker.topics.get('a'));
});

t.test('CreatePartitions answers each topic for itself', async (t) => {
  const broker = await startTopics(t);
  for (const name of ['a', 'b', 'c']) await broker.topics.create(newTopic(name));
  const more = (
    name: string,
    count: number,
    assignments: { brokerIds: number[] }[] | null = null,
  ) => ({
    name,
    count,
    assignments,
  });
  const answer = await broker.call(createPartitions, 3, {
    topics: [more('a', 3), more('b', 1), more('nope', 2), more('twice', 2), more('twice', 3)],
    timeoutMs: 1,
    validateOnly: false,
  });
  t.strictSame(
    answer.results.map(({ name, errorCode }) => [name, errorName(errorCode)]),
    [
      ['a', 'NONE'],
      ['b', 'INVALID_PARTITIONS'],
      ['nope', 'UNKNOWN_TOPIC_OR_PARTITION'],
      ['twice', 'INVALID_REQUEST'],
    ],
  );
  t.match(answer.results[0], { errorMessage: null });
  t.match(answer.results[1], { errorMessage: 'Topic already has 1 partition(s).' });
  t.equal(broker.topics.get('a')!.partitions.length, 3);
  for (const version of versionsOf(createPartitions)) {
    const request = { topics: [more('c', 10 + version)], timeoutMs: 1, validateOnly: true };
    const validated = await broker.call(createPartitions, version, request);
    t.match(validated.results, [{ name: 'c', errorCode: 0 }]);
    t.equal(broker.topics.get('c')!.partitions.length, 1);
  }
});

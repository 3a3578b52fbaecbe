import t from 'tap';
import { describeConfigs } from '../../broker/apis/32-describe-configs.ts';
import { alterConfigs } from '../../broker/apis/33-alter-configs.ts';
import { incrementalAlterConfigs } from '../../broker/apis/44-incremental-alter-configs.ts';
import { topicOptions } from '../../broker/config/topic-options.ts';
import { AlterOperation } from '../../broker/config-changes.ts';
import { ResourceType } from '../../broker/metadata-image.ts';
import { errorName } from '../../protocol/errors.ts';
import { settle } from './harness.ts';
import {
  makeWorld,
  NODE_ID,
  newTopic,
  startTopics,
  TestTopics,
  versionsOf,
} from './topics-harness.ts';

const { topic: TOPIC, broker: BROKER, brokerLogger: LOGGER, clientMetrics, group } = ResourceType;
const { set: SET, delete: DELETE, append: APPEND, subtract: SUBTRACT } = AlterOperation;
const SELF = String(NODE_ID);

type Change = [name: string, operation: number, value: string | null];

async function describe(broker: TestTopics, resourceType: number, name: string, rest = {}) {
  const resources = [{ resourceType, resourceName: name, configurationKeys: null }];
  const request = { resources, includeSynonyms: true, ...rest };
  const [result] = (await broker.call(describeConfigs, 4, request)).results;
  return result!;
}

/** One configuration as it is described: value and source. */
async function shown(broker: TestTopics, resourceType: number, resource: string, name: string) {
  const { configs } = await describe(broker, resourceType, resource);
  const entry = configs.find((config) => config.name === name);
  return entry === undefined ? undefined : [entry.value, entry.configSource];
}

async function alter(broker: TestTopics, resourceType: number, name: string, ...changes: Change[]) {
  const configs = changes.map(([option, configOperation, value]) => ({
    name: option,
    configOperation,
    value,
  }));
  const resources = [{ resourceType, resourceName: name, configs }];
  const request = { resources, validateOnly: false };
  const [result] = (await broker.call(incrementalAlterConfigs, 1, request)).responses;
  return [errorName(result!.errorCode), result!.errorMessage];
}

t.test('every version describes a topic with all its options', async (t) => {
  const broker = await startTopics(t, { 'log.retention.ms': '1000', 'log.roll.hours': '5' });
  const configs = [{ name: 'segment.bytes', value: '2000000' }];
  await broker.topics.create(newTopic('a', { configs }));
  for (const version of versionsOf(describeConfigs)) {
    const resources = [{ resourceType: TOPIC, resourceName: 'a', configurationKeys: null }];
    const request = { resources, includeSynonyms: true, includeDocumentation: true };
    const { results } = await broker.call(
      describeConfigs,
      version,
      version < 3 ? { resources, includeSynonyms: true } : request,
    );
    const entries = new Map(results[0]!.configs.map((entry) => [entry.name, entry]));
    t.strictSame([...entries.keys()], Object.keys(topicOptions).sort());
    t.match(entries.get('segment.bytes'), {
      value: '2000000',
      configSource: 1,
      readOnly: false,
      isSensitive: false,
      synonyms: [
        { name: 'segment.bytes', value: '2000000', source: 1 },
        { name: 'log.segment.bytes', value: '1073741824', source: 5 },
      ],
      configType: version < 3 ? 0 : 3,
    });
    t.match(entries.get('retention.ms'), {
      value: '1000',
      configSource: 4,
      synonyms: [{ name: 'log.retention.ms', value: '1000', source: 4 }],
    });
    // As in Kafka: a value that comes from hours has no synonym of the finest unit.
    t.match(entries.get('segment.ms'), { value: '18000000', configSource: 5, synonyms: [] });
    t.match(entries.get('remote.storage.enable'), { value: 'false', synonyms: [] });
    t.match(entries.get('max.compaction.lag.ms'), { value: '9223372036854775807' });
    t.match(entries.get('min.cleanable.dirty.ratio'), { value: '0.5' });
    const documentation = entries.get('flush.messages')!.documentation;
    t.ok(version < 3 ? documentation === '' : documentation!.includes('synced'));
  }
});

t.test('only what is asked for is described', async (t) => {
  const broker = await startTopics(t);
  await broker.topics.create(newTopic('a'));
  const ask = async (resourceName: string, resourceType: number, configurationKeys: string[]) => {
    const resources = [{ resourceType, resourceName, configurationKeys }];
    const { results } = await broker.call(describeConfigs, 4, { resources });
    return results[0]!.configs;
  };
  const some = await ask('a', TOPIC, ['flush.ms', 'no.such', 'cleanup.policy']);
  t.strictSame(
    some.map(({ name, synonyms, documentation }) => [name, synonyms, documentation]),
    [
      ['cleanup.policy', [], null],
      ['flush.ms', [], null],
    ],
  );
  t.equal((await ask('a', TOPIC, [])).length, 40, 'an empty list means all, as in Kafka');
  t.strictSame(
    (await ask(SELF, BROKER, ['node.id'])).map(({ name, value }) => [name, value]),
    [['node.id', '1']],
  );
});

t.test('the broker tells types, what may be changed, and where values come from', async (t) => {
  const broker = await startTopics(t, { 'num.partitions': '4' });
  t.strictSame(await shown(broker, BROKER, SELF, 'num.partitions'), ['4', 4]);
  t.strictSame(await shown(broker, BROKER, SELF, 'log.retention.ms'), [null, 5]);
  const { configs } = await describe(broker, BROKER, SELF);
  const entries = new Map(configs.map((entry) => [entry.name, entry]));
  t.match(entries.get('num.partitions'), { readOnly: true, configType: 3 });
  t.match(entries.get('log.segment.bytes'), { readOnly: false });
  t.match(entries.get('listeners'), { configType: 7 });
  t.strictSame((await describe(broker, BROKER, '')).configs, []);
});

t.test(
  'resources that are not there, or not of this kind, are answered as Kafka does',
  async (t) => {
    const broker = await startTopics(t);
    const outcome = async (resourceType: number, name: string) => {
      const { errorCode, configs } = await describe(broker, resourceType, name);
      return [errorName(errorCode), configs.length];
    };
    t.strictSame(await outcome(TOPIC, 'nope'), ['UNKNOWN_TOPIC_OR_PARTITION', 0]);
    t.strictSame(await outcome(TOPIC, 'no/pe'), ['INVALID_TOPIC_EXCEPTION', 0]);
    t.strictSame(await outcome(BROKER, '77'), ['INVALID_REQUEST', 0]);
    t.strictSame(await outcome(BROKER, 'x'), ['INVALID_REQUEST', 0]);
    t.strictSame(await outcome(LOGGER, SELF), ['NONE', 1]);
    t.strictSame(await outcome(LOGGER, ''), ['INVALID_REQUEST', 0]);
    t.strictSame(await outcome(clientMetrics, 'm'), ['NONE', 3]);
    t.strictSame(await outcome(clientMetrics, ''), ['INVALID_REQUEST', 0]);
    t.strictSame(await outcome(group, 'g'), ['NONE', 21]);
    t.strictSame(await outcome(group, ''), ['INVALID_REQUEST', 0]);
    t.strictSame(await outcome(3, 'x'), ['INVALID_REQUEST', 0]);
    t.strictSame(await shown(broker, LOGGER, SELF, 'root'), ['INFO', 6]);
  },
);

t.test('a topic’s settings are set, taken back, and lists grow and shrink', async (t) => {
  const broker = await startTopics(t);
  const topic = await broker.topics.create(newTopic('a', { numPartitions: 2 }));
  const done = ['NONE', null];
  t.strictSame(await alter(broker, TOPIC, 'a', ['segment.bytes', SET, '2000000']), done);
  t.equal(topic.config.get('segment.bytes'), 2000000);
  t.equal(broker.world.store.get(topic.id, 1)!.options.segmentBytes, 2000000);
  t.strictSame(await alter(broker, TOPIC, 'a', ['cleanup.policy', APPEND, 'compact']), done);
  t.strictSame(topic.config.get('cleanup.policy'), ['delete', 'compact']);
  t.strictSame(await alter(broker, TOPIC, 'a', ['cleanup.policy', APPEND, 'compact']), done);
  t.strictSame(await alter(broker, TOPIC, 'a', ['cleanup.policy', SUBTRACT, 'delete,x']), done);
  t.strictSame(await shown(broker, TOPIC, 'a', 'cleanup.policy'), ['compact', 1]);
  t.strictSame(await alter(broker, TOPIC, 'a', ['segment.bytes', DELETE, null]), done);
  t.strictSame(await shown(broker, TOPIC, 'a', 'segment.bytes'), ['1073741824', 5]);
  t.equal(broker.world.store.get(topic.id, 0)!.options.segmentBytes, 1073741824);
  t.strictSame(await alter(broker, TOPIC, 'a', ['flush.ms', DELETE, null]), done);
});

t.test('what Kafka refuses is refused with its code, and changes nothing', async (t) => {
  const broker = await startTopics(t);
  await broker.topics.create(newTopic('a'));
  const before = broker.world.metadataLog.appends;
  const refused = async (error: string, type: number, name: string, ...changes: Change[]) => {
    const [code, message] = await alter(broker, type, name, ...changes);
    t.equal(code, error, `${type} ${name} ${JSON.stringify(changes)}`);
    t.ok(message);
  };
  await refused('INVALID_CONFIG', TOPIC, 'a', ['no.such', SET, '1']);
  await refused('INVALID_CONFIG', TOPIC, 'a', ['constructor', SET, '1']);
  await refused('INVALID_CONFIG', TOPIC, 'a', ['retention.ms', SET, '-7']);
  await refused('INVALID_CONFIG', TOPIC, 'a', ['retention.ms', APPEND, '5']);
  await refused('INVALID_CONFIG', TOPIC, 'a', ['no.such', SUBTRACT, '5']);
  await refused('INVALID_CONFIG', TOPIC, 'a', ['cleanup.policy', APPEND, 'shrink']);
  await refused('INVALID_REQUEST', TOPIC, 'a', ['retention.ms', SET, null]);
  await refused('INVALID_REQUEST', TOPIC, 'a', ['flush.ms', SET, '1'], ['flush.ms', SET, '2']);
  await refused('INVALID_REQUEST', TOPIC, 'a', ['flush.ms', 9, '1']);
  await refused('INVALID_REQUEST', TOPIC, '', ['flush.ms', SET, '1']);
  await refused('INVALID_TOPIC_EXCEPTION', TOPIC, 'a/b', ['flush.ms', SET, '1']);
  await refused('UNKNOWN_TOPIC_OR_PARTITION', TOPIC, 'nope', ['flush.ms', SET, '1']);
  await refused('INVALID_REQUEST', BROKER, SELF, ['num.partitions', SET, '3']);
  await refused('INVALID_REQUEST', BROKER, '', ['num.io.threads', SET, '3']);
  await refused('INVALID_REQUEST', BROKER, '', ['log.segment.bytes', SET, '3']);
  await refused('INVALID_CONFIG', BROKER, '', ['log.segment.bytes', APPEND, '3000000']);
  await refused('INVALID_REQUEST', BROKER, '77', ['log.segment.bytes', SET, '3000000']);
  await refused('INVALID_REQUEST', BROKER, 'x', ['log.segment.bytes', SET, '3000000']);
  await refused('INVALID_CONFIG', group, 'g', ['no.such', SET, '1']);
  await refused('INVALID_REQUEST', group, '', ['no.such', SET, '1']);
  await refused('INVALID_REQUEST', 3, 'x', ['no.such', SET, '1']);
  t.equal(broker.world.metadataLog.appends, before);
});

t.test('the level of the log is changed at once, and only to what there is', async (t) => {
  const broker = await startTopics(t);
  const { log } = broker.world.env;
  t.strictSame(await alter(broker, LOGGER, SELF, ['root', SET, 'DEBUG']), ['NONE', null]);
  t.equal(log.level, 'debug');
  t.strictSame(await shown(broker, LOGGER, SELF, 'root'), ['DEBUG', 6]);
  const refused = async (error: string, name: string, ...changes: Change[]) => {
    const [code] = await alter(broker, LOGGER, name, ...changes);
    t.equal(code, error, `${name} ${JSON.stringify(changes)}`);
  };
  await refused('INVALID_CONFIG', SELF, ['root', SET, 'LOUD']);
  await refused('INVALID_CONFIG', SELF, ['root', SET, 'warn']);
  await refused('INVALID_CONFIG', SELF, ['org.apache.kafka', SET, 'WARN']);
  await refused('INVALID_REQUEST', SELF, ['root', SET, null]);
  await refused('INVALID_REQUEST', SELF, ['root', DELETE, null]);
  await refused('INVALID_REQUEST', SELF, ['root', APPEND, 'WARN']);
  await refused('INVALID_REQUEST', SELF, ['root', 9, 'WARN']);
  await refused('INVALID_REQUEST', SELF, ['root', SET, 'WARN'], ['root', SET, 'INFO']);
  await refused('INVALID_REQUEST', '77', ['root', SET, 'WARN']);
  await refused('INVALID_REQUEST', '', ['root', SET, 'WARN']);
  const configs = [{ name: 'root', configOperation: SET, value: 'WARN' }];
  const resources = [{ resourceType: LOGGER, resourceName: SELF, configs }];
  const request = { resources, validateOnly: true };
  const validated = await broker.call(incrementalAlterConfigs, 1, request);
  t.equal(validated.responses[0]!.errorCode, 0);
  const whole = await broker.call(alterConfigs, 2, { resources, validateOnly: false });
  t.equal(errorName(whole.responses[0]!.errorCode), 'INVALID_REQUEST');
  t.equal(log.level, 'debug');
});

t.test('one resource that is refused does not hold up the others', async (t) => {
  const broker = await startTopics(t);
  await broker.topics.create(newTopic('a'));
  await broker.topics.create(newTopic('b'));
  const change = (resourceName: string, value: string) => ({
    resourceType: TOPIC,
    resourceName,
    configs: [{ name: 'flush.ms', configOperation: SET, value }],
  });
  const twice = change('twice', '1');
  const resources = [change('a', '1'), change('b', 'x'), twice, twice];
  for (const version of versionsOf(incrementalAlterConfigs)) {
    const request = { resources, validateOnly: false };
    const { responses } = await broker.call(incrementalAlterConfigs, version, request);
    t.strictSame(
      responses.map(({ resourceName, errorCode }) => [resourceName, errorName(errorCode)]),
      [
        ['a', 'NONE'],
        ['b', 'INVALID_CONFIG'],
        ['twice', 'INVALID_REQUEST'],
        ['twice', 'INVALID_REQUEST'],
      ],
    );
  }
  t.equal(broker.topics.get('a')!.config.get('flush.ms'), 1);
});

t.test('AlterConfigs leaves nothing but what it names', async (t) => {
  const broker = await startTopics(t);
  const topic = await broker.topics.create(newTopic('a'));
  const alterAll = async (
    version: number,
    configs: { name: string; value: string }[],
    rest = {},
  ) => {
    const resources = [{ resourceType: TOPIC, resourceName: 'a', configs }];
    const request = { resources, validateOnly: false, ...rest };
    const { responses } = await broker.call(alterConfigs, version, request);
    return errorName(responses[0]!.errorCode);
  };
  for (const version of versionsOf(alterConfigs)) {
    const two = [
      { name: 'flush.ms', value: '1' },
      { name: 'segment.ms', value: '2' },
    ];
    t.equal(await alterAll(version, two), 'NONE');
    t.strictSame([...topic.config.overrides.keys()].sort(), ['flush.ms', 'segment.ms']);
    t.equal(await alterAll(version, [], { validateOnly: true }), 'NONE');
    t.equal(topic.config.overrides.size, 2, 'validating changes nothing');
    t.equal(await alterAll(version, two.slice(1)), 'NONE');
    t.strictSame([...topic.config.overrides.keys()], ['segment.ms']);
    t.equal(await alterAll(version, [{ name: 'flush.ms', value: 'x' }]), 'INVALID_CONFIG');
    t.strictSame([...topic.config.overrides.keys()], ['segment.ms']);
  }
});

t.test(
  'the broker’s own settings are in force at once, shown, and there after a restart',
  async (t) => {
    const world = await makeWorld(t);
    const broker = await TestTopics.start(world);
    const topic = await broker.topics.create(newTopic('a'));
    const segmentBytes = () => world.store.get(topic.id, 0)!.options.segmentBytes;
    t.strictSame(await alter(broker, BROKER, '', ['log.segment.bytes', SET, '3000000']), [
      'NONE',
      null,
    ]);
    t.equal(segmentBytes(), 3000000);
    t.strictSame(await shown(broker, TOPIC, 'a', 'segment.bytes'), ['3000000', 3]);
    await alter(broker, BROKER, SELF, ['log.segment.bytes', SET, '4000000']);
    t.equal(segmentBytes(), 4000000);
    t.strictSame(await shown(broker, TOPIC, 'a', 'segment.bytes'), ['4000000', 2]);
    const { configs } = await describe(broker, BROKER, '');
    t.match(configs, [
      {
        name: 'log.segment.bytes',
        value: '3000000',
        configSource: 3,
        synonyms: [{ name: 'log.segment.bytes', value: '3000000', source: 3 }],
      },
    ]);
    const after = await TestTopics.start(world);
    t.equal(after.config.get('log.segment.bytes'), 4000000);
    t.strictSame(await shown(after, BROKER, SELF, 'log.segment.bytes'), ['4000000', 2]);
    await alter(after, BROKER, SELF, ['log.segment.bytes', DELETE, null]);
    t.equal(segmentBytes(), 3000000);
    await alter(after, BROKER, '', ['log.segment.bytes', DELETE, null]);
    t.equal(after.config.get('log.segment.bytes'), 1073741824);
  },
);

t.test('a change is in force when it is durable, not before', async (t) => {
  const broker = await startTopics(t);
  const topic = await broker.topics.create(newTopic('a'));
  broker.world.metadataLog.held = true;
  const changed = alter(broker, TOPIC, 'a', ['flush.ms', SET, '5']);
  await settle();
  t.equal(topic.config.overrides.size, 0);
  broker.world.metadataLog.sync();
  t.strictSame(await changed, ['NONE', null]);
  t.equal(topic.config.get('flush.ms'), 5);
});

t.test('a recorded setting that this version does not take is left out, and told of', async (t) => {
  const world = await makeWorld(t);
  const before = await TestTopics.start(world);
  const record = (name: string, value: string) => ({
    kind: 'ConfigRecord' as const,
    value: { resourceType: BROKER, resourceName: SELF, name, value },
  });
  await before.metadata.append([
    record('of.a.later.version', '1'),
    record('message.max.bytes', 'x'),
  ]);
  world.lines.length = 0;
  const after = await TestTopics.start(world);
  t.equal(after.config.get('message.max.bytes'), 1048588);
  t.match(world.lines, [
    { level: 'warn', values: { name: 'of.a.later.version' } },
    { level: 'warn', values: { name: 'message.max.bytes' } },
  ]);
});

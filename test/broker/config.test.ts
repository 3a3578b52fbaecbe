import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import {
  brokerOption,
  brokerOptions,
  isOptionName,
  type OptionName,
} from '../../broker/config/broker-options.ts';
import { isKafkaOnlyName, kafkaOnlyNames } from '../../broker/config/kafka-only-names.ts';
import { nearestName } from '../../broker/config/nearest.ts';
import {
  FOREVER,
  formatValue,
  IllegalValue,
  type Option,
  type OptionValueType,
  parseValue,
} from '../../broker/config/option.ts';
import { topicOption } from '../../broker/config/topic-config.ts';
import { type TopicOptionName, topicOptions } from '../../broker/config/topic-options.ts';
import {
  Config,
  ConfigurationError,
  settingsOfEnvironment,
  settingsOfFlags,
  settingsOfProgram,
  settingsOfProperties,
} from '../../broker/config.ts';

interface KafkaConfiguration {
  readonly name: string;
  readonly type: string;
  readonly default: string | null;
  /** `[0,...]`, `[1,...,9]`, a list of words, or null for anything. */
  readonly valid: string | null;
}

const fromSource = import.meta.url.endsWith('.ts');
const fixture = `${fromSource ? '../' : '../../../test/'}fixtures/kafka-4.4-configs.json`;
const kafka: { topic: KafkaConfiguration[]; broker: KafkaConfiguration[] } = JSON.parse(
  readFileSync(new URL(fixture, import.meta.url), 'utf8'),
);

const allOptions: [string, Option][] = [
  ...(Object.keys(brokerOptions) as OptionName[]).map((name): [string, Option] => [
    name,
    brokerOption(name),
  ]),
  ...(Object.keys(topicOptions) as TopicOptionName[]).map((name): [string, Option] => [
    name,
    topicOption(name),
  ]),
];

/** Values of an option's kind, legal or not. */
function valuesOf(option: Option): fc.Arbitrary<OptionValueType> {
  switch (option.kind) {
    case 'boolean':
      return fc.boolean();
    case 'int':
    case 'short':
    case 'long': {
      const min = Math.max(option.min ?? -FOREVER, -FOREVER);
      return fc.integer({ min, max: Math.min(option.max ?? FOREVER, FOREVER) });
    }
    case 'double':
      return fc.double({ min: option.min ?? -1e300, max: option.max ?? 1e300, noNaN: true });
    case 'list':
      return fc.array(
        option.values === undefined
          ? fc.stringMatching(/^[a-zA-Z0-9:/.*-]{1,12}$/)
          : fc.constantFrom(...option.values),
      );
    default:
      return option.values === undefined
        ? fc.stringMatching(/^[a-zA-Z0-9._-]{0,20}$/)
        : fc.constantFrom(...option.values);
  }
}

t.test('the text of every legal value of every option is read back as the value', async () => {
  for (const [name, option] of allOptions) {
    fc.assert(
      fc.property(valuesOf(option), (value) => {
        if (option.fault(value) !== undefined) return;
        const parsed = parseValue(name, option, formatValue(option, value) ?? '');
        if (JSON.stringify(parsed) !== JSON.stringify(value === 0 ? 0 : value)) {
          throw new Error(`${name}: ${JSON.stringify(value)} became ${JSON.stringify(parsed)}`);
        }
      }),
      { numRuns: 50 },
    );
  }
});

t.test('every default is a legal value of its option', async (t) => {
  for (const [name, option] of allOptions) {
    if (option.default === null) continue;
    const text = formatValue(option, option.default);
    t.strictSame(parseValue(name, option, text!), option.default, name);
    t.ok(option.doc.length > 20, `${name} says what it is`);
  }
});

function compare(t: Test, theirs: KafkaConfiguration, option: Option): void {
  t.equal(option.kind, theirs.type.toLowerCase(), `type of ${theirs.name}`);
  const text = theirs.default?.replace(/^\[(.*)\]$/, '$1').replaceAll(', ', ',') ?? null;
  const theirDefault = text === '(none)' ? (option.kind === 'list' ? '' : null) : text;
  const ours = formatValue(option, option.default);
  if (option.kafkaDefault === undefined) {
    // Kafka's own default means "none": -1 where ours is null.
    const expected = theirs.name === 'broker.id' ? null : theirDefault;
    t.equal(ours, expected, `default of ${theirs.name}`);
  } else {
    t.equal(option.kafkaDefault, theirDefault, `default of ${theirs.name} in Kafka`);
    t.not(ours, theirDefault, `default of ${theirs.name} is another here`);
  }
  if (CHECKED_AT_START.has(theirs.name)) return;
  if (option.kind === 'int' || option.kind === 'short' || option.kind === 'long') {
    t.equal(boundsOf(option), theirBounds(theirs, option), `bounds of ${theirs.name}`);
  }
}

/** Bounds that Kafka does not declare, and checks when it starts. */
const CHECKED_AT_START = new Set([
  'broker.id',
  'log.flush.interval.ms',
  'log.retention.hours',
  'log.retention.minutes',
  'log.retention.ms',
  'log.roll.jitter.ms',
  'log.roll.ms',
]);

/** Bounds as Kafka writes them; the bounds that the kind has anyway are left out. */
function boundsOf(option: Option): string {
  const bits = { int: 31, short: 15 }[option.kind as string] ?? 63;
  const min = option.min === -(2 ** bits) ? undefined : option.min;
  const max = option.max === 2 ** bits - 1 ? undefined : option.max;
  return `${min ?? ''}...${max ?? ''}`;
}

function theirBounds(theirs: KafkaConfiguration, option: Option): string {
  const match = /^\[(-?\d+),\.\.\.(?:,(-?\d+))?\]( or -1)?$/.exec(theirs.valid ?? '');
  if (match === null) return '...';
  // What has a hole is checked by hand.
  return match[3] === undefined ? `${match[1]}...${match[2] ?? ''}` : boundsOf(option);
}

t.test('all topic options of Apache Kafka are known, with its types and defaults', async (t) => {
  for (const theirs of kafka.topic) {
    const option = topicOption(theirs.name as TopicOptionName);
    if (option === undefined) t.fail(`${theirs.name} is not known`);
    else compare(t, theirs, option);
  }
  const theirNames = new Set(kafka.topic.map(({ name }) => name));
  const ours = Object.keys(topicOptions).filter((name) => !theirNames.has(name));
  t.strictSame(ours, ['fetch.visibility', 'record.validation', 'tail.compaction.enable']);
});

t.test('each broker option of Apache Kafka is either known or named as meaningless', async (t) => {
  const theirNames = new Set(kafka.broker.map(({ name }) => name));
  for (const theirs of kafka.broker) {
    if (!isOptionName(theirs.name)) {
      t.ok(kafkaOnlyNames.has(theirs.name), `${theirs.name} is named`);
      continue;
    }
    t.notOk(isKafkaOnlyName(theirs.name), `${theirs.name} has a meaning`);
    compare(t, theirs, brokerOption(theirs.name));
  }
  for (const name of Object.keys(brokerOptions) as OptionName[]) {
    t.equal(brokerOption(name).own, !theirNames.has(name), `${name} is ours or Kafka's`);
  }
});

t.test('a flag counts more than the environment, that more than a file', async (t) => {
  const file = settingsOfProperties('num.partitions=2\nlog.dirs=/f\nbroker.rack=r', 's.properties');
  const environment = settingsOfEnvironment({
    KAFKA_NUM_PARTITIONS: '3',
    KAFKA_LOG_DIRS: '/e',
    KAFKA_HEAP_OPTS: '-Xmx1g',
    HOME: '/root',
  });
  const config = new Config([...settingsOfFlags(['num.partitions=4']), ...environment, ...file]);
  t.equal(config.get('num.partitions'), 4);
  t.equal(config.dataDir, '/e');
  t.equal(config.get('broker.rack'), 'r');
  t.equal(config.get('log.segment.bytes'), 1073741824);
  t.strictSame(config.warnings, []);
});

t.test('the data folder is absolute, wherever the broker was started', (t) => {
  for (const settings of [{}, { 'log.dirs': './data' }, { 'log.dir': 'data' }]) {
    t.equal(new Config(settingsOfProgram(settings)).dataDir, path.resolve('data'));
  }
  t.equal(new Config(settingsOfProgram({ 'log.dirs': '/d' })).dataDir, '/d');
  t.end();
});

t.test('environment names are those of the container image', async (t) => {
  const settings = settingsOfEnvironment({
    KAFKA_LOG_RETENTION_MS: '1',
    KAFKA_CFG_NUM_PARTITIONS: '2',
    KAFKA_A__B___C: 'x',
    KAFKA_JMX_OPTS: 'y',
  });
  const names = settings.map(({ name, value }) => `${name}=${value}`);
  t.strictSame(names, ['a_b-c=x', 'num.partitions=2', 'log.retention.ms=1']);
});

t.test('a properties file is read as Java reads it', async (t) => {
  const text = [
    '# a comment',
    '! another',
    '',
    'plain=value',
    '  spaced   =   with spaces  ',
    'colon:one',
    'blank two',
    'long = a,\\',
    '       b',
    'escaped\\ name=\\u0041\\t|',
    'twice=1',
    'twice=2',
    'url=PLAINTEXT://h:9',
    'empty=',
    'windows=yes\r',
  ].join('\n');
  const values = settingsOfProperties(text, 'f').map(({ name, value }) => [name, value]);
  t.strictSame(values, [
    ['plain', 'value'],
    ['spaced', 'with spaces'],
    ['colon', 'one'],
    ['blank', 'two'],
    ['long', 'a,b'],
    ['escaped name', 'A\t|'],
    ['twice', '2'],
    ['url', 'PLAINTEXT://h:9'],
    ['empty', ''],
    ['windows', 'yes'],
  ]);
  const setting = settingsOfProperties('a=1\n\nb=\\\n2', 'dir/s.properties')[1];
  t.match(setting, { name: 'b', value: '2', origin: 'dir/s.properties line 3' });
});

t.test('an illegal value stops the start, naming key, value, source and range', async (t) => {
  const start = (text: string) => () => new Config(settingsOfProperties(text, 's.properties'));
  t.throws(start('num.partitions=0'), {
    name: 'ConfigurationError',
    message:
      'Invalid value 0 for configuration num.partitions: it takes an integer of at least 1 ' +
      '(s.properties line 1)',
  });
  t.throws(start('num.partitions=many'), /takes an integer of at least 1/);
  t.throws(start('compression.type=brotli'), /one of uncompressed, zstd, lz4, snappy, gzip, prod/);
  t.throws(start('auto.create.topics.enable=yes'), /true or false/);
  t.throws(start('log.cleaner.min.cleanable.ratio=1.5'), /a number from 0 to 1/);
  t.throws(start('log.retention.bytes=99999999999999999999'), /64 bits/);
  t.throws(start('compression.gzip.level=0'), /from 1 to 9, or -1/);
  t.throws(start('log.retention.ms=0'), /at least 1, or -1/);
  t.throws(start('log.dirs=/a,/b'), /one folder/);
  t.throws(start('log.cleanup.policy=compact,shrink'), /a list of compact, delete/);
  t.throws(
    () => new Config(settingsOfEnvironment({ KAFKA_NUM_PARTITIONS: 'x' })),
    /environment variable KAFKA_NUM_PARTITIONS/,
  );
  t.throws(() => new Config(settingsOfFlags(['num.partitions=x'])), /\(command line\)/);
});

t.test('a name without a meaning here is named once, and left out', async (t) => {
  const text = 'zookeeper.connect=z\nnum.io.threads=8\nlistener.name.x.ssl.key=p\n';
  const config = new Config(settingsOfProperties(text, 's.properties'));
  t.strictSame(config.warnings, [
    'zookeeper.connect (s.properties line 1) has no meaning in this broker and is left out',
    'num.io.threads (s.properties line 2) has no meaning in this broker and is left out',
    'listener.name.x.ssl.key (s.properties line 3) has no meaning in this broker and is left out',
  ]);
  const flag = new Config(settingsOfFlags(['num.io.threads=8']));
  t.equal(flag.warnings.length, 1);
  const inert = new Config(settingsOfProperties('min.insync.replicas=2', 'f'));
  t.match(inert.warnings[0], /^min.insync.replicas \(f line 1\) changes nothing: there is one/);
});

t.test('an unknown name is an error on the command line, a warning in a file', async (t) => {
  t.throws(() => new Config(settingsOfFlags(['num.partition=3'])), {
    name: 'ConfigurationError',
    message: 'unknown configuration num.partition (command line); did you mean num.partitions?',
  });
  t.throws(() => new Config(settingsOfProgram({ 'no.such.thing.at.all': '1' })), {
    message: 'unknown configuration no.such.thing.at.all (the options of Broker.start)',
  });
  const config = new Config(settingsOfProperties('num.partition=3', 'f'));
  t.match(config.warnings[0], /did you mean num.partitions/);
  t.throws(() => settingsOfFlags(['novalue']), /name=value/);
  t.equal(nearestName('__proto__', Object.keys(brokerOptions)), undefined);
  t.throws(() => new Config(settingsOfFlags(['__proto__=1'])), ConfigurationError);
  t.throws(() => new Config(settingsOfFlags(['constructor=1'])), ConfigurationError);
});

t.test('listeners of other protocols are refused, those of controllers left out', async (t) => {
  const kraft = new Config(
    settingsOfProperties(
      'process.roles=broker,controller\nnode.id=7\n' +
        'listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\n' +
        'advertised.listeners=PLAINTEXT://host:9092,CONTROLLER://host:9093\n' +
        'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL\n',
      'server.properties',
    ),
  );
  t.equal(kraft.nodeId, 7);
  t.strictSame(kraft.listeners.listeners, [{ name: 'PLAINTEXT', host: '', port: 9092 }]);
  t.strictSame(
    [...kraft.listeners.advertised.values()],
    [{ name: 'PLAINTEXT', host: 'host', port: 9092 }],
  );
  const named = new Config(
    settingsOfProgram({
      listeners: 'IN://[::1]:0,OUT://0.0.0.0:9092',
      'listener.security.protocol.map': 'IN:PLAINTEXT,OUT:PLAINTEXT',
    }),
  );
  t.strictSame(named.listeners.listeners, [
    { name: 'IN', host: '::1', port: 0 },
    { name: 'OUT', host: '0.0.0.0', port: 9092 },
  ]);
  const refused = (settings: Record<string, string>, reason: RegExp) =>
    t.throws(() => new Config(settingsOfProgram(settings)), reason);
  refused({ listeners: 'SSL://:9093' }, /its protocol is SSL, and this version serves PLAINTEXT/);
  refused({ listeners: 'NAME://:9093' }, /its protocol is NAME/);
  refused({ listeners: 'PLAINTEXT://h:99999' }, /NAME:\/\/host:port/);
  refused({ listeners: 'localhost:9092' }, /NAME:\/\/host:port/);
  refused({ listeners: '' }, /no listener is left/);
  refused({ listeners: 'PLAINTEXT://a:1,plaintext://b:2' }, /a name of its own/);
  refused({ 'advertised.listeners': 'OTHER://h:1' }, /listeners has none of this name/);
  refused({ 'advertised.listeners': 'PLAINTEXT://0.0.0.0:1' }, /cannot connect/);
});

t.test('the id of the broker has two names, and is 1 when neither is set', async (t) => {
  t.equal(new Config().nodeId, 1);
  t.equal(new Config(settingsOfProgram({ 'broker.id': '5' })).get('node.id'), 5);
  t.equal(new Config(settingsOfProgram({ 'broker.id': '5', 'node.id': '6' })).nodeId, 6);
  t.equal(new Config(settingsOfProgram({ 'broker.id': '-1' })).nodeId, 1);
});

t.test('a topic takes over what the broker says, in the finest unit that is set', async (t) => {
  const none = new Map<string, string>();
  const byDefault = new Config().topicConfig(none, false);
  t.equal(byDefault.get('retention.ms'), 604800000);
  t.equal(byDefault.get('segment.ms'), 604800000);
  t.equal(byDefault.get('flush.ms'), FOREVER);
  const hours = new Config(
    settingsOfProgram({ 'log.retention.hours': '2', 'log.roll.hours': '1' }),
  );
  t.equal(hours.topicConfig(none, false).get('retention.ms'), 7_200_000);
  t.equal(hours.topicConfig(none, false).get('segment.ms'), 3_600_000);
  const all = new Config(
    settingsOfProgram({
      'log.retention.hours': '2',
      'log.retention.minutes': '3',
      'log.retention.ms': '-1',
    }),
  );
  t.equal(all.topicConfig(none, false).get('retention.ms'), -1);
  const own = all.topicConfig(new Map([['retention.ms', '5']]), false);
  t.equal(own.get('retention.ms'), 5);
});

t.test('a dynamic value is in force at once, and this broker’s counts more', async (t) => {
  const config = new Config(settingsOfProgram({ 'log.segment.bytes': '2000000' }));
  const topic = config.topicConfig(new Map(), false);
  let changes = 0;
  config.onChange(() => changes++);
  t.equal(topic.logOptions().segmentBytes, 2000000);
  config.setDynamic('cluster', 'log.segment.bytes', '3000000');
  t.equal(topic.logOptions().segmentBytes, 3000000);
  config.setDynamic('broker', 'log.segment.bytes', '4000000');
  t.equal(topic.get('segment.bytes'), 4000000);
  config.setDynamic('broker', 'log.segment.bytes', null);
  config.setDynamic('cluster', 'log.segment.bytes', null);
  t.equal(topic.get('segment.bytes'), 2000000);
  t.equal(changes, 4);
  t.throws(() => config.setDynamic('broker', 'log.segment.bytes', '1'), IllegalValue);
  t.equal(config.get('log.segment.bytes'), 2000000);
});

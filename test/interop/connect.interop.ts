/**
 * Applications of Apache Kafka's own: Kafka Connect copies a file into a topic and the topic into a
 * file, over a restart; MirrorMaker 2 mirrors topics and groups of an Apache Kafka broker.
 */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import fse from 'fs-extra';
import { Kafka, logLevel } from 'kafkajs';
import t, { type Test } from 'tap';
import { startKafka } from '../../benchmarks/peers/kafka.ts';
import { kafkaFor, startTestBroker, uniqueName } from '../clients/test-broker.ts';
import { freePort } from './free-port.ts';
import { JavaProcess } from './java.ts';
import { readServed } from './served.ts';

const LIMIT_MS = 120_000;
const CONNECT = {
  classPath: join('.dev', 'java', 'connect', '*'),
  jvmOptions: ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'],
};

t.setTimeout(600_000);
const broker = await startTestBroker(t, { 'offsets.topic.num.partitions': '2' });
const home = await fse.mkdtemp(join(tmpdir(), 'tailrace-connect-'));
t.teardown(() => fse.remove(home));

type Properties = Readonly<Record<string, string | number>>;

/** Writes a file of properties and gives its path. */
async function propertiesFile(name: string, properties: Properties): Promise<string> {
  const path = join(home, name);
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`);
  await fse.writeFile(path, lines.join(''));
  return path;
}

/** Asks until something is so, of a program that must go on until then. */
async function until(what: string, java: JavaProcess, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while (!(await isSo())) {
    if (java.hasEnded) throw new Error(`${what}: it has ended: ${java.err.slice(-3000)}`);
    if (performance.now() > deadline) throw new Error(`${what}: never; ${java.err.slice(-3000)}`);
    await delay(100);
  }
}

t.test('Kafka Connect copies a file through a topic, and goes on after a restart', async (t) => {
  const topic = uniqueName('connect');
  const [source, sink] = [join(home, 'source.txt'), join(home, 'sink.txt')];
  const text = 'org.apache.kafka.connect.storage.StringConverter';
  const worker = await propertiesFile('worker.properties', {
    'bootstrap.servers': broker.address,
    'key.converter': text,
    'value.converter': text,
    'offset.storage.file.filename': join(home, 'connect.offsets'),
    'offset.flush.interval.ms': 500,
    listeners: `http://127.0.0.1:${await freePort()}`,
    'plugin.discovery': 'only_scan',
  });
  const packageName = 'org.apache.kafka.connect.file';
  const from = await propertiesFile('from.properties', {
    name: 'from-file',
    'connector.class': `${packageName}.FileStreamSourceConnector`,
    'tasks.max': 1,
    file: source,
    topic,
  });
  const to = await propertiesFile('to.properties', {
    name: 'to-file',
    'connector.class': `${packageName}.FileStreamSinkConnector`,
    'tasks.max': 1,
    file: sink,
    topics: topic,
  });
  const run = () =>
    new JavaProcess('org.apache.kafka.connect.cli.ConnectStandalone', [worker, from, to], CONNECT);
  let wanted = '';
  for (let round = 0; round < 2; round++) {
    const lines = Array.from({ length: 500 }, (_, at) => `line ${at} of round ${round}`);
    const added = `${lines.join('\n')}\n`;
    await fse.appendFile(source, added);
    wanted += added;
    const connect = run();
    await until('the file is copied', connect, async () => {
      const copied = (await fse.pathExists(sink)) ? await fse.readFile(sink, 'utf8') : '';
      return copied.length >= wanted.length;
    });
    connect.kill('SIGTERM');
    await connect.ended();
    t.equal(await fse.readFile(sink, 'utf8'), wanted, `round ${round}: every line once`);
  }
  const { records } = await readServed(broker, topic);
  t.equal(records.length, 1000, 'and each is in the topic');
});

interface Mirrored {
  readonly key: string;
  readonly value: string | null;
  readonly headers: Record<string, string>;
}

/** What is mirrored of number so and so. */
function mirrored(number: number): Mirrored {
  const value = number % 10 === 0 ? null : `value ${number} ${'x'.repeat(number)}`;
  return { key: `key ${number}`, value, headers: { number: String(number) } };
}

async function fillSource(kafka: Kafka, topic: string, group: string): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  const configEntries = [{ name: 'retention.ms', value: '987654321' }];
  await admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }] });
  const producer = kafka.producer();
  await producer.connect();
  const messages = Array.from({ length: 300 }, (_, at) => ({ ...mirrored(at), partition: 0 }));
  await producer.send({ topic, acks: -1, messages });
  await producer.disconnect();
  const partitions = [{ partition: 0, offset: '300' }];
  await admin.setOffsets({ groupId: group, topic, partitions });
  await admin.disconnect();
}

function mirrorProperties(source: string): Properties {
  const replicated = ['checkpoints', 'heartbeats', 'offset-syncs'].map((name) => [
    `${name}.topic.replication.factor`,
    1,
  ]);
  const stored = ['offset', 'status', 'config'].map((name) => [
    `${name}.storage.replication.factor`,
    1,
  ]);
  return {
    clusters: 'theirs,ours',
    'theirs.bootstrap.servers': source,
    'ours.bootstrap.servers': broker.address,
    'theirs->ours.enabled': 'true',
    'theirs->ours.topics': 'mirrored-.*',
    'ours->theirs.enabled': 'false',
    'theirs->ours.emit.heartbeats.enabled': 'true',
    'refresh.topics.interval.seconds': 1,
    'refresh.groups.interval.seconds': 1,
    'emit.checkpoints.interval.seconds': 1,
    'sync.group.offsets.enabled': 'true',
    'sync.group.offsets.interval.seconds': 1,
    'sync.topic.configs.interval.seconds': 1,
    'offset.lag.max': 0,
    'replication.factor': 1,
    'tasks.max': 1,
    ...Object.fromEntries([...replicated, ...stored]),
  };
}

t.test(
  'MirrorMaker 2 mirrors topics, configurations and groups of Apache Kafka',
  async (t: Test) => {
    const source = await startKafka();
    t.teardown(() => source.stop());
    const address = `${source.host}:${source.port}`;
    const theirs = new Kafka({
      brokers: [address],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 100, retries: 12 },
    });
    const [topic, group] = [uniqueName('mirrored'), uniqueName('group')];
    await fillSource(theirs, topic, group);
    const file = await propertiesFile('mirror.properties', mirrorProperties(address));
    const mirror = new JavaProcess('org.apache.kafka.connect.mirror.MirrorMaker', [file], CONNECT);
    t.teardown(() => mirror.kill('SIGKILL'));
    const admin = kafkaFor(broker).admin();
    await admin.connect();
    t.teardown(() => admin.disconnect());
    const copy = `theirs.${topic}`;
    await until('the topic is there', mirror, async () =>
      (await admin.listTopics()).includes(copy),
    );
    const endOffset = async () => Number((await admin.fetchTopicOffsets(copy))[0]?.offset ?? 0);
    await until('its records are', mirror, async () => (await endOffset()) >= 300);
    const { records } = await readServed(broker, copy);
    const found = records.map(({ key, value, headers }) => ({
      key,
      value,
      headers: Object.fromEntries(headers),
    }));
    t.same(
      found,
      Array.from({ length: 300 }, (_, at) => mirrored(at)),
    );
    const configs = { resources: [{ type: 2, name: copy }], includeSynonyms: false };
    await until('its configuration is', mirror, async () => {
      const [told] = (await admin.describeConfigs(configs)).resources;
      const entry = told!.configEntries.find(({ configName }) => configName === 'retention.ms');
      return entry?.configValue === '987654321';
    });
    await until('the group goes on where it was', mirror, async () => {
      const [told] = await admin.fetchOffsets({ groupId: group, topics: [copy] });
      return told?.partitions[0]?.offset === '300';
    });
    mirror.kill('SIGTERM');
    await mirror.ended();
  },
);

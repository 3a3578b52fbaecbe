/**
 * Apache Kafka's command line tools, run by their classes as its scripts run them, with checks of
 * what they print. With TAILRACE_TEST_PEER=kafka they are run against Apache Kafka.
 */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import t from 'tap';
import { startTestBroker, uniqueName } from '../clients/test-broker.ts';
import { JavaProcess, runJava } from './java.ts';

const PACKAGE = 'org.apache.kafka.tools';

t.setTimeout(600_000);
const broker = await startTestBroker(t, { 'offsets.topic.num.partitions': '2' });
const home = await fse.mkdtemp(join(tmpdir(), 'tailrace-tools-'));
t.teardown(() => fse.remove(home));
const bootstrap = ['--bootstrap-server', broker.address];

/** Runs a tool with the broker's address; gives what it prints. */
async function tool(name: string, ...words: readonly string[]): Promise<string> {
  return (await runJava(`${PACKAGE}.${name}`, [...bootstrap, ...words])).out;
}

/** Runs what must end with an error, and gives what it says. */
async function failing(name: string, ...words: readonly string[]): Promise<string> {
  const options = { exitCodes: [1, 2] };
  const { out, err } = await runJava(`${PACKAGE}.${name}`, [...bootstrap, ...words], options);
  return out + err;
}

/** Words between white space of the line that matches. */
function cells(text: string, line: RegExp): string[] {
  const found = text.split('\n').find((one) => line.test(one));
  if (found === undefined) throw new Error(`nothing like ${line} in: ${text}`);
  return found.trim().split(/\s+/);
}

function produce(topic: string, lines: readonly string[], ...words: readonly string[]) {
  const all = [...bootstrap, '--topic', topic, ...words];
  return runJava(`${PACKAGE}.ConsoleProducer`, all, { input: `${lines.join('\n')}\n` });
}

function consume(topic: string, count: number, ...words: readonly string[]): Promise<string> {
  const limits = ['--from-beginning', '--max-messages', String(count), '--timeout-ms', '30000'];
  return tool('consumer.ConsoleConsumer', '--topic', topic, ...limits, ...words);
}

t.test('kafka-topics makes, describes, lists, alters and deletes', async (t) => {
  const topic = uniqueName('tools');
  const size = ['--partitions', '3', '--replication-factor', '1', '--config', 'retention.ms=5000'];
  t.match(await tool('TopicCommand', '--create', '--topic', topic, ...size), /Created topic/);
  const described = await tool('TopicCommand', '--describe', '--topic', topic);
  t.match(described, /PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: .*retention\.ms=5000/);
  t.equal(
    [...described.matchAll(/Partition: \d\s+Leader: \d+\s+Replicas: \d+\s+Isr: /g)].length,
    3,
  );
  t.match(await failing('TopicCommand', '--create', '--topic', topic), /already exists/);
  await tool('TopicCommand', '--alter', '--topic', topic, '--partitions', '4');
  t.match(await tool('TopicCommand', '--describe', '--topic', topic), /PartitionCount: 4/);
  t.ok((await tool('TopicCommand', '--list')).split('\n').includes(topic));
  await tool('TopicCommand', '--delete', '--topic', topic);
  t.notOk((await tool('TopicCommand', '--list')).split('\n').includes(topic));
});

t.test('the console producer writes what the console consumer reads', async (t) => {
  const topic = uniqueName('console');
  await tool('TopicCommand', '--create', '--topic', topic, '--partitions', '1');
  const properties = ['parse.key=true', 'key.separator=:', 'parse.headers=true'];
  const given = properties.flatMap((one) => ['--reader-property', one]);
  const lines = ['a:1,b:2\tfirst:one', 'a:\tsecond:two', 'c:3\tthird:three'];
  await produce(topic, lines, ...given, '--compression-codec', 'zstd');
  const shown = ['print.key=true', 'print.headers=true', 'print.offset=true', 'key.separator=:'];
  const read = await consume(topic, 3, ...shown.flatMap((one) => ['--formatter-property', one]));
  t.match(read, /Offset:0.*a:1,b:2.*first:one/);
  t.match(read, /Offset:1.*a:.*second:two/);
  t.match(read, /Offset:2.*c:3.*third:three/);

  const group = uniqueName('readers');
  t.equal((await consume(topic, 2, '--group', group)).trim(), 'one\ntwo');
  const groups = 'consumer.group.ConsumerGroupCommand';
  t.ok((await tool(groups, '--list')).split('\n').includes(group));
  const row = cells(await tool(groups, '--describe', '--group', group), new RegExp(`^${group} `));
  t.same(row.slice(1, 6), [topic, '0', '2', '3', '1'], 'partition, offset, end, lag');
  t.match(await tool(groups, '--describe', '--group', group, '--state'), /Empty/);
  const reset = ['--reset-offsets', '--group', group, '--topic', topic, '--to-offset', '1'];
  t.same(cells(await tool(groups, ...reset, '--execute'), new RegExp(`^${group} `)).at(3), '1');
  const after = await tool(groups, '--describe', '--group', group, '--offsets');
  t.same(cells(after, new RegExp(`^${group} `)).slice(3, 6), ['1', '3', '2']);
  t.match(
    await tool(groups, '--delete-offsets', '--group', group, '--topic', topic),
    /Request succeeded/,
  );
  t.match(await tool(groups, '--delete', '--group', group), /successful/);
  t.notOk((await tool(groups, '--list')).split('\n').includes(group));
});

t.test('offsets, log directories and deleted records', async (t) => {
  const topic = uniqueName('offsets');
  await tool('TopicCommand', '--create', '--topic', topic, '--partitions', '2');
  const words = ['--num-records', '2000', '--record-size', '500', '--throughput', '-1'];
  const load = await tool('ProducerPerformance', '--topic', topic, ...words);
  t.match(load, /2000 records sent/);
  const ends = async (...time: string[]) => {
    const text = await tool('GetOffsetShell', '--topic', topic, ...time);
    return text
      .trim()
      .split('\n')
      .map((line) => Number(line.split(':').at(2)));
  };
  const [first, second] = await ends();
  t.equal(first! + second!, 2000);
  const dirs = await tool('LogDirsCommand', '--describe', '--topic-list', topic);
  const told = JSON.parse(dirs.split('\n').find((line) => line.startsWith('{'))!);
  const sizes: number[] = told.brokers[0].logDirs[0].partitions.map(
    (one: { size: number }) => one.size,
  );
  t.equal(sizes.length, 2);
  t.ok(sizes[0]! + sizes[1]! > 1_000_000, `${sizes} bytes`);
  const file = join(home, 'delete.json');
  const partitions = [{ topic, partition: 0, offset: first }];
  await fse.writeJson(file, { version: 1, partitions });
  const deleted = await tool('DeleteRecordsCommand', '--offset-json-file', file);
  t.match(deleted, new RegExp(`partition: ${topic}-0\\s+low_watermark: ${first}`));
  t.same(await ends('--time', 'earliest'), [first, 0]);
});

t.test('kafka-configs alters, describes and takes back', async (t) => {
  const topic = uniqueName('configs');
  await tool('TopicCommand', '--create', '--topic', topic, '--partitions', '1');
  const entity = ['--entity-type', 'topics', '--entity-name', topic];
  const added = 'cleanup.policy=[compact,delete],segment.ms=60000';
  await tool('ConfigCommand', '--alter', ...entity, '--add-config', added);
  const described = await tool('ConfigCommand', '--describe', ...entity);
  t.match(described, /cleanup\.policy=compact,delete .*DYNAMIC_TOPIC_CONFIG/);
  t.match(described, /segment\.ms=60000 .*DYNAMIC_TOPIC_CONFIG/);
  await tool('ConfigCommand', '--alter', ...entity, '--delete-config', 'segment.ms');
  t.notMatch(await tool('ConfigCommand', '--describe', ...entity), 'segment.ms');
  const wrong = ['--alter', ...entity, '--add-config', 'segment.ms=soon'];
  t.match(await failing('ConfigCommand', ...wrong), /InvalidConfigurationException/);
  const client = ['--entity-type', 'clients', '--entity-name', 'someone'];
  await tool('ConfigCommand', '--alter', ...client, '--add-config', 'producer_byte_rate=1024');
  t.match(await tool('ConfigCommand', '--describe', ...client), /producer_byte_rate=1024/);
});

t.test('the cluster, its quorum and what it serves', async (t) => {
  const quorum = await tool('MetadataQuorumCommand', 'describe', '--status');
  t.match(quorum, /LeaderId:\s+\d+/);
  const cluster = await runJava(`${PACKAGE}.ClusterTool`, ['cluster-id', ...bootstrap]);
  t.match(cluster.out, /Cluster ID: \S{22}/);
  const served = await tool('BrokerApiVersionsCommand');
  t.match(served, /Produce\(0\): 0 to 13/);
  t.match(served, /Fetch\(1\): 4 to 18/);
  t.match(
    await tool('FeatureCommand', 'describe'),
    /transaction\.version.*FinalizedVersionLevel: 2/,
  );
});

t.test(
  'VerifiableProducer, VerifiableConsumer, and transactions while they are open',
  async (t) => {
    const topic = uniqueName('verifiable');
    await tool('TopicCommand', '--create', '--topic', topic, '--partitions', '1');
    const consumer = new JavaProcess(`${PACKAGE}.VerifiableConsumer`, [
      ...bootstrap,
      ...['--topic', topic, '--group-id', uniqueName('verifiers'), '--max-messages', '500'],
      ...['--reset-policy', 'earliest', '--verbose'],
    ]);
    const limits = ['--max-messages', '500', '--acks', '-1', '--topic', topic];
    const produced = await tool('VerifiableProducer', ...limits);
    const sent = linesOf(produced);
    t.match(
      sent.find(({ name }) => name === 'tool_data'),
      { sent: 500, acked: 500 },
    );
    t.equal(sent.filter(({ name }) => name === 'producer_send_success').length, 500);
    const consumed = linesOf((await consumer.ended()).out);
    const values = consumed.filter(({ name }) => name === 'record_data').map(({ value }) => value);
    t.same(
      values.map(Number).sort((a, b) => a - b),
      Array.from({ length: 500 }, (_, at) => at),
    );
    t.ok(consumed.some(({ name }) => name === 'offsets_committed'));
    t.ok(consumed.some(({ name }) => name === 'partitions_assigned'));

    const id = uniqueName('writer');
    const words = ['--topic', topic, '--num-records', '200', '--record-size', '50'];
    const transactional = ['--throughput', '-1', '--transactional-id', id];
    await tool('ProducerPerformance', ...words, ...transactional);
    const listed = await tool('TransactionsCommand', 'list');
    t.match(cells(listed, new RegExp(`^${id}\\b`)).at(-1), /^(CompleteCommit|PrepareCommit)$/);
    const described = await tool('TransactionsCommand', 'describe', '--transactional-id', id);
    t.match(described, /CompleteCommit|PrepareCommit/);
    const producers = ['describe-producers', '--topic', topic, '--partition', '0'];
    t.match(await tool('TransactionsCommand', ...producers), /\d+\s+\d+\s+/);
    t.match(await tool('TransactionsCommand', 'find-hanging', '--broker-id', '0'), /Topic/);
  },
);

interface VerifiableLine {
  readonly name: string;
  readonly value: string;
}

function linesOf(text: string): VerifiableLine[] {
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as VerifiableLine);
}

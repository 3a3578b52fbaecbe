/** The operators' commands as programs: what they print, and how they end. */

import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import { Kafka, logLevel } from 'kafkajs';
import t from 'tap';
import { Broker } from '../../broker/index.ts';
import { BATCH_HEADER_BYTES } from '../../protocol/record-batch.ts';
import { runIn } from './program.ts';

const home = await fse.mkdtemp(join(tmpdir(), 'tailrace-inspect-'));
t.setTimeout(120_000);
t.teardown(() => fse.remove(home));
const data = join(home, 'data');
const segment = join(data, 'orders-0', '00000000000000000000.log');

function run(...words: string[]) {
  return runIn(home, ...words);
}

async function json(...words: string[]): Promise<{ readonly [name: string]: unknown }[]> {
  const { code, out, err } = await run(...words, '--json');
  if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${err}`);
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

async function produce(): Promise<void> {
  const broker = await Broker.start({ dataDir: data });
  const kafka = new Kafka({ brokers: [broker.bootstrapServers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  const producer = kafka.producer();
  await Promise.all([admin.connect(), producer.connect()]);
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];
  await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 2, configEntries }] });
  for (let index = 0; index < 10; index++) {
    const value = index === 3 ? Buffer.from([0xff, 0x00]) : `value ${index}`;
    const message = { partition: 0, key: `key ${index}`, value, headers: { kind: 'test' } };
    await producer.send({ topic: 'orders', acks: -1, messages: [message] });
  }
  await admin.setOffsets({
    groupId: 'readers',
    topic: 'orders',
    partitions: [{ partition: 0, offset: '4' }],
  });
  await Promise.all([admin.disconnect(), producer.disconnect()]);
  await broker.stop();
}

await produce();

t.test('segments list and show', async (t) => {
  const { code, out } = await run('segments', 'list', '--data', data);
  t.equal(code, 0);
  const lines = out.trim().split('\n');
  t.match(lines[0], /^log +base +next +size/);
  t.match(
    lines.find((line) => line.startsWith('orders-0')),
    / 0 +10 .* \d+\/\d+ /,
  );
  t.notMatch(out, '\u001b', 'no colours where no terminal is');
  const [log] = await json('segments', 'show', 'orders-0', '--data', data);
  t.match(log, { topic: 'orders', partition: 0, recoveryPoint: 10, keptRatio: 1 });
  t.match(log!.segments, [{ batches: 10, records: 10, batchesByCodec: [10] }]);
  const byPath = await json('segments', 'show', join(data, 'orders-0'));
  t.match(byPath, [{ topic: 'orders', segments: [{ records: 10 }] }]);
});

t.test('segments dump', async (t) => {
  const between = ['--from', '2', '--to', '5'];
  const records = await json('segments', 'dump', 'orders', '--data', data, ...between);
  t.match(records, [
    { offset: 2, key: 'key 2', value: 'value 2', headers: [{ key: 'kind', value: 'test' }] },
    { offset: 3, key: 'key 3', value: { hex: 'ff00' } },
    { offset: 4, value: 'value 4' },
  ]);
  const text = await run('segments', 'dump', 'orders-0', '--data', data, '--limit', '4');
  const lines = text.out.trim().split('\n');
  t.equal(lines.length, 4);
  t.match(lines[3], /^orders-0 {2}3 {2}\S+ {2}"key 3" {2}0xff00 {2}kind="test"$/);
  const batches = await json('segments', 'dump', 'orders-0', '--data', data, '--batches');
  t.match(batches[9], { baseOffset: 9, lastOffset: 9, codec: 'none', recordCount: 1 });
  const offsets = await json('segments', 'dump', '__consumer_offsets', '--data', data);
  const meaning = { kind: 'offset', group: 'readers', topic: 'orders', value: { offset: 4 } };
  const committed = offsets.map((record) => record.meaning as { kind: string });
  t.match(
    committed.filter(({ kind }) => kind === 'offset'),
    [meaning],
  );
  const metadata = await run('segments', 'dump', '__cluster_metadata', '--data', data);
  t.match(metadata.out, '"kind":"TopicRecord","value":{"name":"orders"');
});

t.test('topics and the journal', async (t) => {
  const topics = await json('topics', 'list', '--data', data);
  const config = { 'cleanup.policy': 'compact' };
  const orders = topics.find(({ topic }) => topic === 'orders');
  t.match(orders, { partitions: 2, logs: 1, isKnown: true, config });
  const { out } = await run('topics', 'describe', 'orders', '--data', data);
  t.match(out, 'cleanup.policy=compact');
  t.match(await run('topics', 'describe', 'nothing', '--data', data), { code: 3 });
  const files = await json('journal', 'list', '--data', data);
  t.ok(files.length > 0);
  t.ok(
    files.every(({ use }) => use === undefined),
    'it is void after a clean stop',
  );
  t.match(await run('journal', 'verify', '--data', data), { code: 0, out: /sound/ });
});

t.test('segments verify, and its exit codes', async (t) => {
  const sound = await json('segments', 'verify', '--data', data);
  t.match(sound.at(-1), { kind: 'summary', damages: 0 });
  const whole = await readFile(segment);
  const file = await open(segment, 'r+');
  await file.write(Buffer.from([0xaa]), 0, 1, BATCH_HEADER_BYTES + 4);
  await file.close();
  const { code, out, err } = await run('segments', 'verify', 'orders', '--data', data);
  t.equal(code, 1);
  t.match(out, `damage: ${segment} at 0: wrong checksum`);
  t.match(err, /damage was found/);
  const dumped = await run('segments', 'dump', 'orders-0', '--data', data);
  t.equal(dumped.code, 1);
  t.match(dumped.err, `${segment} at 0: wrong checksum`);
  t.equal(dumped.out.trim().split('\n').length, 9, 'the others are there');
  await writeFile(segment, whole);
  t.equal((await run('segments', 'verify', '--data', data)).code, 0);
});

t.test('what is not there, and what cannot be', async (t) => {
  await fse.ensureDir(join(home, 'empty'));
  const cases: [words: string[], code: number, err: RegExp][] = [
    [['segments', 'list', '--data', join(home, 'none')], 3, /no folder/],
    [['segments', 'list', '--data', segment], 3, /not a folder/],
    [['segments', 'list', '--data', 'empty'], 3, /has no logs/],
    [['segments', 'show', 'nothing', '--data', data], 3, /no log of the name/],
    [['segments', 'show', './empty'], 3, /not the folder of a log/],
    [['segments', 'show', '--data', data], 2, /missing required argument/],
    [['segments', 'dump', 'orders', '--from', '-1'], 2, /whole number/],
    [['segments', 'vanish'], 2, /unknown command/],
  ];
  const ended = await Promise.all(cases.map(([words]) => run(...words)));
  for (const [index, [words, code, err]] of cases.entries()) {
    t.match(ended[index], { code, err }, words.join(' '));
  }
});

t.test('a file where the folder of a log should be is passed over', async (t) => {
  await rename(join(data, 'orders-0'), join(home, 'orders-0'));
  await writeFile(join(data, 'orders-0'), 'not a folder');
  const logs = await json('segments', 'list', '--data', data);
  t.notOk(logs.some(({ topic }) => topic === 'orders'));
  t.match(await json('segments', 'list', './orders-0'), [{ topic: 'orders', nextOffset: 10 }]);
});

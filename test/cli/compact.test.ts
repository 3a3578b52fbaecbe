/** `segments compact`, on a broker that runs and on a stopped one's folder. */

import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import { Kafka, logLevel } from 'kafkajs';
import t, { type Test } from 'tap';
import { Broker } from '../../broker/index.ts';
import { run } from './program.ts';

const home = await fse.mkdtemp(join(tmpdir(), 'tailrace-compact-'));
t.setTimeout(120_000);
t.teardown(() => fse.remove(home));
const data = join(home, 'data');
/** The broker's own rounds are not what is looked at. */
const config = { 'log.cleaner.backoff.ms': '3600000', 'log.segment.bytes': '1048576' };

const broker = await Broker.start({ dataDir: data, config });
t.teardown(() => broker.stop());
const kafka = new Kafka({ brokers: [broker.bootstrapServers], logLevel: logLevel.NOTHING });
const admin = kafka.admin();
const producer = kafka.producer();
await Promise.all([admin.connect(), producer.connect()]);
const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];
const compacted = ['running', 'stopped'].map((topic) => ({ topic, configEntries }));
await admin.createTopics({ topics: [...compacted, { topic: 'deleting' }] });
for (const topic of ['running', 'stopped', 'deleting']) {
  for (let round = 0; round < 30; round++) {
    const messages = Array.from({ length: 100 }, (_, index) => ({
      key: `key ${index}`,
      value: `${round} `.repeat(500),
    }));
    await producer.send({ topic, acks: -1, messages });
  }
}
await Promise.all([admin.disconnect(), producer.disconnect()]);

/** The newest value of each key, and how many records there are. */
async function stateOf(topic: string) {
  const { out } = await run('segments', 'dump', topic, '--data', data, '--json');
  const lines = out.trim().split('\n');
  const state = new Map<string, string>();
  for (const line of lines) {
    const { key, value } = JSON.parse(line);
    state.set(key, value.split(' ')[0]);
  }
  return { records: lines.length, state };
}

async function compact(...words: string[]) {
  const { out, err, code } = await run('segments', 'compact', '--data', data, '--json', ...words);
  return {
    code,
    err,
    lines:
      out === ''
        ? []
        : out
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line)),
  };
}

interface Cleaned {
  readonly backup: string;
  readonly before: number;
  readonly after: number;
}

async function checkKept(t: Test, { backup, before, after }: Cleaned): Promise<void> {
  t.ok(after < before / 2, `${before} bytes became ${after}`);
  const first = join(backup, '00000000000000000000.log');
  t.ok((await fse.stat(first)).size > 500_000, 'what was replaced is kept whole');
}

/** Of a stopped broker: the newest value of every key is there. */
async function checkState(t: Test, topic: string): Promise<void> {
  const { records, state } = await stateOf(topic);
  t.equal(state.size, 100);
  t.ok([...state.values()].every((value) => value === '29'));
  t.ok(records < 1000, `${records} of 3000 records are left`);
}

t.test('a broker that runs does it', async (t) => {
  const { code, lines, err } = await compact('running');
  t.equal(code, 0, err);
  t.match(lines, [{ topic: 'running', cleaned: true }]);
  await checkKept(t, lines[0]);
  const again = await compact('running');
  t.match(again, { code: 0, lines: [{ cleaned: false, reason: /clean already/ }] });
  const names = await readdir(join(data, '.tailrace-backups'));
  t.equal(names.length, 1, 'nothing is kept where nothing was replaced');
});

t.test('a topic that is not compacted is left alone', async (t) => {
  t.match(await compact('deleting'), { code: 1, err: /cleanup.policy is not compact/ });
});

t.test('a folder that was stopped cleanly is opened for it', async (t) => {
  await broker.stop();
  const backups = join(home, 'kept');
  const { code, lines, err } = await compact('stopped', '--backup', backups);
  t.equal(code, 0, err);
  t.match(lines, [{ topic: 'stopped', cleaned: true, backup: new RegExp(`^${backups}`) }]);
  await checkKept(t, lines[0]);
  await checkState(t, 'stopped');
  await checkState(t, 'running');
  t.match(await run('segments', 'verify', '--data', data), { code: 0, out: /sound/ });
  t.match(await compact('./stopped-0'), { code: 2 });
});

t.test('a folder that was not stopped cleanly is not touched', async (t) => {
  await fse.remove(join(data, '.kafka_cleanshutdown'));
  const before = await readdir(data);
  t.match(await compact('stopped'), { code: 4, err: /was not stopped cleanly/ });
  t.same(await readdir(data), before);
});

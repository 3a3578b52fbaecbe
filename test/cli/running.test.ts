/** The operators' commands on a broker that runs: it is asked over the socket in its folder. */

import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import { Kafka, logLevel } from 'kafkajs';
import t from 'tap';
import { Broker } from '../../broker/index.ts';
import { doorOf } from '../../broker/main.ts';
import type { DoorLine } from '../../broker/operator-door.ts';
import { run } from './program.ts';

const home = await fse.mkdtemp(join(tmpdir(), 'tailrace-running-'));
t.setTimeout(120_000);
t.teardown(() => fse.remove(home));
const data = join(home, 'data');
const socket = join(data, 'tailrace.sock');

await fse.ensureDir(data);
await writeFile(socket, 'left behind');
let broker = await Broker.start({ dataDir: data });
t.teardown(() => broker.stop());
const kafka = new Kafka({ brokers: [broker.bootstrapServers], logLevel: logLevel.NOTHING });
const admin = kafka.admin();
const producer = kafka.producer();
await Promise.all([admin.connect(), producer.connect()]);
await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 1 }] });
await producer.send({ topic: 'orders', acks: -1, messages: [{ key: 'a', value: 'b' }] });
await Promise.all([admin.disconnect(), producer.disconnect()]);

/** Sends bytes to the door; gives what came back until the door closed. */
function knock(bytes: string | Buffer, isLeaving = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = net.connect(doorOf(data)!);
    let text = '';
    client.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    client.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') reject(error);
    });
    client.on('close', () => resolve(text));
    client.write(bytes, () => {
      if (isLeaving) client.destroy();
    });
  });
}

function linesOf(text: string): DoorLine[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as DoorLine);
}

t.test('a broker tells what is only in its memory, and what waits', async (t) => {
  const { out, code, err } = await run('topics', 'describe', 'orders', '--data', data, '--json');
  t.equal(code, 0);
  t.equal(err, '');
  const live = { endOffset: 1, persistedOffset: 0, memoryChunks: 1, queuedBytes: 0 };
  t.match(JSON.parse(out), { topic: 'orders', logs: [{ partition: 0, segments: 0, live }] });
  const journal = await run('journal', 'list', '--data', data, '--json');
  const lines = journal.out.trim().split('\n');
  t.match(JSON.parse(lines.at(-1)!), { gauges: { queueBytes: 0, heldSources: 0 } });
  const verified = await run('segments', 'verify', '--data', data);
  t.match(verified, { code: 0, out: /sound/ });
});

t.test('whatever is asked, the broker goes on', async (t) => {
  t.match(linesOf(await knock('{"ask":"logs"}\n')).at(-1), { gauges: { failedLogs: 0 } });
  t.match(linesOf(await knock('{"ask":"everything"}\n')), [{ refused: /no question/ }]);
  t.match(linesOf(await knock('null\n')), [{ refused: /no question/ }]);
  t.match(linesOf(await knock(Buffer.from([0xff, 0, 0x0a]))), [{ refused: /no question/ }]);
  t.equal(await knock('x'.repeat(100_000)), '', 'a question without an end is not answered');
  await knock('{"ask":"logs"}\n', true);
  t.match(linesOf(await knock('{"ask":"logs"}\n')).at(-1), { gauges: { failedLogs: 0 } });
});

t.test('without the socket the files are read, and that is told', async (t) => {
  await rm(socket);
  const { out, code, err } = await run('topics', 'describe', 'orders', '--data', data, '--json');
  t.equal(code, 0);
  t.match(err, `a broker (process ${process.pid} on `);
  t.notMatch(JSON.parse(out), { logs: [{ live: {} }] });
});

t.test('the socket goes with the broker and comes with the next', async (t) => {
  await broker.stop();
  t.notOk(existsSync(socket));
  broker = await Broker.start({ dataDir: data });
  t.match(linesOf(await knock('{"ask":"logs"}\n')).at(-1), { gauges: {} });
});

t.test('a folder whose name no socket can have is served all the same', async (t) => {
  const long = join(home, 'x'.repeat(120));
  t.equal(doorOf(long), undefined);
  await using other = await Broker.start({ dataDir: long });
  t.notOk(existsSync(join(other.dataDir, 'tailrace.sock')));
});

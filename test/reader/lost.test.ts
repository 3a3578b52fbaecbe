/** Readers whose broker has lost what it gave, or whose topic has gone: nothing is doubled silently. */

import t from 'tap';
import {
  DeleteTopicsRequest,
  DeleteTopicsResponse,
} from '../../protocol/messages/delete-topics.ts';
import { type Reading, type ReadRecord, read } from '../../reader/index.ts';
import { until } from '../broker/harness.ts';
import { numberOf, Source } from './source.ts';

const CONFIG = { 'http.listeners': 'http://127.0.0.1:0', 'log.segment.delete.delay.ms': '20' };

async function take(reading: Reading<ReadRecord>, count: number): Promise<number[]> {
  const numbers: number[] = [];
  while (numbers.length < count) {
    const { done, value } = await reading.next();
    if (done === true) throw new Error(`the end after ${numbers.length} records`);
    numbers.push(numberOf(value));
  }
  return numbers;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

async function deleteTopic(source: Source): Promise<void> {
  const { responses } = await source.client.ask(DeleteTopicsRequest, DeleteTopicsResponse, 4, {
    topicNames: [source.topic],
    timeoutMs: 5000,
  });
  if (responses[0]!.errorCode !== 0) throw new Error('the topic was not deleted');
}

t.test('a power cut takes back what readers were given', async (t) => {
  const source = await Source.start(t, { config: CONFIG });
  for (let i = 0; i < 20; i++) await source.produce(10, 0, 1000);
  await source.persist();
  await source.produce(50);
  const options = { maxWaitMs: 50, patienceMs: 20_000 };
  const going = read(source.options({ ...options, reset: 'earliest' }));
  const strict = read(source.options(options));
  const behind = read(source.options({ ...options, maxBytes: 1000 }));
  for (const reading of [going, strict, behind]) t.teardown(() => reading.close());
  t.same(await take(going, 250), range(0, 250));
  t.same(await take(strict, 250), range(0, 250));
  t.same(await take(behind, 230), range(0, 230));
  const copy = await source.copyDisk();
  await source.produce(40);
  t.same(await take(going, 40), range(250, 290));
  t.same(await take(strict, 25), range(250, 275));
  const token = strict.token()!;
  t.ok(going.stats.fileBytes > going.stats.recordBytes, 'most came by location');
  await source.cutPower(copy);
  await source.produce(30);
  const { endOffset } = source.log();
  t.ok(endOffset > 100_000, 'no offset that was given out is used again');

  t.same(await take(going, 30), range(290, 320), 'what is new, and nothing twice');
  t.equal(going.stats.truncations, 1);
  t.match(going.stats, { resets: 0, records: 320 });

  // What was fetched before may still be given, then it ends.
  const rest: number[] = [];
  const all = async () => {
    for await (const record of strict) rest.push(numberOf(record));
  };
  await t.rejects(all(), { code: 'LOG_TRUNCATED', partition: 0, resumeAt: 250 });
  t.same(rest, range(275, 275 + rest.length));

  const again = read(source.options({ ...options, from: token, reset: 'earliest' }));
  t.teardown(() => again.close());
  t.same(await take(again, 30), range(290, 320), 'a token of before knows that it is too far');
  t.equal(again.stats.truncations, 1);
  await t.rejects(read(source.options({ ...options, from: token })).next(), {
    code: 'LOG_TRUNCATED',
    resumeAt: 250,
  });

  const left = await take(behind, 20);
  t.same(left, range(230, 250), 'who was not so far misses nothing');
  const { stats } = behind;
  const next = await take(behind, 1);
  t.ok(next[0] === 290 || (next[0] === 250 && stats.truncations === 0), `then comes ${next[0]}`);
});

t.test('a topic that is deleted under a reader', async (t) => {
  const source = await Source.start(t, { config: CONFIG });
  for (let i = 0; i < 20; i++) await source.produce(10, 0, 1000);
  await source.persist();
  for (const ways of [['file'], ['url'], []] as const) {
    const idle = read(source.options({ ways, maxWaitMs: 20_000 }));
    const busy = read(source.options({ ways, maxBytes: 5000, maxLocatedBytes: 5000 }));
    for (const reading of [idle, busy]) t.teardown(() => reading.close());
    t.same(await take(idle, 200), range(0, 200));
    t.same(await take(busy, 15), range(0, 15));
    const token = busy.token()!;
    const ended = t.rejects(idle.next(), { code: 'TOPIC_DELETED' });
    await until(() => source.broker.services.metrics.gauge('watchers_parked').read() > 0);
    await deleteTopic(source);
    await ended;
    const rest: number[] = [];
    const all = async () => {
      for await (const record of busy) rest.push(numberOf(record));
    };
    await t.rejects(all(), { code: 'TOPIC_DELETED' });
    t.same(rest, range(15, 15 + rest.length), 'what it had is given, in order');
    await source.createTopic(source.topic, 1, {});
    await t.rejects(read(source.options({ from: token })).next(), { code: 'TOPIC_DELETED' });
    t.equal((await read(source.options({ follow: false })).next()).done, true);
    source.forgetNumbers();
    for (let i = 0; i < 20; i++) await source.produce(10, 0, 1000);
    await source.persist();
  }
});

import http from 'node:http';
import { gzipSync } from 'node:zlib';
import type { Test } from 'tap';
import t from 'tap';
import { Codec } from '../../protocol/record-batch.ts';
import { controlBatch, MarkerType, type MarkerTypeNumber } from '../../protocol/records.ts';
import { type Answer, HttpWorld, numberIn, until } from './http-world.ts';

const LINES = { headers: { accept: 'application/x-ndjson' } };

function linesIn({ body }: Answer) {
  const texts = body.toString().split('\n');
  if (texts.pop() !== '') throw new Error('the last line does not end');
  return texts.map((text) => JSON.parse(text));
}

/** An answer that goes on, line by line. */
class Following {
  readonly lines: { offset: number; value: string; [name: string]: unknown }[] = [];
  readonly ended: Promise<void>;
  #rest = '';
  readonly response: http.IncomingMessage;

  constructor(response: http.IncomingMessage) {
    this.response = response;
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop()!;
      for (const line of lines) this.lines.push(JSON.parse(line));
    });
    this.ended = new Promise((resolve) => response.on('close', resolve));
  }

  static open(t: Test, world: HttpWorld, topic: string, query: string): Promise<Following> {
    const path = `/v1/topics/${topic}/partitions/0/slice?follow=true&${query}`;
    return new Promise((resolve, reject) => {
      const request = http.get({
        host: '127.0.0.1',
        port: world.port,
        path,
        agent: false,
        ...LINES,
      });
      request.on('error', reject);
      request.on('response', (response) => {
        response.on('error', () => undefined);
        resolve(new Following(response));
      });
      t.teardown(() => request.destroy());
    });
  }

  offsets(): number[] {
    return this.lines.map(({ offset }) => offset);
  }
}

t.test('records are lines of JSON, from memory and from segments', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  const odd = Buffer.from([0xff, 0x00, 0x80]);
  await world.produce(orders, [
    { key: 'a', value: 'first', timestamp: 1_700_000_000_123 },
    { key: odd, value: odd, headers: [{ key: 'h', value: Buffer.from('v') }] },
    {
      key: null,
      value: null,
      headers: [
        { key: 'ö', value: odd },
        { key: 'n', value: null },
      ],
    },
    { key: '', value: 'line\nbreak "and" quotes ☃' },
  ]);
  for (const place of ['memory', 'segments']) {
    if (place === 'segments') await orders.log.flush();
    const answer = await world.slice('orders', 'from=0', LINES);
    t.equal(answer.status, 200, place);
    t.equal(answer.headers['content-type'], 'application/x-ndjson');
    t.equal(numberIn(answer, 'next-offset'), 4);
    t.equal(numberIn(answer, 'high-watermark'), 4);
    const base64 = odd.toString('base64');
    t.same(linesIn(answer), [
      { offset: 0, timestamp: 1_700_000_000_123, key: 'a', value: 'first', headers: [] },
      {
        offset: 1,
        timestamp: 1_700_000_000_001,
        key: { base64 },
        value: { base64 },
        headers: [{ key: 'h', value: 'v' }],
      },
      {
        offset: 2,
        timestamp: 1_700_000_000_002,
        key: null,
        value: null,
        headers: [
          { key: 'ö', value: { base64 } },
          { key: 'n', value: null },
        ],
      },
      {
        offset: 3,
        timestamp: 1_700_000_000_003,
        key: '',
        value: 'line\nbreak "and" quotes ☃',
        headers: [],
      },
    ]);
  }
  const accept = { headers: { accept: 'text/html, application/x-ndjson;q=0.5' } };
  const middle = await world.slice('orders', 'from=2', accept);
  t.same(
    linesIn(middle).map(({ offset }) => offset),
    [2, 3],
    'from the record, not its batch',
  );
  t.equal((await world.slice('orders', 'from=4', LINES)).status, 204);
  const refused = { headers: { accept: 'application/x-ndjson;q=0' } };
  t.equal((await world.slice('orders', 'from=0', refused)).status, 307);
  t.equal(world.broker.services.memory.bytesOf('answers'), 0);
});

t.test('compressed records are shown as well, of damaged ones it is told', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  const compressed = (compress: (payload: Buffer) => Buffer) => ({
    compression: { codec: Codec.gzip, compress },
  });
  await world.produce(orders, ['v0', 'v1'], compressed(gzipSync));
  await world.produce(orders, ['v2']);
  // On this topic nobody looks into compressed records when they come.
  await world.produce(
    orders,
    ['lost'],
    compressed(() => Buffer.from('no gzip at all')),
  );
  await world.produce(orders, ['v4']);
  const whole = await world.slice('orders', 'from=1&max_bytes=1', LINES);
  t.same(
    linesIn(whole).map(({ value }) => value),
    ['v1'],
  );
  const answer = await world.slice('orders', 'from=0', LINES);
  const [last, ...rest] = linesIn(answer).reverse();
  t.same(rest.map(({ value }) => value).reverse(), ['v0', 'v1', 'v2'], 'what is before it');
  t.match(last, { error: 'CORRUPT_MESSAGE', nextOffset: 3 });
  t.ok(world.lines.some(({ text }) => text === 'lines ended early'));
});

t.test('read_committed leaves out what was aborted, and nobody sees markers', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  const of = (producerId: number, baseSequence: number) => ({
    baseOffset: 0,
    producerId,
    producerEpoch: 0,
    transactional: true,
    baseSequence,
  });
  const end = (producerId: number, type: MarkerTypeNumber) =>
    orders.appendOwnBatch(
      controlBatch({ type, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 5 }),
    );
  await world.produce(orders, ['p0']);
  await world.produce(orders, ['a1'], of(1, 0));
  await world.produce(orders, ['b2'], of(2, 0));
  await world.produce(orders, ['p3']);
  await end(1, MarkerType.abort);
  await end(2, MarkerType.commit);
  await world.produce(orders, ['a6'], of(1, 1));
  await end(1, MarkerType.commit);
  await world.produce(orders, ['p8']);
  const values = async (query: string) =>
    linesIn(await world.slice('orders', query, LINES)).map(({ value }) => value);
  for (const place of ['memory', 'segments']) {
    if (place === 'segments') await orders.log.flush();
    t.same(await values('from=0'), ['p0', 'a1', 'b2', 'p3', 'a6', 'p8'], place);
    t.same(await values('from=0&isolation=read_committed'), ['p0', 'b2', 'p3', 'a6', 'p8'], place);
    t.same(await values('from=2&isolation=read_committed'), ['b2', 'p3', 'a6', 'p8'], place);
    t.same(await values('from=5&isolation=read_committed'), ['a6', 'p8'], place);
  }
  const raw = await world.slice('orders', 'from=0&isolation=read_committed');
  t.equal(raw.headers['tailrace-aborted-transactions'], '1:1');
});

t.test('follow keeps sending what is produced, in order and each record once', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  await world.produce(orders, ['a', 'b']);
  await orders.log.flush();
  await world.produce(orders, ['c']);
  const all = await Following.open(t, world, 'orders', 'from=earliest');
  const latest = await Following.open(t, world, 'orders', 'from=latest');
  t.equal(latest.response.headers['tailrace-next-offset'], '3');
  await until(() => all.lines.length === 3);
  for (let i = 0; i < 50; i++) {
    await world.produce(orders, [`n${i}`]);
    if (i % 10 === 9) await orders.log.flush();
  }
  await until(() => all.lines.length === 53 && latest.lines.length === 50);
  t.same(
    all.offsets(),
    Array.from({ length: 53 }, (_, offset) => offset),
  );
  t.same(
    latest.offsets(),
    Array.from({ length: 50 }, (_, offset) => offset + 3),
  );
  const { watchers } = world.broker.services;
  await until(() => watchers.parked === 2);
  all.response.destroy();
  await until(() => watchers.parked === 1);
  await world.broker.services.topics.deleteAll([orders.topic]);
  await latest.ended;
  t.match(latest.lines.at(-1), { nextOffset: 53, error: 'UNKNOWN_TOPIC_OR_PARTITION' });
  t.equal(watchers.parked, 0);
});

t.test('a follower that does not read holds little, and then gets all', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  const value = 'x'.repeat(50_000);
  const count = 500;
  for (let i = 0; i < count / 10; i++) await world.produce(orders, Array(10).fill(value));
  const slow = await Following.open(t, world, 'orders', 'from=0');
  slow.response.pause();
  const { memory, metrics } = world.broker.services;
  await until(() => memory.bytesOf('answers') > 0);
  for (let i = 0; i < 20; i++) await world.slice('orders', 'from=latest');
  t.ok(memory.bytesOf('answers') < 2_000_000, `${memory.bytesOf('answers')} bytes`);
  t.ok(slow.lines.length < count);
  slow.response.resume();
  await until(() => slow.lines.length === count);
  t.same(
    slow.offsets(),
    Array.from({ length: count }, (_, offset) => offset),
  );
  await until(() => memory.bytesOf('answers') === 0);
  t.equal(metrics.counter('slice_requests_total', 'lines').read(), 1);
});

t.test('a broker that stops ends its followers with where to go on', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  await world.produce(orders, ['a']);
  const following = await Following.open(t, world, 'orders', 'from=0');
  await until(() => following.lines.length === 1 && world.broker.services.watchers.parked === 1);
  await world.broker.stop();
  await following.ended;
  t.same(following.lines.at(-1), { nextOffset: 1 });
});

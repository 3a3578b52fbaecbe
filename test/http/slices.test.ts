import net from 'node:net';
import t from 'tap';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { controlBatch, MarkerType, readRecords } from '../../protocol/records.ts';
import { type Answer, ask, HttpWorld, numberIn, until } from './http-world.ts';

/** Offsets of the records in a body of batches. */
function offsetsIn(body: Buffer): number[] {
  const offsets: number[] = [];
  for (let at = 0; at < body.length; at += readBatchHeader(body, at).sizeBytes) {
    for (const { offset } of readRecords(body, at)) offsets.push(offset);
  }
  return offsets;
}

function problemIn({ headers, body }: Answer): { error: string; status: number; detail: string } {
  if (headers['content-type'] !== 'application/problem+json') throw new Error('no problem');
  return JSON.parse(body.toString());
}

t.test('what is in memory is answered with the batches as they are stored', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  await world.produce(orders, ['a', 'b']);
  await world.produce(orders, ['c']);
  const answer = await world.slice('orders', 'from=1');
  t.equal(answer.status, 200);
  t.equal(answer.headers['content-type'], 'application/vnd.tailrace.record-batches');
  t.same(offsetsIn(answer.body), [0, 1, 2], 'whole batches');
  t.equal(numberIn(answer, 'next-offset'), 3);
  t.equal(numberIn(answer, 'high-watermark'), 3);
  t.equal(numberIn(answer, 'last-stable-offset'), 3);
  t.equal(numberIn(answer, 'log-start-offset'), 0);
  t.equal(answer.headers['tailrace-aborted-transactions'], undefined);
  const first = await world.slice('orders', 'from=earliest&max_bytes=1&isolation=read_committed');
  t.same(offsetsIn(first.body), [0, 1], 'the first batch also when it is larger');
  t.equal(numberIn(first, 'next-offset'), 2);
  t.equal(first.headers['tailrace-aborted-transactions'], '');
  t.equal(world.broker.services.memory.bytesOf('answers'), 0);
  t.equal(world.metric('slice_requests_total', 'records'), 2);
});

t.test('what is persisted is answered with where it lies, which leads to just that', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders', { 'file.delete.delay.ms': '90500' });
  for (const value of ['a', 'b', 'c', 'd']) await world.produce(orders, [value.repeat(100)]);
  await orders.log.flush();
  const all = await world.slice('orders', 'from=0');
  t.equal(all.status, 307);
  t.equal(all.body.length, 0);
  t.equal(all.headers['cache-control'], 'private, max-age=90, immutable');
  t.equal(numberIn(all, 'next-offset'), 4);
  const form = /^\/v1\/segments\/[\w-]{22}\/0\/0\/[0-9a-f]{16}\/0-\d+$/;
  t.match(all.headers.location, form);
  const bytes = await ask(world.port, all.headers.location!);
  t.equal(bytes.status, 200);
  t.same(offsetsIn(bytes.body), [0, 1, 2, 3]);
  const third = await world.slice('orders', 'from=2&max_bytes=1');
  t.equal(numberIn(third, 'next-offset'), 3);
  t.same(offsetsIn((await ask(world.port, third.headers.location!)).body), [2]);
  const url = `http://127.0.0.1:${world.port}/v1/topics/orders/partitions/0/slice?from=1`;
  const followed = await fetch(url);
  t.equal(followed.redirected, true);
  t.same(offsetsIn(Buffer.from(await followed.arrayBuffer())), [1, 2, 3]);

  const moving = await world.slice('orders', 'from=earliest');
  t.equal(moving.status, 307);
  t.equal(moving.headers['cache-control'], 'private, no-store');
  await world.produce(orders, ['e']);
  const behind = await world.slice('orders', 'from=4');
  t.equal(behind.status, 200, 'what is not persisted yet comes from memory');
  t.same(offsetsIn(behind.body), [4]);
  t.equal(world.metric('slice_requests_total', 'location'), 4);
});

t.test('locations can be switched off, and slices too', async (t) => {
  const plain = await HttpWorld.start(t, { 'slice.location.enable': 'false' });
  const orders = await plain.topic('orders');
  await plain.produce(orders, ['a']);
  await orders.log.flush();
  const answer = await plain.slice('orders', 'from=0');
  t.equal(answer.status, 200);
  t.same(offsetsIn(answer.body), [0], 'the broker reads the file');

  const none = await HttpWorld.start(t, { 'slice.http.enable': 'false' });
  await none.topic('orders');
  t.equal((await none.slice('orders', 'from=0')).status, 404);
  t.equal(
    (await ask(none.port, `/v1/segments/${'A'.repeat(22)}/0/0/${'0'.repeat(16)}/0-1`)).status,
    404,
  );
  t.equal((await ask(none.port, '/healthz')).status, 200);
  t.equal((await ask(none.port, '/metrics')).status, 200);
  t.equal(none.broker.services.locations.door, undefined);
});

t.test('what is not there yet is waited for', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  const { watchers } = world.broker.services;
  const waiting = world.slice('orders', 'from=0&timeout_ms=60000');
  await until(() => watchers.parked === 1);
  await world.produce(orders, ['a']);
  const answer = await waiting;
  t.equal(answer.status, 200);
  t.same(offsetsIn(answer.body), [0]);
  t.equal(watchers.parked, 0);

  const nothing = await world.slice('orders', 'from=latest&timeout_ms=30');
  t.equal(nothing.status, 204);
  t.equal(numberIn(nothing, 'next-offset'), 1);
  t.equal(numberIn(nothing, 'high-watermark'), 1);
  t.equal((await world.slice('orders', 'from=1')).status, 204, 'and not at all unless asked to');

  const some = await world.slice('orders', 'from=0&min_bytes=100000&timeout_ms=30');
  t.same(offsetsIn(some.body), [0], 'when the time is over, what there is');
  const more = world.slice('orders', 'from=0&min_bytes=300&timeout_ms=60000');
  await until(() => watchers.parked === 1);
  await world.produce(orders, ['b'.repeat(300)]);
  t.same(offsetsIn((await more).body), [0, 1]);
});

t.test('who goes is waited for no longer', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  const { watchers, memory } = world.broker.services;
  const leaving = new AbortController();
  const waits = [1, 2, 3].map(() =>
    world.slice('orders', 'from=0&timeout_ms=600000', { signal: leaving.signal }),
  );
  await until(() => watchers.parked === 3);
  leaving.abort();
  for (const wait of waits) await t.rejects(wait, { name: 'AbortError' });
  await until(() => watchers.parked === 0);
  await world.produce(orders, ['a']);
  t.equal(memory.bytesOf('answers'), 0);
  t.equal((await world.slice('orders', 'from=0')).status, 200);
});

t.test('a slice begins at a time', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  const start = Date.parse('2026-03-01T12:00:00Z');
  for (const minute of [0, 1, 2]) {
    await world.produce(orders, [{ value: `${minute}`, timestamp: start + minute * 60_000 }]);
  }
  const from = async (time: string) => {
    const answer = await world.slice('orders', `from=${time}&max_bytes=1`);
    return answer.status === 204 ? 'nothing' : offsetsIn(answer.body)[0];
  };
  t.equal(await from('2026-03-01'), 0);
  t.equal(await from('2026-03-01T12:00:00Z'), 0);
  t.equal(await from('2026-03-01T12:00:00.001Z'), 1);
  t.equal(await from('2026-03-01T13:01:30+01:00'), 2, 'also with a plus that was not escaped');
  t.equal(await from('2026-03-01T13:01:30%2B01:00'), 2);
  t.equal(await from('2027-01-01'), 'nothing');
  await orders.log.flush();
  const located = await world.slice('orders', 'from=2026-03-01T12:01:00Z');
  t.match(located.headers.location, /\/\d+-\d+$/);
  t.same(offsetsIn((await ask(world.port, located.headers.location!)).body), [1, 2]);
});

t.test('read_committed ends at the last stable offset and names what was aborted', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  const producer = { producerId: 77, producerEpoch: 0, transactional: true };
  await world.produce(orders, ['plain']);
  await world.produce(orders, ['open'], { ...producer, baseOffset: 0, baseSequence: 0 });
  await world.produce(orders, ['behind']);
  for (const place of ['memory', 'segments']) {
    if (place === 'segments') await orders.log.flush();
    const all = await world.slice('orders', 'from=0');
    t.equal(numberIn(all, 'next-offset'), 3, place);
    t.equal(numberIn(all, 'last-stable-offset'), 1);
    const committed = await world.slice('orders', 'from=0&isolation=read_committed');
    t.equal(committed.status, place === 'memory' ? 200 : 307);
    t.equal(numberIn(committed, 'next-offset'), 1, place);
    t.equal((await world.slice('orders', 'from=1&isolation=read_committed')).status, 204);
    const latest = await world.slice('orders', 'from=latest&isolation=read_committed');
    t.equal(numberIn(latest, 'next-offset'), 1);
  }
});

t.test('aborted transactions that no header takes are told over several slices', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  const { abort: type } = MarkerType;
  const count = 500;
  for (let producerId = 1; producerId <= count; producerId++) {
    const producer = { producerId, producerEpoch: 0, transactional: true, baseSequence: 0 };
    await world.produce(orders, ['x'], { ...producer, baseOffset: 0 });
    const marker = { type, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1 };
    await orders.appendOwnBatch(controlBatch(marker));
  }
  for (const place of ['memory', 'segments']) {
    if (place === 'segments') await orders.log.flush();
    const told = new Set<string>();
    let slices = 0;
    for (let next = 0; next < orders.log.endOffset; slices++) {
      const answer = await world.slice('orders', `from=${next}&isolation=read_committed`);
      t.equal(answer.status, place === 'memory' ? 200 : 307);
      const aborted = String(answer.headers['tailrace-aborted-transactions']).split(',');
      t.ok(aborted.length <= 200, `${aborted.length}`);
      for (const transaction of aborted) told.add(transaction);
      const after = numberIn(answer, 'next-offset');
      if (after <= next) throw new Error('it does not go on');
      next = after;
    }
    t.equal(told.size, count, place);
    t.ok(slices >= 3);
  }
});

t.test('too many connections are closed', async (t) => {
  const world = await HttpWorld.start(t, { 'http.max.connections': '2' });
  const open = [1, 2].map(() => net.connect(world.port, '127.0.0.1'));
  t.teardown(() => open.map((socket) => socket.destroy()));
  await Promise.all(open.map((socket) => new Promise((done) => socket.once('connect', done))));
  await t.rejects(ask(world.port, '/healthz'));
  for (const socket of open) socket.destroy();
  await until(() =>
    ask(world.port, '/healthz').then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
});

t.test('bad requests are refused, and it is said why', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  await world.produce(orders, ['a']);
  const cases: [string, number, string][] = [
    ['/v1/topics/nobody/partitions/0/slice?from=0', 404, 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['/v1/topics/orders/partitions/7/slice?from=0', 404, 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['/v1/topics/orders/partitions/99999999999/slice?from=0', 404, 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['/v1/topics/orders/partitions/-1/slice?from=0', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/x/slice?from=0', 400, 'INVALID_REQUEST'],
    ['/v1/topics/__cluster_metadata/partitions/0/slice?from=0', 404, 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['/v1/topics/a%20b/partitions/0/slice?from=0', 400, 'INVALID_TOPIC_EXCEPTION'],
    ['/v1/topics/..%2f..%2fetc/partitions/0/slice?from=0', 400, 'INVALID_TOPIC_EXCEPTION'],
    ['/v1/topics/%00/partitions/0/slice?from=0', 400, 'INVALID_TOPIC_EXCEPTION'],
    ['/v1/topics/%F0%9F%90%9F/partitions/0/slice?from=0', 400, 'INVALID_TOPIC_EXCEPTION'],
    [`/v1/topics/${'x'.repeat(250)}/partitions/0/slice?from=0`, 400, 'INVALID_TOPIC_EXCEPTION'],
    ['/v1/topics/%E0%A4%A/partitions/0/slice?from=0', 400, 'INVALID_REQUEST'],
    ['/v1/topics/constructor/partitions/0/slice?from=0', 404, 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['/v1/topics/orders/partitions/0/slice', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=-1', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=soon', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=2026-13-45', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=0&from=1', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=0&max=1', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=0&__proto__=1', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=0&min_bytes=-5', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=0&timeout_ms=1e3', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=0&isolation=serializable', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=0&follow=true', 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slice?from=2', 416, 'OFFSET_OUT_OF_RANGE'],
    ['/v1/topics/orders/partitions/0/slice?from=9007199254740993', 416, 'OFFSET_OUT_OF_RANGE'],
    [`/v1/topics/orders/partitions/0/slice?from=${'9'.repeat(30)}`, 416, 'OFFSET_OUT_OF_RANGE'],
    [`/v1/topics/orders/partitions/0/slice?from=${'9'.repeat(31)}`, 400, 'INVALID_REQUEST'],
    ['/v1/topics/orders/partitions/0/slices?from=0', 404, 'RESOURCE_NOT_FOUND'],
    ['/', 404, 'RESOURCE_NOT_FOUND'],
  ];
  for (const [path, status, error] of cases) {
    const answer = await ask(world.port, path);
    const problem = problemIn(answer);
    t.same([answer.status, problem.status, problem.error], [status, status, error], path);
    t.ok(problem.detail.length > 5, problem.detail);
  }
  const huge = await world.slice('orders', 'from=0&max_bytes=99999999999&timeout_ms=99999999999');
  t.equal(huge.status, 200, 'more than can be is as much as can be');
  await orders.log.deleteRecordsBefore(1);
  t.equal((await world.slice('orders', 'from=0')).status, 416);
  t.equal(
    (await ask(world.port, '/v1/topics/orders/partitions/0/slice', { method: 'POST' })).status,
    404,
  );
});

t.test('who may not read a topic is refused, as a Fetch is', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  await world.produce(orders, ['a']);
  await orders.log.flush();
  const { headers } = await world.slice('orders', 'from=0');
  const asked: string[] = [];
  Object.assign(world.broker.services, {
    authorizer: {
      mayRead: (_asker: unknown, topic: string) => {
        asked.push(topic);
        return false;
      },
    },
  });
  const refused = await world.slice('orders', 'from=0');
  t.equal(refused.status, 403);
  t.equal(problemIn(refused).error, 'TOPIC_AUTHORIZATION_FAILED');
  t.equal((await world.slice('hidden', 'from=0')).status, 403, 'not even whether it is there');
  t.equal((await ask(world.port, headers.location!)).status, 403);
  t.same(asked, ['orders', 'hidden', 'orders']);
});

t.test('a topic that goes ends its waits; the broker that stops does too', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  await world.topic('others');
  const { watchers, topics } = world.broker.services;
  const gone = world.slice('orders', 'from=0&timeout_ms=600000');
  const left = world.slice('others', 'from=0&timeout_ms=600000');
  await until(() => watchers.parked === 2);
  await topics.deleteAll([orders.topic]);
  t.equal((await gone).status, 404);
  const stopping = world.broker.stop();
  t.equal((await left).status, 204);
  await stopping;
});

t.test('who sends requests and takes no answers has a few of them, then none', async (t) => {
  const world = await HttpWorld.start(t);
  await world.topic('orders');
  const { watchers } = world.broker.services;
  const socket = net.connect(world.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  const ended = new Promise((resolve) => socket.on('close', resolve));
  socket.on('error', () => undefined);
  const path = '/v1/topics/orders/partitions/0/slice?from=0&timeout_ms=600000';
  const request = `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  socket.write(request.repeat(16));
  await until(() => watchers.parked === 16);
  socket.write(request.repeat(100));
  await ended;
  await until(() => watchers.parked === 0);

  const other = net.connect(world.port, '127.0.0.1');
  other.write(request.repeat(5));
  await until(() => watchers.parked === 5);
  other.destroy();
  await until(() => watchers.parked === 0);
});

t.test('the description names each route and its parameters', async (t) => {
  const world = await HttpWorld.start(t);
  const answer = await ask(world.port, '/v1/openapi.json');
  const { openapi, paths, components } = JSON.parse(answer.body.toString());
  t.equal(openapi, '3.1.0');
  t.same(Object.keys(paths).sort(), [
    '/healthz',
    '/metrics',
    '/readyz',
    '/v1/openapi.json',
    '/v1/segments/{topic}/{partition}/{base}/{generation}/{position}-{length}',
    '/v1/topics/{topic}/partitions/{partition}/slice',
  ]);
  const { get } = paths['/v1/topics/{topic}/partitions/{partition}/slice'];
  const named = get.parameters.map(({ name }: { name: string }) => name);
  for (const name of ['topic', 'partition', 'from', 'min_bytes', 'max_bytes', 'timeout_ms']) {
    t.ok(named.includes(name), name);
  }
  t.same(Object.keys(get.responses), ['200', '204', '307', '400', '403', '404', '416', '503']);
  t.ok(get.responses['307'].headers.Location);
  t.ok(components.schemas.Problem);
  for (const [path, item] of Object.entries<{ get: typeof get }>(paths)) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = item.get.parameters.filter((p: { in: string }) => p.in === 'path');
    t.same(
      declared.map(({ name }: { name: string }) => name),
      inPath,
      path,
    );
  }
});

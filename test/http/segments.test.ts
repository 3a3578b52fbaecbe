import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import type { Partition } from '../../broker/partition.ts';
import { type Answer, ask, HttpWorld, until } from './http-world.ts';

interface Place {
  readonly location: string;
  /** What the file has at the place. */
  readonly bytes: Buffer;
}

/** A topic of several segments, all persisted. */
async function filled(
  world: HttpWorld,
  name = 'orders',
  settings: Record<string, string> = {},
): Promise<Partition> {
  const orders = await world.topic(name, { 'segment.bytes': '1048576', ...settings });
  for (let i = 0; i < 8; i++) {
    await world.produce(orders, [{ value: randomBytes(400_000) }]);
    await orders.log.flush();
  }
  return orders;
}

async function locate(world: HttpWorld, partition: Partition, from: number): Promise<Place> {
  const answer = await world.slice(partition.topic.name, `from=${from}`);
  const location = answer.headers.location;
  if (location === undefined) throw new Error(`${from} is not located: ${answer.status}`);
  const [, position, length] = /(\d+)-(\d+)$/.exec(location)!.map(Number);
  const found = (await partition.log.locate(from, 1))!;
  const bytes = readFileSync(found.path).subarray(position!, position! + length!);
  return { location, bytes };
}

async function ownFolder(t: { teardown(end: () => unknown): void }): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'tailrace-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function errorIn({ body }: Answer): string {
  return JSON.parse(body.toString()).error;
}

t.test('a segment URL gives exactly its bytes', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await filled(world);
  for (const from of [0, 1, 4, 7]) {
    const { location, bytes } = await locate(world, orders, from);
    const answer = await ask(world.port, location);
    t.equal(answer.status, 200);
    t.ok(answer.body.equals(bytes), location);
    t.equal(answer.headers['content-length'], String(bytes.length));
    t.equal(answer.headers['accept-ranges'], 'bytes');
    t.equal(answer.headers['cache-control'], 'private, max-age=60, immutable');
  }
  t.equal(world.metric('segment_requests_total', 'bytes'), 4);
});

t.test('HEAD, ranges and tags', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await filled(world);
  const { location, bytes } = await locate(world, orders, 0);
  const get = (headers: Record<string, string>, method = 'GET') =>
    ask(world.port, location, { headers, method });
  const head = await get({}, 'HEAD');
  t.equal(head.status, 200);
  t.equal(head.headers['content-length'], String(bytes.length));
  t.equal(head.body.length, 0);
  const tag = head.headers.etag!;
  t.match(tag, /^"[0-9a-f]{16}-\d+-\d+"$/);
  t.equal((await get({ 'if-none-match': `"x", ${tag}` })).status, 304);
  t.equal((await get({ 'if-none-match': '"x"' })).status, 200);
  const n = bytes.length;
  for (const [range, first, end] of [
    ['bytes=0-0', 0, 1],
    ['bytes=10-99', 10, 100],
    ['bytes=10-', 10, n],
    ['bytes=-7', n - 7, n],
    [`bytes=-${n + 100}`, 0, n],
    [`bytes=${n - 1}-${n + 100}`, n - 1, n],
  ] as const) {
    const part = await get({ range });
    t.equal(part.status, 206, range);
    t.equal(part.headers['content-range'], `bytes ${first}-${end - 1}/${n}`);
    t.ok(part.body.equals(bytes.subarray(first, end)), range);
  }
  for (const range of ['bytes=5-1', 'lines=0-1', 'bytes=0-1,4-5', 'bytes=-', 'bytes=x']) {
    const whole = await get({ range });
    t.equal(whole.status, 200, range);
    t.equal(whole.body.length, n);
  }
  for (const range of [`bytes=${n}-`, `bytes=${n + 5}-${n + 9}`, 'bytes=-0']) {
    const none = await get({ range });
    t.equal(none.status, 416, range);
    t.equal(none.headers['content-range'], `bytes */${n}`);
  }
  t.equal((await get({ range: 'bytes=0-1', 'if-range': tag })).status, 206);
  t.equal((await get({ range: 'bytes=0-1', 'if-range': '"x"' })).status, 200);
});

t.test('a URL leads to that range of that file and to nothing else', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await filled(world);
  const { location, bytes } = await locate(world, orders, 0);
  const [, , , topic, partition, base, generation] = location.split('/');
  const other = (await locate(world, orders, 4)).location.split('/')[6];
  const size = (await orders.log.openLocated(0, generation!).then((file) => {
    file?.release();
    return file?.sizeBytes;
  }))!;
  t.ok(size >= bytes.length);
  const cases: [string, number, string][] = [
    [`${topic}/${partition}/${base}/${other}/0-10`, 410, 'SNAPSHOT_NOT_FOUND'],
    [`${topic}/${partition}/1/${generation}/0-10`, 410, 'SNAPSHOT_NOT_FOUND'],
    [`${topic}/1/${base}/${generation}/0-10`, 410, 'SNAPSHOT_NOT_FOUND'],
    [`${'A'.repeat(22)}/0/${base}/${generation}/0-10`, 410, 'SNAPSHOT_NOT_FOUND'],
    [`${topic}/0/${base}/${generation}/0-${size + 1}`, 416, 'POSITION_OUT_OF_RANGE'],
    [`${topic}/0/${base}/${generation}/${size}-1`, 416, 'POSITION_OUT_OF_RANGE'],
    [`${topic}/0/${base}/${generation}/0-99999999999999999999`, 416, 'POSITION_OUT_OF_RANGE'],
    [`${topic}/0/${base}/${generation}/0-0`, 400, 'INVALID_REQUEST'],
    [`${topic}/0/${base}/${generation}/-1-5`, 400, 'INVALID_REQUEST'],
    [`${topic}/0/${base}/${generation!.toUpperCase()}x/0-5`, 400, 'INVALID_REQUEST'],
    [`${topic}/0/..%2f..%2fmeta.properties/${generation}/0-5`, 400, 'INVALID_REQUEST'],
    [`..%2f..%2f..%2f..%2fetc/0/0/${generation}/0-5`, 400, 'INVALID_REQUEST'],
    [`${topic}/0/0/..%2f..%2fetc%2fpasswd/0-5`, 400, 'INVALID_REQUEST'],
    [`${topic}/0/0/${generation}/..%2f0-5`, 400, 'INVALID_REQUEST'],
    [`${topic}/0/0/${generation}/0-5%00`, 400, 'INVALID_REQUEST'],
    [`${topic}/0/0/${generation}/0`, 404, 'RESOURCE_NOT_FOUND'],
    [`${topic}/0/0/${generation}/`, 404, 'RESOURCE_NOT_FOUND'],
    [`../../meta.properties`, 404, 'RESOURCE_NOT_FOUND'],
  ];
  for (const [url, status, error] of cases) {
    const answer = await ask(world.port, `/v1/segments/${url}`);
    t.same([answer.status, errorIn(answer)], [status, error], url);
  }
  const whole = await ask(world.port, `/v1/segments/${topic}/0/0/${generation}/0-${size}`);
  t.equal(whole.body.length, size);
});

t.test('a link in the place of a file is not followed to another one', async (t) => {
  const dataDir = await ownFolder(t);
  const first = await HttpWorld.start(t, {}, dataDir);
  const orders = await filled(first);
  const { location } = await locate(first, orders, 0);
  const { path: file } = (await orders.log.locate(0, 1))!;
  await first.broker.stop();
  const secret = path.join(dataDir, 'meta.properties');
  await rm(file);
  await symlink(secret, file);
  const again = await HttpWorld.start(t, {}, dataDir);
  const answer = await ask(again.port, location);
  t.equal(answer.status, 410, 'another inode is another file');
  t.notMatch(answer.body.toString(), /cluster\.id/);
});

t.test('nothing above the persisted mark is given', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  await world.produce(orders, ['a'.repeat(100)]);
  await orders.log.flush();
  const { location, bytes } = await locate(world, orders, 0);
  await world.produce(orders, ['b'.repeat(100)]);
  const beyond = location.replace(/\d+$/, String(bytes.length + 1));
  t.equal((await ask(world.port, beyond)).status, 416);
  await orders.log.flush();
  t.equal((await ask(world.port, beyond)).status, 200, 'once it is persisted, it is');
});

t.test('after deletion the bytes stay for file.delete.delay.ms, then they are gone', async (t) => {
  const world = await HttpWorld.start(t);
  for (const how of ['records', 'topic'] as const) {
    const orders = await filled(world, how, { 'file.delete.delay.ms': '1500' });
    const { location, bytes } = await locate(world, orders, 0);
    if (how === 'records') await orders.log.deleteRecordsBefore(6);
    else await world.broker.services.topics.deleteAll([orders.topic]);
    const deletedMs = performance.now();
    const slice = await world.slice(how, 'from=0');
    t.equal(slice.status, how === 'records' ? 416 : 404, 'it is announced at once');
    t.ok((await ask(world.port, location)).body.equals(bytes), `${how}: still there`);
    await until(async () => (await ask(world.port, location)).status === 410);
    t.ok(performance.now() - deletedMs > 1400, `${how}: not before its time`);
  }
  t.ok(world.metric('segment_requests_total', 'gone') > 0);
});

t.test('generations outlive a restart', async (t) => {
  const dataDir = await ownFolder(t);
  const first = await HttpWorld.start(t, {}, dataDir);
  const orders = await filled(first);
  const kept = await locate(first, orders, 7);
  const left = await locate(first, orders, 0);
  await orders.log.deleteRecordsBefore(5);
  t.equal((await ask(first.port, left.location)).status, 200);
  await first.broker.stop();
  const second = await HttpWorld.start(t, {}, dataDir);
  t.ok((await ask(second.port, kept.location)).body.equals(kept.bytes));
  t.equal((await ask(second.port, left.location)).status, 410, 'those that have left do not');
});

t.test('a slow reader holds two buffers and gets all of it', async (t) => {
  const world = await HttpWorld.start(t, { 'tail.chunk.bytes': '4194304' });
  const orders = await world.topic('orders');
  const { memory } = world.broker.services;
  for (let i = 0; i < 16; i++) await world.produce(orders, [{ value: randomBytes(900_000) }]);
  await orders.log.flush();
  const { location, bytes } = await locate(world, orders, 0);
  t.ok(bytes.length > 14_000_000);
  const socket = net.connect(world.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.pause();
  socket.write(`GET ${location} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  await until(() => memory.bytesOf('answers') > 0);
  const { metrics } = world.broker.services;
  const sent = () => metrics.counter('segment_bytes_total').read();
  await until(() => sent() > 0);
  t.equal(memory.bytesOf('answers'), 2 * 512 * 1024);
  // Others are answered meanwhile, so the sender has had its turns.
  for (let i = 0; i < 20; i++) await ask(world.port, '/healthz');
  t.ok(sent() < bytes.length, 'it is not read ahead of its reader');
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  socket.resume();
  await new Promise((resolve) => socket.on('close', resolve));
  const all = Buffer.concat(parts);
  const body = all.subarray(all.indexOf('\r\n\r\n') + 4);
  const hash = (of: Buffer) => createHash('sha1').update(of).digest('hex');
  t.equal(hash(body), hash(bytes));
  await until(() => memory.bytesOf('answers') === 0);
});

t.test('who takes nothing of his answer is let go', async (t) => {
  const world = await HttpWorld.start(t, {
    'connections.max.idle.ms': '300',
    'slice.location.enable': 'false',
  });
  const orders = await world.topic('orders');
  for (let i = 0; i < 16; i++) await world.produce(orders, [{ value: randomBytes(900_000) }]);
  const { memory, locations } = world.broker.services;
  const stall = async (path: string) => {
    const socket = net.connect(world.port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.pause();
    const accept = path.includes('follow') ? 'Accept: application/x-ndjson\r\n' : '';
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${accept}\r\n`);
    await until(() => memory.bytesOf('answers') > 0);
    await until(() => memory.bytesOf('answers') === 0);
  };
  const slice = '/v1/topics/orders/partitions/0/slice?from=0';
  await stall(`${slice}&max_bytes=50000000`);
  await stall(`${slice}&follow=true`);
  await orders.log.flush();
  const location = (await orders.log.locate(0, 2 ** 30))!;
  await stall(locations.redirect(orders.log, location));
  const waiting = world.slice('orders', 'from=latest&timeout_ms=900');
  t.equal((await waiting).status, 204, 'who waits is not meant');
});

t.test('who breaks off leaves nothing behind', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders', { 'file.delete.delay.ms': '0' });
  for (let i = 0; i < 12; i++) await world.produce(orders, [{ value: randomBytes(900_000) }]);
  await orders.log.flush();
  const { location } = await locate(world, orders, 0);
  const { memory } = world.broker.services;
  for (let i = 0; i < 4; i++) {
    const socket = net.connect(world.port, '127.0.0.1');
    socket.pause();
    socket.write(`GET ${location} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await until(() => memory.bytesOf('answers') > 0);
    socket.destroy();
    await until(() => memory.bytesOf('answers') === 0);
  }
  t.equal((await ask(world.port, location)).status, 200);
});

/**
 * Files handed out by a static server, as `slice.location.base.url` says: @fastify/static serves the
 * folder `located` and knows nothing of Tailrace.
 */

import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import fastifyStatic from '@fastify/static';
import Fastify from 'fastify';
import type { Test } from 'tap';
import t from 'tap';
import type { Partition } from '../../broker/partition.ts';
import { HttpWorld, until } from './http-world.ts';

interface StaticServer {
  readonly url: string;
  /** Requests that were answered. */
  readonly served: string[];
}

/** `setsRange`: as the lines for nginx in docs/locations.md do it. */
async function serveStatically(
  t: Test,
  dataDir: string,
  setsRange: boolean,
): Promise<StaticServer> {
  const app = Fastify({ forceCloseConnections: true });
  const served: string[] = [];
  app.addHook('onRequest', async (request) => {
    served.push(request.url);
    const { bytes } = request.query as { bytes?: string };
    if (setsRange && bytes !== undefined && /^\d+-\d+$/.test(bytes)) {
      request.headers.range = `bytes=${bytes}`;
    }
  });
  await app.register(fastifyStatic, { root: path.join(dataDir, 'located'), prefix: '/files/' });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/files`, served };
}

/** A broker whose located files are another server's to hand out. */
async function worldWith(t: Test, setsRange: boolean) {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'tailrace-test-'));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const server = await serveStatically(t, dataDir, setsRange);
  const world = await HttpWorld.start(t, { 'slice.location.base.url': `${server.url}/` }, dataDir);
  return { world, server, dataDir };
}

async function filled(world: HttpWorld, settings: Record<string, string> = {}): Promise<Partition> {
  const orders = await world.topic('orders', { 'segment.bytes': '1048576', ...settings });
  for (let i = 0; i < 8; i++) {
    await world.produce(orders, [{ value: randomBytes(400_000) }]);
    await orders.log.flush();
  }
  return orders;
}

/** What the file of a location has. */
async function storedBytes(orders: Partition, from: number): Promise<Buffer> {
  const { path: file, position, length } = (await orders.log.locate(from, 64 * 1024 * 1024))!;
  return readFileSync(file).subarray(position, position + length);
}

async function locationOf(world: HttpWorld, from: number): Promise<string> {
  const { status, headers } = await world.slice('orders', `from=${from}`);
  if (status !== 307) throw new Error(`${from}: ${status}`);
  return headers.location!;
}

t.test('a client that sends the range gets just the bytes from any static server', async (t) => {
  const { world, server } = await worldWith(t, false);
  const orders = await filled(world);
  for (const from of [0, 1, 5]) {
    const location = await locationOf(world, from);
    t.ok(location.startsWith(`${server.url}/${orders.topic.id}/0/`), location);
    const bytes = new URL(location).searchParams.get('bytes');
    const answer = await fetch(location, { headers: { range: `bytes=${bytes}` } });
    t.equal(answer.status, 206);
    t.ok(Buffer.from(await answer.arrayBuffer()).equals(await storedBytes(orders, from)));
  }
  t.equal(server.served.length, 3);
  t.equal(world.metric('segment_requests_total', 'bytes'), 0, 'the broker sent nothing of it');
});

t.test('a server that takes the range from the URL serves any client', async (t) => {
  const { world } = await worldWith(t, true);
  const orders = await filled(world);
  const url = `http://127.0.0.1:${world.port}/v1/topics/orders/partitions/0/slice?from=1`;
  const answer = await fetch(url);
  t.ok(answer.redirected);
  t.ok(Buffer.from(await answer.arrayBuffer()).equals(await storedBytes(orders, 1)));
});

t.test(
  'a name leads to its file as long as the generation is there, then to nothing',
  async (t) => {
    const { world, server, dataDir } = await worldWith(t, true);
    const orders = await filled(world, { 'file.delete.delay.ms': '1000' });
    const location = await locationOf(world, 0);
    const expected = await storedBytes(orders, 0);
    const body = async () => Buffer.from(await (await fetch(location)).arrayBuffer());
    t.ok((await body()).equals(expected));
    await orders.log.deleteRecordsBefore(6);
    t.ok((await body()).equals(expected), 'it is still there');
    await until(async () => (await fetch(location)).status === 404);
    const { pathname } = new URL(location);
    t.notOk(existsSync(path.join(dataDir, 'located', pathname.replace('/files/', ''))));
    for (const name of ['../meta.properties', '..%2fmeta.properties', '../orders-0/']) {
      t.equal((await fetch(`${server.url}/${name}`)).status, 404, name);
    }
  },
);

t.test('the Kafka door tells the same URL', async (t) => {
  const { world } = await worldWith(t, true);
  const orders = await filled(world);
  const { locations } = world.broker.services;
  const location = (await orders.log.locate(0, 64 * 1024 * 1024))!;
  t.equal(locations.url(orders.log, location, 'broker.test'), await locationOf(world, 0));
  const unlinked = { ...location, isLinked: false };
  const own = locations.url(orders.log, unlinked, 'broker.test');
  t.ok(own?.startsWith(`http://127.0.0.1:${world.port}/v1/segments/`), String(own));
});

import t from 'tap';
import { CLOSE_CONNECTION, NO_RESPONSE, Staged } from '../../broker/api.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { deferred, heartbeatBytes, settle, startServer, until } from './harness.ts';

const OK = { errorCode: ErrorCode.NONE };

/** Handlers that wait until the test ends them by name. */
function heldHandlers() {
  const started: string[] = [];
  const held = new Map<string, ReturnType<typeof deferred<typeof OK>>>();
  return {
    started,
    held,
    finish: (name: string) => held.get(name)?.resolve(OK),
    handle: (_context: unknown, name: string) => {
      started.push(name);
      const wait = deferred<typeof OK>();
      held.set(name, wait);
      return wait.promise;
    },
  };
}

t.test('answers leave in the order of the requests, whatever is done first', async (t) => {
  const fake = heldHandlers();
  const { connect, server } = await startServer(fake.handle);
  const client = connect();
  for (let i = 1; i <= 4; i++) client.heartbeat(i, `r${i}`);
  await until(() => fake.started.length === 4);
  t.same(fake.started, ['r1', 'r2', 'r3', 'r4']);
  for (const name of ['r4', 'r2', 'r3']) fake.finish(name);
  await settle();
  t.same(client.correlationIds, [], 'nothing leaves before the first');
  fake.finish('r1');
  await until(() => client.frames.length === 4);
  t.same(client.correlationIds, [1, 2, 3, 4]);
  await server.stop(1000);
});

t.test('all answers of one turn leave in one write', async (t) => {
  const fake = heldHandlers();
  const { connect, server } = await startServer(fake.handle, { network: { chunkBytes: 1e6 } });
  const client = connect();
  const names = Array.from({ length: 20 }, (_, i) => `r${i}`);
  client.send(names.map((name, i) => heartbeatBytes(i, name)));
  await until(() => fake.started.length === 20);
  let writes = 0;
  const peer = (client.transport as unknown as { peer: { write: (...a: never[]) => boolean } })
    .peer;
  const write = peer.write;
  peer.write = function (...args) {
    writes += 1;
    return write.apply(this, args);
  };
  for (const name of names) fake.finish(name);
  await until(() => client.frames.length === 20);
  t.equal(writes, 1);
  await server.stop(1000);
});

t.test('the next request starts when the one before has fixed its order', async (t) => {
  const started: string[] = [];
  const ordered = deferred<void>();
  const { connect, server } = await startServer((_context, name) => {
    started.push(name);
    if (name === 'held') return new Staged(ordered.promise, Promise.resolve(OK));
    return OK;
  });
  const client = connect();
  client.heartbeat(1, 'first');
  client.heartbeat(2, 'held');
  client.heartbeat(3, 'last');
  await until(() => client.frames.length === 2);
  await settle();
  t.same(started, ['first', 'held'], 'an answer does not make up for the order');
  ordered.resolve();
  await until(() => client.frames.length === 3);
  t.same(started, ['first', 'held', 'last']);
  await server.stop(1000);
});

t.test('no more requests are in flight than the limit says', async (t) => {
  const fake = heldHandlers();
  const { connect, server } = await startServer(fake.handle, {
    settings: { 'max.inflight.requests.per.connection': '3' },
  });
  const client = connect();
  for (let i = 1; i <= 5; i++) client.heartbeat(i, `r${i}`);
  await until(() => fake.started.length === 3);
  await settle();
  t.equal(fake.started.length, 3);
  fake.finish('r2');
  await settle();
  t.equal(fake.started.length, 3, 'an answer that cannot leave yet is still in flight');
  fake.finish('r1');
  await until(() => fake.started.length === 5);
  for (const name of ['r3', 'r4', 'r5']) fake.finish(name);
  await until(() => client.frames.length === 5);
  await server.stop(1000);
});

t.test('of an API that is served one at a time, the second waits for the first', async (t) => {
  const fake = heldHandlers();
  const { connect, server } = await startServer(fake.handle);
  const client = connect();
  client.leave(1, 'a');
  client.heartbeat(2, 'between');
  client.leave(3, 'b');
  client.heartbeat(4, 'behind');
  await until(() => fake.started.length === 2);
  await settle();
  t.same(fake.started, ['a', 'between']);
  fake.finish('a');
  await until(() => fake.started.length === 4);
  t.same(fake.started, ['a', 'between', 'b', 'behind']);
  for (const name of ['between', 'b', 'behind']) fake.finish(name);
  await until(() => client.frames.length === 4);
  t.same(client.correlationIds, [1, 2, 3, 4]);
  await server.stop(1000);
});

t.test('requests are whole however the bytes are cut', async (t) => {
  for (const chunkBytes of [2, 7, 100]) {
    const { connect, server } = await startServer(() => OK, { network: { chunkBytes } });
    const client = connect();
    for (let i = 0; i < 30; i++) client.heartbeat(i, 'x'.repeat(i * 7));
    await until(() => client.frames.length === 30);
    t.same(
      client.correlationIds,
      Array.from({ length: 30 }, (_, i) => i),
      `chunks up to ${chunkBytes} bytes`,
    );
    await server.stop(1000);
  }
});

t.test('a close is seen while a request waits, and what it held is dropped', async (t) => {
  const dropped: string[] = [];
  const wait = deferred<typeof OK>();
  const { connect, server, memory } = await startServer((context, name) => {
    context.connection.onClose(() => dropped.push(name));
    const takenBack = context.connection.onClose(() => dropped.push('taken back'));
    takenBack();
    return wait.promise;
  });
  const client = connect();
  client.heartbeat(1, 'parked');
  await until(() => memory.bytesOf('frames') > 0);
  client.transport.destroy();
  await until(() => dropped.length > 0);
  t.same(dropped, ['parked']);
  wait.resolve(OK);
  await until(() => memory.usedBytes === 0);
  t.equal(memory.bytesOf('frames'), 0, 'the frame is given back when its handler is done');
  await server.stop(1000);
});

t.test('what waits behind a request that cannot start is not read', async (t) => {
  const ordered = deferred<void>();
  const { connect, server, metrics } = await startServer(
    () => new Staged(ordered.promise, Promise.resolve(OK)),
    { network: { windowBytes: 1000, chunkBytes: 1000 } },
  );
  const client = connect();
  for (let i = 0; i < 100; i++) client.heartbeat(i, 'x'.repeat(480));
  await settle();
  const read = metrics.counter('network_bytes_in_total').read();
  t.ok(read > 0 && read < 3000, `read ${read} of about 50 000 bytes`);
  ordered.resolve();
  await until(() => client.frames.length === 100);
  await server.stop(1000);
});

t.test('a peer that takes no answers is not served further', async (t) => {
  let started = 0;
  let released = 0;
  const { connect, server, metrics, memory } = await startServer(
    (context) => {
      started += 1;
      context.onSent(() => {
        released += 1;
      });
      return OK;
    },
    { network: { windowBytes: 64, chunkBytes: 64 } },
  );
  const client = connect();
  client.transport.pause();
  for (let i = 0; i < 200; i++) client.heartbeat(i, '');
  await settle();
  const startedWhileDeaf = started;
  t.ok(startedWhileDeaf < 60, `${startedWhileDeaf} of 200 were started`);
  t.ok(released < startedWhileDeaf, 'the answers are still held');
  t.equal(metrics.gauge('connections_not_taking_answers').read(), 1);
  t.ok(memory.bytesOf('answers') > 0);
  client.transport.resume();
  await until(() => client.frames.length === 200);
  await until(() => released === 200);
  t.equal(memory.usedBytes, 0);
  t.equal(metrics.gauge('connections_not_taking_answers').read(), 0);
  await server.stop(1000);
});

t.test('shared buffers go back once: when they left, or when the peer went', async (t) => {
  const released = new Map<string, number>();
  const wait = deferred<typeof OK>();
  const { connect, server, memory, metrics } = await startServer((context, name) => {
    context.onSent(() => released.set(name, (released.get(name) ?? 0) + 1));
    return name === 'late' ? wait.promise : OK;
  });
  const client = connect();
  client.heartbeat(1, 'early');
  await until(() => released.get('early') === 1);
  client.heartbeat(2, 'late');
  client.heartbeat(3, 'behind');
  await until(() => memory.bytesOf('answers') > 0);
  client.transport.destroy();
  await until(() => released.get('behind') === 1);
  t.equal(released.get('late'), undefined, 'its handler is not done with them');
  wait.resolve(OK);
  await until(() => released.get('late') === 1);
  await settle();
  t.same([...released.values()], [1, 1, 1]);
  t.equal(memory.usedBytes, 0);
  t.equal(metrics.gauge('connections').read(), 0);
  await server.stop(1000);
});

t.test('a request without an answer leaves a place that nobody waits for', async (t) => {
  const { connect, server } = await startServer((_context, name) =>
    name === 'silent' ? NO_RESPONSE : OK,
  );
  const client = connect();
  client.heartbeat(1, 'silent');
  client.heartbeat(2, 'loud');
  client.heartbeat(3, 'silent');
  client.heartbeat(4, 'loud');
  await until(() => client.frames.length === 2);
  t.same(client.correlationIds, [2, 4]);
  await server.stop(1000);
});

t.test('a handler may have the connection closed; earlier answers still leave', async (t) => {
  const first = deferred<typeof OK>();
  const { connect, server, metrics, memory } = await startServer((_context, name) => {
    if (name === 'first') return first.promise;
    return name === 'bad' ? CLOSE_CONNECTION : OK;
  });
  const client = connect();
  client.heartbeat(1, 'first');
  client.heartbeat(2, 'bad');
  client.heartbeat(3, 'behind');
  await settle();
  t.notOk(client.closed);
  first.resolve(OK);
  await until(() => client.closed);
  t.same(client.correlationIds, [1]);
  t.equal(metrics.counter('connections_closed_total', 'refused').read(), 1);
  t.equal(memory.usedBytes, 0);
  await server.stop(1000);
});

t.test('a stop lets what is in flight be answered and starts nothing more', async (t) => {
  const fake = heldHandlers();
  const { connect, server, network, port, memory } = await startServer(fake.handle);
  const client = connect();
  client.heartbeat(1, 'a');
  await until(() => fake.started.length === 1);
  const idle = connect();
  const stopped = server.stop(10_000);
  await until(() => idle.closed);
  t.throws(() => network.connect(port), { code: 'ECONNREFUSED' });
  client.heartbeat(2, 'b');
  await settle();
  t.notOk(client.closed);
  fake.finish('a');
  await stopped;
  await until(() => client.closed);
  t.same(client.correlationIds, [1]);
  t.same(fake.started, ['a']);
  t.equal(memory.usedBytes, 0);
});

t.test('a stop does not wait for ever', async (t) => {
  const fake = heldHandlers();
  const { connect, server } = await startServer(fake.handle);
  const client = connect();
  client.heartbeat(1, 'never');
  await until(() => fake.started.length === 1);
  let stopped = false;
  const stopping = server.stop(20).then(() => {
    stopped = true;
  });
  await until(() => stopped && client.closed);
  await stopping;
  t.same(client.frames, []);
});

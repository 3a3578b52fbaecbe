import t from 'tap';
import { NO_RESPONSE } from '../../broker/api.ts';
import { parseAddressLimits } from '../../broker/config/address-limits.ts';
import { Config } from '../../broker/config.ts';
import { systemClock } from '../../broker/main.ts';
import { FRAME_FLOOR_BYTES } from '../../broker/memory-budget.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { FRAME_SIZE_BYTES } from '../../protocol/frame.ts';
import { deferred, heartbeatBytes, type LogLine, settle, startServer, until } from './harness.ts';

const OK = { errorCode: ErrorCode.NONE };
const MINUTE_MS = 60_000;

function refusals(lines: readonly LogLine[]): number {
  return lines.filter((line) => line.text === 'connection refused').length;
}

t.test('connections above max.connections are refused, and room comes back', async (t) => {
  const { connect, server, metrics, lines } = await startServer(() => OK, {
    settings: { 'max.connections': '2' },
  });
  const first = connect('10.0.0.1');
  const second = connect('10.0.0.2');
  first.heartbeat(1, 'x');
  second.heartbeat(1, 'x');
  await until(() => first.frames.length + second.frames.length === 2);
  const third = connect('10.0.0.3');
  await until(() => third.closed);
  t.equal(metrics.counter('connections_refused_total', 'max.connections').read(), 1);
  t.equal(refusals(lines), 1);
  first.transport.destroy();
  await until(() => metrics.gauge('connections').read() === 1);
  const fourth = connect('10.0.0.3');
  fourth.heartbeat(1, 'x');
  await until(() => fourth.frames.length === 1);
  await server.stop(1000);
});

t.test('connections leave descriptors for files', async (t) => {
  const { connect, server, metrics } = await startServer(() => OK, { mostConnections: 1 });
  const [first, second] = [connect(), connect()];
  await until(() => second.closed);
  t.equal(metrics.counter('connections_refused_total', 'descriptors').read(), 1);
  first.heartbeat(1, 'x');
  await until(() => first.frames.length === 1);
  await server.stop(1000);
});

t.test('connections above max.connections.per.ip are refused for that address alone', async (t) => {
  const { connect, server, metrics } = await startServer(() => OK, {
    settings: { 'max.connections.per.ip': '1' },
  });
  const first = connect('10.0.0.1');
  const again = connect('10.0.0.1');
  const other = connect('10.0.0.2');
  await until(() => again.closed);
  for (const client of [first, other]) {
    client.heartbeat(1, 'x');
    await until(() => client.frames.length === 1);
  }
  t.equal(metrics.counter('connections_refused_total', 'max.connections.per.ip').read(), 1);
  first.transport.destroy();
  await until(() => metrics.gauge('connections').read() === 1);
  const later = connect('10.0.0.1');
  later.heartbeat(1, 'x');
  await until(() => later.frames.length === 1);
  await server.stop(1000);
});

t.test('single addresses may have more or fewer connections than others', async (t) => {
  const { connect, server, metrics } = await startServer(() => OK, {
    settings: {
      'max.connections.per.ip': '1',
      'max.connections.per.ip.overrides': '10.0.0.1:2, 10.0.0.3:0',
    },
  });
  const allowed = [connect('10.0.0.1'), connect('10.0.0.1'), connect('10.0.0.2')];
  const refused = [connect('10.0.0.1'), connect('10.0.0.2'), connect('10.0.0.3')];
  await until(() => refused.every((client) => client.closed));
  for (const client of allowed) {
    client.heartbeat(1, 'x');
    await until(() => client.frames.length === 1);
  }
  t.equal(metrics.counter('connections_refused_total', 'max.connections.per.ip').read(), 3);
  await server.stop(1000);
});

t.test('an override that is no address and number is refused', async (t) => {
  for (const value of ['somewhere:5', '10.0.0.1', '10.0.0.1:-1', '10.0.0.1:x']) {
    const setting = { name: 'max.connections.per.ip.overrides', value, origin: 'test' };
    t.throws(
      () => new Config([{ ...setting, kind: 'flag' }]),
      { message: /max.connections.per.ip.overrides/ },
      value,
    );
  }
  const limits = parseAddressLimits('10.0.0.1:7,FE80::1:9');
  t.same([limits.get('10.0.0.1'), limits.get('fe80::1')], [7, 9]);
});

t.test('a request beyond those in flight waits, and is counted', async (t) => {
  const wait = deferred<typeof OK>();
  const { connect, server, metrics } = await startServer(() => wait.promise, {
    settings: { 'max.inflight.requests.per.connection': '2' },
  });
  const held = () => metrics.counter('requests_held_total', 'in_flight').read();
  const client = connect();
  for (let i = 1; i <= 2; i++) client.heartbeat(i, 'x');
  await until(() => metrics.gauge('requests_in_flight').read() === 2);
  await settle();
  t.equal(held(), 0, 'two may be');
  client.heartbeat(3, 'x');
  await until(() => held() === 1);
  await settle();
  t.equal(metrics.counter('requests_total', 'Heartbeat').read(), 2, 'the third has not started');
  wait.resolve(OK);
  await until(() => client.frames.length === 3);
  t.equal(held(), 1);
  await server.stop(1000);
});

t.test(
  'a request of just the largest size is taken, one byte more is a cause of its own',
  async (t) => {
    const bytes = heartbeatBytes(1, 'x');
    for (const room of [1, 0, -1]) {
      const { connect, server, metrics } = await startServer(() => OK, {
        settings: { 'socket.request.max.bytes': String(bytes.length - FRAME_SIZE_BYTES + room) },
      });
      const closed = (reason: string) => metrics.counter('connections_closed_total', reason).read();
      const client = connect();
      client.send(bytes);
      await until(() => client.frames.length === 1 || closed('oversized') === 1);
      t.equal(client.frames.length, room < 0 ? 0 : 1, `${room} bytes below the limit`);
      t.equal(closed('malformed'), 0);
      await server.stop(1000);
    }
  },
);

t.test(
  'with as many unsent bytes as may be a request starts, with one more it waits',
  async (t) => {
    const answerBytes = await sizeOfAnswer();
    for (const [limit, starts] of [
      [answerBytes + 1, true],
      [answerBytes, true],
      [answerBytes - 1, false],
    ] as const) {
      const wait = deferred<typeof OK>();
      let started = 0;
      const handle = (_context: unknown, name: string) => {
        started += 1;
        return name === 'first' ? wait.promise : OK;
      };
      const { connect, server, metrics } = await startServer(handle, {
        settings: { 'max.unsent.answer.bytes.per.connection': String(limit) },
      });
      const held = () => metrics.counter('requests_held_total', 'answers').read();
      const client = connect();
      // The second is answered, and waits for the first: its answer is unsent.
      client.heartbeat(1, 'first');
      client.heartbeat(2, 'x');
      await until(() => started === 2);
      await settle();
      client.heartbeat(3, 'x');
      await until(() => started === 3 || held() === 1);
      t.equal(started, starts ? 3 : 2, `${answerBytes} bytes unsent, ${limit} may be`);
      t.equal(held(), starts ? 0 : 1);
      wait.resolve(OK);
      await until(() => client.frames.length === 3);
      await server.stop(1000);
    }
  },
);

t.test('the time for the first request is a configuration', async (t) => {
  const { connect, server } = await startServer(() => OK, {
    settings: { 'connections.first.request.max.ms': '2000' },
  });
  const silent = connect();
  await settle();
  server.checkTimes(systemClock.monotonic() + 1_000);
  await settle();
  t.notOk(silent.closed);
  server.checkTimes(systemClock.monotonic() + 3_000);
  await until(() => silent.closed);
  await server.stop(1000);
});

t.test('a connection without a whole first request is closed after a while', async (t) => {
  const { connect, server, metrics } = await startServer(() => OK);
  const silent = connect();
  const half = connect();
  half.send(heartbeatBytes(1, 'x').subarray(0, 9));
  const speaking = connect();
  speaking.heartbeat(1, 'x');
  await until(() => speaking.frames.length === 1);
  server.checkTimes(systemClock.monotonic() + 5_000);
  await settle();
  t.notOk(silent.closed || half.closed, 'not yet');
  server.checkTimes(systemClock.monotonic() + 11_000);
  await until(() => silent.closed && half.closed);
  t.equal(metrics.counter('connections_closed_total', 'first_frame_late').read(), 2);
  t.notOk(speaking.closed);
  await server.stop(1000);
});

t.test('a later request that does not come on is closed for', async (t) => {
  const { connect, server, metrics, memory } = await startServer(() => OK);
  const client = connect();
  client.heartbeat(1, 'x');
  await until(() => client.frames.length === 1);
  client.send(heartbeatBytes(2, 'x').subarray(0, 9));
  await until(() => memory.bytesOf('frames') > 0);
  server.checkTimes(systemClock.monotonic() + 29_000);
  await settle();
  t.notOk(client.closed);
  server.checkTimes(systemClock.monotonic() + 31_000);
  await until(() => client.closed);
  t.equal(metrics.counter('connections_closed_total', 'frame_slow').read(), 1);
  t.equal(memory.usedBytes, 0);
  await server.stop(1000);
});

t.test('an idle connection is closed, one that waits for its answer is not', async (t) => {
  const wait = deferred<typeof OK>();
  const { connect, server, metrics } = await startServer((_context, name) =>
    name === 'parked' ? wait.promise : OK,
  );
  const idle = connect();
  const parked = connect();
  idle.heartbeat(1, 'x');
  parked.heartbeat(1, 'x');
  parked.heartbeat(2, 'parked');
  await until(() => metrics.counter('requests_total', 'Heartbeat').read() === 3);
  await until(() => idle.frames.length + parked.frames.length === 2);
  server.checkTimes(systemClock.monotonic() + 9 * MINUTE_MS);
  await settle();
  t.notOk(idle.closed);
  server.checkTimes(systemClock.monotonic() + 11 * MINUTE_MS);
  await until(() => idle.closed);
  t.notOk(parked.closed);
  t.equal(metrics.counter('connections_closed_total', 'idle').read(), 1);
  wait.resolve(OK);
  await until(() => parked.frames.length === 2);
  await server.stop(1000);
});

t.test('connections.max.idle.ms below 0 closes nobody', async (t) => {
  const { connect, server } = await startServer(() => OK, {
    settings: { 'connections.max.idle.ms': '-1' },
  });
  const client = connect();
  client.heartbeat(1, 'x');
  await until(() => client.frames.length === 1);
  server.checkTimes(systemClock.monotonic() + 1e9);
  await settle();
  t.notOk(client.closed);
  await server.stop(1000);
});

t.test('a closing connection whose peer takes nothing is cut off', async (t) => {
  const wait = deferred<typeof OK>();
  const { connect, server, metrics } = await startServer(() => wait.promise, {
    network: { windowBytes: 16, chunkBytes: 16 },
  });
  const client = connect();
  for (let i = 0; i < 5; i++) client.heartbeat(i, 'x');
  client.send(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  await until(() => metrics.counter('connections_closed_total', 'malformed').read() === 1);
  client.transport.pause();
  wait.resolve(OK);
  await until(() => metrics.gauge('connections_not_taking_answers').read() === 1);
  server.checkTimes(systemClock.monotonic() + 4_000);
  await settle();
  t.notOk(client.closed, 'it has a while to take its answers');
  server.checkTimes(systemClock.monotonic() + 6_000);
  await until(() => client.closed);
  await server.stop(1000);
});

t.test('who takes no answers is given up when memory is short, and only then', async (t) => {
  const { connect, server, metrics, memory } = await startServer(() => OK, {
    network: { windowBytes: 16, chunkBytes: 16 },
  });
  const client = connect();
  client.transport.pause();
  for (let i = 0; i < 5; i++) client.heartbeat(i, 'x');
  await until(() => metrics.gauge('connections_not_taking_answers').read() === 1);
  server.checkTimes(systemClock.monotonic() + 2 * MINUTE_MS);
  await settle();
  t.notOk(client.closed, 'there is memory enough');
  memory.take('reads', memory.limitBytes);
  server.checkTimes(systemClock.monotonic() + 20_000);
  await settle();
  t.notOk(client.closed, 'it has a while');
  server.checkTimes(systemClock.monotonic() + 2 * MINUTE_MS);
  await until(() => client.closed);
  t.equal(metrics.counter('connections_closed_total', 'deaf').read(), 1);
  t.equal(memory.bytesOf('answers'), 0);
  await server.stop(1000);
});

t.test('large frames wait for memory, small ones and one large one go on', async (t) => {
  const { connect, server, metrics, memory } = await startServer(() => OK);
  const started = () => metrics.counter('requests_total', 'Heartbeat').read();
  const waiting = () => metrics.gauge('connections_waiting_for_memory').read();
  memory.take('reads', memory.limitBytes);
  const [favoured, other, small] = [connect(), connect(), connect()];
  const large = paddedHeartbeat(1, 'large', 1_000_000);
  favoured.send(large.subarray(0, 900_000));
  await until(() => memory.bytesOf('frames') === 900_000 - 4);
  other.send(large);
  await until(() => waiting() === 1);
  const readBytes = memory.bytesOf('frames') - 900_000;
  t.ok(readBytes < 2 * FRAME_FLOOR_BYTES, `${readBytes} bytes were read on`);
  for (let i = 1; i <= 10; i++) small.heartbeat(i, 'x');
  await until(() => small.frames.length === 10);
  t.equal(waiting(), 1, 'the other one still waits');
  favoured.send(large.subarray(900_000));
  await until(() => favoured.frames.length === 1);
  await until(() => other.frames.length === 1);
  t.pass('then it is favoured');
  t.equal(started(), 12);
  memory.give('reads', memory.limitBytes);
  t.equal(memory.usedBytes, 0);
  await server.stop(1000);
});

t.test('who only announces a large frame holds nothing', async (t) => {
  const { connect, server, memory } = await startServer(() => OK);
  for (let i = 0; i < 20; i++) connect().send(Buffer.from([5, 0xf5, 0xe1, 0, 0, 12]));
  const honest = connect();
  honest.send(paddedHeartbeat(1, 'large', 1_000_000));
  await until(() => honest.frames.length === 1);
  t.ok(memory.usedBytes < 1000, `${memory.usedBytes} bytes`);
  await server.stop(10);
  t.equal(memory.usedBytes, 0);
});

t.test('when memory is short, a frame that does not come on is closed for sooner', async (t) => {
  const { connect, server, memory } = await startServer(() => OK);
  const client = connect();
  client.heartbeat(1, 'x');
  await until(() => client.frames.length === 1);
  client.send(paddedHeartbeat(2, 'large', 1_000_000).subarray(0, 500_000));
  await until(() => memory.bytesOf('frames') > 400_000);
  server.checkTimes(systemClock.monotonic() + 25_000);
  await settle();
  t.notOk(client.closed);
  memory.take('reads', memory.limitBytes);
  server.checkTimes(systemClock.monotonic() + 25_000);
  await until(() => client.closed);
  await server.stop(1000);
});

t.test('frames that come byte by byte take nobody’s turn when memory is short', async (t) => {
  const { connect, server, metrics, memory } = await startServer(() => OK);
  const large = paddedHeartbeat(1, 'large', 1_000_000);
  const drippers = Array.from({ length: 20 }, () => connect());
  for (const dripper of drippers) dripper.send(large.subarray(0, 100));
  await until(() => metrics.gauge('connections').read() === 20);
  memory.take('reads', memory.limitBytes);
  await settle();
  for (const dripper of drippers) dripper.send(large.subarray(100, 101));
  await settle();
  const honest = connect();
  honest.send(large);
  await until(() => honest.frames.length === 1);
  t.equal(metrics.gauge('connections_waiting_for_memory').read(), 0);
  memory.give('reads', memory.limitBytes);
  await server.stop(10);
});

t.test('whose turn it is to be read must send, while others wait for theirs', async (t) => {
  const { connect, server, metrics, memory } = await startServer(() => OK);
  const large = paddedHeartbeat(1, 'large', 1_000_000);
  memory.take('reads', memory.limitBytes);
  const [favoured, other] = [connect(), connect()];
  favoured.send(large.subarray(0, 100_000));
  await until(() => memory.bytesOf('frames') > 90_000);
  server.checkTimes(systemClock.monotonic() + 4_000);
  await settle();
  t.notOk(favoured.closed, 'nobody waits');
  other.send(large);
  await until(() => metrics.gauge('connections_waiting_for_memory').read() === 1);
  server.checkTimes(systemClock.monotonic() + 1_000 + 100_000 / 32 + 500);
  await until(() => favoured.closed && other.frames.length === 1);
  t.equal(metrics.counter('connections_closed_total', 'frame_slow').read(), 1);
  memory.give('reads', memory.limitBytes);
  await server.stop(10);
});

t.test('a connection that goes while it waits for memory leaves nothing behind', async (t) => {
  const { connect, server, metrics, memory } = await startServer(() => NO_RESPONSE);
  memory.take('reads', memory.limitBytes);
  const [favoured, client] = [connect(), connect()];
  const large = paddedHeartbeat(1, 'large', 1_000_000);
  favoured.send(large.subarray(0, 100_000));
  await until(() => memory.bytesOf('frames') > 90_000);
  client.send(large);
  await until(() => metrics.gauge('connections_waiting_for_memory').read() === 1);
  await server.stop(10);
  await until(() => client.closed && favoured.closed);
  t.equal(metrics.gauge('connections_waiting_for_memory').read(), 0);
  t.equal(memory.bytesOf('frames'), 0);
});

/** A Heartbeat in a frame of about so many bytes; what is behind the body is not looked at. */
function paddedHeartbeat(correlationId: number, name: string, sizeBytes: number): Buffer {
  const bytes = Buffer.concat([heartbeatBytes(correlationId, name), Buffer.alloc(sizeBytes)]);
  bytes.writeInt32BE(bytes.length - 4, 0);
  return bytes;
}

/** What one answer counts as while it waits, its length before it included. */
async function sizeOfAnswer(): Promise<number> {
  const { connect, server } = await startServer(() => OK);
  const client = connect();
  client.heartbeat(1, 'x');
  await until(() => client.frames.length === 1);
  const sizeBytes = client.frames[0]!.length + FRAME_SIZE_BYTES;
  await server.stop(1000);
  return sizeBytes;
}

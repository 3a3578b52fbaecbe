import t from 'tap';
import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import { encodeRequest } from '../../protocol/header.ts';
import { HeartbeatRequest } from '../../protocol/messages/heartbeat.ts';
import { CorruptLog, HoldTimeout, LogDeleted, OffsetOutOfRange } from '../../storage/errors.ts';
import { type FrameClient, heartbeatBytes, settle, startServer, until } from './harness.ts';

const OK = { errorCode: ErrorCode.NONE };

/** A frame around bytes. */
function framed(bytes: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(bytes.length);
  return Buffer.concat([size, bytes]);
}

/** A request header of a version without tags. */
function header(apiKey: number, apiVersion: number): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeInt16BE(apiKey, 0);
  bytes.writeInt16BE(apiVersion, 2);
  bytes.writeInt32BE(7, 4);
  bytes.writeInt16BE(0, 8);
  return bytes;
}

const unanswerable: [what: string, bytes: Buffer, reason: string][] = [
  ['an unknown API key', framed(header(999, 0)), 'unknown_api'],
  ['a negative API key', framed(header(-1, 0)), 'unknown_api'],
  ['a version above those served', framed(header(12, 5)), 'unsupported_version'],
  ['a negative version', framed(header(12, -1)), 'unsupported_version'],
  ['a body that ends too early', framed(header(12, 0)), 'malformed'],
  ['a frame without a header', framed(Buffer.from([0])), 'malformed'],
  ['a frame of no bytes', Buffer.from([0, 0, 0, 0]), 'malformed'],
  ['a negative length', Buffer.from([0xff, 0xff, 0xff, 0xff]), 'malformed'],
  ['a length above the limit', Buffer.from([0x7f, 0xff, 0xff, 0xff]), 'oversized'],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'oversized'],
  [
    'a frame too large to decode',
    framed(Buffer.concat([header(12, 0), Buffer.alloc(9e6)])),
    'oversized',
  ],
];

t.test('what cannot be answered closes the connection, with a log line and a count', async (t) => {
  for (const [what, bytes, reason] of unanswerable) {
    const { connect, server, metrics, lines, memory } = await startServer(() => OK);
    const client = connect();
    client.heartbeat(1, 'before');
    await until(() => client.frames.length === 1);
    client.send(bytes);
    await until(() => client.closed);
    t.equal(metrics.counter('connections_closed_total', reason).read(), 1, `${what}: ${reason}`);
    const line = lines.find((each) => each.level === 'warn');
    t.match(line?.text, /^connection closed: /, `${what} is logged`);
    t.match(line?.values, { address: '127.0.0.1' });
    t.equal(memory.usedBytes, 0, `${what} leaves no memory counted`);
    await server.stop(1000);
  }
});

t.test('what follows bad bytes is not read, what came before is answered', async (t) => {
  const started: string[] = [];
  const { connect, server } = await startServer((_context, name) => {
    started.push(name);
    return OK;
  });
  const client = connect();
  client.send([heartbeatBytes(1, 'before'), framed(header(999, 0)), heartbeatBytes(2, 'after')]);
  await until(() => client.closed);
  t.same(started, ['before']);
  t.same(client.correlationIds, [1]);
  await server.stop(1000);
});

async function errorCodeFor(error: unknown, how: 'thrown' | 'rejected') {
  const { connect, server, lines, metrics, memory } = await startServer(() => {
    if (how === 'thrown') throw error;
    return Promise.reject(error);
  });
  const client: FrameClient = connect();
  client.heartbeat(1, 'x');
  await until(() => client.frames.length === 1);
  await server.stop(1000);
  return { code: client.errorCodes()[0], lines, metrics, heldBytes: memory.usedBytes };
}

t.test("a handler's error is answered with Kafka's code for it", async (t) => {
  const noSpace = Object.assign(new Error('ENOSPC: no space left'), {
    code: 'ENOSPC',
    errno: -28,
    syscall: 'write',
  });
  const cases: [error: unknown, code: number][] = [
    [new ProtocolError('REBALANCE_IN_PROGRESS'), ErrorCode.REBALANCE_IN_PROGRESS],
    [new OffsetOutOfRange('9 > 5'), ErrorCode.OFFSET_OUT_OF_RANGE],
    [new HoldTimeout('no room'), ErrorCode.KAFKA_STORAGE_ERROR],
    [new LogDeleted('gone'), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    [new CorruptLog('bad CRC'), ErrorCode.CORRUPT_MESSAGE],
    [noSpace, ErrorCode.KAFKA_STORAGE_ERROR],
    [new TypeError('a bug'), ErrorCode.UNKNOWN_SERVER_ERROR],
    ['not even an error', ErrorCode.UNKNOWN_SERVER_ERROR],
  ];
  for (const [error, code] of cases) {
    for (const how of ['thrown', 'rejected'] as const) {
      const answer = await errorCodeFor(error, how);
      t.match(answer, { code, heldBytes: 0 }, `${String(error)}, ${how}`);
    }
  }
});

t.test('a bug is logged with its stack, a refusal is counted by its name', async (t) => {
  const bug = await errorCodeFor(new TypeError('a bug'), 'thrown');
  const line = bug.lines.find((each) => each.level === 'error');
  t.match(line, { text: 'request failed', values: { api: 'Heartbeat', client: 'test' } });
  t.match(line?.values.err, { stack: /TypeError: a bug/ });
  const refusal = await errorCodeFor(new ProtocolError('INVALID_GROUP_ID'), 'rejected');
  t.notOk(refusal.lines.some((each) => each.level === 'error' || each.level === 'warn'));
  const counted = refusal.metrics.counter('request_errors_total', 'Heartbeat', 'INVALID_GROUP_ID');
  t.equal(counted.read(), 1);
});

t.test('an answer that cannot be encoded is a bug, and the client is told', async (t) => {
  const { connect, server, lines } = await startServer((_context, name) =>
    name === 'broken' ? { errorCode: 99999 } : OK,
  );
  const client = connect();
  client.heartbeat(1, 'broken');
  client.heartbeat(2, 'well');
  await until(() => client.frames.length === 2);
  t.same(client.errorCodes(), [ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.NONE]);
  t.ok(lines.some((line) => line.level === 'error' && line.text === 'request failed'));
  await server.stop(1000);
});

t.test('requests are counted and timed by API', async (t) => {
  const { connect, server, metrics } = await startServer(() => OK);
  const client = connect();
  for (let i = 0; i < 5; i++) client.heartbeat(i, 'x');
  await until(() => client.frames.length === 5);
  t.equal(metrics.counter('requests_total', 'Heartbeat').read(), 5);
  t.equal(metrics.histogram('request_seconds', 'Heartbeat').count, 5);
  t.equal(metrics.gauge('requests_in_flight').read(), 0);
  await server.stop(1000);
});

t.test('a flexible request may carry tags that nobody knows', async (t) => {
  const { connect, server } = await startServer((context) => {
    t.equal(context.clientId, '');
    return OK;
  });
  const client = connect();
  const [bytes] = encodeRequest(
    HeartbeatRequest,
    { apiVersion: 4, correlationId: 3, clientId: null },
    { groupId: 'g', generationId: 1, memberId: 'm' },
  );
  const body = (bytes as Buffer).subarray(4);
  // After api key, version, correlation id and a null client id: one tag 99 of two bytes.
  const tagged = [body.subarray(0, 10), Buffer.from([1, 99, 2, 0xab, 0xcd]), body.subarray(11)];
  client.send(framed(Buffer.concat(tagged)));
  await until(() => client.frames.length === 1);
  t.same(client.correlationIds, [3]);
  await server.stop(1000);
});

t.test('a flood of bad requests does not become a flood of log lines', async (t) => {
  const { connect, server, lines, metrics } = await startServer(() => OK);
  for (let i = 0; i < 100; i++) connect().send(framed(header(999, 0)));
  await until(() => metrics.counter('connections_closed_total', 'unknown_api').read() === 100);
  await settle();
  t.ok(lines.length <= 20, `${lines.length} lines`);
  await server.stop(1000);
});

/** The ways to located bytes: the file, the broker's URL, a static server's, and what goes wrong there. */

import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import fse from 'fs-extra';
import t, { type Test } from 'tap';
import { batchBytes } from '../../protocol/record-batch.ts';
import { LocationFault } from '../../reader/errors.ts';
import { type ReadEvent, type ReadOptions, read } from '../../reader/index.ts';
import { filePieces, type Location, UrlAgents, urlPieces } from '../../reader/located.ts';
import { batchOf } from '../broker/data-broker.ts';
import { numberOf, Source } from './source.ts';

const HTTP = { 'http.listeners': 'http://127.0.0.1:0' };
const COUNT = 300;

type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void;

async function serve(t: Test, answer: Answer, connected?: () => void): Promise<string> {
  const server = http.createServer(answer).listen(0, '127.0.0.1');
  server.on('connection', () => connected?.());
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function start(t: Test, config: Readonly<Record<string, string>> = {}): Promise<Source> {
  const source = await Source.start(t, { config });
  for (let i = 0; i < COUNT / 10; i++) await source.produce(10, 0, 500);
  await source.persist();
  return source;
}

/** Reads all there is, which must be all numbers. */
async function readAll(t: Test, source: Source, more: Partial<ReadOptions>) {
  const events: ReadEvent[] = [];
  const onEvent = (event: ReadEvent) => events.push(event);
  const reading = read(source.options({ follow: false, onEvent, ...more }));
  let next = 0;
  for await (const record of reading) {
    if (numberOf(record) !== next) t.fail(`${numberOf(record)} instead of ${next}`);
    next++;
  }
  t.equal(next, COUNT);
  return { stats: reading.stats, events };
}

t.test('by URL from the broker, in pieces smaller than a batch', async (t) => {
  const source = await start(t, HTTP);
  for (const chunkBytes of [4096, 5000, 100_000, 1e6]) {
    const { stats, events } = await readAll(t, source, { ways: ['url'], chunkBytes });
    t.match(stats, { fileBytes: 0, recordBytes: 0, askedAgain: 0, locations: 1 });
    t.ok(stats.urlBytes > COUNT * 500);
    const opened = events.find(({ kind }) => kind === 'open');
    t.match(opened, { way: 'url', name: /^http:\/\/127\.0\.0\.1:\d+\/v1\/segments\// });
  }
});

t.test('the file comes before the URL, in pieces smaller than a batch too', async (t) => {
  const source = await start(t, HTTP);
  for (const chunkBytes of [4096, 100_000]) {
    const { stats } = await readAll(t, source, { chunkBytes });
    t.match(stats, { urlBytes: 0, recordBytes: 0 });
  }
});

t.test('without a way of the reader, or of the broker, records come as ever', async (t) => {
  const source = await start(t);
  for (const ways of [[], ['url']] as const) {
    const { stats } = await readAll(t, source, { ways });
    t.match(stats, { fileBytes: 0, urlBytes: 0, locations: 0 });
    t.ok(stats.recordBytes > COUNT * 500);
  }
  const off = await start(t, { 'slice.location.enable': 'false' });
  t.equal((await readAll(t, off, {})).stats.locations, 0);
});

t.test('from a static server that has whole files', async (t) => {
  let folder = '';
  let connections = 0;
  const answer: Answer = (request, response) => {
    const { pathname } = new URL(request.url!, 'http://x');
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (first === undefined) return response.writeHead(500).end();
    const range = { start: Number(first), end: Number(last) };
    response.writeHead(206, { 'content-length': range.end - range.start + 1 });
    createReadStream(join(folder, pathname), range).pipe(response);
  };
  const base = await serve(t, answer, () => connections++);
  const source = await start(t, { 'slice.location.base.url': `${base}/` });
  folder = join(source.broker.dataDir, 'located');
  const { stats } = await readAll(t, source, { ways: ['url'], maxLocatedBytes: 20_000 });
  t.match(stats, { fileBytes: 0, recordBytes: 0, askedAgain: 0 });
  t.ok(stats.locations >= 8, `${stats.locations} locations`);
  t.ok(connections < 4, `over ${connections} connections`);
  t.ok(stats.urlBytes > COUNT * 500);
});

t.test('a server that has not what it should: asked again once, then left alone', async (t) => {
  let requests = 0;
  const base = await serve(t, (_request, response) => {
    requests++;
    response.writeHead(410).end();
  });
  const source = await start(t, { 'slice.location.base.url': base });
  const { stats, events } = await readAll(t, source, { ways: ['url'] });
  t.equal(requests, 2);
  t.equal(stats.askedAgain, 2);
  t.ok(stats.recordBytes > COUNT * 500);
  t.equal(events.filter(({ kind }) => kind === 'again').length, 2);
});

t.test('a server that is not there, or says other things: left alone at once', async (t) => {
  const odd = await serve(t, (_request, response) => response.end('hello'));
  for (const base of ['http://127.0.0.1:1', odd]) {
    const source = await start(t, { 'slice.location.base.url': base });
    const { stats } = await readAll(t, source, { ways: ['url'] });
    t.equal(stats.askedAgain, 1);
    t.ok(stats.recordBytes > COUNT * 500);
  }
});

t.test('bytes that are damaged are not given, whatever the way', async (t) => {
  const source = await start(t);
  const path = join(source.broker.dataDir, `${source.topic}-0`, `${'0'.repeat(20)}.log`);
  const { size } = await fse.stat(path);
  const file = await open(path, 'r+');
  await file.write(Buffer.from('?'), 0, 1, Math.floor(size / 2));
  await file.close();
  const events: ReadEvent[] = [];
  const reading = read(source.options({ onEvent: (event) => events.push(event) }));
  let next = 0;
  const all = async () => {
    for await (const record of reading) if (numberOf(record) === next) next++;
  };
  await t.rejects(all(), { code: 'CORRUPT', partition: 0, offset: 150 });
  t.equal(next, 150, 'all before it was given, once');
  t.match(
    events.filter(({ kind }) => kind === 'again'),
    [{ reason: 'wrong checksum' }, { reason: 'wrong checksum' }],
  );
});

/** A location of a file of batches. */
async function locationOf(t: Test, bytes: Buffer): Promise<Location> {
  const path = join(t.testdir({ x: '' }), 'file');
  await fse.outputFile(path, bytes);
  const { dev: device, ino: inode } = await fse.stat(path);
  const numbers = { device, inode, position: 0, length: bytes.length };
  const offsets = { segmentBaseOffset: 0, firstOffset: 0, nextOffset: 1, lastEpoch: 0 };
  return { hostId: 'h', path, url: '', generation: 'g', ...numbers, ...offsets };
}

async function piecesOf(pieces: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for await (const piece of pieces) found.push(piece);
  return found;
}

async function failureOf(pieces: AsyncIterable<Buffer>): Promise<string> {
  const error: unknown = await piecesOf(pieces).catch((reason) => reason);
  return error instanceof LocationFault ? error.failure : String(error);
}

t.test('pieces of a file are whole batches; what is no such file is said', async (t) => {
  const batches = [10, 9000, 100, 30_000, 20].map((size) => batchOf(['x'.repeat(size)]));
  const bytes = Buffer.concat(batches);
  const location = await locationOf(t, bytes);
  const pieces = await piecesOf(filePieces(location, 4096));
  t.same(Buffer.concat(pieces), bytes);
  for (const piece of pieces) {
    let at = 0;
    while (at < piece.length) at += batchBytes(piece, at);
    t.equal(at, piece.length);
  }
  const other = (change: Partial<Location>) =>
    failureOf(filePieces({ ...location, ...change }, 4096));
  t.equal(await other({ path: `${location.path}-none` }), 'gone');
  t.equal(await other({ inode: location.inode + 1 }), 'gone');
  t.equal(await other({ device: location.device + 1 }), 'gone');
  t.equal(await other({ length: bytes.length + 1 }), 'gone', 'the file is shorter');
  t.equal(await other({ length: bytes.length + 100 }), 'gone', 'the file is shorter');
  t.equal(await other({ length: bytes.length - 1 }), 'unsound', 'a batch is cut');
  t.equal(await other({ position: 1, length: bytes.length - 1 }), 'unsound');
});

t.test('pieces of a URL likewise', async (t) => {
  const bytes = Buffer.concat([10, 9000, 100, 30_000, 20].map((n) => batchOf(['x'.repeat(n)])));
  let answer: Answer = () => {};
  const url = await serve(t, (request, response) => answer(request, response));
  const agents = new UrlAgents();
  t.teardown(() => agents.close());
  const location = { ...(await locationOf(t, bytes)), url };
  const take = () => urlPieces(location, 4096, agents);
  answer = (_request, response) => {
    // In parts that fit nothing, without a length.
    const parts = Array.from({ length: Math.ceil(bytes.length / 777) }, (_, i) => i * 777);
    for (const at of parts) response.write(bytes.subarray(at, at + 777));
    response.end();
  };
  t.same(Buffer.concat(await piecesOf(take())), bytes);
  answer = (_request, response) => response.end(bytes);
  t.same(Buffer.concat(await piecesOf(take())), bytes);
  answer = (_request, response) => {
    response.write(bytes.subarray(0, 20_000));
    response.end();
  };
  t.equal(await failureOf(take()), 'gone', 'it ends early');
  answer = (_request, response) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, 20_000), () => response.destroy());
  };
  t.equal(await failureOf(take()), 'gone', 'the connection is lost');
  answer = (_request, response) => {
    response.write(bytes);
    response.end('more');
  };
  t.equal(await failureOf(take()), 'unsound', 'more than the range');
  answer = (_request, response) => response.end(Buffer.alloc(bytes.length));
  t.equal(await failureOf(take()), 'unsound', 'no batches');
  answer = (_request, response) => response.writeHead(404).end();
  t.equal(await failureOf(take()), 'gone');
  answer = (_request, response) => response.writeHead(503).end();
  t.equal(await failureOf(take()), 'unreachable');
});

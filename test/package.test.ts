/**
 * What ships: the tarball of `npm pack`, installed in an empty folder, works from the command line,
 * from a program and for the compiler, and brings nothing along but the optional native checksum.
 */

import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import fse from 'fs-extra';
import t from 'tap';
import { WireConnection } from '../benchmarks/client/connection.ts';
import { produce } from '../benchmarks/client/producer.ts';
import { read } from '../benchmarks/client/reader.ts';
import { createTopic } from '../benchmarks/client/topics.ts';
import { VERSION } from '../broker/version.ts';
import { compile } from '../cli/code-cache.ts';
import { buildBatch } from '../protocol/batch-builder.ts';
import * as recordBatch from '../protocol/record-batch.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, import.meta.url.endsWith('.ts') ? '..' : '../..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/**
 * The tarball has little more than the bundles, of the program and of what is imported; a file that
 * slipped in would show here.
 */
const MOST_UNPACKED_BYTES = 4_500_000;

const home = await fse.mkdtemp(join(tmpdir(), 'tailrace-package-'));
t.teardown(() => fse.remove(home));

interface Packed {
  readonly filename: string;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

// The build is that of the tests' own: without scripts, so that nothing is built under them.
const { stdout } = await run(
  'npm',
  ['pack', '--ignore-scripts', '--json', '--pack-destination', home],
  { cwd: root },
);
const [packed] = JSON.parse(stdout) as [Packed];
const folder = join(home, 'user');
await fse.outputJson(join(folder, 'package.json'), { type: 'module', private: true });
await run(
  'npm',
  ['install', '--no-audit', '--no-fund', '--prefer-offline', join(home, packed.filename)],
  { cwd: folder },
);

t.test('the tarball holds the bundle, its types, and the papers', async (t) => {
  const paths = packed.files.map(({ path }) => path).filter((path) => !path.startsWith('dist/'));
  t.same(paths.toSorted(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']);
  t.ok(packed.files.every(({ path }) => !/\.(map|cache)$/.test(path)));
  t.ok(packed.unpackedSize < MOST_UNPACKED_BYTES, `${packed.unpackedSize} bytes`);
});

t.test('installing it installs nothing but the optional native checksum', async (t) => {
  t.equal(manifest.dependencies, undefined);
  t.same(Object.keys(manifest.optionalDependencies), ['@node-rs/crc32']);
  const names = (await fse.readdir(join(folder, 'node_modules'))).filter((name) =>
    /^\w/.test(name),
  );
  t.same(names, ['tailrace']);
});

t.test('its version is the one that the program says', async (t) => {
  t.equal(VERSION, manifest.version);
  const said = await run('npx', ['--no-install', 'tailrace', '--version'], { cwd: folder });
  t.equal(said.stdout.trim(), VERSION);
});

t.test('npx tailrace serve listens, keeps data, compresses, and ends at SIGTERM', async (t) => {
  const child = serve('data');
  t.teardown(() => child.kill('SIGKILL'));
  const line = await firstLine(child.stdout);
  const match = /^tailrace (\S+) listens on 127\.0\.0\.1:(\d+), keeps its data in (\S+), .*SIGTERM/;
  const [, version, port, data] = match.exec(line) ?? [];
  t.equal(version, VERSION);
  t.equal(data, join(folder, 'data'));
  const connection = await WireConnection.open('127.0.0.1', Number(port));
  t.teardown(() => connection.close());
  for (const [codec, name] of ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'].entries()) {
    // The worker thread and what it loads are files of their own.
    t.equal(await codecOf(connection, name), codec, `a topic with compression.type=${name}`);
  }
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  t.equal(await ended, 143);
  t.ok(await fse.pathExists(join(folder, 'data', 'meta.properties')));
});

t.test('the first start keeps its compiled code, later ones use it', async (t) => {
  const dist = join(folder, 'node_modules', 'tailrace', 'dist');
  const caches = async () => (await fse.readdir(dist)).filter((name) => name.endsWith('.cache'));
  for (const name of await caches()) await fse.remove(join(dist, name));
  await serveUntil(async () => (await caches()).length > 0);
  const [name, ...others] = await caches();
  t.same(others, []);
  t.equal(name, `program-${process.version}-${process.arch}.cache`);
  const cache = join(dist, name!);

  const wrong = Buffer.alloc(1000);
  await fse.writeFile(cache, wrong);
  await serveUntil(async () => (await fse.stat(cache)).size > wrong.length);
  t.pass('one that is of no use is replaced');

  const program = join(dist, 'program.js');
  const digest = createHash('sha256')
    .update(await fse.readFile(program))
    .digest('hex');
  t.ok(compile({ program, cache, name: digest }).isCached, 'the launcher would use this one');
});

t.test(
  "import { Broker } from 'tailrace' starts brokers in a process, and serves HTTP",
  async (t) => {
    const script = `
    import { Broker, ConfigurationError } from 'tailrace';
    const broker = await Broker.start({ config: { 'http.listeners': 'http://127.0.0.1:0' } });
    const [http] = broker.httpAddresses;
    const answer = await fetch('http://127.0.0.1:' + http.port + '/readyz');
    const metrics = await (await fetch('http://127.0.0.1:' + http.port + '/metrics')).text();
    await broker.stop();
    const refused = await Broker.start({ config: { 'no.such.name': '1' } }).catch((error) => error);
    console.log(JSON.stringify({
      servers: broker.bootstrapServers,
      status: answer.status,
      metrics: /^kafka_brokers 1$/m.test(metrics),
      refused: refused instanceof ConfigurationError,
    }));`;
    await fse.writeFile(join(folder, 'embed.js'), script);
    const { stdout } = await run(process.execPath, ['embed.js'], { cwd: folder });
    t.match(JSON.parse(stdout), {
      servers: /^127\.0\.0\.1:\d+$/,
      status: 200,
      metrics: true,
      refused: true,
    });
  },
);

t.test("import { read } from 'tailrace/reader' reads what a broker has", async (t) => {
  const script = `
    import { Broker } from 'tailrace';
    import { ReadError, read } from 'tailrace/reader';
    const broker = await Broker.start();
    const options = { bootstrap: broker.bootstrapServers, topic: 'none', patienceMs: 1000 };
    const failed = await read(options).next().catch((error) => error);
    await broker.stop();
    console.log(JSON.stringify({ isReadError: failed instanceof ReadError, code: failed.code }));`;
  await fse.writeFile(join(folder, 'read.js'), script);
  const { stdout } = await run(process.execPath, ['read.js'], { cwd: folder });
  t.same(JSON.parse(stdout), { isReadError: true, code: 'TOPIC_NOT_FOUND' });
});

t.test('its types are complete', async (t) => {
  const text = `
    import { Broker, type BrokerOptions } from 'tailrace';
    import { read, readBatches, type ReadOptions, type ReadRecord } from 'tailrace/reader';
    const asked: ReadOptions = { bootstrap: 'localhost:9092', topic: 't', from: new Date(0) };
    for await (const record of read(asked)) {
      const { offset, value }: ReadRecord = record;
      // @ts-expect-error a value may be null
      value.length + offset;
    }
    for await (const batch of readBatches(asked)) batch.bytes.length + batch.cursor().keyBytes;
    const options: BrokerOptions = { port: 0, config: { 'num.partitions': '3' } };
    await using broker: Broker = await Broker.start(options);
    const servers: string = broker.bootstrapServers;
    // @ts-expect-error a port is a number
    await Broker.start({ port: servers });`;
  await fse.writeFile(join(folder, 'embed.ts'), text);
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--target',
    'es2023',
    '--module',
    'nodenext',
  ];
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules', '@types')];
  const said = await run(process.execPath, [compiler, ...options, ...types, 'embed.ts'], {
    cwd: folder,
  }).catch((error) => error);
  t.equal(said.stdout, '');
});

function serve(data: string) {
  const program = join(folder, 'node_modules', '.bin', 'tailrace');
  return spawn(program, ['serve', '--port', '0', '--data', data], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

/** Serves until something holds. */
async function serveUntil(holds: () => Promise<boolean>): Promise<void> {
  const child = serve('short');
  try {
    await firstLine(child.stdout);
    while (!(await holds())) await delay(20);
  } finally {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
}

function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    stream.on('data', (chunk) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
    });
    stream.once('end', () => reject(new Error(`it ended after: ${text}`)));
  });
}

/** The codec that a batch has after it went through a topic. */
async function codecOf(connection: WireConnection, name: string): Promise<number> {
  const topic = `codec-${name}`;
  await createTopic(connection, topic, 1, { 'compression.type': name });
  const value = Buffer.alloc(10_000, 'compressible');
  const records = buildBatch({ records: [{ key: null, value, timestamp: Date.now() }] });
  await new Promise<void>((resolve, reject) => {
    produce(connection, topic, -1, [{ index: 0, records }], resolve, reject);
  });
  let codec = -1;
  await read(connection, {
    topic,
    from: new Map([[0, 0]]),
    maxWaitMs: 100,
    minBytes: 1,
    maxBytes: 1_000_000,
    onBatch: (buffer, at) => {
      codec = recordBatch.codec(buffer, at);
    },
    goOn: () => codec < 0,
  });
  return codec;
}

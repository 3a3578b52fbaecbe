/** The brokers, the topic on each, and the ways to read it, for locations.ts. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { readBatches } from '../reader/index.ts';
import { WireConnection } from './client/connection.ts';
import { LocatedReader, type Way } from './client/located-reader.ts';
import { createTopic } from './client/topics.ts';
import { fillTopic, PARTITIONS, readTopic } from './client/whole-topic.ts';
import { hostId } from './host.ts';
import { freshTopic } from './scenario.ts';
import { type RunningTarget, startTarget } from './targets.ts';

/** So that what was produced last is soon persisted. */
const PERSIST = 'tail.chunk.max.ms=500';

const KAFKA = 'kafka, Fetch';
const PLAIN = 'tailrace, Fetch';
const FILE = 'tailrace, located, file';
const URL_OF_BROKER = 'tailrace, located, URL of the broker';
const URL_OF_STATIC = 'tailrace, located, URL of a static server';
const LIBRARY = 'tailrace/reader, located, file';

/** The names of the ways, in the order of the table. */
export const waysOf = [KAFKA, PLAIN, FILE, URL_OF_BROKER, URL_OF_STATIC, LIBRARY];

/** One way to read all of a topic. */
export interface Load {
  readonly name: string;
  readonly brokerPid: number | undefined;
  /** Reads all of it once; gives the bytes. */
  read(): Promise<number>;
}

export interface OpenLoads {
  readonly loads: readonly Load[];
  close(): Promise<void>;
}

/** A broker with the topic on it. */
interface Filled {
  readonly target: RunningTarget;
  readonly topic: string;
  readonly ends: readonly number[];
}

async function fill(target: RunningTarget, sizeBytes: number): Promise<Filled> {
  const connection = await WireConnection.open(target.host, target.port);
  const topic = freshTopic('locations');
  await createTopic(connection, topic, PARTITIONS);
  const ends = await fillTopic(connection, topic, sizeBytes);
  connection.close();
  return { target, topic, ends };
}

async function readPlain({ target, topic, ends }: Filled): Promise<number> {
  const connection = await WireConnection.open(target.host, target.port);
  const bytes = await readTopic(connection, topic, ends);
  connection.close();
  return bytes;
}

async function readLocated({ target, topic, ends }: Filled, way: Way): Promise<number> {
  const connection = await WireConnection.open(target.host, target.port);
  const options = { topic, ends, way, hostId: hostId() };
  const { total, located } = await new LocatedReader(connection, options).run();
  connection.close();
  if (located < total / 2) throw new Error(`only ${located} of ${total} bytes were located`);
  return total;
}

/** What is only in memory would come by another way than the one that is measured. */
async function untilPersisted({ target, topic, ends }: Filled): Promise<void> {
  const connection = await WireConnection.open(target.host, target.port);
  const options = { topic, ends, way: 'file', hostId: hostId() } as const;
  await new LocatedReader(connection, options).untilPersisted();
  connection.close();
}

async function readByLibrary({ target, topic }: Filled): Promise<number> {
  const bootstrap = `${target.host}:${target.port}`;
  let bytes = 0;
  const reading = readBatches({ bootstrap, topic, follow: false, ways: ['file'] });
  for await (const { at, end } of reading) bytes += end - at;
  return bytes;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

/** Serves a folder from another process; resolves when it does. */
async function serveStatically(folder: string, port: number): Promise<ChildProcess> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const program = fileURLToPath(new URL(`./static-server.${extension}`, import.meta.url));
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = spawn(process.execPath, [program, folder, String(port)], { stdio: [...stdio] });
  process.once('exit', () => child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the static server ended with ${code}`)));
  });
  return child;
}

/** Starts what the ways need, with the topic on it. */
export async function openLoads(ways: readonly string[], sizeBytes: number): Promise<OpenLoads> {
  for (const way of ways) {
    if (!waysOf.includes(way))
      throw new Error(`no such way: ${way}; there are ${waysOf.join('; ')}`);
  }
  const targets: RunningTarget[] = [];
  const servers: ChildProcess[] = [];
  const loads: Load[] = [];
  const start = async (description: string) => {
    const target = await startTarget(description);
    targets.push(target);
    const filled = await fill(target, sizeBytes);
    if (description !== 'kafka') await untilPersisted(filled);
    return filled;
  };
  const add = (name: string, { target }: Filled, readAll: () => Promise<number>) => {
    if (ways.includes(name)) loads.push({ name, brokerPid: target.pid, read: readAll });
  };
  const close = async () => {
    for (const server of servers) server.kill('SIGTERM');
    await Promise.all(targets.map((target) => target.stop()));
  };
  try {
    if (ways.includes(KAFKA)) {
      const kafka = await start('kafka');
      add(KAFKA, kafka, () => readPlain(kafka));
    }
    if (ways.some((way) => [PLAIN, FILE, URL_OF_BROKER, LIBRARY].includes(way))) {
      const own = await start(`tailrace ${PERSIST} http.listeners=http://127.0.0.1:0`);
      add(PLAIN, own, () => readPlain(own));
      add(FILE, own, () => readLocated(own, 'file'));
      add(URL_OF_BROKER, own, () => readLocated(own, 'url'));
      add(LIBRARY, own, () => readByLibrary(own));
    }
    if (ways.includes(URL_OF_STATIC)) {
      const port = await freePort();
      const shared = await start(
        `tailrace ${PERSIST} slice.location.base.url=http://127.0.0.1:${port}`,
      );
      servers.push(await serveStatically(`${shared.target.dataDir}/located`, port));
      add(URL_OF_STATIC, shared, () => readLocated(shared, 'url'));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { loads, close };
}

/**
 * A broker in a process of its own, as it runs in earnest, that counts what it does: calls to the
 * disk and the network through the values that its world is made of, buffers made and copied, looks
 * of watchers. Started by `startCountedBroker`; asked over the channel that Node gives a child.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { Broker } from '../../broker/broker.ts';
import { Config, settingsOfProgram } from '../../broker/config.ts';
import { silentLog, systemWorld, temporaryFolder } from '../../broker/main.ts';
import type { TransportConnection } from '../../broker/transport.ts';
import type { Disk, DiskFile } from '../../storage/env.ts';

/** Heap that V8 fills between two collections of the young, here; see `youngCollections`. */
export const YOUNG_MEBIBYTES = 1;

export interface Counts {
  diskWrites: number;
  diskWrittenBytes: number;
  diskReads: number;
  diskReadBytes: number;
  syncs: number;
  socketWrites: number;
  /** Of the operating system, for reading and writing whatever: files, sockets, wake-ups. */
  systemCalls: number;
  /** Memory of buffers that was asked for, and bytes copied from one to another. */
  allocatedBytes: number;
  copiedBytes: number;
  /** Each stands for about `YOUNG_MEBIBYTES` of objects made. */
  youngCollections: number;
  watcherLooks: number;
  watchersParked: number;
}

export interface CountedBroker {
  readonly port: number;
  counts(): Promise<Counts>;
  stop(): Promise<void>;
}

/** Starts one; without the loaders that the test's runner puts into NODE_OPTIONS. */
export async function startCountedBroker(): Promise<CountedBroker> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const execArgv = [`--max-semi-space-size=${YOUNG_MEBIBYTES}`];
  const child = fork(fileURLToPath(import.meta.url), ['serve'], { env, execArgv });
  const port = (await answer(child)) as number;
  const ask = (question: string) => {
    const told = answer(child);
    child.send(question);
    return told;
  };
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    port,
    counts: async () => (await ask('counts')) as Counts,
    stop: async () => {
      child.send('stop');
      await ended;
    },
  };
}

function answer(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const failed = () => reject(new Error('the counted broker ended'));
    child.once('exit', failed);
    child.once('message', (value) => {
      child.off('exit', failed);
      resolve(value);
    });
  });
}

const counts: Counts = {
  diskWrites: 0,
  diskWrittenBytes: 0,
  diskReads: 0,
  diskReadBytes: 0,
  syncs: 0,
  socketWrites: 0,
  systemCalls: 0,
  allocatedBytes: 0,
  copiedBytes: 0,
  youngCollections: 0,
  watcherLooks: 0,
  watchersParked: 0,
};

/** The same object, whose methods are told to `told` before they run. */
function spied<T extends object>(
  object: T,
  told: (method: string, words: readonly unknown[]) => void,
  result: (method: string, value: unknown) => unknown = (_, value) => value,
): T {
  return new Proxy(object, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || typeof name !== 'string') return value;
      return (...words: unknown[]) => {
        told(name, words);
        return result(name, Reflect.apply(value, target, words));
      };
    },
  });
}

function countFileCall(method: string, words: readonly unknown[]): void {
  if (method === 'write' || method === 'writeSync') {
    counts.diskWrites += 1;
    for (const { length } of words[0] as readonly Buffer[]) counts.diskWrittenBytes += length;
  } else if (method === 'read' || method === 'readSync') {
    counts.diskReads += 1;
    counts.diskReadBytes += words[2] as number;
  } else if (method.startsWith('sync')) {
    counts.syncs += 1;
  }
}

function countedDisk(disk: Disk): Disk {
  const told = (method: string) => {
    if (method === 'syncDir') counts.syncs += 1;
  };
  return spied(disk, told, (method, value) => {
    if (method === 'blocking') return countedDisk(value as Disk);
    if (method !== 'open') return value;
    return (value as Promise<DiskFile>).then((file) => spied(file, countFileCall));
  });
}

function countedConnection(connection: TransportConnection): TransportConnection {
  return spied(connection, (method) => {
    if (method === 'write') counts.socketWrites += 1;
  });
}

/** Counts what is called by name; what Node does inside itself is not seen. */
function countBuffers(): void {
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
    const original: (sizeBytes: number, ...words: never[]) => Buffer<ArrayBuffer> = Buffer[name];
    Buffer[name] = (sizeBytes: number, ...words: never[]) => {
      counts.allocatedBytes += sizeBytes;
      return original.call(Buffer, sizeBytes, ...words);
    };
  }
  const { copy } = Buffer.prototype;
  Buffer.prototype.copy = function (this: Buffer, target: Uint8Array, ...range: number[]) {
    const copied = copy.call(this, target, ...range);
    counts.copiedBytes += copied;
    return copied;
  };
  const { set } = Uint8Array.prototype;
  Uint8Array.prototype.set = function (this: Uint8Array, source, offset) {
    counts.copiedBytes += source.length;
    set.call(this, source, offset);
  };
  const { concat } = Buffer;
  Buffer.concat = (list, totalLength) => {
    const joined = concat.call(Buffer, list, totalLength);
    counts.allocatedBytes += joined.length;
    counts.copiedBytes += joined.length;
    return joined;
  };
}

function countCollections(): void {
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries() as unknown as { detail: { kind: number } }[]) {
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) counts.youngCollections += 1;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
}

function systemCalls(): number {
  const io = readFileSync('/proc/self/io', 'utf8');
  const of = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1]);
  return of('syscr') + of('syscw');
}

async function serve(): Promise<void> {
  countBuffers();
  countCollections();
  const world = systemWorld(silentLog);
  const { env, transport } = world;
  const dataDir = temporaryFolder();
  const settings = { listeners: 'PLAINTEXT://127.0.0.1:0', 'log.dirs': dataDir };
  const broker = await Broker.launch(
    new Config(settingsOfProgram(settings)),
    {
      ...world,
      env: { ...env, disk: countedDisk(env.disk) },
      transport: {
        listen: (options, accept, failed) =>
          transport.listen(options, (socket) => accept(countedConnection(socket)), failed),
      },
    },
    { isTemporary: true },
  );
  const { watchers } = broker.services;
  const stop = async () => {
    await broker.stop();
    process.disconnect();
  };
  process.on('message', (question) => {
    if (question === 'stop') {
      stop().catch((error) => {
        throw error;
      });
      return;
    }
    counts.systemCalls = systemCalls();
    counts.watcherLooks = watchers.looks;
    counts.watchersParked = watchers.parked;
    process.send!(counts);
  });
  process.send!(broker.port);
}

if (process.argv[2] === 'serve' && process.send !== undefined) await serve();

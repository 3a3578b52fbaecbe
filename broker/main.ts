/**
 * The real world, made once and handed in: the clock, the disk, randomness, the host, the network,
 * threads and the log of a running process. The only file that knows them; a test hands in others.
 *
 * HTTP is a room beside the broker that knows the broker; it is loaded from here, when a broker has
 * HTTP listeners, and by nobody else.
 */

import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import pino from 'pino';
import { CleanerThreads } from '../storage/cleaner/cleaner-threads.ts';
import type { Cleaners } from '../storage/cleaner/cleaning-job.ts';
import type { Clock, Env, Host, Logger, Random, Timer } from '../storage/env.ts';
import { nodeDisk } from '../storage/node-disk.ts';
import type { Broker } from './broker.ts';
import { type Codecs, WorkerCodecs } from './codec-pool.ts';
import type { FramePool } from './frame-pool.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { listenLocally, type Transport, tcpTransport } from './transport.ts';

interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** An HTTP server of a broker. */
export interface OpenHttp {
  readonly addresses: readonly HostPort[];
  close(): Promise<void>;
}

/** The world of a broker: that of the storage, the network, threads for codecs, HTTP. */
export interface World {
  readonly env: Env;
  readonly transport: Transport;
  /** Connections that leave descriptors enough for files; undefined: as many as come. */
  readonly mostConnections?: number;
  /** Memory of requests' frames; tests have one that makes use after release visible. */
  readonly frames?: FramePool;
  openCodecs(memory: MemoryBudget, onTooLarge: () => void): Codecs;
  /** Where compacted logs are cleaned. */
  openCleaners(): Cleaners;
  openHttp(listeners: readonly HostPort[], broker: Broker): Promise<OpenHttp>;
  /** Opens the door for operators' tools; a world without files that others see has none. */
  openDoor?(broker: Broker): Promise<{ close(): Promise<void> } | undefined>;
}

/** The longest time that setTimeout takes; above it, it would fire at once. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

function setTimer(delayMs: number, fire: () => void, keepsAlive = false): Timer {
  let handle: NodeJS.Timeout;
  const arm = (leftMs: number) => {
    const stepMs = Math.min(leftMs, LONGEST_TIMEOUT_MS);
    handle = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : fire()), stepMs);
    if (!keepsAlive) handle.unref();
  };
  arm(delayMs);
  return { cancel: () => clearTimeout(handle) };
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer,
  defer: (run) => {
    setImmediate(run);
  },
};

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  fraction: () => Math.random(),
};

/** What names one boot of the machine: Linux has an id for it, elsewhere its time must do. */
function bootId(): string {
  const file = '/proc/sys/kernel/random/boot_id';
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  const bootedMinute = Math.round((Date.now() / 1000 - os.uptime()) / 60);
  return `booted-${bootedMinute}`;
}

export function systemHost(): Host {
  return { bootId: bootId(), hostName: os.hostname(), processId: process.pid };
}

/** Descriptors kept for segments, the journal and what Node itself needs. */
const FILE_DESCRIPTORS = 1024;

/** Linux tells how many descriptors the process may have; elsewhere there is no bound known. */
function mostConnections(): number {
  const file = '/proc/self/limits';
  if (!existsSync(file)) return Number.POSITIVE_INFINITY;
  const limit = Number(
    /^Max open files\s+(\d+)/m.exec(readFileSync(file, 'utf8'))?.[1] ?? Infinity,
  );
  return limit - Math.min(FILE_DESCRIPTORS, Math.floor(limit / 2));
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A structured log on standard error; standard output belongs to whoever started the process. */
export function systemLog(level: LogLevel): Logger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, pino.destination({ fd: 2, sync: true }));
}

/** Says nothing: what an embedded broker logs to unless it is given a log. */
export const silentLog: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export function systemWorld(log: Logger): World {
  return {
    env: {
      clock: systemClock,
      disk: nodeDisk(),
      random: systemRandom,
      host: systemHost(),
      log,
    },
    transport: tcpTransport,
    mostConnections: mostConnections(),
    openCleaners: () => new CleanerThreads(),
    openCodecs: (memory, onTooLarge) =>
      new WorkerCodecs({ clock: systemClock, memory, onTooLarge }),
    openHttp: async (listeners, broker) => {
      const { openHttp } = await import('../http/server.ts');
      return openHttp(listeners, broker);
    },
    openDoor: (broker) => openDoor(broker, log),
  };
}

/** What the name of a socket may have on all systems. */
const SOCKET_NAME_BYTES = 100;
const DOOR_FILE = 'tailrace.sock';

/** The socket of a data folder, by the shorter of its names; undefined where there can be none. */
export function doorOf(dataDir: string): string | undefined {
  const absolute = path.resolve(dataDir, DOOR_FILE);
  const relative = path.relative('', absolute);
  const name = relative.length < absolute.length ? relative : absolute;
  const canBe = process.platform !== 'win32' && Buffer.byteLength(name) <= SOCKET_NAME_BYTES;
  return canBe ? name : undefined;
}

/** What answers is loaded with the first question. */
async function openDoor(broker: Broker, log: Logger) {
  const name = doorOf(broker.dataDir);
  if (name === undefined) return undefined;
  const failed = (error: Error) => log.warn({ err: error, name }, 'a tool was not answered');
  try {
    // Left by a broker that was killed: the folder is ours.
    rmSync(name, { force: true });
    return await listenLocally(
      name,
      async (question, send) => {
        const { answerOperator } = await import('./operator-door.ts');
        await answerOperator(broker.services, question, send);
      },
      failed,
    );
  } catch (error) {
    log.warn({ err: error, name }, 'tools cannot ask this broker; they read its files');
    return undefined;
  }
}

/** A folder name of its own below the system's folder for temporary files; it is not made. */
export function temporaryFolder(): string {
  return path.join(os.tmpdir(), `tailrace-${process.pid}-${randomBytes(6).toString('hex')}`);
}

/**
 * Calls `stop` at the first SIGTERM or SIGINT and ends the process with the signal's exit code when
 * it is done; a second signal ends it at once. `failed` is told when stopping went wrong.
 */
export function stopOnSignals(stop: () => Promise<void>, failed: (error: unknown) => void): void {
  let stopping = false;
  for (const [signal, exitCode] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(exitCode);
      stopping = true;
      stop().then(
        () => process.exit(exitCode),
        (error: unknown) => {
          failed(error);
          process.exit(1);
        },
      );
    });
  }
}

/**
 * One data folder belongs to one broker. The lock is a file that only one process can make; it names
 * its holder, who renews it every few seconds. Whether a holder still runs is seen
 *
 * - in the same boot and process namespace: by its process id and start time, at once,
 * - after a reboot of the same host: it does not, unless the lock was renewed a moment ago,
 * - elsewhere (other containers, other hosts, no /proc): by watching whether the lock is renewed.
 *
 * Who takes a stale lock away holds a second file meanwhile, which again only one can make, and looks
 * at the lock once more: so nobody takes away what another has just made.
 */

import path from 'node:path';
import type { DiskFile, Env, Timer } from './env.ts';
import { DataFolderUnusable } from './errors.ts';

export const LOCK_FILE = '.lock';

/** How often a lock is renewed, and how long one that is not renewed counts as held. */
const HEARTBEAT_MS = 2000;
const WATCH_MS = 5000;
const WATCH_STEP_MS = 250;
/** Between making the lock and writing who holds it. */
const WRITING_MS = 1000;
/** The file always has this size, so that a renewal is one write. */
const LOCK_BYTES = 512;
const ATTEMPTS = 40;
/** Where `/proc/<pid>/stat` has the start time, counted behind the process's name. */
const START_TIME_FIELD = 19;

interface Holder {
  readonly nonce: string;
  readonly processId: number;
  /** Clock ticks from the boot to the start of the process; -1 where it cannot be known. */
  readonly startTicks: number;
  /** Inode of the process namespace; -1 where it cannot be known. */
  readonly namespace: number;
  readonly bootId: string;
  readonly hostName: string;
  /** Counts the renewals. */
  readonly beat: number;
  /** Wall clock of the last renewal. */
  readonly beatMs: number;
}

export interface FolderLock {
  /** Called once when somebody else has taken the lock away: the broker must stop. */
  onLost: (() => void) | undefined;
  /** Gives the folder free. */
  release(): Promise<void>;
}

/** Locks a data folder, which must be there. Throws DataFolderUnusable when it is in use. */
export async function lockFolder(env: Env, dataDir: string): Promise<FolderLock> {
  const file = path.join(dataDir, LOCK_FILE);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const made = await tryMake(env, file);
    if (made !== undefined) return made;
    const contents = await env.disk.readFile(file);
    if (contents === undefined) continue;
    const holder = parseHolder(contents);
    if (holder === undefined && (await isFresh(env, file))) {
      await pause(env);
      continue;
    }
    if (holder !== undefined && (await isHeld(env, file, holder))) {
      throw new DataFolderUnusable(
        `the data folder ${dataDir} is in use by another broker: process ${holder.processId} ` +
          `on ${holder.hostName} (see ${file})`,
      );
    }
    await takeAway(env, file, contents);
  }
  throw new DataFolderUnusable(`the data folder ${dataDir} is being taken by another broker`);
}

/** The process that has a data folder, as far as that can be seen; undefined when it is free. */
export async function lockHolder(
  env: Env,
  dataDir: string,
): Promise<{ readonly processId: number; readonly hostName: string } | undefined> {
  const file = path.join(dataDir, LOCK_FILE);
  const contents = await env.disk.readFile(file);
  const holder = contents && parseHolder(contents);
  return holder !== undefined && (await isHeld(env, file, holder)) ? holder : undefined;
}

/** Makes the lock file; undefined when there is one. */
async function tryMake(env: Env, file: string): Promise<HeldLock | undefined> {
  const holder = await describeSelf(env);
  let opened: DiskFile;
  try {
    opened = await env.disk.open(file, 'create');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  }
  try {
    await opened.write([formatHolder(holder)], 0);
  } catch (error) {
    await opened.close();
    await env.disk.remove(file);
    throw error;
  }
  return new HeldLock(env, file, opened, holder);
}

function pause({ clock }: Env): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(WATCH_STEP_MS, resolve, true);
  });
}

/** Whether a file was just changed: a lock without contents is being written then. */
async function isFresh(env: Env, file: string): Promise<boolean> {
  const stat = await env.disk.stat(file);
  return stat !== undefined && Math.abs(env.clock.now() - stat.modifiedMs) < WRITING_MS;
}

async function describeSelf(env: Env): Promise<Holder> {
  const { bootId, hostName, processId } = env.host;
  return {
    nonce: env.random.bytes(12).toString('hex'),
    processId,
    startTicks: await startTicksOf(env, processId),
    namespace: (await env.disk.stat('/proc/self/ns/pid'))?.inode ?? -1,
    bootId,
    hostName,
    beat: 0,
    beatMs: env.clock.now(),
  };
}

/** When a process started; -1 when there is none of that id, or no way to see it. */
async function startTicksOf(env: Env, processId: number): Promise<number> {
  let contents: Buffer | undefined;
  try {
    contents = await env.disk.readFile(`/proc/${processId}/stat`);
  } catch (error) {
    // The process ended while its file was read.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
  if (contents === undefined) return -1;
  const text = contents.toString();
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[START_TIME_FIELD]);
  return Number.isSafeInteger(ticks) ? ticks : -1;
}

function formatHolder(holder: Holder): Buffer {
  const contents = Buffer.alloc(LOCK_BYTES, ' ');
  contents.write(`${JSON.stringify(holder)}\n`);
  return contents;
}

/** Undefined for what is no lock of ours: empty (Kafka's), or torn by a power cut. */
function parseHolder(contents: Buffer): Holder | undefined {
  try {
    const holder = JSON.parse(contents.toString()) as Partial<Holder> | null;
    return typeof holder?.nonce === 'string' ? (holder as Holder) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function isHeld(env: Env, file: string, holder: Holder): Promise<boolean> {
  const isSameBoot = holder.bootId === env.host.bootId;
  const namespace = (await env.disk.stat('/proc/self/ns/pid'))?.inode ?? -1;
  if (isSameBoot && namespace !== -1 && holder.namespace === namespace) {
    return (await startTicksOf(env, holder.processId)) === holder.startTicks;
  }
  const isSelf = holder.processId === env.host.processId && holder.startTicks === -1;
  if (isSameBoot && isSelf && holder.hostName === env.host.hostName) return true;
  const age = Math.abs(env.clock.now() - holder.beatMs);
  if (!isSameBoot && holder.hostName === env.host.hostName && age > WATCH_MS) return false;
  env.log.info({ file, holder }, 'watching whether the lock of another broker is renewed');
  return isRenewed(env, file, holder);
}

/** Watches a lock for longer than a renewal may take. */
async function isRenewed(env: Env, file: string, holder: Holder): Promise<boolean> {
  const end = env.clock.monotonic() + WATCH_MS;
  while (env.clock.monotonic() < end) {
    await pause(env);
    const contents = await env.disk.readFile(file);
    const now = contents && parseHolder(contents);
    if (now !== undefined && (now.nonce !== holder.nonce || now.beat !== holder.beat)) return true;
  }
  return false;
}

/** Takes a stale lock away, unless it is another one by now. */
async function takeAway(env: Env, file: string, judged: Buffer): Promise<void> {
  const { clock, disk, log } = env;
  const guard = `${file}.taking`;
  let opened: DiskFile;
  try {
    opened = await disk.open(guard, 'create');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const made = await disk.stat(guard);
    // Whoever made it ended in between: that takes a moment only.
    if (made !== undefined && clock.now() - made.modifiedMs > WATCH_MS) await disk.remove(guard);
    else await pause(env);
    return;
  }
  try {
    await opened.close();
    const contents = await disk.readFile(file);
    if (contents === undefined || !contents.equals(judged)) return;
    await disk.remove(file);
    log.info({ file }, 'a lock was left behind by a broker that is gone; it was taken over');
  } finally {
    await disk.remove(guard);
  }
}

class HeldLock implements FolderLock {
  onLost: (() => void) | undefined;
  readonly #env: Env;
  readonly #file: string;
  readonly #opened: DiskFile;
  #holder: Holder;
  #timer: Timer | undefined;
  #beating: Promise<void> = Promise.resolve();
  #isReleased = false;

  constructor(env: Env, file: string, opened: DiskFile, holder: Holder) {
    this.#env = env;
    this.#file = file;
    this.#opened = opened;
    this.#holder = holder;
    this.#schedule();
  }

  async release(): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#timer?.cancel();
    await this.#beating;
    await this.#opened.close();
    if (await this.#isOurs()) await this.#env.disk.remove(this.#file);
  }

  #schedule(): void {
    this.#timer = this.#env.clock.setTimer(HEARTBEAT_MS, () => {
      this.#beating = this.#beat();
    });
  }

  async #beat(): Promise<void> {
    try {
      if (!(await this.#isOurs())) {
        this.#env.log.error({ file: this.#file }, 'another broker has taken the data folder');
        this.onLost?.();
        return;
      }
      this.#holder = {
        ...this.#holder,
        beat: this.#holder.beat + 1,
        beatMs: this.#env.clock.now(),
      };
      await this.#opened.write([formatHolder(this.#holder)], 0);
    } catch (error) {
      // Whoever looks by the process id is not misled; the next renewal may work.
      this.#env.log.warn({ err: error, file: this.#file }, 'the lock could not be renewed');
    }
    if (!this.#isReleased) this.#schedule();
  }

  async #isOurs(): Promise<boolean> {
    const contents = await this.#env.disk.readFile(this.#file);
    return contents !== undefined && parseHolder(contents)?.nonce === this.#holder.nonce;
  }
}

/**
 * The real Disk: the one file that touches the file system. Descriptors are plain numbers; a write
 * goes on after a short one until all is written, a read until it is full or the file ends.
 * Failures are Node's own errors with their `code`.
 */

import { statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fs from 'fs-extra';
import type { Disk, DiskFile, FileStat, OpenMode } from './env.ts';

/** What one writev takes; the kernel refuses more (IOV_MAX). */
const MAX_VECTORS = 1024;

const FLAGS: Record<OpenMode, string> = { read: 'r', write: 'r+', create: 'wx+' };

/** A folder cannot be opened for an fsync there; its entries are durable by themselves. */
const CAN_SYNC_FOLDERS = process.platform !== 'win32';

/** The system leaves to files what programs do not need, mostly far more than this part of all. */
const CACHED_SHARE = 8;

/** Larger writes may wait for memory that is being written back. */
const AT_ONCE_MAX_BYTES = 64 * 1024;

/** What the process may have of the machine's memory. */
function memoryBytes(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  return limit > 0 ? Math.min(limit, os.totalmem()) : os.totalmem();
}

function hasCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}

function statOf(stats: fs.Stats): FileStat {
  return {
    sizeBytes: stats.size,
    isDirectory: stats.isDirectory(),
    device: stats.dev,
    inode: stats.ino,
    modifiedMs: stats.mtimeMs,
  };
}

/** The vectors that are still to be written once `written` bytes of `buffers` are. */
function remaining(buffers: readonly Buffer[], written: number): Buffer[] {
  let left = written;
  for (let index = 0; index < buffers.length; index++) {
    const buffer = buffers[index]!;
    if (left < buffer.length) {
      const rest = buffers.slice(index, index + MAX_VECTORS);
      rest[0] = buffer.subarray(left);
      return rest;
    }
    left -= buffer.length;
  }
  return [];
}

function totalBytes(buffers: readonly Buffer[]): number {
  let total = 0;
  for (const buffer of buffers) total += buffer.length;
  return total;
}

function nothingWritten(path: string): Error {
  return Object.assign(new Error(`a write to ${path} took no byte`), { code: 'EIO' });
}

/** What all files of a disk go by; see Disk.setAtOnce. */
interface Pace {
  isAtOnce: boolean;
}

class NodeFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;
  readonly #pace: Pace;

  constructor(filePath: string, descriptor: number, pace: Pace) {
    this.path = filePath;
    this.#descriptor = descriptor;
    this.#pace = pace;
  }

  async read(
    target: Buffer,
    targetStart: number,
    length: number,
    position: number,
  ): Promise<number> {
    let done = 0;
    while (done < length) {
      const { bytesRead } = await fs.read(
        this.#descriptor,
        target,
        targetStart + done,
        length - done,
        position + done,
      );
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  readSync(target: Buffer, targetStart: number, length: number, position: number): number {
    let done = 0;
    while (done < length) {
      const count = fs.readSync(
        this.#descriptor,
        target,
        targetStart + done,
        length - done,
        position + done,
      );
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  async write(buffers: readonly Buffer[], position: number): Promise<void> {
    const total = totalBytes(buffers);
    if (this.#pace.isAtOnce && total <= AT_ONCE_MAX_BYTES) {
      this.writeSync(buffers, position);
      return;
    }
    let done = 0;
    while (done < total) {
      const vectors = remaining(buffers, done);
      const { bytesWritten } = await fs.writev(this.#descriptor, vectors, position + done);
      if (bytesWritten === 0) throw nothingWritten(this.path);
      done += bytesWritten;
    }
  }

  writeSync(buffers: readonly Buffer[], position: number): void {
    const total = totalBytes(buffers);
    let done = 0;
    while (done < total) {
      const count = fs.writevSync(this.#descriptor, remaining(buffers, done), position + done);
      if (count === 0) throw nothingWritten(this.path);
      done += count;
    }
  }

  sync(): Promise<void> {
    return fs.fdatasync(this.#descriptor);
  }

  syncSync(): void {
    fs.fdatasyncSync(this.#descriptor);
  }

  truncate(sizeBytes: number): Promise<void> {
    return fs.ftruncate(this.#descriptor, sizeBytes);
  }

  async stat(): Promise<FileStat> {
    return statOf(await fs.fstat(this.#descriptor));
  }

  statSync(): FileStat {
    return statOf(fs.fstatSync(this.#descriptor));
  }

  async close(): Promise<void> {
    if (this.#pace.isAtOnce) fs.closeSync(this.#descriptor);
    else await fs.close(this.#descriptor);
  }
}

/** Runs a call that may find nothing at its path, and gives `otherwise` then. */
async function orNothing<T, O>(call: Promise<T>, otherwise: O): Promise<T | O> {
  try {
    return await call;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return otherwise;
    throw error;
  }
}

/** As `orNothing`, for a call that does not return before it is done. */
function orNothingSync<T, O>(call: () => T, otherwise: O): T | O {
  try {
    return call();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return otherwise;
    throw error;
  }
}

/** The calls that do not return before they are done. */
const BLOCKING: Pick<Disk, 'readFile' | 'stat' | 'list' | 'makeDir' | 'remove'> = {
  async readFile(filePath) {
    return orNothingSync(() => fs.readFileSync(filePath), undefined);
  },
  async stat(filePath) {
    const stats = fs.statSync(filePath, { throwIfNoEntry: false });
    return stats === undefined ? undefined : statOf(stats);
  },
  async list(folder) {
    return orNothingSync(() => fs.readdirSync(folder), []).sort();
  },
  async makeDir(folder) {
    fs.mkdirSync(folder, { recursive: true });
  },
  async remove(filePath) {
    orNothingSync(() => fs.unlinkSync(filePath), undefined);
  },
};

/** Freed at once: a few milliseconds for a disk that is told of each block that is free. */
const REMOVAL_STEP_BYTES = 16 * 1024 * 1024;
/** After smaller files nobody needs a rest. */
const LARGE_FILE_BYTES = 1024 * 1024;

async function removeInSteps(filePath: string, rest: () => Promise<boolean>): Promise<void> {
  let descriptor: number;
  try {
    descriptor = await fs.open(filePath, 'r+');
  } catch {
    // Without a descriptor it goes as a whole, or that fails and says why.
    return orNothing(fs.unlink(filePath), undefined);
  }
  let size: number;
  try {
    const stats = await fs.fstat(descriptor);
    await orNothing(fs.unlink(filePath), undefined);
    if (stats.nlink > 1) return;
    ({ size } = stats);
    for (let step = Math.ceil(size / REMOVAL_STEP_BYTES) - 1; step > 0; step--) {
      await fs.ftruncate(descriptor, step * REMOVAL_STEP_BYTES);
      if (!(await rest())) return;
    }
  } finally {
    await fs.close(descriptor);
  }
  if (size > LARGE_FILE_BYTES) await rest();
}

/** Of a thread that works in the background; the others' is 0, and the system's lowest 19. */
const BACKGROUND_PRIORITY = 5;

/**
 * Lets the system prefer all others to the thread that calls. Gives whether it does: only Linux has
 * priorities of threads, and may be told to refuse them.
 */
export function workInBackground(): boolean {
  const thread = orNothingSync(() => fs.readlinkSync('/proc/thread-self'), undefined);
  if (thread === undefined) return false;
  try {
    os.setPriority(Number(path.basename(thread)), BACKGROUND_PRIORITY);
    return true;
  } catch (error) {
    const { info } = error as { info?: { code?: string } };
    if (info?.code === 'EACCES' || info?.code === 'EPERM') return false;
    throw error;
  }
}

/** The disk of this machine. */
export function nodeDisk(): Disk {
  const pace: Pace = { isAtOnce: false };
  return {
    cachedBytes: Math.floor(memoryBytes() / CACHED_SHARE),
    blocking() {
      return { ...this, ...BLOCKING };
    },
    setAtOnce(isAtOnce) {
      pace.isAtOnce = isAtOnce;
    },
    async open(filePath, mode) {
      const flags = FLAGS[mode];
      const descriptor = pace.isAtOnce
        ? fs.openSync(filePath, flags)
        : await fs.open(filePath, flags);
      return new NodeFile(filePath, descriptor, pace);
    },
    readFile(filePath) {
      return orNothing(fs.readFile(filePath), undefined);
    },
    async stat(filePath) {
      if (pace.isAtOnce) return BLOCKING.stat(filePath);
      const stats = await orNothing(fs.stat(filePath), undefined);
      return stats === undefined ? undefined : statOf(stats);
    },
    async list(folder) {
      if (pace.isAtOnce) return BLOCKING.list(folder);
      return (await orNothing(fs.readdir(folder), [])).sort();
    },
    async makeDir(folder) {
      if (pace.isAtOnce) return BLOCKING.makeDir(folder);
      await fs.mkdir(folder, { recursive: true });
    },
    async rename(from, to) {
      if (pace.isAtOnce) fs.renameSync(from, to);
      else await fs.rename(from, to);
    },
    async link(from, to) {
      try {
        await fs.link(from, to);
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error;
      }
    },
    remove(filePath) {
      if (pace.isAtOnce) return BLOCKING.remove(filePath);
      return orNothing(fs.unlink(filePath), undefined);
    },
    removeInSteps,
    removeTree(folder) {
      return fs.remove(folder);
    },
    async volume(folder) {
      const { bsize, blocks, bavail } = await statfs(folder);
      return { totalBytes: bsize * blocks, usableBytes: bsize * bavail };
    },
    async syncDir(folder) {
      if (!CAN_SYNC_FOLDERS) return;
      // Opening a folder waits for nothing: a thread for the sync alone.
      const descriptor = fs.openSync(path.resolve(folder), 'r');
      try {
        await fs.fsync(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
    },
  };
}

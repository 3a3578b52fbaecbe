/**
 * A simulated disk. `mount` gives it to one life of a process; `kill` ends that life and keeps what
 * was written, `powerCut` ends it and loses what was not synced, as the seed has it. Any call can be
 * made to fail, to write short, to be the last one of the process, or to take simulated time.
 */

import path from 'node:path';
import type { Clock, Disk, DiskFile, FileStat, OpenMode } from '../../storage/env.ts';
import { diskError, SimFile, SimFolder, type SimNode, SimTree } from './disk-tree.ts';
import type { SeededRandom } from './random.ts';

export type CallName =
  | 'open'
  | 'readFile'
  | 'stat'
  | 'list'
  | 'makeDir'
  | 'rename'
  | 'link'
  | 'remove'
  | 'removeTree'
  | 'syncDir'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'close';

/** A call that is about to happen. */
export interface DiskCall {
  /** Counted over the disk's whole life, from 1. */
  readonly number: number;
  readonly name: CallName;
  readonly path: string;
  /** Of a write: how much is to be written. */
  readonly bytes: number;
}

/**
 * What becomes of a call: it fails with a code, having written only so much of it; or the process
 * ends with it, of a write with only so much done.
 */
export type Fate =
  | { readonly code: string; readonly writtenBytes?: number }
  | { readonly ends: 'before' | 'after'; readonly writtenBytes?: number };

/** Thrown by calls that cannot wait once the process has ended. */
export class ProcessEnded extends Error {}

const READ_CALLS: ReadonlySet<CallName> = new Set(['readFile', 'stat', 'list', 'read']);

export class SimDisk {
  /** See Disk.cachedBytes. */
  cachedBytes: number | undefined;
  /** Decides on each call; undefined lets it happen. */
  onCall: ((call: DiskCall) => Fate | undefined) | undefined;
  /** Simulated milliseconds that a call takes. */
  delayMs: ((call: DiskCall) => number) | undefined;
  /** Called when `onCall` has ended the process. */
  onEnd: (() => void) | undefined;
  /** The process stands still until it resolves: what was asked for is done, and not heard of. */
  held: Promise<void> | undefined;
  /** Calls so far. */
  calls = 0;
  /** Files that the life of the process that runs has open. */
  readonly openFiles = new Set<DiskFile>();
  readonly device: number;
  readonly clock: Clock;
  readonly tree = new SimTree();
  #life = 0;

  constructor(clock: Clock, device = 7) {
    this.clock = clock;
    this.device = device;
  }

  /** The disk for one more life of the process. */
  mount(): Disk {
    return new Mount(this, this.#life);
  }

  isAlive(life: number): boolean {
    return life === this.#life;
  }

  /** The process ends; all that was written stays. */
  kill(): void {
    this.#endLife();
  }

  #endLife(): void {
    this.#life++;
    this.openFiles.clear();
  }

  /**
   * The machine loses power. `keepChance`: how likely each sector and name that was not synced has
   * got to the disk all the same.
   */
  powerCut(random: SeededRandom, keepChance = random.pick([0, 0.1, 0.5, 0.9, 1])): void {
    this.#endLife();
    this.tree.loseUnsynced(random, keepChance);
  }

  /** The file at a path, to look at and to damage. */
  file(filePath: string): SimFile {
    const node = this.tree.find(filePath);
    if (!(node instanceof SimFile)) throw diskError('ENOENT', 'file', filePath);
    return node;
  }

  exists(filePath: string): boolean {
    return this.tree.find(filePath) !== undefined;
  }

  /** Paths of all files, sorted. */
  files(): string[] {
    const found: string[] = [];
    const visit = (folder: SimFolder, at: string) => {
      for (const [name, node] of folder.entries) {
        if (node instanceof SimFolder) visit(node, `${at}/${name}`);
        else found.push(`${at}/${name}`);
      }
    };
    visit(this.tree.root, '');
    return found.sort();
  }

  /** Decides on a call and carries it out. */
  perform<T>(life: number, name: CallName, at: string, run: () => T, write?: WriteCall): T {
    const call: DiskCall = {
      number: ++this.calls,
      name,
      path: at,
      bytes: write?.bytes ?? 0,
    };
    if (!this.isAlive(life)) throw new ProcessEnded();
    const fate = this.onCall?.(call);
    if (fate === undefined) return run();
    if (fate.writtenBytes !== undefined) write?.partly(fate.writtenBytes);
    if ('code' in fate) throw diskError(fate.code, name, at);
    if (fate.ends === 'after') run();
    this.#endLife();
    this.onEnd?.();
    throw new ProcessEnded();
  }

  /** The same, as what a process waits for: it never hears of a call that outlives it. */
  async later<T>(life: number, name: CallName, at: string, run: () => T, write?: WriteCall) {
    const call = { number: this.calls + 1, name, path: at, bytes: write?.bytes ?? 0 };
    const delay = this.isAlive(life) ? (this.delayMs?.(call) ?? 0) : 0;
    if (delay > 0) await new Promise<void>((resolve) => this.clock.setTimer(delay, resolve));
    try {
      const result = this.perform(life, name, at, run, write);
      // An answer comes in a later turn, as from a real disk.
      if (!READ_CALLS.has(name)) await Promise.resolve();
      await this.#heard(life);
      return result;
    } catch (error) {
      if (!(error instanceof ProcessEnded)) await this.#heard(life);
      if (!this.isAlive(life)) return new Promise<T>(() => {});
      throw error;
    }
  }

  async #heard(life: number): Promise<void> {
    if (this.held === undefined) return;
    await this.held;
    // Nobody is left who could hear of it.
    if (!this.isAlive(life)) await new Promise<never>(() => {});
  }
}

interface WriteCall {
  readonly bytes: number;
  partly(bytes: number): void;
}

class Mount implements Disk {
  readonly #disk: SimDisk;
  readonly #life: number;

  constructor(disk: SimDisk, life: number) {
    this.#disk = disk;
    this.#life = life;
  }

  get cachedBytes(): number | undefined {
    return this.#disk.cachedBytes;
  }

  #call<T>(name: CallName, at: string, run: () => T): Promise<T> {
    return this.#disk.later(this.#life, name, at, run);
  }

  open(filePath: string, mode: OpenMode): Promise<DiskFile> {
    return this.#call('open', filePath, () => {
      const { tree } = this.#disk;
      const { folder, name } = tree.locate(filePath, 'open');
      let node = folder.entries.get(name);
      if (mode === 'create') {
        if (node !== undefined) throw diskError('EEXIST', 'open', filePath);
        node = tree.newFile();
        node.modifiedMs = this.#disk.clock.now();
        tree.change([{ folder, name, node }]);
      }
      if (node === undefined) throw diskError('ENOENT', 'open', filePath);
      if (!(node instanceof SimFile)) throw diskError('EISDIR', 'open', filePath);
      return new OpenSimFile(this.#disk, this.#life, filePath, node, mode !== 'read');
    });
  }

  readFile(filePath: string): Promise<Buffer | undefined> {
    return this.#call('readFile', filePath, () => {
      const node = this.#disk.tree.find(filePath);
      if (node instanceof SimFolder) throw diskError('EISDIR', 'read', filePath);
      return node && Buffer.from(node.contents);
    });
  }

  stat(filePath: string): Promise<FileStat | undefined> {
    return this.#call('stat', filePath, () => {
      const node = this.#disk.tree.find(filePath);
      return node && statOf(this.#disk, node);
    });
  }

  list(folder: string): Promise<string[]> {
    return this.#call('list', folder, () => {
      const node = this.#disk.tree.find(folder);
      if (node instanceof SimFile) throw diskError('ENOTDIR', 'scandir', folder);
      return node === undefined ? [] : [...node.entries.keys()].sort();
    });
  }

  makeDir(folder: string): Promise<void> {
    return this.#call('makeDir', folder, () => {
      const { tree } = this.#disk;
      let at = tree.root;
      for (const name of folder.split('/')) {
        if (name === '' || name === '.') continue;
        let node = at.entries.get(name);
        if (node === undefined) {
          node = tree.newFolder();
          tree.change([{ folder: at, name, node }]);
        }
        if (!(node instanceof SimFolder)) throw diskError('EEXIST', 'mkdir', folder);
        at = node;
      }
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call('rename', from, () => {
      const source = this.#disk.tree.locate(from, 'rename');
      const target = this.#disk.tree.locate(to, 'rename');
      const node = source.folder.entries.get(source.name);
      if (node === undefined) throw diskError('ENOENT', 'rename', from);
      this.#disk.tree.change([
        { ...source, node: undefined },
        { ...target, node },
      ]);
    });
  }

  link(from: string, to: string): Promise<void> {
    return this.#call('link', from, () => {
      const { tree } = this.#disk;
      const source = tree.locate(from, 'link');
      const target = tree.locate(to, 'link');
      const node = source.folder.entries.get(source.name);
      if (node === undefined) throw diskError('ENOENT', 'link', from);
      if (!target.folder.entries.has(target.name)) tree.change([{ ...target, node }]);
    });
  }

  remove(filePath: string): Promise<void> {
    return this.#call('remove', filePath, () => {
      const node = this.#disk.tree.find(filePath);
      if (node === undefined) return;
      if (node instanceof SimFolder) throw diskError('EISDIR', 'unlink', filePath);
      this.#disk.tree.change([{ ...this.#disk.tree.locate(filePath, 'unlink'), node: undefined }]);
    });
  }

  removeTree(folder: string): Promise<void> {
    return this.#call('removeTree', folder, () => {
      if (this.#disk.tree.find(folder) === undefined) return;
      this.#disk.tree.change([{ ...this.#disk.tree.locate(folder, 'rm'), node: undefined }]);
    });
  }

  syncDir(folder: string): Promise<void> {
    return this.#call('syncDir', folder, () => {
      const node = this.#disk.tree.find(folder);
      if (!(node instanceof SimFolder)) throw diskError('ENOENT', 'fsync', folder);
      this.#disk.tree.syncFolder(node);
    });
  }
}

function statOf(disk: SimDisk, node: SimNode): FileStat {
  const isDirectory = node instanceof SimFolder;
  return {
    sizeBytes: isDirectory ? 0 : node.sizeBytes,
    isDirectory,
    device: disk.device,
    inode: node.inode,
    modifiedMs: isDirectory ? 0 : node.modifiedMs,
  };
}

class OpenSimFile implements DiskFile {
  readonly path: string;
  readonly #disk: SimDisk;
  readonly #life: number;
  readonly #file: SimFile;
  readonly #isWritable: boolean;
  #isOpen = true;

  constructor(disk: SimDisk, life: number, at: string, file: SimFile, isWritable: boolean) {
    this.#disk = disk;
    this.#life = life;
    this.path = path.normalize(at);
    this.#file = file;
    this.#isWritable = isWritable;
    disk.openFiles.add(this);
  }

  read(target: Buffer, targetStart: number, length: number, position: number): Promise<number> {
    return this.#call('read', () => this.#read(target, targetStart, length, position));
  }

  readSync(target: Buffer, targetStart: number, length: number, position: number): number {
    return this.#disk.perform(this.#life, 'read', this.path, () =>
      this.#read(target, targetStart, length, position),
    );
  }

  write(buffers: readonly Buffer[], position: number): Promise<void> {
    const write = this.#writeOf(buffers, position);
    return this.#call('write', () => write.partly(write.bytes), write);
  }

  writeSync(buffers: readonly Buffer[], position: number): void {
    const write = this.#writeOf(buffers, position);
    const run = () => write.partly(write.bytes);
    this.#disk.perform(this.#life, 'write', this.path, run, write);
  }

  async sync(): Promise<void> {
    try {
      await this.#call('sync', () => this.#file.sync());
    } catch (error) {
      this.#file.failSync();
      throw error;
    }
  }

  syncSync(): void {
    try {
      this.#disk.perform(this.#life, 'sync', this.path, () => this.#file.sync());
    } catch (error) {
      if (!(error instanceof ProcessEnded)) this.#file.failSync();
      throw error;
    }
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#call('truncate', () => {
      this.#checkWritable('ftruncate');
      this.#file.truncate(sizeBytes);
    });
  }

  stat(): Promise<FileStat> {
    return this.#call('stat', () => statOf(this.#disk, this.#file));
  }

  statSync(): FileStat {
    return this.#disk.perform(this.#life, 'stat', this.path, () => statOf(this.#disk, this.#file));
  }

  close(): Promise<void> {
    return this.#call('close', () => {
      this.#isOpen = false;
      this.#disk.openFiles.delete(this);
    });
  }

  #call<T>(name: CallName, run: () => T, write?: WriteCall): Promise<T> {
    const checked = () => {
      if (!this.#isOpen) throw diskError('EBADF', name, this.path);
      return run();
    };
    return this.#disk.later(this.#life, name, this.path, checked, write);
  }

  #checkWritable(call: string): void {
    if (!this.#isOpen || !this.#isWritable) throw diskError('EBADF', call, this.path);
  }

  #read(target: Buffer, targetStart: number, length: number, position: number): number {
    const { contents } = this.#file;
    return contents.copy(target, targetStart, position, position + length);
  }

  /** The bytes are taken when the call is carried out, as the kernel does. */
  #writeOf(buffers: readonly Buffer[], position: number): WriteCall {
    const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
    const partly = (count: number) => {
      this.#checkWritable('write');
      this.#file.write(Buffer.concat(buffers).subarray(0, count), position);
      this.#file.modifiedMs = this.#disk.clock.now();
    };
    return { bytes, partly };
  }
}

/**
 * What a simulated disk holds, twice: as the processes see it, and as it would be after a power cut.
 * Contents go from the one to the other by sectors, at a sync of the file; names at a sync of their
 * folder. What was not synced may or may not have got there when the power goes, in any order.
 */

import type { SeededRandom } from './random.ts';

export const SECTOR_BYTES = 512;

export function diskError(code: string, call: string, path: string): Error {
  const error = new Error(`${code}: simulated, ${call} '${path}'`);
  return Object.assign(error, { code, errno: -1, syscall: call, path });
}

/** The same bytes, with room for so many. */
function withRoom(bytes: Buffer, sizeBytes: number): Buffer {
  if (sizeBytes <= bytes.length) return bytes;
  const grown = Buffer.alloc(Math.max(sizeBytes, bytes.length * 2, SECTOR_BYTES));
  bytes.copy(grown);
  return grown;
}

export class SimFile {
  readonly inode: number;
  modifiedMs = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #sizeBytes = 0;
  #durable: Buffer = Buffer.alloc(0);
  #durableBytes = 0;
  readonly #dirty = new Set<number>();

  constructor(inode: number) {
    this.inode = inode;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get contents(): Buffer {
    return this.#bytes.subarray(0, this.#sizeBytes);
  }

  write(source: Buffer, position: number): void {
    const end = position + source.length;
    this.#bytes = withRoom(this.#bytes, end);
    source.copy(this.#bytes, position);
    this.#markDirty(Math.min(position, this.#sizeBytes), end);
    this.#sizeBytes = Math.max(this.#sizeBytes, end);
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes > this.#sizeBytes) {
      this.write(Buffer.alloc(sizeBytes - this.#sizeBytes), this.#sizeBytes);
      return;
    }
    this.#bytes.fill(0, sizeBytes, this.#sizeBytes);
    this.#markDirty(sizeBytes, this.#sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  /** What has changed since the last sync gets to the disk, but for what a failed one has lost. */
  sync(): void {
    const size = this.#sizeBytes;
    this.#durable = withRoom(this.#durable, size);
    for (const sector of this.#dirty) {
      const start = sector * SECTOR_BYTES;
      if (start < size)
        this.#bytes.copy(this.#durable, start, start, Math.min(start + SECTOR_BYTES, size));
    }
    if (size < this.#durableBytes) this.#durable.fill(0, size, this.#durableBytes);
    this.#durableBytes = size;
    this.#dirty.clear();
  }

  /** A sync that failed: the pages count as clean now, and the disk never got them. */
  failSync(): void {
    this.#dirty.clear();
  }

  /** What a power cut leaves: each sector that was not synced is the old one or the new one. */
  loseUnsynced(random: SeededRandom, keepChance: number): void {
    const isNewSize = random.chance(keepChance);
    const size = this.#dirty.size > 0 && isNewSize ? this.#sizeBytes : this.#durableBytes;
    const left = Buffer.alloc(size);
    this.#durable.copy(left, 0, 0, Math.min(size, this.#durableBytes));
    for (const sector of [...this.#dirty].sort((a, b) => a - b)) {
      const start = sector * SECTOR_BYTES;
      if (random.chance(keepChance) && start < size) {
        const end = Math.min(start + SECTOR_BYTES, this.#sizeBytes, size);
        left.fill(0, start, Math.min(start + SECTOR_BYTES, size));
        if (end > start) this.#bytes.copy(left, start, start, end);
      }
    }
    this.#bytes = Buffer.from(left);
    this.#sizeBytes = size;
    this.#durable = left;
    this.#durableBytes = size;
    this.#dirty.clear();
  }

  /** Damages what is on the disk, as rot does: also what was synced. */
  flip(position: number, mask: number): void {
    this.#bytes[position]! ^= mask;
    if (position < this.#durableBytes) this.#durable[position]! ^= mask;
  }

  #markDirty(start: number, end: number): void {
    const last = Math.ceil(end / SECTOR_BYTES);
    for (let sector = Math.floor(start / SECTOR_BYTES); sector < last; sector++) {
      this.#dirty.add(sector);
    }
  }
}

export class SimFolder {
  readonly inode: number;
  readonly entries = new Map<string, SimNode>();
  readonly durable = new Map<string, SimNode>();

  constructor(inode: number) {
    this.inode = inode;
  }
}

export type SimNode = SimFile | SimFolder;

/** One name that changes: what it names from now on. */
interface NameChange {
  readonly folder: SimFolder;
  readonly name: string;
  readonly node: SimNode | undefined;
}

function applyTo(entries: Map<string, SimNode>, { name, node }: NameChange): void {
  if (node === undefined) entries.delete(name);
  else entries.set(name, node);
}

/** The names of a disk; a change of several names (a rename) happens as a whole or not at all. */
export class SimTree {
  readonly root = new SimFolder(1);
  #pending: NameChange[][] = [];
  #nextInode = 2;

  newFile(): SimFile {
    return new SimFile(this.#nextInode++);
  }

  newFolder(): SimFolder {
    return new SimFolder(this.#nextInode++);
  }

  /** Folder and last name of a path; throws where a folder above is missing. */
  locate(path: string, call: string): { folder: SimFolder; name: string } {
    const parts = path.split('/').filter((part) => part !== '' && part !== '.');
    const name = parts.pop() ?? '';
    let folder = this.root;
    for (const part of parts) {
      const next = folder.entries.get(part);
      if (next === undefined) throw diskError('ENOENT', call, path);
      if (!(next instanceof SimFolder)) throw diskError('ENOTDIR', call, path);
      folder = next;
    }
    return { folder, name };
  }

  find(path: string): SimNode | undefined {
    let node: SimNode | undefined = this.root;
    for (const part of path.split('/')) {
      if (part === '' || part === '.') continue;
      if (!(node instanceof SimFolder)) return undefined;
      node = node.entries.get(part);
    }
    return node;
  }

  change(changes: NameChange[]): void {
    for (const change of changes) applyTo(change.folder.entries, change);
    this.#pending.push(changes);
  }

  syncFolder(folder: SimFolder): void {
    const isOf = (changes: NameChange[]) => changes.some((change) => change.folder === folder);
    for (const changes of this.#pending.filter(isOf)) this.#settle(changes);
    this.#pending = this.#pending.filter((changes) => !isOf(changes));
  }

  /** What a power cut leaves of names and contents. */
  loseUnsynced(random: SeededRandom, keepChance: number): void {
    for (const changes of this.#pending) {
      if (random.chance(keepChance)) this.#settle(changes);
    }
    this.#pending = [];
    this.#restore(this.root, random, keepChance);
  }

  #settle(changes: readonly NameChange[]): void {
    for (const change of changes) applyTo(change.folder.durable, change);
  }

  #restore(folder: SimFolder, random: SeededRandom, keepChance: number): void {
    folder.entries.clear();
    for (const [name, node] of [...folder.durable].sort(([a], [b]) => (a < b ? -1 : 1))) {
      folder.entries.set(name, node);
      if (node instanceof SimFolder) this.#restore(node, random, keepChance);
      else node.loseUnsynced(random, keepChance);
    }
  }
}

/**
 * What trace.c wrote down, done again on a simulated disk up to some call; then the power goes, and
 * what that disk holds, names and contents, is put into a folder that a broker can be started on.
 *
 * A sync covers what was written before it began, and counts once it has ended. All else stays or
 * goes, by sectors and by names, as the random numbers have it (sim/disk-tree.ts).
 */

import fs from 'node:fs';
import path from 'node:path';
import { SimFile, SimFolder, type SimNode, SimTree } from '../../sim/disk-tree.ts';
import type { SeededRandom } from '../../sim/random.ts';

/** As in trace.c. */
const Kind = {
  open: 1,
  create: 2,
  write: 3,
  truncate: 4,
  rename: 5,
  link: 6,
  unlink: 7,
  mkdir: 8,
  rmdir: 9,
  syncBegin: 10,
  syncEnd: 11,
} as const;

const HEAD_BYTES = 21;

interface Entry {
  readonly kind: number;
  readonly handle: number;
  readonly position: number;
  readonly payload: Buffer;
  /** Where it ends in the trace. */
  readonly end: number;
}

/** The entries of a trace; one that was being written when the process ended is left out. */
export function readTrace(bytes: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at);
    if (end > bytes.length) break;
    entries.push({
      kind: bytes[at + 4]!,
      handle: Number(bytes.readBigUInt64LE(at + 5)),
      position: Number(bytes.readBigUInt64LE(at + 13)),
      payload: bytes.subarray(at + HEAD_BYTES, end),
      end,
    });
    at = end;
  }
  return entries;
}

export class Replay {
  readonly #tree = new SimTree();
  readonly #handles = new Map<number, SimNode>();
  readonly #folder: string;

  /** `folder` is the one that was traced; `base` what it held before, all of it synced. */
  constructor(folder: string, base?: string) {
    this.#folder = folder;
    const above = folder.split('/').filter((part) => part !== '');
    let at = this.#tree.root;
    for (const name of above) {
      const next = this.#tree.newFolder();
      this.#tree.change([{ folder: at, name, node: next }]);
      this.#tree.syncFolder(at);
      at = next;
    }
    if (base !== undefined) this.#load(base, at);
  }

  /** Does again what was done before `cutAt`, a place in the trace, and then cuts the power. */
  cut(entries: readonly Entry[], cutAt: number, random: SeededRandom, keepChance: number): void {
    const before = entries.filter(({ end }) => end <= cutAt);
    const ended = new Set<number>();
    for (const { kind, position } of before) if (kind === Kind.syncEnd) ended.add(position);
    for (const entry of before) this.#apply(entry, ended);
    this.#tree.loseUnsynced(random, keepChance);
  }

  /** Writes what is left into a folder in the place of what is there. */
  putInto(target: string): void {
    fs.rmSync(target, { recursive: true, force: true });
    const node = this.#tree.find(this.#folder);
    if (node instanceof SimFolder) this.#put(node, target);
  }

  #put(folder: SimFolder, target: string): void {
    fs.mkdirSync(target, { recursive: true });
    for (const [name, node] of folder.entries) {
      const at = path.join(target, name);
      if (node instanceof SimFolder) this.#put(node, at);
      else fs.writeFileSync(at, node.contents);
    }
  }

  #load(source: string, folder: SimFolder): void {
    for (const found of fs.readdirSync(source, { withFileTypes: true })) {
      const at = path.join(source, found.name);
      const node = found.isDirectory() ? this.#tree.newFolder() : this.#tree.newFile();
      if (node instanceof SimFolder) this.#load(at, node);
      else if (found.isFile()) {
        node.write(fs.readFileSync(at), 0);
        node.sync();
      } else continue;
      this.#tree.change([{ folder, name: found.name, node }]);
    }
    this.#tree.syncFolder(folder);
  }

  #apply({ kind, handle, position, payload }: Entry, ended: ReadonlySet<number>): void {
    const tree = this.#tree;
    const node = this.#handles.get(handle);
    const [first = '', second = ''] = payload.toString('latin1').split('\0');
    switch (kind) {
      case Kind.create:
        tree.change([{ ...tree.locate(first, 'create'), node: tree.newFile() }]);
        this.#opened(handle, first);
        break;
      case Kind.open:
        this.#opened(handle, first);
        break;
      case Kind.write:
        fileOf(node).write(payload, position);
        break;
      case Kind.truncate:
        fileOf(node).truncate(position);
        break;
      case Kind.rename:
        this.#rename(first, second);
        break;
      case Kind.link:
        tree.change([{ ...tree.locate(second, 'link'), node: tree.find(first) }]);
        break;
      case Kind.mkdir:
        tree.change([{ ...tree.locate(first, 'mkdir'), node: tree.newFolder() }]);
        break;
      case Kind.unlink:
      case Kind.rmdir:
        tree.change([{ ...tree.locate(first, 'remove'), node: undefined }]);
        break;
      case Kind.syncBegin:
        if (!ended.has(position)) break;
        if (node instanceof SimFolder) tree.syncFolder(node);
        else fileOf(node).sync();
        break;
      case Kind.syncEnd:
        break;
      default:
        throw new Error(`a trace with an entry of kind ${kind}`);
    }
  }

  #opened(handle: number, at: string): void {
    const node = this.#tree.find(at);
    if (node === undefined) throw new Error(`${at} was opened and is not there`);
    this.#handles.set(handle, node);
  }

  #rename(from: string, to: string): void {
    const source = this.#tree.locate(from, 'rename');
    const node = source.folder.entries.get(source.name);
    const target = this.#tree.locate(to, 'rename');
    this.#tree.change([
      { ...source, node: undefined },
      { ...target, node },
    ]);
  }
}

function fileOf(node: SimNode | undefined): SimFile {
  if (!(node instanceof SimFile)) throw new Error('a trace that writes to what is no file');
  return node;
}

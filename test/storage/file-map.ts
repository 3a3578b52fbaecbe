/** A disk that is read only and lies in memory: files by path, to be spoiled at will. */

import path from 'node:path';
import type { Disk, DiskFile, FileStat } from '../../storage/env.ts';

/** All files below a folder. */
export async function readTree(disk: Disk, folder: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const name of await disk.list(folder)) {
    const place = path.join(folder, name);
    if ((await disk.stat(place))?.isDirectory) {
      for (const [file, contents] of await readTree(disk, place)) files.set(file, contents);
    } else files.set(place, (await disk.readFile(place))!);
  }
  return files;
}

function refused(): never {
  throw new Error('an inspection must not write');
}

export class FileMap implements Disk {
  readonly files: Map<string, Buffer>;
  /** Files that are open. */
  openFiles = 0;
  bytesRead = 0;

  constructor(files: ReadonlyMap<string, Buffer>) {
    this.files = new Map(files);
  }

  /** The same with one file replaced; without contents it is not there. */
  with(file: string, contents: Buffer | undefined): FileMap {
    const changed = new FileMap(this.files);
    if (contents === undefined) changed.files.delete(file);
    else changed.files.set(file, contents);
    return changed;
  }

  #stat(contents: Buffer | undefined, inode: number): FileStat {
    const sizeBytes = contents?.length ?? 0;
    return { sizeBytes, isDirectory: contents === undefined, device: 1, inode, modifiedMs: 0 };
  }

  async open(file: string, mode: string): Promise<DiskFile> {
    if (mode !== 'read') refused();
    const contents = this.files.get(file);
    if (contents === undefined) throw Object.assign(new Error(file), { code: 'ENOENT' });
    this.openFiles++;
    const readSync = (target: Buffer, start: number, length: number, position: number) => {
      if (start + length > target.length) throw new RangeError(`a read of ${length} bytes`);
      const end = Math.min(position + length, contents.length);
      this.bytesRead += Math.max(0, end - position);
      return position >= contents.length ? 0 : contents.copy(target, start, position, end);
    };
    return {
      path: file,
      read: async (...place) => readSync(...place),
      readSync,
      write: async () => refused(),
      writeSync: refused,
      sync: async () => refused(),
      syncSync: refused,
      truncate: async () => refused(),
      stat: async () => this.#stat(contents, 1),
      statSync: () => this.#stat(contents, 1),
      close: async () => {
        this.openFiles--;
      },
    };
  }

  async readFile(file: string): Promise<Buffer | undefined> {
    const contents = this.files.get(file);
    this.bytesRead += contents?.length ?? 0;
    return contents && Buffer.from(contents);
  }

  async stat(place: string): Promise<FileStat | undefined> {
    const contents = this.files.get(place);
    if (contents !== undefined) return this.#stat(contents, 1);
    const isFolder = [...this.files.keys()].some((file) => file.startsWith(`${place}/`));
    return isFolder ? this.#stat(undefined, 2) : undefined;
  }

  async list(folder: string): Promise<string[]> {
    const names = new Set<string>();
    for (const file of this.files.keys()) {
      if (file.startsWith(`${folder}/`)) names.add(file.slice(folder.length + 1).split('/')[0]!);
    }
    return [...names].sort();
  }

  link = async () => refused();
  makeDir = async () => refused();
  rename = async () => refused();
  remove = async () => refused();
  removeTree = async () => refused();
  syncDir = async () => refused();
}

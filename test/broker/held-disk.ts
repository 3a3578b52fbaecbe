/**
 * A disk whose writing to some files is held, as by a disk that is too slow for what comes: writes
 * and syncs of files whose path has a word wait until `letGo`. All else goes to the disk below.
 */

import type { Disk, DiskFile, FileStat, OpenMode } from '../../storage/env.ts';

class HeldFile implements DiskFile {
  readonly path: string;
  private readonly file: DiskFile;
  private readonly wait: () => Promise<void>;

  constructor(file: DiskFile, wait: () => Promise<void>) {
    this.path = file.path;
    this.file = file;
    this.wait = wait;
  }

  read(target: Buffer, start: number, length: number, position: number): Promise<number> {
    return this.file.read(target, start, length, position);
  }

  readSync(target: Buffer, start: number, length: number, position: number): number {
    return this.file.readSync(target, start, length, position);
  }

  async write(buffers: readonly Buffer[], position: number): Promise<void> {
    await this.wait();
    return this.file.write(buffers, position);
  }

  writeSync(buffers: readonly Buffer[], position: number): void {
    this.file.writeSync(buffers, position);
  }

  async sync(): Promise<void> {
    await this.wait();
    return this.file.sync();
  }

  syncSync(): void {
    this.file.syncSync();
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.file.truncate(sizeBytes);
  }

  stat(): Promise<FileStat> {
    return this.file.stat();
  }

  statSync(): FileStat {
    return this.file.statSync();
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

export class HeldDisk implements Disk {
  private readonly disk: Disk;
  private readonly word: string;
  private gate: { opened: Promise<void>; open: () => void } | undefined;
  /** Writes and syncs that had to wait. */
  waits = 0;

  constructor(disk: Disk, word: string) {
    this.disk = disk;
    this.word = word;
  }

  hold(): void {
    let open!: () => void;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.gate = { opened, open };
  }

  letGo(): void {
    this.gate?.open();
    this.gate = undefined;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const file = await this.disk.open(path, mode);
    if (!path.includes(this.word)) return file;
    return new HeldFile(file, async () => {
      if (this.gate !== undefined) this.waits++;
      while (this.gate !== undefined) await this.gate.opened;
    });
  }

  readFile(path: string): Promise<Buffer | undefined> {
    return this.disk.readFile(path);
  }

  stat(path: string): Promise<FileStat | undefined> {
    return this.disk.stat(path);
  }

  list(path: string): Promise<string[]> {
    return this.disk.list(path);
  }

  makeDir(path: string): Promise<void> {
    return this.disk.makeDir(path);
  }

  rename(from: string, to: string): Promise<void> {
    return this.disk.rename(from, to);
  }

  link(from: string, to: string): Promise<void> {
    return this.disk.link(from, to);
  }

  remove(path: string): Promise<void> {
    return this.disk.remove(path);
  }

  removeTree(path: string): Promise<void> {
    return this.disk.removeTree(path);
  }

  syncDir(path: string): Promise<void> {
    return this.disk.syncDir(path);
  }
}

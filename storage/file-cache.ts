/**
 * The open files of all logs: at most so many descriptors, the longest unused closed first. A file
 * in use stays open, also when its name has gone, so that readers of deleted files finish.
 */

import type { Disk, DiskFile } from './env.ts';
import { isOutOfDescriptors } from './errors.ts';

/** One file that is opened when it is needed. Its owner may rename it: `path` says where it is. */
export class CachedFile {
  readonly #path: () => string;
  #file: DiskFile | undefined;
  #opening: Promise<DiskFile> | undefined;
  #users = 0;
  #retired = false;

  constructor(path: () => string) {
    this.#path = path;
  }

  get isIdle(): boolean {
    return this.#users === 0 && this.#file !== undefined;
  }

  /** Somebody has it, or is about to. */
  get isUsed(): boolean {
    return this.#users > 0;
  }

  /** The file when it is open now. */
  get open(): DiskFile | undefined {
    return this.#file;
  }

  /** Takes over a file that was just made. */
  adopt(file: DiskFile): void {
    if (this.#file !== undefined) throw new Error(`${file.path} is open already`);
    this.#file = file;
  }

  async acquire(disk: Disk): Promise<DiskFile> {
    this.#users++;
    if (this.#file !== undefined) return this.#file;
    this.#opening ??= disk.open(this.#path(), 'write');
    try {
      this.#file ??= await this.#opening;
      return this.#file;
    } catch (error) {
      this.#users--;
      throw error;
    } finally {
      this.#opening = undefined;
    }
  }

  /** Gives true when the file is not used any more and must be closed. */
  release(): boolean {
    this.#users--;
    return this.#retired && this.#users === 0;
  }

  retire(): void {
    this.#retired = true;
  }

  /** Takes the open file out, to be closed. */
  take(): DiskFile | undefined {
    const file = this.#file;
    this.#file = undefined;
    return file;
  }
}

export class FileCache {
  readonly #disk: Disk;
  readonly #maxOpen: number;
  /** Files that may be open, the longest unused first. */
  readonly #files = new Set<CachedFile>();
  readonly #closing = new Set<Promise<void>>();
  readonly #failed: (error: unknown) => void;

  /**
   * `maxOpen`: descriptors kept; files in use are not counted out. `failed` is told when a close
   * fails, which loses nothing: what must last was synced before.
   */
  constructor(disk: Disk, maxOpen: number, failed: (error: unknown) => void) {
    this.#disk = disk;
    this.#maxOpen = maxOpen;
    this.#failed = failed;
  }

  get openFiles(): number {
    return this.#files.size;
  }

  /** The file when it is open now, for a use that ends within this turn. */
  openNow(cached: CachedFile): DiskFile | undefined {
    const file = cached.open;
    if (file === undefined) return undefined;
    this.#files.delete(cached);
    this.#files.add(cached);
    return file;
  }

  /** Opens the file unless it is open, and keeps it so until `release`. */
  async acquire(cached: CachedFile): Promise<DiskFile> {
    this.#files.delete(cached);
    this.#files.add(cached);
    try {
      const file = await this.#open(cached);
      this.#files.add(cached);
      return file;
    } catch (error) {
      if (cached.open === undefined) this.#files.delete(cached);
      throw error;
    } finally {
      this.#shrink();
    }
  }

  /** Where the process has no descriptor left, those that are not in use are given up. */
  async #open(cached: CachedFile): Promise<DiskFile> {
    try {
      return await cached.acquire(this.#disk);
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error;
      await this.close();
      return cached.acquire(this.#disk);
    }
  }

  release(cached: CachedFile): void {
    if (cached.release()) this.#close(cached);
    else this.#shrink();
  }

  async use<T>(cached: CachedFile, run: (file: DiskFile) => Promise<T>): Promise<T> {
    const file = await this.acquire(cached);
    try {
      return await run(file);
    } finally {
      this.release(cached);
    }
  }

  /** Puts in a file that was just made. */
  adopt(cached: CachedFile, file: DiskFile): void {
    cached.adopt(file);
    this.#files.add(cached);
    this.#shrink();
  }

  /** The file is not wanted any more: closed now, or when the last reader is through. */
  retire(cached: CachedFile): void {
    cached.retire();
    if (cached.isIdle) this.#close(cached);
  }

  /** Closes all files that are not in use. */
  async close(): Promise<void> {
    for (const cached of [...this.#files]) {
      if (cached.isIdle) this.#close(cached);
    }
    await this.settled();
  }

  /** Resolves when every close that was begun has ended. */
  async settled(): Promise<void> {
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }

  #shrink(): void {
    if (this.#files.size <= this.#maxOpen) return;
    for (const cached of this.#files) {
      if (!cached.isIdle) continue;
      this.#close(cached);
      if (this.#files.size <= this.#maxOpen) return;
    }
  }

  #close(cached: CachedFile): void {
    this.#files.delete(cached);
    const file = cached.take();
    if (file === undefined) return;
    const closing = file
      .close()
      .catch(this.#failed)
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

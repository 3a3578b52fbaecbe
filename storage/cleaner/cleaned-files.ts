/**
 * The `.cleaned` files of a segment that is being made: the log, written in large pieces and synced
 * as it goes, so that the disk's cache never holds much that is to be synced at once and others'
 * syncs need not wait for it; its indexes, as an append would have made them; and the index of the
 * aborted transactions whose markers it has.
 *
 * While a piece is synced the next one is made; it waits with its own sync, so that at most two
 * pieces are not on the disk.
 */

import path from 'node:path';
import type { Disk, DiskFile } from '../env.ts';
import { SegmentIndexes } from '../segment-indexes.ts';
import {
  CLEANED_SUFFIX,
  INDEX_SUFFIX,
  LOG_SUFFIX,
  segmentFileName,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
} from '../segment-names.ts';
import { storeTable } from '../table-file.ts';
import { type AbortedTxn, TxnIndex } from '../txn-index.ts';
import type { Pace } from './cleaning-job.ts';

/** The 99th percentile of a producer beside it grew with this, from 8 ms at 1 MiB to 21 at 8. */
const SYNC_BYTES = 1024 * 1024;

const SUFFIXES = [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX] as const;

export interface CleanedFilesOptions {
  readonly folder: string;
  readonly baseOffset: number;
  readonly indexIntervalBytes: number;
  readonly bufferBytes: number;
}

export class CleanedFiles {
  readonly #disk: Disk;
  readonly #options: CleanedFilesOptions;
  readonly #pace: Pace;
  readonly #indexes: SegmentIndexes;
  readonly #file: DiskFile;
  #buffer: Buffer;
  #buffered = 0;
  /** Written to the file. */
  #position = 0;
  /** What is synced, or will be when `#syncing` ends. */
  #synced = 0;
  #syncing: Promise<void> = Promise.resolve();

  private constructor(disk: Disk, file: DiskFile, options: CleanedFilesOptions, pace: Pace) {
    this.#disk = disk;
    this.#file = file;
    this.#options = options;
    this.#pace = pace;
    this.#indexes = new SegmentIndexes(options.baseOffset);
    this.#buffer = Buffer.allocUnsafeSlow(options.bufferBytes);
  }

  /** Makes the log's file; what an earlier cleaning left under its names is removed. */
  static async create(disk: Disk, options: CleanedFilesOptions, pace: Pace): Promise<CleanedFiles> {
    await removeCleaned(disk, options.folder, options.baseOffset);
    const file = await disk.open(pathOf(options, LOG_SUFFIX), 'create');
    return new CleanedFiles(disk, file, options, pace);
  }

  get sizeBytes(): number {
    return this.#position + this.#buffered;
  }

  /** Takes one batch: the bytes [start, end), what its offsets end with, and its largest time. */
  append(bytes: Buffer, start: number, end: number, last: number, timestamp: number): void {
    const { indexIntervalBytes } = this.#options;
    this.#indexes.note(last, timestamp, this.sizeBytes, indexIntervalBytes);
    const size = end - start;
    if (size > this.#buffer.length - this.#buffered) this.#write();
    if (size > this.#buffer.length) {
      this.#file.writeSync([bytes.subarray(start, end)], this.#position);
      this.#position += size;
      return;
    }
    bytes.copy(this.#buffer, this.#buffered, start, end);
    this.#buffered += size;
  }

  #write(): void {
    if (this.#buffered === 0) return;
    this.#file.writeSync([this.#buffer.subarray(0, this.#buffered)], this.#position);
    this.#position += this.#buffered;
    this.#buffered = 0;
  }

  /** To be called now and then: syncs, and keeps the pace. */
  async settle(): Promise<void> {
    const written = this.#position - this.#synced;
    if (written < SYNC_BYTES) return;
    await this.#syncing;
    this.#synced = this.#position;
    this.#syncing = this.#file.sync();
    // Its failure is told to who waits for it next.
    this.#syncing.catch(() => {});
    await this.#pace.spent(written);
  }

  /** Writes all that is left and syncs every file; gives whether there is a transaction index. */
  async finish(aborted: readonly AbortedTxn[]): Promise<boolean> {
    this.#write();
    await this.#pace.spent(this.#position - this.#synced);
    await this.#syncing;
    await this.#file.sync();
    await this.#file.close();
    const { offsets, times } = this.#indexes;
    this.#indexes.seal();
    await storeTable(this.#disk, pathOf(this.#options, INDEX_SUFFIX), offsets.table, true);
    await storeTable(this.#disk, pathOf(this.#options, TIME_INDEX_SUFFIX), times.table, true);
    if (aborted.length === 0) return false;
    const txns = new TxnIndex();
    for (const txn of aborted) txns.append(txn);
    await storeTable(this.#disk, pathOf(this.#options, TXN_INDEX_SUFFIX), txns.table, true);
    return true;
  }

  /** Takes the files away again. */
  async abandon(): Promise<void> {
    // A file is not closed under a sync; how that ends does not matter any more.
    await Promise.allSettled([this.#syncing]);
    await this.#file.close();
    await removeCleaned(this.#disk, this.#options.folder, this.#options.baseOffset);
  }
}

function pathOf({ folder, baseOffset }: CleanedFilesOptions, suffix: string): string {
  return path.join(folder, segmentFileName(baseOffset, suffix) + CLEANED_SUFFIX);
}

/** Removes the `.cleaned` files of a base. */
export async function removeCleaned(disk: Disk, folder: string, baseOffset: number) {
  for (const suffix of SUFFIXES) {
    await disk.remove(path.join(folder, segmentFileName(baseOffset, suffix) + CLEANED_SUFFIX));
  }
}

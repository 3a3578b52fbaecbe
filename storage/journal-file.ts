/**
 * One file of the journal: the place of the next group, what pins the file, and zeros written ahead
 * of the groups, so that a sync need not also write the file's new size.
 */

import type { DiskFile } from './env.ts';
import {
  encodeFileHeader,
  JOURNAL_HEADER_BYTES,
  type JournalFileHeader,
} from './journal-format.ts';

const FIRST_STEP_BYTES = 256 * 1024;
const LARGEST_STEP_BYTES = 8 * 1024 * 1024;
const ZEROS = Buffer.alloc(FIRST_STEP_BYTES);

/** So many zeros, over and over the same ones: memory of their own would wake the collector. */
function zeros(bytes: number): Buffer[] {
  const buffers: Buffer[] = [];
  for (let left = bytes; left > 0; left -= ZEROS.length) {
    buffers.push(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
  }
  return buffers;
}

export class JournalFile<Source> {
  readonly file: DiskFile;
  /** Up to which offset each log's data here must be persisted before the file is free. */
  readonly pins = new Map<Source, number>();
  /** Logs whose newest lease stands here. */
  readonly leases = new Set<Source>();
  /** Written to since the last sync began. */
  isUnsynced = false;
  /** Where the next group goes. */
  position = JOURNAL_HEADER_BYTES;
  /** Bytes the file has. */
  #allocated: number;
  #allocating: Promise<void> | undefined;
  #hasFreshZeros = false;
  #header: JournalFileHeader | undefined;

  constructor(file: DiskFile, sizeBytes: number) {
    this.file = file;
    this.#allocated = sizeBytes;
  }

  /** Of the present use; there is none before the first. */
  get header(): JournalFileHeader {
    if (this.#header === undefined) throw new Error('a journal file is begun before it is used');
    return this.#header;
  }

  get sizeBytes(): number {
    return this.#allocated;
  }

  /** Zeros were written since the last sync, which the next one has to wait for too. */
  get hasFreshZeros(): boolean {
    return this.#hasFreshZeros;
  }

  /** A sync begins that covers all that was written. */
  beginSync(): void {
    this.isUnsynced = false;
    if (this.#allocating === undefined) this.#hasFreshZeros = false;
  }

  /** Fills the first part of a new file with zeros, before its first use. */
  async prepare(limitBytes: number): Promise<void> {
    const bytes = Math.min(LARGEST_STEP_BYTES, limitBytes);
    await this.file.write(zeros(bytes), 0);
    this.#allocated = bytes;
    this.#hasFreshZeros = true;
  }

  /** Begins a new use of the file: a new generation makes all that it holds meaningless. */
  begin(header: JournalFileHeader): void {
    this.#header = header;
    this.file.writeSync([encodeFileHeader(header)], 0);
    this.position = JOURNAL_HEADER_BYTES;
    this.#allocated = Math.max(this.#allocated, JOURNAL_HEADER_BYTES);
  }

  /** Makes all that the file holds meaningless, durably, without beginning a new use. */
  async makeVoid(): Promise<void> {
    await this.file.write([Buffer.alloc(JOURNAL_HEADER_BYTES)], 0);
    await this.file.sync();
  }

  /** A promise while zeros are being written where a group of so many bytes would go. */
  blockedUntil(groupBytes: number): Promise<void> | undefined {
    return this.position + groupBytes > this.#allocated ? this.#allocating : undefined;
  }

  writeSync(buffers: readonly Buffer[], groupBytes: number): void {
    this.file.writeSync(buffers, this.position);
    this.#wrote(groupBytes);
  }

  async write(buffers: readonly Buffer[], groupBytes: number): Promise<void> {
    await this.file.write(buffers, this.position);
    this.#wrote(groupBytes);
  }

  #wrote(groupBytes: number): void {
    this.position += groupBytes;
    if (this.position > this.#allocated) this.#allocated = this.position;
  }

  /** Keeps zeros ahead of the groups, up to the limit; a failure is left to the write that needs it. */
  allocateAhead(limitBytes: number): void {
    const ahead = this.#allocated - this.position;
    if (this.#allocating !== undefined || this.#allocated >= limitBytes) return;
    const step = Math.min(Math.max(this.#allocated, FIRST_STEP_BYTES), LARGEST_STEP_BYTES);
    if (ahead > step / 2) return;
    const from = this.#allocated;
    const bytes = Math.min(step, limitBytes - from);
    const settle = () => {
      this.#allocating = undefined;
    };
    this.#hasFreshZeros = true;
    this.#allocating = this.file.write(zeros(bytes), from).then(() => {
      this.#allocated = Math.max(this.#allocated, from + bytes);
      settle();
    }, settle);
  }

  async close(): Promise<void> {
    await this.#allocating;
    await this.file.close();
  }
}

/**
 * The files of the journal: those in use, oldest first, of which the last is written to, and free
 * ones. A file is free when all its batches are in fsynced segments and its leases stand elsewhere.
 */

import path from 'node:path';
import type { Env } from './env.ts';
import { JournalFile } from './journal-file.ts';
import { GENERATION_BYTES, JOURNAL_HEADER_BYTES, type SyncedMark } from './journal-format.ts';
import type { JournalOptions, JournalSource } from './journal-source.ts';

export type LogJournalFile = JournalFile<JournalSource>;

export class JournalSeries {
  readonly #env: Env;
  readonly #options: JournalOptions;
  readonly #used: LogJournalFile[] = [];
  readonly #free: LogJournalFile[] = [];
  /** Held by logs that failed: left for the next start. */
  readonly #kept: LogJournalFile[] = [];
  #nextSequence: number;
  #nextFileNumber: number;
  #making: Promise<void> | undefined;

  constructor(env: Env, options: JournalOptions, nextSequence: number, nextFileNumber: number) {
    this.#env = env;
    this.#options = options;
    this.#nextSequence = nextSequence;
    this.#nextFileNumber = nextFileNumber;
  }

  /** Takes over files whose contents are void. */
  adopt(files: readonly LogJournalFile[]): void {
    this.#free.push(...files);
  }

  /** Bytes of the files in use. */
  get usedBytes(): number {
    let bytes = 0;
    for (const file of this.#used) bytes += file.position;
    return bytes;
  }

  /** Where the journal ends. */
  get end(): SyncedMark {
    const last = this.#used.at(-1)!;
    return { sequence: last.header.sequence, position: last.position };
  }

  /** The file that a probe of the disk may write to, behind its groups; undefined without files. */
  get writable(): LogJournalFile | undefined {
    return this.#used.at(-1) ?? this.#free.at(-1);
  }

  /** Logs that hold the oldest file, when there is more than the one written to. */
  get holders(): Iterable<JournalSource> {
    return this.#used.length > 1 ? this.#used[0]!.pins.keys() : [];
  }

  /** All logs that have something in the files. */
  *sources(): Generator<JournalSource> {
    for (const file of this.#used) yield* file.pins.keys();
  }

  /** The file for a group of so many bytes; undefined when one must be made first. */
  fileFor(bytes: number): LogJournalFile | undefined {
    const active = this.#used.at(-1);
    if (active !== undefined) {
      const isEmpty = active.position === JOURNAL_HEADER_BYTES;
      if (isEmpty || active.position + bytes <= this.#options.fileBytes) return active;
    }
    const free = this.#free.at(-1);
    if (free === undefined) return undefined;
    free.begin({
      sequence: this.#nextSequence,
      generation: this.#env.random.bytes(GENERATION_BYTES),
      device: this.#options.device,
      bootId: this.#env.host.bootId,
      previousBytes: active?.position ?? 0,
    });
    this.#nextSequence++;
    this.#free.pop();
    this.#used.push(free);
    this.retire();
    return free;
  }

  /** Has the next file ready when the one written to is half full. */
  makeAhead(): void {
    const active = this.#used.at(-1);
    const isDue = active !== undefined && active.position * 2 > this.#options.fileBytes;
    if (!isDue || this.#free.length > 0 || this.#making !== undefined) return;
    this.#making = this.#makePrepared().then(
      () => {
        this.#making = undefined;
      },
      (error: Error) => {
        // It is tried again, and then told, when the file is needed.
        this.#env.log.debug({ err: error }, 'the next journal file could not be made ahead');
        this.#making = undefined;
      },
    );
  }

  async #makePrepared(): Promise<void> {
    const file = await this.#create();
    try {
      await file.prepare(this.#options.fileBytes);
    } finally {
      // Without its zeros it is of use all the same.
      this.#free.push(file);
    }
  }

  /** Makes a free file. */
  async make(): Promise<void> {
    this.#free.push(await this.#create());
  }

  async #create(): Promise<LogJournalFile> {
    const { disk } = this.#env;
    const { dir } = this.#options;
    await disk.makeDir(dir);
    const name = `${String(this.#nextFileNumber++).padStart(8, '0')}.journal`;
    const file = await disk.open(path.join(dir, name), 'create');
    try {
      // The folder itself may be new, too.
      await disk.syncDir(dir);
      await disk.syncDir(path.dirname(dir));
    } catch (error) {
      // The next try takes another name.
      await file.close();
      await disk.remove(file.path);
      throw error;
    }
    return new JournalFile<JournalSource>(file, 0);
  }

  /** The newest lease of a log is durable in a file: the files before need not keep older ones. */
  movedLease(source: JournalSource, to: LogJournalFile): void {
    for (const file of this.#used) if (file !== to) file.leases.delete(source);
  }

  /** All of a log's data below the offset is in fsynced segments. */
  release(source: JournalSource, persistedEnd: number): void {
    for (const file of this.#used) {
      const end = file.pins.get(source);
      if (end !== undefined && end <= persistedEnd) file.pins.delete(source);
    }
    if (this.#used.length > 1) this.retire();
  }

  forget(source: JournalSource): void {
    for (const file of this.#used) {
      file.pins.delete(source);
      file.leases.delete(source);
    }
    this.retire();
  }

  /** Takes the oldest files out of use as long as nothing holds them. */
  retire(): void {
    const wasFull = this.usedBytes >= this.#options.maxBytes;
    this.#retireOldest();
    if (wasFull && this.usedBytes < this.#options.maxBytes) this.#options.onRoom();
  }

  #retireOldest(): void {
    while (this.#used.length > 1) {
      const oldest = this.#used[0]!;
      if (oldest.isUnsynced) return;
      for (const source of oldest.pins.keys()) if (source.failure === undefined) return;
      for (const source of oldest.leases) {
        if (source.giveUpLease()) oldest.leases.delete(source);
        else source.renewLease();
      }
      if (oldest.leases.size > 0) return;
      this.#used.shift();
      if (oldest.pins.size > 0) this.#kept.push(oldest);
      else if (this.#hasRoomForFree) this.#free.push(oldest);
      else this.#discard(oldest);
    }
  }

  /** New files cost twice: they are filled with zeros first, and their memory is fresh. */
  get #hasRoomForFree(): boolean {
    const files = this.#used.length + this.#free.length + 1;
    return files * this.#options.fileBytes <= this.#options.maxBytes;
  }

  #discard(file: LogJournalFile): void {
    file
      .close()
      .then(() => this.#env.disk.remove(file.file.path))
      .catch((error: Error) => {
        this.#env.log.warn({ err: error, path: file.file.path }, 'a journal file was not removed');
      });
  }

  /** Closes all files. `isEmpty`: everything is persisted, so what they hold is made void. */
  async close(isEmpty: boolean): Promise<void> {
    await this.#making;
    for (const file of [...this.#used, ...this.#free, ...this.#kept]) {
      if (isEmpty) await file.makeVoid();
      await file.close();
    }
  }
}

/**
 * The journal: one file series that makes the small writes of all partitions durable together.
 *
 * What a turn of the event loop brought is one group, written at the turn's end; small groups are
 * written in the turn, large ones beside it, one at a time and in order. One fdatasync is in flight
 * at most and covers all that was written when it began. A file is free when all its batches are in
 * fsynced segments and its leases stand elsewhere, and is then used again under a new generation.
 *
 * A failed write stalls the journal: what was not written is taken back and refused, and a probe
 * resumes it. A failed fsync ends it: nothing is acknowledged as durable after that.
 */

import type { Env, Timer } from './env.ts';
import { LogFailed } from './errors.ts';
import { JournalFile } from './journal-file.ts';
import {
  encodeGroup,
  GENERATION_BYTES,
  GROUP_ALIGNMENT,
  JOURNAL_HEADER_BYTES,
  type JournalEntry,
  type SyncedMark,
} from './journal-format.ts';

/** What a log has for the journal: batches that run on from one another. */
export interface JournalRun {
  readonly previousEnd: number;
  readonly end: number;
  readonly buffers: readonly Buffer[];
  readonly sizeBytes: number;
}

/** A log, as the journal sees it. */
export interface JournalSource {
  /** 16 bytes. */
  readonly topicIdBytes: Buffer;
  readonly partition: number;
  /** Set when the log takes nothing any more; what it has here is then kept for the next start. */
  readonly failure: Error | undefined;
  /** What is below is in fsynced segments. */
  readonly persistedOffset: number;
  /** Bytes not yet given to the journal. */
  readonly pendingBytes: number;
  /** Whether somebody waits for what is written to become durable. */
  readonly wantsSync: boolean;
  /** How long what nobody waits for may stay unsynced, in milliseconds. */
  readonly syncDelayMs: number;
  /** Gives what is pending; undefined when it goes another way. */
  takeRun(): JournalRun | undefined;
  /** A lease to be recorded with this turn; undefined when none is due. */
  takeLease(): number | undefined;
  onWritten(end: number): void;
  onDurable(end: number): void;
  onLeaseDurable(leaseEnd: number): void;
  /** Whether the lease is of no more use, and is given up with this answer. */
  giveUpLease(): boolean;
  /** Asks for a lease to be written again. */
  renewLease(): void;
  /** The pending data and the run last taken were not written. */
  onWriteFailed(error: Error): void;
  /** Nothing of this log will become durable any more. */
  onSyncFailed(error: Error): void;
}

export interface JournalOptions {
  readonly dir: string;
  readonly fileBytes: number;
  readonly maxBytes: number;
  readonly writeSyncMaxBytes: number;
  readonly syncMaxMs: number;
  readonly device: number;
  /** Told how long each sync took, in milliseconds. */
  readonly onSync: (durationMs: number) => void;
  /** The journal is half full: these logs hold its oldest file. */
  readonly onPressure: (sources: Iterable<JournalSource>) => void;
  /** The journal stalled (an error) or resumed (undefined). */
  readonly onStall: (error: Error | undefined) => void;
}

/** Most that one group holds; a turn that brought more makes several. */
const GROUP_MAX_BYTES = 16 * 1024 * 1024;
/** Bytes of a group beside the batches, for each log in it, at most. */
const ENTRY_MAX_BYTES = 96;
const PROBE_MS = 250;
const FREE_FILES_KEPT = 2;
const PADDING = Buffer.alloc(GROUP_ALIGNMENT);

interface Taken {
  readonly source: JournalSource;
  readonly run: JournalRun | undefined;
  readonly lease: number | undefined;
}

interface WrittenLease {
  readonly leaseEnd: number;
  readonly file: JournalFile<JournalSource>;
}

export class Journal {
  readonly #env: Env;
  readonly #options: JournalOptions;
  /** In use, oldest first; the last one is written to. */
  readonly #files: JournalFile<JournalSource>[] = [];
  readonly #free: JournalFile<JournalSource>[] = [];
  /** Held by logs that failed: left for the next start. */
  readonly #kept: JournalFile<JournalSource>[] = [];
  readonly #dirty = new Set<JournalSource>();
  #nextSequence: number;
  #nextFileNumber: number;
  #scheduled = false;
  #writing: Promise<void> | undefined;
  #preparing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #syncWanted = false;
  #lazySync: Timer | undefined;
  #lazySyncMs: number;
  /** Written and not yet durable: the end of each log, and its lease. */
  #unsynced = new Map<JournalSource, number>();
  #unsyncedLeases = new Map<JournalSource, WrittenLease>();
  #unsyncedFiles = new Set<JournalFile<JournalSource>>();
  #synced: SyncedMark = { sequence: 0, position: 0 };
  #stalled: Error | undefined;
  #dead: Error | undefined;
  #closed = false;

  /** Sequence and file number must be above all that are in the folder. */
  constructor(env: Env, options: JournalOptions, nextSequence: number, nextFileNumber: number) {
    this.#env = env;
    this.#options = options;
    this.#lazySyncMs = options.syncMaxMs;
    this.#nextSequence = nextSequence;
    this.#nextFileNumber = nextFileNumber;
  }

  /** Takes over files whose contents are void. */
  adopt(files: readonly JournalFile<JournalSource>[]): void {
    this.#free.push(...files);
  }

  /** Bytes of the files in use. */
  get usedBytes(): number {
    let bytes = 0;
    for (const file of this.#files) bytes += file.position;
    return bytes;
  }

  /** Why nothing can be written at present. */
  get failure(): Error | undefined {
    return this.#dead ?? this.#stalled;
  }

  get isFull(): boolean {
    return this.usedBytes >= this.#options.maxBytes;
  }

  /** The log has something for the journal; it is asked for it at the turn's end. */
  touch(source: JournalSource): void {
    this.#dirty.add(source);
    this.#schedule();
  }

  /** A log waits for durability of what it has already written. */
  requestSync(): void {
    this.#syncWanted = true;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    this.#env.clock.defer(() => {
      this.#scheduled = false;
      this.#commit();
    });
  }

  #commit(): void {
    if (this.#writing !== undefined || this.#preparing !== undefined) return;
    const failure = this.failure;
    if (failure !== undefined) {
      this.#refuseDirty(failure);
      return;
    }
    if (this.#dirty.size > 0) {
      const bytes = this.#estimate();
      const file = this.#fileFor(bytes);
      const blocked = file?.blockedUntil(bytes);
      if (file === undefined || blocked !== undefined) {
        this.#continueAfter(blocked);
        return;
      }
      this.#writeGroup(file);
    }
    if (this.#writing === undefined) {
      this.#startSync();
      if (this.#dirty.size > 0) this.#schedule();
    }
  }

  #refuseDirty(error: Error): void {
    const sources = [...this.#dirty];
    this.#dirty.clear();
    for (const source of sources) source.onWriteFailed(error);
  }

  /** Upper bound of the next group's bytes. */
  #estimate(): number {
    let bytes = 64;
    for (const source of this.#dirty) {
      const more = source.pendingBytes + ENTRY_MAX_BYTES;
      if (bytes > 64 && bytes + more > GROUP_MAX_BYTES) break;
      bytes += more;
    }
    return bytes;
  }

  #fileFor(bytes: number): JournalFile<JournalSource> | undefined {
    const active = this.#files.at(-1);
    if (active !== undefined) {
      const isEmpty = active.position === JOURNAL_HEADER_BYTES;
      if (isEmpty || active.position + bytes <= this.#options.fileBytes) return active;
    }
    const free = this.#free.pop();
    if (free === undefined) return undefined;
    try {
      this.#begin(free);
      return free;
    } catch (error) {
      this.#free.push(free);
      this.#stall(error as Error);
      return undefined;
    }
  }

  #begin(file: JournalFile<JournalSource>): void {
    file.begin({
      sequence: this.#nextSequence,
      generation: this.#env.random.bytes(GENERATION_BYTES),
      device: this.#options.device,
      bootId: this.#env.host.bootId,
    });
    this.#nextSequence++;
    this.#files.push(file);
    this.#unsyncedFiles.add(file);
    this.#retire();
  }

  /** Nothing can be written now: goes on when the zeros are written or a file was made. */
  #continueAfter(blocked: Promise<void> | undefined): void {
    if (this.failure !== undefined) {
      this.#refuseDirty(this.failure);
      return;
    }
    this.#preparing = (blocked ?? this.#makeFile())
      .catch((error: Error) => this.#stall(error))
      .finally(() => {
        this.#preparing = undefined;
        this.#commit();
      });
  }

  async #makeFile(): Promise<void> {
    const { disk } = this.#env;
    const { dir } = this.#options;
    await disk.makeDir(dir);
    const number = this.#nextFileNumber++;
    const file = await disk.open(`${dir}/${String(number).padStart(8, '0')}.journal`, 'create');
    await disk.syncDir(dir);
    this.#free.push(new JournalFile<JournalSource>(file, 0));
  }

  #writeGroup(file: JournalFile<JournalSource>): void {
    const { taken, entries, buffers } = this.#take();
    if (entries.length === 0) return;
    const group = encodeGroup(entries, file.header.generation, file.position, this.#synced);
    buffers[0] = group.header;
    if (group.padding > 0) buffers.push(PADDING.subarray(0, group.padding));
    if (group.groupBytes <= this.#options.writeSyncMaxBytes) {
      try {
        file.writeSync(buffers, group.groupBytes);
      } catch (error) {
        this.#writeFailed(taken, error as Error);
        return;
      }
      this.#wrote(file, taken);
      return;
    }
    this.#writing = file
      .write(buffers, group.groupBytes)
      .then(
        () => this.#wrote(file, taken),
        (error: Error) => this.#writeFailed(taken, error),
      )
      .finally(() => {
        this.#writing = undefined;
        this.#commit();
      });
  }

  /** Takes what the logs have, up to a group's size; the rest stays for the next group. */
  #take(): { taken: Taken[]; entries: JournalEntry[]; buffers: Buffer[] } {
    const taken: Taken[] = [];
    const entries: JournalEntry[] = [];
    // The group's header takes the first place once it is known.
    const buffers: Buffer[] = [PADDING];
    let bytes = 64;
    for (const source of this.#dirty) {
      const more = source.pendingBytes + ENTRY_MAX_BYTES;
      if (bytes > 64 && bytes + more > GROUP_MAX_BYTES) break;
      bytes += more;
      this.#dirty.delete(source);
      const run = source.takeRun();
      const lease = source.takeLease();
      const { topicIdBytes: topicId, partition } = source;
      if (run !== undefined) {
        const { previousEnd, end, sizeBytes: payloadBytes } = run;
        entries.push({ kind: 'batches', topicId, partition, previousEnd, end, payloadBytes });
        for (const buffer of run.buffers) buffers.push(buffer);
      }
      if (lease !== undefined) entries.push({ kind: 'lease', topicId, partition, leaseEnd: lease });
      if (run !== undefined || lease !== undefined) taken.push({ source, run, lease });
    }
    return { taken, entries, buffers };
  }

  #wrote(file: JournalFile<JournalSource>, taken: readonly Taken[]): void {
    this.#unsyncedFiles.add(file);
    for (const { source, run, lease } of taken) {
      if (run !== undefined) {
        if (run.end > source.persistedOffset) file.pins.set(source, run.end);
        this.#unsynced.set(source, run.end);
      }
      if (lease !== undefined) {
        file.leases.add(source);
        this.#unsyncedLeases.set(source, { leaseEnd: lease, file });
        this.#syncWanted = true;
      }
    }
    for (const { source, run } of taken) {
      if (run !== undefined) source.onWritten(run.end);
      if (source.wantsSync) this.#syncWanted = true;
      else this.#lazySyncMs = Math.min(this.#lazySyncMs, source.syncDelayMs);
    }
    file.allocateAhead(this.#options.fileBytes);
    this.#relieve();
  }

  #writeFailed(taken: readonly Taken[], error: Error): void {
    for (const { source } of taken) source.onWriteFailed(error);
    this.#stall(error);
  }

  #stall(error: Error): void {
    if (this.#stalled !== undefined || this.#dead !== undefined) return;
    this.#env.log.error({ err: error, dir: this.#options.dir }, 'the journal cannot be written');
    this.#stalled = new LogFailed(`the journal cannot be written: ${error.message}`, {
      cause: error,
    });
    this.#options.onStall(this.#stalled);
    this.#refuseDirty(this.#stalled);
    this.#probeLater();
  }

  #probeLater(): void {
    this.#env.clock.setTimer(PROBE_MS, () => {
      this.#probe().catch((error: Error) => {
        this.#env.log.debug({ err: error }, 'the journal still cannot be written');
        this.#probeLater();
      });
    });
  }

  /** Writes zeros where the next group would go; resumes when that is possible. */
  async #probe(): Promise<void> {
    if (this.#closed || this.#dead !== undefined) return;
    if (this.#files.length === 0 && this.#free.length === 0) await this.#makeFile();
    const file = this.#files.at(-1) ?? this.#free.at(-1)!;
    await file.file.write([Buffer.alloc(this.#options.writeSyncMaxBytes)], file.position);
    this.#stalled = undefined;
    this.#env.log.info({ dir: this.#options.dir }, 'the journal can be written again');
    this.#options.onStall(undefined);
    this.#commit();
  }

  #startSync(): void {
    if (this.#syncing !== undefined || this.#dead !== undefined) return;
    if (!this.#syncWanted) {
      this.#syncLater();
      return;
    }
    this.#syncWanted = false;
    if (this.#unsyncedFiles.size === 0) return;
    this.#lazySync?.cancel();
    this.#lazySync = undefined;
    this.#lazySyncMs = this.#options.syncMaxMs;
    const ends = this.#unsynced;
    const leases = this.#unsyncedLeases;
    const files = [...this.#unsyncedFiles];
    const last = this.#files.at(-1)!;
    const mark = { sequence: last.header.sequence, position: last.position };
    this.#unsynced = new Map();
    this.#unsyncedLeases = new Map();
    this.#unsyncedFiles = new Set();
    const started = this.#env.clock.monotonic();
    this.#syncing = Promise.all(files.map((file) => file.file.sync())).then(
      () => {
        this.#options.onSync(this.#env.clock.monotonic() - started);
        this.#synced = mark;
        this.#becameDurable(ends, leases);
        this.#syncing = undefined;
        this.#startSync();
      },
      (error: Error) => {
        this.#syncing = undefined;
        this.#die(error);
      },
    );
  }

  /** What nobody waits for is synced too, a little later. */
  #syncLater(): void {
    if (this.#lazySync !== undefined || this.#unsynced.size === 0 || this.#closed) return;
    this.#lazySync = this.#env.clock.setTimer(this.#lazySyncMs, () => {
      this.#lazySync = undefined;
      this.requestSync();
    });
  }

  #becameDurable(
    ends: ReadonlyMap<JournalSource, number>,
    leases: ReadonlyMap<JournalSource, WrittenLease>,
  ): void {
    for (const [source, { leaseEnd, file }] of leases) {
      // The newest lease counts; the files before need not keep the older ones.
      for (const older of this.#files) if (older !== file) older.leases.delete(source);
      source.onLeaseDurable(leaseEnd);
    }
    for (const [source, end] of ends) source.onDurable(end);
    this.#retire();
  }

  #die(error: Error): void {
    this.#env.log.error(
      { err: error, dir: this.#options.dir },
      'the journal cannot be synced: nothing more is taken until the broker is started again',
    );
    this.#dead = new LogFailed(`the journal cannot be synced: ${error.message}`, { cause: error });
    this.#options.onStall(this.#dead);
    const sources = new Set([...this.#dirty, ...this.#unsynced.keys()]);
    for (const file of this.#files) for (const source of file.pins.keys()) sources.add(source);
    this.#dirty.clear();
    for (const source of sources) source.onSyncFailed(this.#dead);
  }

  /** All of a log's data below the offset is in fsynced segments. */
  release(source: JournalSource, persistedEnd: number): void {
    for (const file of this.#files) {
      const end = file.pins.get(source);
      if (end !== undefined && end <= persistedEnd) file.pins.delete(source);
    }
    if (this.#files.length > 1) this.#retire();
  }

  /** A log is gone: nothing of it is needed. */
  forget(source: JournalSource): void {
    this.#dirty.delete(source);
    this.#unsynced.delete(source);
    this.#unsyncedLeases.delete(source);
    for (const file of this.#files) {
      file.pins.delete(source);
      file.leases.delete(source);
    }
    this.#retire();
  }

  /** Takes the oldest files out of use as long as nothing holds them. */
  #retire(): void {
    while (this.#files.length > 1) {
      const oldest = this.#files[0]!;
      if (this.#unsyncedFiles.has(oldest)) return;
      for (const source of oldest.pins.keys()) if (source.failure === undefined) return;
      for (const source of oldest.leases) {
        if (source.giveUpLease()) oldest.leases.delete(source);
        else source.renewLease();
      }
      if (oldest.leases.size > 0) return;
      this.#files.shift();
      if (oldest.pins.size > 0) this.#kept.push(oldest);
      else if (this.#free.length < FREE_FILES_KEPT) this.#free.push(oldest);
      else this.#discard(oldest);
    }
  }

  #discard(file: JournalFile<JournalSource>): void {
    file
      .close()
      .then(() => this.#env.disk.remove(file.file.path))
      .catch((error: Error) => {
        this.#env.log.warn({ err: error, path: file.file.path }, 'a journal file was not removed');
      });
  }

  #relieve(): void {
    if (this.#files.length < 2 || this.usedBytes * 2 < this.#options.maxBytes) return;
    this.#options.onPressure(this.#files[0]!.pins.keys());
  }

  /** Ends the journal. `isEmpty`: everything is persisted, so what the files hold is made void. */
  async close(isEmpty: boolean): Promise<void> {
    this.#closed = true;
    this.#lazySync?.cancel();
    await this.#preparing;
    await this.#writing;
    await this.#syncing;
    for (const file of [...this.#files, ...this.#free, ...this.#kept]) {
      if (isEmpty && this.#dead === undefined) await file.makeVoid();
      await file.close();
    }
  }
}

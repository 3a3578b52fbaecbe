/**
 * Makes durable what the journal wrote: one fdatasync is in flight at most, and covers all that was
 * written when it began. It is done by a thread or, where that is quicker and nothing speaks against
 * it, in the turn of the event loop (sync-pace.ts). What nobody waits for is synced a little later.
 * A failed sync is final.
 */

import type { Env, Timer } from './env.ts';
import type { SyncedMark } from './journal-format.ts';
import type { JournalSeries, LogJournalFile } from './journal-series.ts';
import type { JournalOptions, JournalRun, JournalSource } from './journal-source.ts';
import { SyncPace } from './sync-pace.ts';

interface WrittenLease {
  readonly leaseEnd: number;
  readonly file: LogJournalFile;
}

/** What a sync makes durable. */
interface Taken {
  readonly ends: ReadonlyMap<JournalSource, number>;
  readonly leases: ReadonlyMap<JournalSource, WrittenLease>;
  readonly mark: SyncedMark;
}

export class JournalSync {
  readonly #env: Env;
  readonly #options: JournalOptions;
  readonly #series: JournalSeries;
  readonly #failed: (error: Error) => void;
  /** All groups before it are known to be synced. */
  mark: SyncedMark = { sequence: 0, position: 0 };
  /** Written and not yet durable: the end of each log, its lease, and the files. */
  #ends = new Map<JournalSource, number>();
  #leases = new Map<JournalSource, WrittenLease>();
  #files = new Set<LogJournalFile>();
  /** How much that is. */
  #batches = 0;
  #sizeBytes = 0;
  readonly #pace = new SyncPace();
  #running: Promise<void> | undefined;
  #isWanted = false;
  #later: Timer | undefined;
  #laterMs: number;
  #hasEnded = false;

  /** `failed` is told once when a sync failed. */
  constructor(
    env: Env,
    options: JournalOptions,
    series: JournalSeries,
    failed: (error: Error) => void,
  ) {
    this.#env = env;
    this.#options = options;
    this.#series = series;
    this.#failed = failed;
    this.#laterMs = options.syncMaxMs;
  }

  /** A group with this log was written to the file. */
  wrote(
    file: LogJournalFile,
    source: JournalSource,
    run: JournalRun | undefined,
    leaseEnd: number | undefined,
  ): void {
    this.#files.add(file);
    file.isUnsynced = true;
    if (run !== undefined) {
      this.#ends.set(source, run.end);
      this.#batches += run.batches;
      this.#sizeBytes += run.sizeBytes;
    }
    if (leaseEnd === undefined) return;
    file.leases.add(source);
    this.#leases.set(source, { leaseEnd, file });
    this.#isWanted = true;
  }

  /** Somebody waits for what is written. */
  want(): void {
    this.#isWanted = true;
  }

  /** Nobody waits, but it is to be durable after so many milliseconds. */
  wantWithin(delayMs: number): void {
    this.#laterMs = Math.min(this.#laterMs, delayMs);
  }

  forget(source: JournalSource): void {
    this.#ends.delete(source);
    this.#leases.delete(source);
  }

  sources(): Iterable<JournalSource> {
    return this.#ends.keys();
  }

  /**
   * Begins a sync when one is wanted and none is in flight. `mayStop`: answers to what was written
   * have left, so the turn may stand still for a quick one.
   */
  start(mayStop = false): void {
    if (this.#running !== undefined || this.#hasEnded) return;
    if (!this.#isWanted) {
      this.#startLater();
      return;
    }
    this.#isWanted = false;
    if (this.#files.size === 0) return;
    this.#later?.cancel();
    this.#later = undefined;
    this.#laterMs = this.#options.syncMaxMs;
    this.#run(mayStop);
  }

  #run(mayStop: boolean): void {
    const taken: Taken = { ends: this.#ends, leases: this.#leases, mark: this.#series.end };
    const files = [...this.#files];
    const first = mayStop ? this.#fileForTurn(files) : undefined;
    this.#ends = new Map();
    this.#leases = new Map();
    this.#files = new Set();
    this.#batches = 0;
    this.#sizeBytes = 0;
    for (const file of files) file.beginSync();
    const startedMs = this.#env.clock.monotonic();
    if (first !== undefined) this.#syncInTurn(first, taken, startedMs);
    else this.#running = this.#syncBeside(files, taken, startedMs);
  }

  /** The file whose sync may be done in the turn. */
  #fileForTurn(files: readonly LogJournalFile[]): LogJournalFile | undefined {
    const [file] = files;
    const isQuiet = files.length === 1 && !file!.hasFreshZeros && this.#options.isDiskQuiet();
    return isQuiet && this.#pace.fitsTurn(this.#batches, this.#sizeBytes) ? file : undefined;
  }

  #syncInTurn(file: LogJournalFile, taken: Taken, startedMs: number): void {
    try {
      file.file.syncSync();
    } catch (error) {
      this.#syncFailed(taken, error as Error);
      return;
    }
    this.#synced(taken, startedMs, true);
  }

  async #syncBeside(
    files: readonly LogJournalFile[],
    taken: Taken,
    startedMs: number,
  ): Promise<void> {
    try {
      if (files.length === 1) await files[0]!.file.sync();
      else await Promise.all(files.map((file) => file.file.sync()));
    } catch (error) {
      this.#running = undefined;
      this.#syncFailed(taken, error as Error);
      return;
    }
    this.#running = undefined;
    this.#synced(taken, startedMs, false);
    this.start();
  }

  #synced({ ends, leases, mark }: Taken, startedMs: number, isInTurn: boolean): void {
    const tookMs = this.#env.clock.monotonic() - startedMs;
    this.#pace.took(tookMs, isInTurn);
    this.#options.onSync(tookMs);
    this.mark = mark;
    this.#becameDurable(ends, leases);
  }

  #syncFailed({ ends }: Taken, error: Error): void {
    this.#hasEnded = true;
    for (const [source, end] of ends) if (!this.#ends.has(source)) this.#ends.set(source, end);
    this.#failed(error);
  }

  #startLater(): void {
    if (this.#later !== undefined || this.#ends.size === 0) return;
    this.#later = this.#env.clock.setTimer(this.#laterMs, () => {
      this.#later = undefined;
      this.#isWanted = true;
      this.start();
    });
  }

  #becameDurable(
    ends: ReadonlyMap<JournalSource, number>,
    leases: ReadonlyMap<JournalSource, WrittenLease>,
  ): void {
    for (const [source, { leaseEnd, file }] of leases) {
      this.#series.movedLease(source, file);
      source.onLeaseDurable(leaseEnd);
    }
    for (const [source, end] of ends) source.onDurable(end);
    this.#series.retire();
  }

  /** Waits for the sync in flight and begins no more. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    this.#later?.cancel();
    await this.#running;
  }
}

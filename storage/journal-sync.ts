/**
 * Makes durable what the journal wrote: one fdatasync is in flight at most, and covers all that was
 * written when it began. What nobody waits for is synced a little later. A failed sync is final.
 */

import type { Env, Timer } from './env.ts';
import type { SyncedMark } from './journal-format.ts';
import type { JournalSeries, LogJournalFile } from './journal-series.ts';
import type { JournalOptions, JournalSource } from './journal-source.ts';

interface WrittenLease {
  readonly leaseEnd: number;
  readonly file: LogJournalFile;
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
    end: number | undefined,
    leaseEnd: number | undefined,
  ): void {
    this.#files.add(file);
    file.isUnsynced = true;
    if (end !== undefined) this.#ends.set(source, end);
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

  /** Begins a sync when one is wanted and none is in flight. */
  start(): void {
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
    this.#run();
  }

  #run(): void {
    const ends = this.#ends;
    const leases = this.#leases;
    const files = [...this.#files];
    const mark = this.#series.end;
    this.#ends = new Map();
    this.#leases = new Map();
    this.#files = new Set();
    for (const file of files) file.isUnsynced = false;
    const started = this.#env.clock.monotonic();
    this.#running = Promise.all(files.map((file) => file.file.sync())).then(
      () => {
        this.#options.onSync(this.#env.clock.monotonic() - started);
        this.mark = mark;
        this.#running = undefined;
        this.#becameDurable(ends, leases);
        this.start();
      },
      (error: Error) => {
        this.#running = undefined;
        this.#hasEnded = true;
        for (const [source, end] of ends) if (!this.#ends.has(source)) this.#ends.set(source, end);
        this.#failed(error);
      },
    );
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

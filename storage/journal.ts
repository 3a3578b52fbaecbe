/**
 * The journal: one file series that makes the small writes of all partitions durable together.
 *
 * What a turn of the event loop brought is one group, written at the turn's end; small groups are
 * written in the turn, large ones beside it, one at a time and in order. A turn that brings much is
 * written in several groups, while it still comes in, so that the disk works meanwhile. One fdatasync
 * is in flight at most and covers all that was written when it began. A file is free when all its batches are in
 * fsynced segments and its leases stand elsewhere, and is then used again under a new generation.
 *
 * A failed write stalls the journal: what was not written is taken back and refused, and a probe
 * resumes it. A failed fsync ends it: nothing is acknowledged as durable after that.
 */

import type { Env, Timer } from './env.ts';
import { LogFailed } from './errors.ts';
import { encodeGroup, GROUP_ALIGNMENT, type JournalEntry } from './journal-format.ts';
import { JournalSeries, type LogJournalFile } from './journal-series.ts';
import type { JournalOptions, JournalRun, JournalSource } from './journal-source.ts';
import { JournalSync } from './journal-sync.ts';

export type { JournalOptions, JournalRun, JournalSource } from './journal-source.ts';

/** Most that one group holds; a turn that brought more makes several. */
const GROUP_MAX_BYTES = 16 * 1024 * 1024;
/** Bytes of a group beside its logs' entries, and of a log's entries, at most. */
const GROUP_BASE_BYTES = 64;
const ENTRY_MAX_BYTES = 96;
/** So much is written before the turn ends: the disk would wait for the rest of a bulk load. */
const EARLY_GROUP_BYTES = 256 * 1024;
const PROBE_MS = 250;
const PADDING = Buffer.alloc(GROUP_ALIGNMENT);

interface Taken {
  readonly source: JournalSource;
  readonly run: JournalRun | undefined;
  readonly lease: number | undefined;
}

export class Journal {
  readonly #env: Env;
  readonly #options: JournalOptions;
  readonly #series: JournalSeries;
  readonly #sync: JournalSync;
  readonly #dirty = new Set<JournalSource>();
  /** Bytes that were told since the last group was taken. */
  #touchedBytes = 0;
  #isScheduled = false;
  #isEarlyScheduled = false;
  #writing: Promise<void> | undefined;
  #preparing: Promise<void> | undefined;
  #stalled: Error | undefined;
  #dead: Error | undefined;
  #isClosed = false;
  /** While nothing can be written: the next try, and the one that goes on. */
  #nextProbe: Timer | undefined;
  #probing: Promise<void> = Promise.resolve();

  /** Sequence and file number must be above all that are in the folder. */
  constructor(env: Env, options: JournalOptions, nextSequence: number, nextFileNumber: number) {
    this.#env = env;
    this.#options = options;
    this.#series = new JournalSeries(env, options, nextSequence, nextFileNumber);
    this.#sync = new JournalSync(env, options, this.#series, (error) => this.#die(error));
  }

  /** Takes over files whose contents are void. */
  adopt(files: readonly LogJournalFile[]): void {
    this.#series.adopt(files);
  }

  /** Bytes of the files in use. */
  get usedBytes(): number {
    return this.#series.usedBytes;
  }

  get isFull(): boolean {
    return this.#series.usedBytes >= this.#options.maxBytes;
  }

  /** Why nothing can be written at present. */
  get failure(): Error | undefined {
    return this.#dead ?? this.#stalled;
  }

  /** The log has so many bytes more for the journal; it is asked for them at the turn's end. */
  touch(source: JournalSource, bytes: number): void {
    this.#dirty.add(source);
    this.#touchedBytes += bytes;
    if (this.#touchedBytes >= EARLY_GROUP_BYTES) this.#scheduleEarly();
    this.#schedule();
  }

  /** A log waits for durability of what it has already written. */
  requestSync(): void {
    this.#sync.want();
    this.#schedule();
  }

  /** All of a log's data below the offset is in fsynced segments. */
  release(source: JournalSource, persistedEnd: number): void {
    this.#series.release(source, persistedEnd);
  }

  /** A log is gone: nothing of it is needed. */
  forget(source: JournalSource): void {
    this.#dirty.delete(source);
    this.#sync.forget(source);
    this.#series.forget(source);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    this.#env.clock.defer(() => {
      this.#isScheduled = false;
      this.#commit();
    });
  }

  /** Not at once: who appends is in the midst of it. */
  #scheduleEarly(): void {
    if (this.#isEarlyScheduled || this.#isClosed) return;
    this.#isEarlyScheduled = true;
    queueMicrotask(() => {
      this.#isEarlyScheduled = false;
      if (!this.#isClosed) this.#commit();
    });
  }

  #commit(): void {
    if (this.#writing !== undefined || this.#preparing !== undefined) return;
    if (this.failure !== undefined) {
      this.#refuseDirty(this.failure);
      return;
    }
    if (this.#dirty.size > 0 && !this.#writeDirty()) return;
    if (this.#writing !== undefined) return;
    // Answers to what was written go out before, at the end of what called this.
    queueMicrotask(() => this.#sync.start(true));
    if (this.#dirty.size > 0) this.#schedule();
  }

  /** Writes a group of what there is; false when that must wait. */
  #writeDirty(): boolean {
    const { sources, bytes } = this.#nextSources();
    let file: LogJournalFile | undefined;
    try {
      file = this.#series.fileFor(bytes);
    } catch (error) {
      this.#stall(error as Error);
      return false;
    }
    const blocked = file === undefined ? this.#series.make() : file.blockedUntil(bytes);
    if (file === undefined || blocked !== undefined) {
      this.#continueAfter(blocked!);
      return false;
    }
    this.#writeGroup(file, sources, bytes);
    return true;
  }

  #refuseDirty(error: Error): void {
    const sources = [...this.#dirty];
    this.#dirty.clear();
    for (const source of sources) source.onWriteFailed(error);
  }

  /** The logs of the next group, and an upper bound of its bytes. */
  #nextSources(): { sources: JournalSource[]; bytes: number } {
    const sources: JournalSource[] = [];
    let bytes = GROUP_BASE_BYTES;
    for (const source of this.#dirty) {
      const more = source.pendingBytes + ENTRY_MAX_BYTES;
      if (sources.length > 0 && bytes + more > GROUP_MAX_BYTES) break;
      sources.push(source);
      bytes += more;
    }
    return { sources, bytes };
  }

  /** Nothing can be written now: goes on when the zeros are written or a file was made. */
  #continueAfter(obstacle: Promise<void>): void {
    this.#preparing = obstacle
      .catch((error: Error) => this.#stall(error))
      .finally(() => {
        this.#preparing = undefined;
        this.#commit();
      });
  }

  #writeGroup(file: LogJournalFile, sources: readonly JournalSource[], bytes: number): void {
    const { taken, entries, buffers } = this.#take(sources, bytes);
    if (entries.length === 0) return;
    const group = encodeGroup(entries, file.header.generation, file.position, this.#sync.mark);
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

  /** Takes what the logs have; `pendingBytes` is what that is in all. */
  #take(
    sources: readonly JournalSource[],
    pendingBytes: number,
  ): { taken: Taken[]; entries: JournalEntry[]; buffers: Buffer[] } {
    const taken: Taken[] = [];
    const entries: JournalEntry[] = [];
    // The group's header takes the first place once it is known.
    const buffers: Buffer[] = [PADDING];
    this.#touchedBytes = 0;
    for (const source of sources) {
      this.#dirty.delete(source);
      const run = source.takeRun(pendingBytes);
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

  #wrote(file: LogJournalFile, taken: readonly Taken[]): void {
    for (const { source, run, lease } of taken) {
      if (run !== undefined && run.end > source.persistedOffset) file.pins.set(source, run.end);
      this.#sync.wrote(file, source, run, lease);
    }
    for (const { source, run } of taken) {
      if (run !== undefined) source.onWritten(run.end);
      if (source.wantsSync) this.#sync.want();
      else this.#sync.wantWithin(source.syncDelayMs);
    }
    file.allocateAhead(this.#options.fileBytes);
    this.#series.makeAhead();
    if (this.usedBytes * 2 >= this.#options.maxBytes) {
      this.#options.onPressure(this.#series.holders);
    }
  }

  #writeFailed(taken: readonly Taken[], error: Error): void {
    for (const { source } of taken) this.#dirty.add(source);
    this.#stall(error);
  }

  #stall(error: Error): void {
    if (this.failure !== undefined) return;
    this.#env.log.error({ err: error, dir: this.#options.dir }, 'the journal cannot be written');
    this.#stalled = new LogFailed(`the journal cannot be written: ${error.message}`, {
      cause: error,
    });
    this.#options.onStall(this.#stalled);
    this.#refuseDirty(this.#stalled);
    this.#probeLater();
  }

  #probeLater(): void {
    if (this.#isClosed) return;
    this.#nextProbe = this.#env.clock.setTimer(PROBE_MS, () => {
      this.#probing = this.#probe().catch((error: Error) => {
        this.#env.log.debug({ err: error }, 'the journal still cannot be written');
        this.#probeLater();
      });
    });
  }

  /** Writes zeros where the next group would go; resumes when that is possible. */
  async #probe(): Promise<void> {
    if (this.#isClosed || this.#dead !== undefined) return;
    if (this.#series.writable === undefined) await this.#series.make();
    const file = this.#series.writable!;
    await file.file.write([Buffer.alloc(this.#options.writeSyncMaxBytes)], file.position);
    this.#stalled = undefined;
    this.#env.log.info({ dir: this.#options.dir }, 'the journal can be written again');
    this.#options.onStall(undefined);
    this.#commit();
  }

  #die(error: Error): void {
    this.#env.log.error(
      { err: error, dir: this.#options.dir },
      'the journal cannot be synced: nothing more is taken until the broker is started again',
    );
    this.#dead = new LogFailed(`the journal cannot be synced: ${error.message}`, { cause: error });
    this.#options.onStall(this.#dead);
    const sources = new Set([...this.#dirty, ...this.#sync.sources(), ...this.#series.sources()]);
    this.#dirty.clear();
    for (const source of sources) source.onSyncFailed(this.#dead);
  }

  /** Ends the journal. `isEmpty`: everything is persisted, so what the files hold is made void. */
  async close(isEmpty: boolean): Promise<void> {
    this.#isClosed = true;
    // Nothing may be written when the folder is another broker's.
    this.#nextProbe?.cancel();
    await this.#probing;
    await this.#preparing;
    await this.#writing;
    await this.#sync.end();
    await this.#series.close(isEmpty && this.#dead === undefined);
  }
}

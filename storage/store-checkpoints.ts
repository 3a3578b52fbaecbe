/**
 * The small files that say of all logs at once up to where they are in fsynced segments and where
 * they begin, and the producer snapshots that are written with them.
 *
 * The files know a log by its topic's name. A deleted topic's entries are taken out before the
 * deletion is answered: a topic of the same name would else lose what lies below an old log start.
 */

import path from 'node:path';
import {
  LOG_START_OFFSETS_FILE,
  type LogEnd,
  type PartitionOffset,
  RECOVERY_POINTS_FILE,
  writeLogEnds,
  writeOffsetCheckpoint,
} from './checkpoint.ts';
import type { Env } from './env.ts';
import { inParallel } from './in-parallel.ts';
import type { LogWriter } from './log-writer.ts';
import type { PartitionLog } from './partition-log.ts';
import { type ProducerSnapshot, takeProducers, writeProducers } from './producer-restore.ts';
import { partitionFolderName } from './segment-names.ts';

/** A log's producers are saved when so much was persisted since the last time. */
const SNAPSHOT_BYTES = 16 * 1024 * 1024;
/** Recovery points are saved before their time when so much was persisted since the last time. */
const CHECKPOINT_BYTES = 128 * 1024 * 1024;
const SNAPSHOTS_AT_ONCE = 16;
/** How long the end of a flush is waited for to save a log's producers. */
const FLUSH_WAIT_MS = 5000;

type FileName = typeof RECOVERY_POINTS_FILE | typeof LOG_START_OFFSETS_FILE;

/** What the files said when the folder was opened, by `<topic>-<partition>`. */
export interface StoredOffsets {
  readonly recoveryPoints: ReadonlyMap<string, number>;
  readonly logStarts: ReadonlyMap<string, number>;
}

export class StoreCheckpoints {
  readonly #env: Env;
  readonly #dataDir: string;
  readonly #logs: ReadonlyMap<string, PartitionLog>;
  /** Of logs that are not open yet, the old entries must stay. */
  #stored: ReadonlyMap<FileName, ReadonlyMap<string, number>>;
  /** Logs persisted to since the last checkpoint, with the bytes since their last snapshot. */
  readonly #changed = new Map<LogWriter, number>();
  #changedBytes = 0;
  /** Who waits for the end of a log's flush, when its producers can be saved. */
  readonly #awaitingFlush = new Map<LogWriter, () => void>();
  #saving: Promise<void> = Promise.resolve();
  /** Saves that have not begun: whoever asks meanwhile is served by them. */
  readonly #waiting = new Map<FileName, Promise<void>>();

  constructor(
    env: Env,
    dataDir: string,
    stored: StoredOffsets,
    logs: ReadonlyMap<string, PartitionLog>,
  ) {
    this.#env = env;
    this.#dataDir = dataDir;
    this.#logs = logs;
    this.#stored = new Map([
      [RECOVERY_POINTS_FILE, stored.recoveryPoints],
      [LOG_START_OFFSETS_FILE, stored.logStarts],
    ]);
  }

  /**
   * All logs are open: entries of those that are no more are dropped, and what an unclean stop had
   * left open is closed, so that another one does not find it open again.
   */
  async logsAreOpen(wasClean: boolean): Promise<void> {
    const names = new Set(
      [...this.#logs.values()].map(({ topic, partition }) => partitionFolderName(topic, partition)),
    );
    const stored = [...this.#stored];
    this.#stored = new Map();
    for (const [file, offsets] of stored) {
      if ([...offsets.keys()].some((name) => !names.has(name))) await this.#saveShared(file);
    }
    // A folder in which nothing was has nothing to find open again.
    const isAnythingThere = [...this.#logs.values()].some(({ endOffset }) => endOffset > 0);
    if (!wasClean && isAnythingThere) await this.saveAll();
  }

  /** So much of a log has been persisted. */
  persisted(log: LogWriter, sizeBytes: number): void {
    this.#changed.set(log, (this.#changed.get(log) ?? 0) + sizeBytes);
    this.#changedBytes += sizeBytes;
    this.#awaitingFlush.get(log)?.();
    if (this.#changedBytes >= CHECKPOINT_BYTES) this.saveChanged();
  }

  /** Saves what has changed, if anything has, aside. */
  saveChanged(): void {
    if (this.#changed.size === 0) return;
    this.#changedBytes = 0;
    this.#inTurn(() => this.#save(SNAPSHOT_BYTES)).catch((error: Error) => {
      // Without it the next start reads more; the data is safe.
      this.#env.log.warn({ err: error }, 'the recovery points could not be written');
    });
  }

  /** Waits for the saves that were begun; for a stop that leaves things to be recovered. */
  settled(): Promise<void> {
    return this.#saving;
  }

  /** Saves everything that has changed; for a clean stop. */
  saveAll(): Promise<void> {
    return this.#inTurn(() => this.#save(0));
  }

  /**
   * Saves a log's producers as they are, before batches go from which they could be known again.
   * Without it a producer that comes back after a crash is taken for a new one.
   */
  async saveProducersOf(log: LogWriter): Promise<void> {
    if (log.flushedProducers.size === 0) return;
    try {
      const snapshot = takeProducers(log) ?? (await this.#takeAfterFlush(log));
      if (snapshot === undefined) throw new Error(`no flush has ended in ${FLUSH_WAIT_MS} ms`);
      await this.#inTurn(() => writeProducers(this.#env, log.segments.folder, snapshot));
    } catch (error) {
      const facts = { err: error, folder: log.segments.folder };
      this.#env.log.warn(facts, 'the producers of a log could not be saved');
    }
  }

  #takeAfterFlush(log: LogWriter): Promise<ProducerSnapshot | undefined> {
    return new Promise((resolve) => {
      const finish = () => {
        timer.cancel();
        this.#awaitingFlush.delete(log);
        resolve(takeProducers(log));
      };
      const timer = this.#env.clock.setTimer(FLUSH_WAIT_MS, finish);
      this.#awaitingFlush.set(log, finish);
    });
  }

  /** Makes the log starts durable as they are now. */
  saveLogStarts(): Promise<void> {
    return this.#saveShared(LOG_START_OFFSETS_FILE);
  }

  /** Takes a log out of the files; it must not be among the logs any more. */
  async forget(log: PartitionLog): Promise<void> {
    this.#changed.delete(log);
    if (log.logStartOffset > 0) await this.#saveShared(LOG_START_OFFSETS_FILE);
    if (log.persistedOffset > 0) await this.#saveShared(RECOVERY_POINTS_FILE);
  }

  /**
   * Makes durable what a start needs to know of a log's producers without reading it: a cleaning
   * takes batches away that tell of them. False when no flush has ended for a while.
   */
  async secure(log: PartitionLog): Promise<boolean> {
    const snapshot = takeProducers(log) ?? (await this.#takeAfterFlush(log));
    if (snapshot === undefined) return false;
    await this.#inTurn(async () => {
      await writeProducers(this.#env, log.segments.folder, snapshot);
      await this.#saveOffsets(RECOVERY_POINTS_FILE);
    });
    return true;
  }

  /** The small files are written one after the other. */
  #inTurn(save: () => Promise<void>): Promise<void> {
    const saving = this.#saving.then(save);
    this.#saving = saving.catch(() => {
      // Told to the one who asked for it; the next one is not concerned.
    });
    return saving;
  }

  #saveShared(file: FileName): Promise<void> {
    const waiting = this.#waiting.get(file);
    if (waiting !== undefined) return waiting;
    const saving = this.#inTurn(() => {
      this.#waiting.delete(file);
      return this.#saveOffsets(file);
    });
    this.#waiting.set(file, saving);
    return saving;
  }

  /**
   * Saves producers of logs with at least so much new, then all recovery points. A log without
   * producers, of which little is new, needs no snapshot: that it has none is said with its end.
   */
  async #save(snapshotBytes: number): Promise<void> {
    const due = [...this.#changed].filter(
      ([log, bytes]) =>
        log.failure === undefined &&
        bytes >= (log.flushedProducers.size === 0 ? SNAPSHOT_BYTES : snapshotBytes),
    );
    await inParallel(due, SNAPSHOTS_AT_ONCE, async ([log, bytes]) => {
      // In the middle of a flush the next time will do.
      const snapshot = takeProducers(log);
      if (snapshot === undefined) return;
      await writeProducers(this.#env, log.segments.folder, snapshot);
      this.#saved(log, bytes);
    });
    await this.#saveOffsets(RECOVERY_POINTS_FILE);
    await writeLogEnds(this.#env.disk, this.#dataDir, this.#ends());
  }

  #saved(log: LogWriter, bytes: number): void {
    const left = (this.#changed.get(log) ?? 0) - bytes;
    if (left > 0) this.#changed.set(log, left);
    else this.#changed.delete(log);
  }

  /** Where the logs end all of which is synced now. */
  #ends(): LogEnd[] {
    const ends: LogEnd[] = [];
    for (const {
      topic,
      partition,
      segments,
      persistedOffset,
      flushedProducers,
    } of this.#logs.values()) {
      const { knownEnd } = segments;
      if (knownEnd?.endOffset !== persistedOffset) continue;
      ends.push({ topic, partition, ...knownEnd, producers: flushedProducers.size });
    }
    return ends;
  }

  async #saveOffsets(file: FileName): Promise<void> {
    const offsets = new Map(this.#stored.get(file));
    for (const log of this.#logs.values()) {
      const offset = file === RECOVERY_POINTS_FILE ? log.persistedOffset : log.logStartOffset;
      offsets.set(partitionFolderName(log.topic, log.partition), offset);
    }
    const entries: PartitionOffset[] = [];
    for (const [name, offset] of offsets) {
      const dash = name.lastIndexOf('-');
      const partition = Number(name.slice(dash + 1));
      if (offset > 0) entries.push({ topic: name.slice(0, dash), partition, offset });
    }
    await writeOffsetCheckpoint(this.#env.disk, path.join(this.#dataDir, file), entries);
  }
}

/**
 * The logs of one data folder, and what moves their data: the journal, the flush queue, the timers
 * that seal old chunks and write checkpoints.
 *
 * Opening: the folder is locked, the metadata log is opened and recovered; whoever owns the topics
 * reads it and calls `recover` with them; after that what an unclean stop left in the journal is in
 * the segments and the journal is void. Only then may clients be let in.
 */

import path from 'node:path';
import { BufferPool } from './buffer-pool.ts';
import { writeCleanShutdown } from './checkpoint.ts';
import { makeChores } from './chores.ts';
import { ChunkSealer } from './chunk-sealer.ts';
import { type CleanerParts, LogCleaner } from './cleaner/log-cleaner.ts';
import type { Env } from './env.ts';
import { DataFolderUnusable } from './errors.ts';
import { FlushQueue } from './flush-queue.ts';
import { type Chore, Housekeeping } from './housekeeping.ts';
import { inParallel } from './in-parallel.ts';
import { type LiveLog, liveLogs } from './inspect/live.ts';
import { Journal, type JournalSource } from './journal.ts';
import { journalKey } from './journal-replay.ts';
import { freeJournalFiles } from './journal-void.ts';
import { LocatedLinks, openLeft } from './located.ts';
import { type LogContext, makeLogContext } from './log-context.ts';
import type { LogWriter } from './log-writer.ts';
import { OpenChunks } from './open-chunks.ts';
import { type LogIdentity, newLog, openLog } from './open-log.ts';
import type { PartitionLog } from './partition-log.ts';
import { Retention } from './retention.ts';
import { partitionFolderName } from './segment-names.ts';
import { StartProgress } from './start-progress.ts';
import { StoreCheckpoints } from './store-checkpoints.ts';
import type { StoreEvents } from './store-events.ts';
import { openStoreFolder, type StoreFolder } from './store-folder.ts';
import type { StoreOptions } from './store-options.ts';
import { setStraysAside } from './strays.ts';
import { TAIL_RULE, type TailRule } from './tail-rule.ts';
import type {
  Deflate,
  Inflate,
  LocatedFile,
  LogOptions,
  LogStore,
  StorageGauges,
} from './types.ts';
import type { WritePath } from './write-path.ts';

export const METADATA_TOPIC = '__cluster_metadata';
/** KRaft's fixed id of the metadata topic: the uuid 0x1. */
export const METADATA_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ';

/** Free buffers kept for the next chunks and reads, while they are needed now and then. */
export const POOL_KEEP_BYTES = 96 * 1024 * 1024;
/** Logs opened at once at the start. */
const OPEN_PARALLELISM = 64;
/** The longest that opening logs keeps all else waiting. */
const TURN_MAX_MS = 50;

export interface StoreParts {
  readonly inflate: Inflate;
  readonly deflate?: Deflate;
  /** Another rule for the compaction in memory than ours: for tests, which must find it out. */
  readonly tailRule?: TailRule;
  readonly events: StoreEvents;
  /** Who cleans compacted logs; without it they stay as they are. */
  readonly cleaner?: CleanerParts;
}

/** A topic whose logs are to be opened. */
export interface TopicLogs {
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: number;
  readonly options: LogOptions;
}

/**
 * Opens a data folder and its metadata log; `recover` must follow. Throws DataFolderUnusable when
 * another broker has the folder.
 */
export async function openStore(
  env: Env,
  options: StoreOptions,
  parts: StoreParts,
): Promise<Store> {
  const folder = await openStoreFolder(env, options.dataDir, options.nodeId);
  const store = new Store(env, options, parts, folder);
  env.disk.setAtOnce?.(true);
  try {
    await store.openMetadataLog();
  } catch (error) {
    env.disk.setAtOnce?.(false);
    await folder.lock.release();
    throw error;
  }
  return store;
}

export class Store implements LogStore {
  readonly clusterId: string;
  readonly cleaner: LogCleaner | undefined;
  readonly #env: Env;
  readonly #options: StoreOptions;
  readonly #folder: StoreFolder;
  readonly #files: LogContext;
  readonly #path: WritePath;
  readonly #logs = new Map<string, PartitionLog>();
  /** Logs that are about to be removed. */
  readonly #leaving = new Map<string, PartitionLog>();
  readonly #checkpoints: StoreCheckpoints;
  readonly #sealer: ChunkSealer;
  readonly #retention: Retention;
  readonly #housekeeping: Housekeeping;
  #metadataLog: PartitionLog | undefined;
  #isClosed = false;

  constructor(env: Env, options: StoreOptions, parts: StoreParts, folder: StoreFolder) {
    this.#env = env;
    this.#options = options;
    this.#folder = folder;
    this.clusterId = folder.clusterId;
    this.#checkpoints = new StoreCheckpoints(env, options.dataDir, folder, this.#logs);
    folder.lock.onLost = () => this.#failAll();
    const pool = new BufferPool(POOL_KEEP_BYTES);
    this.#files = makeLogContext(env, {
      buffers: pool,
      decompress: parts.inflate,
      onDamage: parts.events.onDamage,
      links: options.linksLocated ? new LocatedLinks(env.disk, options.dataDir) : undefined,
    });
    const openChunks = new OpenChunks();
    const journal = this.#makeJournal(parts.events);
    const queue = new FlushQueue(env, {
      limitBytes: options.flushQueueBytes,
      reserveBytes: options.flushReserveBytes,
      parallelism: options.flushParallelism,
      holdMaxMs: options.produceHoldMaxMs,
      isBlocked: () => journal.isFull,
    });
    const { inflate } = parts;
    const sealer = new ChunkSealer(env, options, openChunks, queue);
    this.#sealer = sealer;
    this.#path = {
      env,
      options,
      pool,
      journal,
      queue,
      openChunks,
      inflate,
      deflate: parts.deflate,
      tailRule: parts.tailRule ?? TAIL_RULE,
      tailSavings: { records: 0, bytes: 0, pairs: 0 },
      onSegmentSync: parts.events.onSegmentSync,
      onGrowth: () => sealer.grown(),
      onPersisted: (log, sizeBytes) => this.#onPersisted(log, sizeBytes),
      saveLogStart: () => this.#checkpoints.saveLogStarts(),
      saveProducers: (log) => this.#checkpoints.saveProducersOf(log),
    };
    const context = { env, options, files: this.#files, logs: this.#logs };
    this.#retention = new Retention(context, parts.events);
    const chores: Chore[] = [...makeChores(context, this.#checkpoints, pool), this.#retention];
    if (parts.cleaner !== undefined) {
      const secure = (log: PartitionLog) => this.#checkpoints.secure(log);
      this.cleaner = new LogCleaner(context, parts.cleaner, secure);
      chores.push(this.cleaner);
    }
    this.#housekeeping = new Housekeeping(chores);
  }

  #makeJournal(events: StoreEvents): Journal {
    const { journal, journalDir, device } = this.#folder;
    const numbers = journal.parts.map(({ path: name }) => Number.parseInt(path.basename(name), 10));
    return new Journal(
      this.#env,
      {
        dir: journalDir,
        fileBytes: this.#options.journalFileBytes,
        maxBytes: this.#options.journalMaxBytes,
        writeSyncMaxBytes: this.#options.journalWriteSyncMaxBytes,
        syncMaxMs: this.#options.journalSyncMaxMs,
        device,
        isDiskQuiet: () => this.#path.queue.chunks === 0,
        onSync: events.onJournalSync,
        onRoom: () => this.#path.queue.wake(),
        onPressure: (sources) => sealAll(sources),
        onStall: (error) => {
          if (error === undefined) this.#path.queue.wake();
          else this.#path.queue.refuseHeld(error);
        },
      },
      journal.lastSequence + 1,
      Math.max(0, ...numbers) + 1,
    );
  }

  // Opening.

  get metadataLog(): PartitionLog {
    if (this.#metadataLog === undefined) throw new Error('the metadata log is not open yet');
    return this.#metadataLog;
  }

  async openMetadataLog(): Promise<void> {
    this.#metadataLog = await this.#open({
      topic: METADATA_TOPIC,
      topicId: METADATA_TOPIC_ID,
      partition: 0,
      options: this.#options.metadata,
    });
  }

  /** Opens the logs of all topics, with what the journal has of them; the store is whole then. */
  async recover(topics: readonly TopicLogs[]): Promise<void> {
    await this.#setStraysAside(topics);
    const identities: LogIdentity[] = [];
    for (const { topic, topicId, partitions, options } of topics) {
      for (let partition = 0; partition < partitions; partition++) {
        identities.push({ topic, topicId, partition, options });
      }
    }
    const progress = new StartProgress(this.#env, identities.length);
    const { wasClean } = this.#folder;
    try {
      await this.#openAll(identities, progress);
      await this.#voidJournal();
      await this.#checkpoints.logsAreOpen(wasClean);
    } finally {
      progress.end();
      this.#env.disk.setAtOnce?.(false);
    }
    this.#housekeeping.start();
    const { durationMs, checkedBytes } = progress;
    const facts = { logs: identities.length, wasClean, checkedBytes, durationMs };
    this.#env.log.info(facts, 'the logs are open');
  }

  async #openAll(identities: readonly LogIdentity[], progress: StartProgress): Promise<void> {
    const { clock } = this.#env;
    let turnBegan = clock.monotonic();
    await inParallel(identities, OPEN_PARALLELISM, async (identity) => {
      await this.#open(identity, progress);
      progress.opened();
      // The disk is asked without waiting: the lock's heartbeat must get its turn all the same.
      if (clock.monotonic() - turnBegan < TURN_MAX_MS) return;
      await new Promise<void>((resolve) => clock.defer(resolve));
      turnBegan = clock.monotonic();
    });
  }

  async #setStraysAside(topics: readonly TopicLogs[]): Promise<void> {
    const { dataDir, names, recoveryPoints, logStarts } = this.#folder;
    const topicIds = new Map(topics.map(({ topic, topicId }) => [topic, topicId]));
    topicIds.set(METADATA_TOPIC, METADATA_TOPIC_ID);
    const aside = await setStraysAside(this.#env, dataDir, names, topicIds);
    for (const name of aside) {
      for (const known of [names, recoveryPoints, logStarts]) known.delete(name);
    }
  }

  async #open(identity: LogIdentity, progress?: StartProgress): Promise<PartitionLog> {
    const { topic, topicId, partition } = identity;
    const { journal, wasClean, recoveryPoints, logStarts, knownEnds, names } = this.#folder;
    const key = journalKey(topicId, partition);
    const name = partitionFolderName(topic, partition);
    const journaled = journal.logs.get(key);
    const logStartOffset = logStarts.get(name);
    const recoveryPoint = recoveryPoints.get(name);
    const isKnown = logStartOffset !== undefined || recoveryPoint !== undefined;
    const log =
      names.has(name) || journaled !== undefined || isKnown
        ? await openLog(this.#files, this.#path, this.#options.dataDir, identity, {
            wasClean,
            recoveryPoint,
            logStartOffset,
            journaled,
            knownEnd: knownEnds.get(name),
            isForeign: journal.isForeign,
            onProgress: (bytes) => progress?.checked(bytes),
          })
        : newLog(this.#files, this.#path, this.#options.dataDir, identity);
    this.#logs.set(key, log);
    return log;
  }

  /** All of it is in fsynced segments: the files are free for the journal's next use. */
  async #voidJournal(): Promise<void> {
    const { journal, journalDir, dataDir, wasClean } = this.#folder;
    // Of the folders, too, the names may not have been synced by a process that ended.
    if (!wasClean) await this.#env.disk.syncDir(dataDir);
    this.#path.journal.adopt(await freeJournalFiles(this.#env.disk, journalDir, journal.parts));
  }

  // The door.

  create(topic: string, topicId: string, partition: number, options: LogOptions): PartitionLog {
    const identity = { topic, topicId, partition, options };
    const log = newLog(this.#files, this.#path, this.#options.dataDir, identity);
    this.#logs.set(journalKey(topicId, partition), log);
    return log;
  }

  get(topicId: string, partition: number): PartitionLog | undefined {
    return this.#logs.get(journalKey(topicId, partition));
  }

  openLocated(
    topicId: string,
    partition: number,
    baseOffset: number,
    generation: string,
  ): Promise<LocatedFile | undefined> {
    const key = journalKey(topicId, partition);
    const log = this.#logs.get(key) ?? this.#leaving.get(key);
    if (log !== undefined) return log.openLocated(baseOffset, generation);
    return openLeft(this.#files, { topicId, partition, baseOffset, generation });
  }

  setOptions(topicId: string, options: LogOptions): void {
    for (const log of this.#logs.values()) if (log.topicId === topicId) log.setOptions(options);
  }

  async remove(topicId: string, partition: number): Promise<void> {
    const key = journalKey(topicId, partition);
    const log = this.#logs.get(key);
    if (log === undefined) return;
    this.#logs.delete(key);
    this.#leaving.set(key, log);
    await log.retire();
    await this.cleaner?.forget(log);
    await this.#checkpoints.forget(log);
    await log.segments.removeAll(log.persistedOffset);
    this.#leaving.delete(key);
    this.#path.queue.wake();
  }

  admit(sizeBytes: number, internal: boolean, source?: object): Promise<void> | undefined {
    const failure = this.#path.journal.failure;
    if (failure !== undefined) return Promise.reject(failure);
    return this.#path.queue.admit(sizeBytes, internal, source);
  }

  gauges(): StorageGauges {
    const { journal, openChunks, queue, tailSavings } = this.#path;
    let failedLogs = 0;
    for (const log of this.#logs.values()) if (log.failure !== undefined) failedLogs++;
    return {
      tailBytes: openChunks.sizeBytes,
      queueBytes: queue.sizeBytes,
      queueLimitBytes: this.#options.flushQueueBytes,
      queuedChunks: queue.chunks,
      heldSources: queue.held,
      journalBytes: journal.usedBytes,
      journalLimitBytes: this.#options.journalMaxBytes,
      logs: this.#logs.size,
      failedLogs,
      compactedRecords: tailSavings.records,
      compactedBytes: tailSavings.bytes,
      vanishedPairs: tailSavings.pairs,
      isRetentionSuspended: this.#retention.isSuspended,
    };
  }

  async cleanNow(topicId: string, partition: number, below: number): Promise<boolean> {
    const log = this.get(topicId, partition);
    return (log && (await this.cleaner?.cleanNow(log, below))) ?? false;
  }

  /** What each log is like at this time, for the operators' tools. */
  live(): Generator<LiveLog> {
    return liveLogs(this.#logs.values(), this.#path.queue);
  }

  /** Another broker has the folder: not one more byte may be written. */
  #failAll(): void {
    const { dataDir } = this.#options;
    const error = new DataFolderUnusable(`another broker has taken the data folder ${dataDir}`);
    this.#env.log.error({ dataDir }, 'another broker has taken the data folder; nothing is taken');
    for (const log of this.#logs.values()) log.fail(error);
  }

  // Memory.

  /** Bytes kept alive by what is not in segments yet, and by what readers share. */
  get memoryBytes(): number {
    const { openChunks, queue } = this.#path;
    return openChunks.sizeBytes + queue.sizeBytes + this.#files.runs.heldBytes;
  }

  /** Memory is short: the chunks that pin most go to segments, unless some are on their way. */
  makeRoom(): void {
    this.#files.runs.clear();
    this.#sealer.makeRoom();
  }

  #onPersisted(log: LogWriter, sizeBytes: number): void {
    this.#checkpoints.persisted(log, sizeBytes);
    this.#path.queue.wake();
  }

  // Closing.

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sealer.stop();
    await this.#housekeeping.stop();
    const { journal, openChunks, queue } = this.#path;
    this.#env.disk.setAtOnce?.(true);
    openChunks.sealAll();
    await queue.drained();
    queue.close();
    const isWhole =
      journal.failure === undefined &&
      queue.chunks === 0 &&
      [...this.#logs.values()].every((log) => log.failure === undefined);
    try {
      await journal.close(isWhole);
      await this.#checkpoints.settled();
      if (isWhole) await this.#checkpoints.saveAll();
      if ((await this.#closeLogs()) && isWhole)
        await writeCleanShutdown(this.#env.disk, this.#options.dataDir, -1);
      else this.#env.log.warn({}, 'not all data could be persisted; the next start recovers it');
    } finally {
      await this.#folder.lock.release();
    }
  }

  /** Closes the files of all logs, whatever becomes of one; false when one could not be synced. */
  async #closeLogs(): Promise<boolean> {
    const closing = [...this.#logs.values()].map((log) => log.segments.close());
    let areSynced = true;
    for (const closed of await Promise.allSettled(closing)) {
      if (closed.status === 'fulfilled') continue;
      areSynced = false;
      this.#env.log.error({ err: closed.reason }, 'a log could not be closed');
    }
    await this.#files.removals.stop();
    // Segments that were to be removed later are still open.
    await this.#files.files.close();
    return areSynced;
  }
}

function sealAll(sources: Iterable<JournalSource>): void {
  for (const source of [...sources]) (source as LogWriter).seal(true);
}

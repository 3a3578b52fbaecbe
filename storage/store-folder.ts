/**
 * The data folder as a start finds it: locked, its identity, whether the last stop was clean, what
 * the journal and the checkpoints of the last run say.
 */

import path from 'node:path';
import {
  LOG_START_OFFSETS_FILE,
  type LogEnd,
  RECOVERY_POINTS_FILE,
  readLogEnds,
  readOffsetCheckpoint,
  takeCleanShutdown,
} from './checkpoint.ts';
import type { Disk, Env } from './env.ts';
import { CorruptLog, DataFolderUnusable } from './errors.ts';
import { type FolderLock, lockFolder } from './folder-lock.ts';
import { type JournalContents, readJournal } from './journal-replay.ts';
import { LOCATED_FOLDER } from './located.ts';
import {
  META_PROPERTIES_FILE,
  readMetaProperties,
  writeMetaProperties,
} from './meta-properties.ts';
import { isDeletedFolderName, partitionFolderName } from './segment-names.ts';

const JOURNAL_DIR = 'journal';
/** What is wrong with a folder that cannot be made or written to, by the code of the failure. */
const UNUSABLE: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'this user may not write there'],
  ['EPERM', 'this user may not write there'],
  ['EROFS', 'its file system is read-only'],
  ['ENOSPC', 'its disk is full'],
  ['EDQUOT', 'the quota of this user is used up'],
  ['EEXIST', 'it is a file'],
  ['ENOTDIR', 'it lies below a file'],
]);

export interface StoreFolder {
  readonly dataDir: string;
  readonly lock: FolderLock;
  readonly clusterId: string;
  /** What the data folder lies on. */
  readonly device: number;
  readonly wasClean: boolean;
  readonly journalDir: string;
  /** Without runs when the last stop was clean. */
  readonly journal: JournalContents;
  /** By `<topic>-<partition>`. */
  readonly recoveryPoints: Map<string, number>;
  readonly logStarts: Map<string, number>;
  /** Where the logs ended at the last checkpoint. */
  readonly knownEnds: ReadonlyMap<string, LogEnd>;
  /** Names in the data folder. */
  readonly names: Set<string>;
}

/** Throws DataFolderUnusable when the folder is another's, or another broker has it. */
export async function openStoreFolder(
  env: Env,
  dataDir: string,
  nodeId: number,
): Promise<StoreFolder> {
  // A dozen small questions, each of which would wait for a thread.
  const disk = env.disk.blocking?.() ?? env.disk;
  const atOnce = { ...env, disk };
  const lock = await takeFolder(env, disk, dataDir);
  try {
    const clusterId = await identify(atOnce, dataDir, nodeId);
    const device = (await disk.stat(dataDir))?.device ?? 0;
    const wasClean = await takeCleanShutdown(disk, dataDir);
    const journalDir = path.join(dataDir, JOURNAL_DIR);
    return {
      dataDir,
      lock,
      clusterId,
      device,
      wasClean,
      journalDir,
      journal: await readJournal(atOnce, journalDir, device),
      recoveryPoints: await readOffsets(atOnce, path.join(dataDir, RECOVERY_POINTS_FILE)),
      logStarts: await readOffsets(atOnce, path.join(dataDir, LOG_START_OFFSETS_FILE)),
      knownEnds: await readEnds(atOnce, dataDir),
      names: await clearUp(atOnce, dataDir),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Makes the folder where there is none, and locks it: the first that a start writes. */
async function takeFolder(env: Env, disk: Disk, dataDir: string): Promise<FolderLock> {
  try {
    await disk.makeDir(dataDir);
    await syncNames(disk, dataDir);
    return await lockFolder(env, dataDir);
  } catch (error) {
    const reason = UNUSABLE.get((error as NodeJS.ErrnoException).code ?? '');
    if (reason === undefined) throw error;
    throw new DataFolderUnusable(`the data folder ${dataDir} cannot be used: ${reason}`, {
      cause: error,
    });
  }
}

/**
 * Makes the folder's name durable, and the names of those above it that may have been made with it:
 * all, until a start has come as far as to write who the folder belongs to.
 */
async function syncNames(disk: Disk, dataDir: string): Promise<void> {
  const isNew = (await disk.stat(path.join(dataDir, META_PROPERTIES_FILE))) === undefined;
  let above = path.dirname(path.resolve(dataDir));
  await disk.syncDir(above);
  while (isNew && above !== path.dirname(above)) {
    above = path.dirname(above);
    try {
      await disk.syncDir(above);
    } catch (error) {
      // What this user may not read it has not made, nor what is above it.
      if ((error as NodeJS.ErrnoException).code === 'EACCES') return;
      throw error;
    }
  }
}

/** Removes what deleted partitions left, and the last run's names for static servers; gives the names of what is in the folder. */
async function clearUp(env: Env, dataDir: string): Promise<Set<string>> {
  const names = new Set<string>();
  for (const name of await env.disk.list(dataDir)) {
    if (isDeletedFolderName(name) || name === LOCATED_FOLDER)
      await env.disk.removeTree(path.join(dataDir, name));
    else names.add(name);
  }
  return names;
}

/** The cluster's id: the folder's, or a new one that the folder then has. */
async function identify(env: Env, dataDir: string, nodeId: number): Promise<string> {
  const known = await readMetaProperties(env.disk, dataDir);
  if (known !== undefined) {
    if (known.nodeId === nodeId) return known.clusterId;
    throw new DataFolderUnusable(
      `${dataDir} belongs to node ${known.nodeId}, this broker is node ${nodeId}`,
    );
  }
  const clusterId = env.random.bytes(16).toString('base64url');
  const directoryId = env.random.bytes(16).toString('base64url');
  await writeMetaProperties(env.disk, dataDir, { clusterId, nodeId, directoryId });
  return clusterId;
}

/** Without it the ends are looked for. */
async function readEnds(env: Env, dataDir: string): Promise<Map<string, LogEnd>> {
  try {
    const ends = await readLogEnds(env.disk, dataDir);
    return new Map(ends.map((end) => [partitionFolderName(end.topic, end.partition), end]));
  } catch (error) {
    if (!(error instanceof CorruptLog)) throw error;
    env.log.error({ err: error }, 'the ends of the logs cannot be read; they are looked for');
    return new Map();
  }
}

/** A damaged checkpoint costs time, not data: without it all is read. */
async function readOffsets(env: Env, file: string): Promise<Map<string, number>> {
  try {
    const entries = await readOffsetCheckpoint(env.disk, file);
    return new Map(
      entries.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]),
    );
  } catch (error) {
    if (!(error instanceof CorruptLog)) throw error;
    env.log.error({ err: error, file }, 'a checkpoint cannot be read; all segments are checked');
    return new Map();
  }
}

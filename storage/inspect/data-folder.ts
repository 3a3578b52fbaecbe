/**
 * What lies in a data folder, by names and sizes: nothing is opened but the small files, nothing is
 * changed. Works on any folder in Kafka's layout, of a broker that runs or not.
 */

import path from 'node:path';
import {
  CLEAN_SHUTDOWN_FILE,
  LEADER_EPOCHS_FILE,
  LOG_START_OFFSETS_FILE,
  RECOVERY_POINTS_FILE,
  readOffsetCheckpoint,
} from '../checkpoint.ts';
import type { Disk } from '../env.ts';
import { CorruptLog, DataFolderUnusable } from '../errors.ts';
import { GENERATIONS_FILE } from '../generations.ts';
import {
  META_PROPERTIES_FILE,
  type MetaProperties,
  PARTITION_METADATA_FILE,
  parsePartitionMetadata,
  readMetaProperties,
} from '../meta-properties.ts';
import {
  CLEANED_SUFFIX,
  DELETED_SUFFIX,
  INDEX_SUFFIX,
  LOG_SUFFIX,
  offsetOfName,
  parsePartitionFolderName,
  partitionFolderName,
  SNAPSHOT_SUFFIX,
  SWAP_SUFFIX,
  segmentFileName,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
} from '../segment-names.ts';
import type { Findings } from './findings.ts';

/** Kafka's cleaner: up to where each log is clean. */
export const CLEANER_OFFSETS_FILE = 'cleaner-offset-checkpoint';
/** Metadata snapshots, which lie beside the segments of __cluster_metadata. */
export const METADATA_SNAPSHOT_SUFFIX = '.checkpoint';

/** A segment's files by their sizes; undefined where there is no such file. */
export interface FoundSegment {
  readonly baseOffset: number;
  readonly path: string;
  readonly sizeBytes: number;
  readonly indexBytes: number | undefined;
  readonly timeIndexBytes: number | undefined;
  readonly txnIndexBytes: number | undefined;
  readonly device: number;
  readonly inode: number;
  readonly modifiedMs: number;
}

/** What the checkpoints of the data folder say of one log. */
export interface LogPoints {
  readonly recoveryPoint: number | undefined;
  readonly logStartOffset: number | undefined;
  /** The first offset that the cleaner has not been over. */
  readonly firstDirtyOffset: number | undefined;
}

export interface FoundLog extends LogPoints {
  readonly name: string;
  readonly topic: string;
  readonly partition: number;
  readonly folder: string;
  readonly topicId: string | undefined;
  /** In the order of their offsets. */
  readonly segments: readonly FoundSegment[];
  /** Offsets of the producer snapshots, rising. */
  readonly snapshots: readonly number[];
  /** Names of metadata snapshots. */
  readonly metadataSnapshots: readonly string[];
  /** Files on their way out or in: `.deleted`, `.cleaned`, `.swap`, `.tmp`, `.part`. */
  readonly passing: readonly string[];
  /** Files of ours and of Kafka's that go with the segments of their offset, which is not there. */
  readonly orphans: readonly string[];
  /** Names that nobody knows. */
  readonly foreign: readonly string[];
}

export interface DataFolder {
  readonly path: string;
  readonly wasStoppedCleanly: boolean;
  readonly meta: MetaProperties | undefined;
  /** By topic and partition. */
  readonly logs: readonly FoundLog[];
}

const KNOWN_FILES = new Set([PARTITION_METADATA_FILE, LEADER_EPOCHS_FILE, GENERATIONS_FILE]);
/** Kafka's own files beside segments that have no meaning here, and our own side files. */
const KNOWN_NAMES = /^(quorum-state|remote_log_snapshot|tailrace-.*|\d{20}\.tailrace-.*)$/;
const PASSING = [DELETED_SUFFIX, CLEANED_SUFFIX, SWAP_SUFFIX, '.tmp', '.part'];
const NO_POINTS: LogPoints = {
  recoveryPoint: undefined,
  logStartOffset: undefined,
  firstDirtyOffset: undefined,
};

/**
 * Reads a data folder. What is wrong with the small files goes to `findings`. Throws
 * DataFolderUnusable where there is no such folder, or one that holds no logs.
 */
export async function readDataFolder(
  disk: Disk,
  dataDir: string,
  findings: Findings,
): Promise<DataFolder> {
  const stat = await disk.stat(dataDir);
  if (stat === undefined) throw new DataFolderUnusable(`there is no folder ${dataDir}`);
  if (!stat.isDirectory) throw new DataFolderUnusable(`${dataDir} is not a folder`);
  const names = await disk.list(dataDir);
  const points = await readPoints(disk, dataDir, findings);
  const logs: FoundLog[] = [];
  for (const name of names) {
    if (parsePartitionFolderName(name) === undefined) continue;
    const log = await readLogFolder(disk, path.join(dataDir, name), points(name));
    if (log !== undefined) logs.push(log);
  }
  if (logs.length === 0 && !names.includes(META_PROPERTIES_FILE)) {
    throw new DataFolderUnusable(`${dataDir} is not the data folder of a broker: it has no logs`);
  }
  logs.sort((a, b) => compare(a.topic, b.topic) || a.partition - b.partition);
  return {
    path: dataDir,
    wasStoppedCleanly: names.includes(CLEAN_SHUTDOWN_FILE),
    meta: await readMeta(disk, dataDir, findings),
    logs,
  };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

async function readMeta(disk: Disk, dataDir: string, findings: Findings) {
  try {
    return await readMetaProperties(disk, dataDir);
  } catch (error) {
    if (!(error instanceof DataFolderUnusable)) throw error;
    findings.damage(path.join(dataDir, META_PROPERTIES_FILE), undefined, error.message);
    return undefined;
  }
}

async function readPoints(disk: Disk, dataDir: string, findings: Findings) {
  const read = async (name: string) => {
    const file = path.join(dataDir, name);
    const offsets = new Map<string, number>();
    try {
      for (const { topic, partition, offset } of await readOffsetCheckpoint(disk, file)) {
        offsets.set(partitionFolderName(topic, partition), offset);
      }
    } catch (error) {
      if (!(error instanceof CorruptLog)) throw error;
      findings.damage(file, undefined, error.message);
    }
    return offsets;
  };
  const recoveryPoints = await read(RECOVERY_POINTS_FILE);
  const logStarts = await read(LOG_START_OFFSETS_FILE);
  const cleaned = await read(CLEANER_OFFSETS_FILE);
  return (name: string): LogPoints => ({
    recoveryPoint: recoveryPoints.get(name),
    logStartOffset: logStarts.get(name),
    firstDirtyOffset: cleaned.get(name),
  });
}

/**
 * Reads one partition's folder; undefined where its name is not a partition's or it is no folder.
 * The checkpoints lie above it: `points` is what they say.
 */
export async function readLogFolder(
  disk: Disk,
  folder: string,
  points: LogPoints = NO_POINTS,
): Promise<FoundLog | undefined> {
  const name = path.basename(path.resolve(folder));
  const parsed = parsePartitionFolderName(name);
  if (parsed === undefined || !(await disk.stat(folder))?.isDirectory) return undefined;
  const names = await disk.list(folder);
  const present = new Set(names);
  const segments: FoundSegment[] = [];
  const snapshots: number[] = [];
  const rest = { metadataSnapshots: [], passing: [], orphans: [], foreign: [] } as Rest;
  for (const file of names) {
    const offset = offsetOfName(file);
    const kind = offset === undefined ? undefined : file.slice(segmentFileName(offset, '').length);
    if (kind === LOG_SUFFIX) {
      const segment = await readSegmentFiles(disk, folder, offset!);
      if (segment !== undefined) segments.push(segment);
    } else if (kind === SNAPSHOT_SUFFIX) snapshots.push(offset!);
    else sort(file, offset, present, rest);
  }
  const contents = await disk.readFile(path.join(folder, PARTITION_METADATA_FILE));
  const topicId = contents && parsePartitionMetadata(contents);
  return { name, ...parsed, folder, topicId, segments, snapshots, ...rest, ...points };
}

interface Rest {
  readonly metadataSnapshots: string[];
  readonly passing: string[];
  readonly orphans: string[];
  readonly foreign: string[];
}

/** Puts a name that is neither a segment's nor a snapshot's where it belongs. */
function sort(name: string, offset: number | undefined, present: Set<string>, rest: Rest): void {
  const sides = [INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX];
  if (PASSING.some((suffix) => name.endsWith(suffix))) rest.passing.push(name);
  else if (/^\d{20}-\d{10}\.checkpoint$/.test(name)) rest.metadataSnapshots.push(name);
  else if (KNOWN_FILES.has(name)) return;
  else if (offset !== undefined && sides.some((side) => name === segmentFileName(offset, side))) {
    if (!present.has(segmentFileName(offset, LOG_SUFFIX))) rest.orphans.push(name);
  } else if (!KNOWN_NAMES.test(name)) rest.foreign.push(name);
}

async function readSegmentFiles(
  disk: Disk,
  folder: string,
  baseOffset: number,
): Promise<FoundSegment | undefined> {
  const pathOf = (suffix: string) => path.join(folder, segmentFileName(baseOffset, suffix));
  const size = async (suffix: string) => (await disk.stat(pathOf(suffix)))?.sizeBytes;
  const log = await disk.stat(pathOf(LOG_SUFFIX));
  // The cleaner or retention of a running broker may have taken it meanwhile.
  if (log === undefined || log.isDirectory) return undefined;
  return {
    baseOffset,
    path: pathOf(LOG_SUFFIX),
    sizeBytes: log.sizeBytes,
    indexBytes: await size(INDEX_SUFFIX),
    timeIndexBytes: await size(TIME_INDEX_SUFFIX),
    txnIndexBytes: await size(TXN_INDEX_SUFFIX),
    device: log.device,
    inode: log.inode,
    modifiedMs: log.modifiedMs,
  };
}

/**
 * Small files that are replaced as a whole: written beside, synced, renamed, the folder synced, so
 * that a crash leaves the old or the new. And Kafka's checkpoint format, which several use:
 *
 * ```
 * 0                 version
 * 2                 number of entries
 * orders 0 4711     one entry a line
 * orders 1 815
 * ```
 * Source: Kafka's CheckpointFile, OffsetCheckpointFile, CleanShutdownFileHandler.
 */

import path from 'node:path';
import type { Disk } from './env.ts';
import { CorruptLog } from './errors.ts';

const VERSION = 0;

export const RECOVERY_POINTS_FILE = 'recovery-point-offset-checkpoint';
export const LOG_START_OFFSETS_FILE = 'log-start-offset-checkpoint';
export const LEADER_EPOCHS_FILE = 'leader-epoch-checkpoint';
/** Ours, written with the recovery points: where logs end that were not written to since. */
export const LOG_ENDS_FILE = 'tailrace-log-ends';
export const CLEAN_SHUTDOWN_FILE = '.kafka_cleanshutdown';

/** Replaces a file atomically; durable when it resolves. */
export async function replaceFile(disk: Disk, target: string, contents: Buffer): Promise<void> {
  await exchangeFile(disk, target, contents);
  await disk.syncDir(path.dirname(target));
}

/** Replaces a file atomically; durable when its folder is synced, and only if it `isSynced` itself. */
export async function exchangeFile(
  disk: Disk,
  target: string,
  contents: Buffer,
  isSynced = true,
): Promise<void> {
  const temporary = `${target}.tmp`;
  await disk.remove(temporary);
  const file = await disk.open(temporary, 'create');
  try {
    await file.write([contents], 0);
    if (isSynced) await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, target);
}

/** Text of a checkpoint with so many lines of entries. */
export function formatCheckpoint(entries: readonly string[]): Buffer {
  const lines = [String(VERSION), String(entries.length), ...entries];
  return Buffer.from(`${lines.join('\n')}\n`);
}

/** The entries of a checkpoint as words; throws CorruptLog where the file contradicts itself. */
export function parseCheckpoint(contents: Buffer, source: string): string[][] {
  const lines = contents.toString().split('\n');
  if (lines.at(-1) === '') lines.pop();
  // Kafka makes its checkpoints as empty files first.
  if (lines.length < 2) {
    if (lines.length === 0 || (lines.length === 1 && lines[0] === String(VERSION))) return [];
    throw new CorruptLog(`${source}: not a checkpoint: ${JSON.stringify(lines[0])}`);
  }
  if (lines[0] !== String(VERSION)) {
    throw new CorruptLog(`${source}: version ${lines[0]} instead of ${VERSION}`);
  }
  const entries = lines.slice(2).map((line) => line.split(/\s+/));
  if (String(entries.length) !== lines[1]) {
    throw new CorruptLog(`${source}: ${entries.length} entries where ${lines[1]} were announced`);
  }
  return entries;
}

/** A whole number as it stands in a checkpoint; throws CorruptLog for anything else. */
export function parseWhole(word: string | undefined, source: string): number {
  const value = word !== undefined && /^-?\d+$/.test(word) ? Number(word) : Number.NaN;
  if (!Number.isSafeInteger(value)) {
    throw new CorruptLog(`${source}: ${JSON.stringify(word)} is not a whole number`);
  }
  return value;
}

/** One line of an offset checkpoint. */
export interface PartitionOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Replaces `recovery-point-offset-checkpoint` or `log-start-offset-checkpoint`. */
export function writeOffsetCheckpoint(
  disk: Disk,
  file: string,
  offsets: readonly PartitionOffset[],
): Promise<void> {
  const lines = offsets.map(({ topic, partition, offset }) => `${topic} ${partition} ${offset}`);
  return replaceFile(disk, file, formatCheckpoint(lines));
}

/** Reads an offset checkpoint; no entries when there is no file. */
export async function readOffsetCheckpoint(disk: Disk, file: string): Promise<PartitionOffset[]> {
  const contents = await disk.readFile(file);
  if (contents === undefined) return [];
  return parseCheckpoint(contents, file).map((words) => {
    const [topic, partition, offset] = words;
    if (topic === undefined || words.length !== 3) {
      throw new CorruptLog(`${file}: ${JSON.stringify(words.join(' '))} is not an entry`);
    }
    return { topic, partition: parseWhole(partition, file), offset: parseWhole(offset, file) };
  });
}

/** Where a log ends: of its last segment the base and the size, and the offset after it. */
export interface LogEnd {
  readonly topic: string;
  readonly partition: number;
  readonly endOffset: number;
  readonly baseOffset: number;
  readonly sizeBytes: number;
  /** How many producers are known there: without any, nothing need be read to know them. */
  readonly producers: number;
}

/** Replaces `tailrace-log-ends`; only of logs all of which is synced. */
export function writeLogEnds(disk: Disk, dataDir: string, ends: readonly LogEnd[]): Promise<void> {
  const lines = ends.map((end) =>
    [end.topic, end.partition, end.endOffset, end.baseOffset, end.sizeBytes, end.producers].join(
      ' ',
    ),
  );
  return replaceFile(disk, path.join(dataDir, LOG_ENDS_FILE), formatCheckpoint(lines));
}

/** Reads `tailrace-log-ends`; none when there is no file. Throws CorruptLog. */
export async function readLogEnds(disk: Disk, dataDir: string): Promise<LogEnd[]> {
  const file = path.join(dataDir, LOG_ENDS_FILE);
  const contents = await disk.readFile(file);
  if (contents === undefined) return [];
  return parseCheckpoint(contents, file).map(([topic = '', ...words]) => {
    const [partition, endOffset, baseOffset, sizeBytes, producers] = words.map((word) =>
      parseWhole(word, file),
    );
    if (producers === undefined || words.length !== 5) {
      throw new CorruptLog(`${file}: ${JSON.stringify([topic, ...words])} is not an entry`);
    }
    return {
      topic,
      partition: partition!,
      endOffset: endOffset!,
      baseOffset: baseOffset!,
      sizeBytes: sizeBytes!,
      producers,
    };
  });
}

/** Marks the data folder as stopped cleanly. `brokerEpoch` is -1 where there is none. */
export function writeCleanShutdown(disk: Disk, dataDir: string, brokerEpoch: number) {
  const contents = Buffer.from(JSON.stringify({ version: VERSION, brokerEpoch }));
  return replaceFile(disk, path.join(dataDir, CLEAN_SHUTDOWN_FILE), contents);
}

/**
 * Whether the data folder was stopped cleanly; the mark is taken away, durably, so that it can
 * never speak for what happens next. As in Kafka the file's being there is what counts.
 */
export async function takeCleanShutdown(disk: Disk, dataDir: string): Promise<boolean> {
  const file = path.join(dataDir, CLEAN_SHUTDOWN_FILE);
  if ((await disk.stat(file)) === undefined) return false;
  await disk.remove(file);
  await disk.syncDir(dataDir);
  return true;
}

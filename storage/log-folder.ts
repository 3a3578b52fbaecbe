/**
 * What lies in a partition's folder, and the clearing up of what a crash left there: removed are
 * `.deleted` files, unfinished `.cleaned` ones and the indexes of segments that are not there;
 * `.swap` files, a cleaner's finished work, take the place of the segments that they replace.
 * Source: Kafka's LogLoader.
 */

import path from 'node:path';
import type { LogContext } from './log-context.ts';
import {
  CLEANED_SUFFIX,
  DELETED_SUFFIX,
  INDEX_SUFFIX,
  KEY_FILTER_SUFFIX,
  LOG_SUFFIX,
  offsetOfName,
  SNAPSHOT_SUFFIX,
  SWAP_SUFFIX,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
} from './segment-names.ts';
import { walkHeaders } from './segment-scan.ts';

/** Files of a segment beside its `.log`. */
export const SIDE_SUFFIXES = [
  INDEX_SUFFIX,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
  KEY_FILTER_SUFFIX,
] as const;

export interface FolderContents {
  /** Base offsets of the segments, rising. */
  readonly bases: number[];
  /** Those of them that have a `.txnindex`. */
  readonly withTxnIndex: ReadonlySet<number>;
  /** Offsets of the producer snapshots, rising. */
  readonly snapshots: number[];
}

/** Clears a partition's folder up and says what is in it; undefined when there is no folder. */
export async function readLogFolder(
  context: LogContext,
  folder: string,
): Promise<FolderContents | undefined> {
  const disk = context.startDisk;
  let names = await disk.list(folder);
  const isLeftOver = (name: string) =>
    name.endsWith(DELETED_SUFFIX) || name.endsWith(CLEANED_SUFFIX) || name.endsWith(SWAP_SUFFIX);
  if (names.some(isLeftOver)) names = await clearUp(context, folder, names);
  const present = new Set(names);
  const bases: number[] = [];
  const withTxnIndex = new Set<number>();
  const snapshots: number[] = [];
  for (const name of names) {
    const offset = offsetOfName(name);
    if (offset === undefined) continue;
    const stem = name.slice(0, name.indexOf('.'));
    if (name.endsWith(LOG_SUFFIX)) bases.push(offset);
    else if (name.endsWith(SNAPSHOT_SUFFIX)) snapshots.push(offset);
    else if (!SIDE_SUFFIXES.some((suffix) => name === stem + suffix)) continue;
    else if (!present.has(stem + LOG_SUFFIX)) await disk.remove(path.join(folder, name));
    else if (name.endsWith(TXN_INDEX_SUFFIX)) withTxnIndex.add(offset);
  }
  // An empty list may be an empty folder or none; only then it matters, and only then it is asked.
  if (names.length === 0 && (await disk.stat(folder)) === undefined) return undefined;
  return { bases, withTxnIndex, snapshots };
}

async function clearUp(
  context: LogContext,
  folder: string,
  names: readonly string[],
): Promise<string[]> {
  const { disk, log } = context.env;
  const cleaned = names.filter((name) => name.endsWith(CLEANED_SUFFIX));
  const cleanedBases = cleaned.map((name) => offsetOfName(name) ?? Number.POSITIVE_INFINITY);
  const firstCleaned = Math.min(Number.POSITIVE_INFINITY, ...cleanedBases);
  const allSwaps = names.filter((name) => name.endsWith(SWAP_SUFFIX));
  // A swap above an unfinished file belongs to the same unfinished work.
  const unfinished = allSwaps.filter((name) => (offsetOfName(name) ?? 0) >= firstCleaned);
  const swaps = allSwaps.filter((name) => !unfinished.includes(name));
  const remove = async (leftOver: readonly string[]) => {
    for (const name of leftOver) {
      log.info({ file: path.join(folder, name) }, 'a file left over from before was removed');
      await disk.remove(path.join(folder, name));
    }
  };
  await remove(unfinished);
  // As long as one is there, what is unfinished is not taken for finished.
  if (unfinished.length > 0) await disk.syncDir(folder);
  await remove(cleaned);
  await remove(names.filter((name) => name.endsWith(DELETED_SUFFIX)));
  if (swaps.length > 0) await finishSwap(context, folder, names, swaps);
  return disk.list(folder);
}

/** Removes the segments that swap files replace, then gives those their names. */
async function finishSwap(
  context: LogContext,
  folder: string,
  names: readonly string[],
  swaps: readonly string[],
): Promise<void> {
  const { disk, log } = context.env;
  let first = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  for (const name of swaps) {
    if (!name.endsWith(LOG_SUFFIX + SWAP_SUFFIX)) continue;
    const base = offsetOfName(name);
    if (base === undefined) continue;
    first = Math.min(first, base);
    end = Math.max(end, await endOffsetOf(context, path.join(folder, name), base));
  }
  for (const name of names) {
    const offset = offsetOfName(name);
    const isSegmentFile = !name.endsWith(SWAP_SUFFIX) && !name.endsWith(SNAPSHOT_SUFFIX);
    if (offset === undefined || !isSegmentFile || offset < first || offset >= end) continue;
    log.info({ file: path.join(folder, name) }, 'a segment that was compacted was removed');
    await disk.remove(path.join(folder, name));
  }
  // The old must be gone for good before the new loses the mark that says so, and the indexes keep
  // theirs until the log has lost its own: by that mark they would be taken for the old ones.
  await disk.syncDir(folder);
  const isLog = (name: string) => name.endsWith(LOG_SUFFIX + SWAP_SUFFIX);
  for (const part of [swaps.filter(isLog), swaps.filter((name) => !isLog(name))]) {
    for (const name of part) {
      const target = name.slice(0, -SWAP_SUFFIX.length);
      log.info({ file: path.join(folder, target) }, 'an interrupted swap was finished');
      await disk.rename(path.join(folder, name), path.join(folder, target));
    }
    await disk.syncDir(folder);
  }
}

async function endOffsetOf(context: LogContext, file: string, base: number): Promise<number> {
  const opened = await context.env.disk.open(file, 'read');
  try {
    const { sizeBytes } = await opened.stat();
    const range = { file: opened, baseOffset: base, start: 0, end: sizeBytes };
    const stop = await walkHeaders(range, context.buffers, () => true);
    return stop.nextOffset ?? base;
  } finally {
    await opened.close();
  }
}

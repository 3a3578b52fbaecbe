/**
 * The producers' state on disk: the newest snapshot that can be read, and the batches above it read
 * again. A snapshot speaks of the batches below the offset in its name.
 */

import path from 'node:path';
import { type BatchHeader, readBatchHeader } from '../protocol/record-batch.ts';
import { replaceFile } from './checkpoint.ts';
import type { Env } from './env.ts';
import type { LogContext } from './log-context.ts';
import type { LogWriter } from './log-writer.ts';
import { decodeSnapshot, encodeSnapshot } from './producer-snapshot.ts';
import { ProducerStates } from './producer-state.ts';
import type { SegmentLog } from './segment-log.ts';
import { offsetOfName, SNAPSHOT_SUFFIX, segmentFileName } from './segment-names.ts';
import type { AbortedTxn } from './txn-index.ts';

/** Snapshots left: the newest, and one before it should that be damaged. */
const SNAPSHOTS_KEPT = 2;

/**
 * State at the segments' end; the transaction indexes get what the segments ask for. `visit` is told
 * of each batch that is read again: at least of all those that no checkpoint covers.
 */
export async function restoreProducers(
  { env, startDisk }: LogContext,
  segments: SegmentLog,
  visit: (header: BatchHeader) => void,
): Promise<ProducerStates> {
  // Also what lies below the log start still tells of its producers.
  const states = new ProducerStates(segments.firstOffset);
  const nowMs = env.clock.now();
  const usable = segments.snapshots.filter((offset) => offset <= segments.replayFrom);
  for (const offset of usable.reverse()) {
    const file = snapshotFile(segments.folder, offset);
    const contents = await startDisk.readFile(file);
    try {
      if (contents === undefined) continue;
      states.load(decodeSnapshot(contents, nowMs), offset);
      break;
    } catch (error) {
      env.log.warn(
        { err: error, file },
        'a producer snapshot cannot be read; an older one is used',
      );
    }
  }
  if (states.endOffset >= segments.endOffset) return states;
  const aborted: AbortedTxn[] = [];
  await segments.scan(states.endOffset, segments.endOffset, (buffer, at) => {
    const header = readBatchHeader(buffer, at);
    visit(header);
    const completed = states.append(header, buffer, at, nowMs);
    if (completed?.aborted === true) aborted.push(completed);
    return true;
  });
  if (aborted.length > 0) await segments.restoreAborted(aborted);
  return states;
}

/** A state to be written: its file's contents, which speak of the batches below an offset. */
export interface ProducerSnapshot {
  readonly offset: number;
  readonly contents: Buffer;
}

/** The state as it is; undefined in the middle of a flush, when it is ahead of what is synced. */
export function takeProducers(log: LogWriter): ProducerSnapshot | undefined {
  const { flushedProducers, persistedOffset } = log;
  const { endOffset: offset } = flushedProducers;
  if (offset !== persistedOffset) return undefined;
  return { offset, contents: encodeSnapshot(flushedProducers.entries()) };
}

/** Writes a snapshot, and removes those that are older than the last two. */
export async function writeProducers(
  env: Env,
  folder: string,
  { offset, contents }: ProducerSnapshot,
): Promise<void> {
  await replaceFile(env.disk, snapshotFile(folder, offset), contents);
  const offsets = await snapshotOffsets(env, folder);
  for (const old of offsets.slice(0, -SNAPSHOTS_KEPT)) {
    await env.disk.remove(snapshotFile(folder, old));
  }
}

/** Offsets of the snapshots in a folder, rising. */
async function snapshotOffsets(env: Env, folder: string): Promise<number[]> {
  const offsets: number[] = [];
  for (const name of await env.disk.list(folder)) {
    const offset = name.endsWith(SNAPSHOT_SUFFIX) ? offsetOfName(name) : undefined;
    if (offset !== undefined) offsets.push(offset);
  }
  return offsets.sort((a, b) => a - b);
}

function snapshotFile(folder: string, offset: number): string {
  return path.join(folder, segmentFileName(offset, SNAPSHOT_SUFFIX));
}

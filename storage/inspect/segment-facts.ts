/**
 * What is known of a segment without reading its batches: where it ends, its times, the state of its
 * indexes, the generation of its file. Costs a look at the small files and at two places of the log.
 */

import path from 'node:path';
import { maxTimestamp } from '../../protocol/record-batch.ts';
import { parseCheckpoint } from '../checkpoint.ts';
import type { Disk } from '../env.ts';
import { CorruptLog } from '../errors.ts';
import { GENERATIONS_FILE } from '../generations.ts';
import { OFFSET_ENTRY_BYTES, OffsetIndex } from '../offset-index.ts';
import {
  INDEX_SUFFIX,
  segmentFileName,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
} from '../segment-names.ts';
import { type BufferSource, walkHeaders } from '../segment-scan.ts';
import { TIME_ENTRY_BYTES, TimeIndex } from '../time-index.ts';
import { ABORTED_TXN_BYTES, TxnIndex } from '../txn-index.ts';
import type { FoundLog, FoundSegment } from './data-folder.ts';
import { withoutPreallocated } from './index-checks.ts';
import { openIfThere } from './open-if-there.ts';

export interface SegmentFacts {
  readonly segment: FoundSegment;
  /** Only the last segment of a log grows. */
  readonly isActive: boolean;
  /** Offset after the last batch, or the base of the next segment. */
  readonly nextOffset: number;
  /** Largest of the first batch; undefined where there is none. */
  readonly firstTimestamp: number | undefined;
  /** As the time index has it: of an active segment it may be a little behind. */
  readonly largestTimestamp: number | undefined;
  readonly indexEntries: number;
  readonly timeIndexEntries: number;
  readonly abortedTransactions: number;
  /** What is wrong with the indexes as files; a start makes them anew. */
  readonly indexFault: string | undefined;
  /** Random id under which the file's location was given out; undefined when it never was. */
  readonly generation: string | undefined;
}

/** Bytes read to find the first header. */
const HEAD_BYTES = 4096;

/** Segments that a running broker takes away meanwhile are left out. */
export async function readSegmentFacts(
  disk: Disk,
  buffers: BufferSource,
  log: FoundLog,
): Promise<SegmentFacts[]> {
  const generations = await readGenerations(disk, log.folder);
  const facts: SegmentFacts[] = [];
  for (const [index, segment] of log.segments.entries()) {
    const next = log.segments[index + 1];
    const indexes = await readIndexFiles(disk, log.folder, segment, next !== undefined);
    const ends = await readEnds(disk, buffers, segment, indexes.lastPosition);
    if (ends === undefined) continue;
    const generation = generations.get(segment.baseOffset);
    const isSame = generation?.device === segment.device && generation.inode === segment.inode;
    facts.push({
      segment,
      isActive: next === undefined,
      nextOffset: next?.baseOffset ?? ends.nextOffset ?? segment.baseOffset,
      firstTimestamp: ends.firstTimestamp,
      largestTimestamp: indexes.largestTimestamp ?? ends.largestTimestamp,
      indexEntries: indexes.indexEntries,
      timeIndexEntries: indexes.timeIndexEntries,
      abortedTransactions: indexes.abortedTransactions,
      indexFault: indexes.fault,
      generation: isSame ? generation.id : undefined,
    });
  }
  return facts;
}

interface IndexFacts {
  readonly fault: string | undefined;
  readonly lastPosition: number;
  readonly largestTimestamp: number | undefined;
  readonly indexEntries: number;
  readonly timeIndexEntries: number;
  readonly abortedTransactions: number;
}

async function readIndexFiles(
  disk: Disk,
  folder: string,
  { baseOffset, sizeBytes }: FoundSegment,
  isClosed: boolean,
): Promise<IndexFacts> {
  const read = async (suffix: string, entryBytes: number) => {
    const stored = await disk.readFile(path.join(folder, segmentFileName(baseOffset, suffix)));
    return stored && !isClosed ? withoutPreallocated(stored, entryBytes) : stored;
  };
  const none = Buffer.alloc(0);
  const offsets = await read(INDEX_SUFFIX, OFFSET_ENTRY_BYTES);
  const times = await read(TIME_INDEX_SUFFIX, TIME_ENTRY_BYTES);
  const txns = (await read(TXN_INDEX_SUFFIX, ABORTED_TXN_BYTES)) ?? none;
  const offsetFault = faultOf(INDEX_SUFFIX, offsets, isClosed, (bytes) =>
    OffsetIndex.fault(bytes, sizeBytes),
  );
  const timeFault = faultOf(TIME_INDEX_SUFFIX, times, isClosed, TimeIndex.fault);
  const txnFault = TxnIndex.fault(txns, baseOffset);
  const offsetIndex = new OffsetIndex(baseOffset, offsetFault === undefined ? offsets : none);
  const timeIndex = new TimeIndex(baseOffset, timeFault === undefined ? times : none);
  const txnIndex = new TxnIndex(txnFault === undefined ? txns : none);
  const { last } = timeIndex;
  return {
    fault: offsetFault ?? timeFault ?? (txnFault && `${TXN_INDEX_SUFFIX}: ${txnFault}`),
    lastPosition: offsetIndex.last?.position ?? 0,
    largestTimestamp: last.timestamp < 0 ? undefined : last.timestamp,
    indexEntries: offsetIndex.table.count,
    timeIndexEntries: timeIndex.table.count,
    abortedTransactions: txnIndex.table.count,
  };
}

function faultOf(
  suffix: string,
  bytes: Buffer | undefined,
  isClosed: boolean,
  check: (bytes: Buffer) => string | undefined,
): string | undefined {
  // Those of the active segment are written when there is enough to write.
  if (bytes === undefined) return isClosed ? `${suffix}: there is none` : undefined;
  const fault = check(bytes);
  return fault && `${suffix}: ${fault}`;
}

interface Ends {
  readonly nextOffset: number | undefined;
  readonly firstTimestamp: number | undefined;
  readonly largestTimestamp: number | undefined;
}

/** Looks at the first batch, and at those behind the last that the index knows; nothing when it is gone. */
async function readEnds(
  disk: Disk,
  buffers: BufferSource,
  { path: file, baseOffset, sizeBytes: end }: FoundSegment,
  lastPosition: number,
): Promise<Ends | undefined> {
  let firstTimestamp: number | undefined;
  let largestTimestamp: number | undefined;
  const opened = await openIfThere(disk, file);
  if (opened === undefined) return undefined;
  try {
    const head = { file: opened, baseOffset, start: 0, end, windowBytes: HEAD_BYTES };
    await walkHeaders(head, buffers, (window, at) => {
      firstTimestamp = maxTimestamp(window, at);
      return false;
    });
    const tail = { file: opened, baseOffset, start: lastPosition, end };
    const { nextOffset } = await walkHeaders(tail, buffers, (window, at) => {
      largestTimestamp = Math.max(largestTimestamp ?? -1, maxTimestamp(window, at));
      return true;
    });
    return { nextOffset, firstTimestamp, largestTimestamp };
  } finally {
    await opened.close();
  }
}

interface Generation {
  readonly id: string;
  readonly device: number;
  readonly inode: number;
}

/** The side file of the generations; where it cannot be read there are none. */
async function readGenerations(disk: Disk, folder: string): Promise<Map<number, Generation>> {
  const generations = new Map<number, Generation>();
  const file = path.join(folder, GENERATIONS_FILE);
  const contents = await disk.readFile(file);
  if (contents === undefined) return generations;
  try {
    for (const [base, id, device, inode] of parseCheckpoint(contents, file)) {
      if (id === undefined) continue;
      generations.set(Number(base), { id, device: Number(device), inode: Number(inode) });
    }
  } catch (error) {
    if (!(error instanceof CorruptLog)) throw error;
  }
  return generations;
}

/**
 * The batches of a log from its files, in order, each with its place. What cannot be read is told
 * of, and stepped over to the next sound batch.
 */

import path from 'node:path';
import { type BatchHeader, batchBytes, readBatchHeader } from '../../protocol/record-batch.ts';
import type { Disk, DiskFile } from '../env.ts';
import { OffsetIndex } from '../offset-index.ts';
import { INDEX_SUFFIX, segmentFileName } from '../segment-names.ts';
import { type BufferSource, findBatch, type ScanRange, walkChecked } from '../segment-scan.ts';
import type { FoundLog, FoundSegment } from './data-folder.ts';
import { openIfThere } from './open-if-there.ts';

export interface PlacedBatch {
  readonly kind: 'batch';
  readonly file: string;
  readonly position: number;
  readonly header: BatchHeader;
  /** The whole batch. */
  readonly bytes: Buffer;
}

/** Bytes that hold no sound batch. */
export interface Unreadable {
  readonly kind: 'unreadable';
  readonly file: string;
  readonly position: number;
  readonly reason: string;
}

/** Copied at once; a single batch may be larger. */
const STEP_BYTES = 1024 * 1024;

/** The batches that hold offsets in [from, to). */
export async function* readBatches(
  disk: Disk,
  buffers: BufferSource,
  log: FoundLog,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): AsyncGenerator<PlacedBatch | Unreadable> {
  for (const [index, segment] of log.segments.entries()) {
    const next = log.segments[index + 1]?.baseOffset;
    if (segment.baseOffset >= to) return;
    if (next !== undefined && next <= from) continue;
    const file = await openIfThere(disk, segment.path);
    if (file === undefined) {
      const reason = 'the broker removed it meanwhile';
      yield { kind: 'unreadable', file: segment.path, position: 0, reason };
      continue;
    }
    try {
      yield* inSegment(file, buffers, segment, await startFor(disk, log, segment, from), from, to);
    } finally {
      await file.close();
    }
  }
}

/** Position from which the offset is looked for: the index's, as far as that can be right. */
async function startFor(
  disk: Disk,
  { folder }: FoundLog,
  { baseOffset, sizeBytes }: FoundSegment,
  from: number,
): Promise<number> {
  const bytes = await disk.readFile(path.join(folder, segmentFileName(baseOffset, INDEX_SUFFIX)));
  if (bytes === undefined || OffsetIndex.fault(bytes, sizeBytes) !== undefined) return 0;
  // An entry names its batch's last offset: only below it is the batch surely before the one asked for.
  return new OffsetIndex(baseOffset, bytes).lookup(from - 1).position;
}

async function* inSegment(
  file: DiskFile,
  buffers: BufferSource,
  segment: FoundSegment,
  start: number,
  from: number,
  to: number,
): AsyncGenerator<PlacedBatch | Unreadable> {
  const { path: name, baseOffset, sizeBytes: end } = segment;
  let range: ScanRange = { file, baseOffset, start, end };
  while (range.start < end) {
    const found: PlacedBatch[] = [];
    let bytes = 0;
    let isPast = false;
    const stop = await walkChecked(range, buffers, (window, at, position) => {
      const header = readBatchHeader(window, at);
      isPast = header.baseOffset >= to;
      if (isPast) return false;
      if (header.lastOffset < from) return true;
      const batch = Buffer.from(window.subarray(at, at + batchBytes(window, at)));
      found.push({ kind: 'batch', file: name, position, header, bytes: batch });
      bytes += batch.length;
      return bytes < STEP_BYTES;
    });
    yield* found;
    if (isPast) return;
    const fromOffset = stop.nextOffset ?? range.fromOffset;
    if (stop.fault === undefined) {
      range = { ...range, start: stop.position, fromOffset };
      continue;
    }
    if (range.start === start && start > 0 && stop.position === start) {
      // The index led to no batch: it is looked for from the segment's start.
      yield* inSegment(file, buffers, segment, 0, from, to);
      return;
    }
    yield { kind: 'unreadable', file: name, position: stop.position, reason: stop.fault };
    const next = { ...range, start: stop.position + 1, fromOffset };
    const sound = await findBatch(next, buffers);
    if (sound === undefined) return;
    range = { ...next, start: sound };
  }
}

/** What a segment holds, from the headers of its batches: the numbers that operators ask for. */

import {
  attributes,
  baseOffset,
  batchBytes,
  isControl,
  isTransactional,
  lastOffset,
  maxTimestamp,
  NO_TIMESTAMP,
  producerId,
  recordCount,
} from '../../protocol/record-batch.ts';
import type { Disk } from '../env.ts';
import { type BufferSource, walkHeaders } from '../segment-scan.ts';
import type { FoundSegment } from './data-folder.ts';
import { openIfThere } from './open-if-there.ts';

export interface SegmentSummary {
  readonly baseOffset: number;
  readonly sizeBytes: number;
  readonly batches: number;
  readonly records: number;
  /** Offset after the last batch; the base where there is none. */
  readonly nextOffset: number;
  /** Smallest and largest of the batches' largest timestamps; -1 where no batch has one. */
  readonly minTimestamp: number;
  readonly maxTimestamp: number;
  /** Batches by Kafka's number of the codec. */
  readonly batchesByCodec: readonly number[];
  readonly transactionalBatches: number;
  readonly controlBatches: number;
  /** Batches that the cleaner has emptied. */
  readonly emptyBatches: number;
  /** Batches that the cleaner has marked with the time from which their tombstones may go. */
  readonly horizonBatches: number;
  /** Distinct producers; counted up to a bound. */
  readonly producers: number;
  readonly largestBatchBytes: number;
  /** Share of the offsets between the base and the end that still have a record. */
  readonly keptRatio: number;
  /** Where the walk ended before the file's end, and why. */
  readonly fault: { readonly position: number; readonly reason: string } | undefined;
}

const CODECS = 8;
const DELETE_HORIZON_BIT = 0x40;
/** Distinct producers are told apart up to here. */
const MOST_PRODUCERS = 100_000;

type Counts = { -readonly [K in keyof SegmentSummary]: SegmentSummary[K] };

/** Undefined where a running broker has taken the segment away. */
export async function summarizeSegment(
  disk: Disk,
  buffers: BufferSource,
  segment: FoundSegment,
): Promise<SegmentSummary | undefined> {
  const codecs = new Array<number>(CODECS).fill(0);
  const producers = new Set<number>();
  const sum = emptyCounts(segment, codecs);
  const file = await openIfThere(disk, segment.path);
  if (file === undefined) return undefined;
  try {
    const range = { file, baseOffset: segment.baseOffset, start: 0, end: segment.sizeBytes };
    const stop = await walkHeaders(range, buffers, (window, at) => {
      count(sum, codecs, producers, window, at);
      return true;
    });
    if (stop.fault !== undefined) sum.fault = { position: stop.position, reason: stop.fault };
  } finally {
    await file.close();
  }
  sum.producers = producers.size;
  const offsets = sum.nextOffset - segment.baseOffset;
  sum.keptRatio = offsets === 0 ? 1 : sum.records / offsets;
  return sum;
}

function emptyCounts({ baseOffset: base, sizeBytes }: FoundSegment, codecs: number[]): Counts {
  return {
    baseOffset: base,
    sizeBytes,
    batches: 0,
    records: 0,
    nextOffset: base,
    minTimestamp: NO_TIMESTAMP,
    maxTimestamp: NO_TIMESTAMP,
    batchesByCodec: codecs,
    transactionalBatches: 0,
    controlBatches: 0,
    emptyBatches: 0,
    horizonBatches: 0,
    producers: 0,
    largestBatchBytes: 0,
    keptRatio: 1,
    fault: undefined,
  };
}

function count(
  sum: Counts,
  codecs: number[],
  producers: Set<number>,
  window: Buffer,
  at: number,
): void {
  const bits = attributes(window, at);
  const records = Math.min(
    Math.max(recordCount(window, at), 0),
    lastOffset(window, at) - baseOffset(window, at) + 1,
  );
  const timestamp = maxTimestamp(window, at);
  sum.batches++;
  sum.records += records;
  sum.nextOffset = lastOffset(window, at) + 1;
  sum.largestBatchBytes = Math.max(sum.largestBatchBytes, batchBytes(window, at));
  if (timestamp > NO_TIMESTAMP) {
    sum.maxTimestamp = Math.max(sum.maxTimestamp, timestamp);
    sum.minTimestamp =
      sum.minTimestamp === NO_TIMESTAMP ? timestamp : Math.min(sum.minTimestamp, timestamp);
  }
  codecs[bits & 0x07]!++;
  if (isTransactional(window, at)) sum.transactionalBatches++;
  if (isControl(window, at)) sum.controlBatches++;
  if (records === 0) sum.emptyBatches++;
  if ((bits & DELETE_HORIZON_BIT) !== 0) sum.horizonBatches++;
  const id = producerId(window, at);
  if (id >= 0 && producers.size < MOST_PRODUCERS) producers.add(id);
}

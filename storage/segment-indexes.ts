/**
 * The offset and time index of one segment, loaded together: what an append adds to them, how
 * their files are written and read, and how they are made anew from the batches.
 */

import path from 'node:path';
import { lastOffset, maxTimestamp, NO_TIMESTAMP, recordCount } from '../protocol/record-batch.ts';
import type { Disk } from './env.ts';
import type { KeyHashes } from './key-hash.ts';
import { OFFSET_ENTRY_BYTES, OffsetIndex } from './offset-index.ts';
import { INDEX_SUFFIX, segmentFileName, TIME_INDEX_SUFFIX } from './segment-names.ts';
import { storeTable } from './table-file.ts';
import { TIME_ENTRY_BYTES, TimeIndex, type TimestampOffset } from './time-index.ts';
import type { LogOptions } from './types.ts';

/** What must be known of a batch to append it. */
export interface BatchExtent {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly sizeBytes: number;
  readonly maxTimestamp: number;
  readonly recordCount: number;
  /** Hashes of its records' keys; undefined where nobody looked at them. */
  readonly keyHashes?: KeyHashes | undefined;
}

export class SegmentIndexes {
  readonly offsets: OffsetIndex;
  readonly times: TimeIndex;
  /** Largest timestamp of the segment, and the last offset of the first batch that has it. */
  largest: TimestampOffset;
  /** Position of the batch that the last entry is about. */
  #indexedPosition: number;

  constructor(baseOffset: number, offsets?: Buffer, times?: Buffer) {
    this.offsets = new OffsetIndex(baseOffset, offsets);
    this.times = new TimeIndex(baseOffset, times);
    this.largest = this.times.last;
    this.#indexedPosition = this.offsets.last?.position ?? 0;
  }

  get heldBytes(): number {
    return this.offsets.table.heldBytes + this.times.table.heldBytes;
  }

  get pendingBytes(): number {
    return this.offsets.table.pendingBytes + this.times.table.pendingBytes;
  }

  /** Takes note of a batch at a position, in offset order; adds entries where they are due. */
  note(last: number, timestamp: number, position: number, intervalBytes: number): void {
    if (timestamp > this.largest.timestamp) this.largest = { timestamp, offset: last };
    if (position - this.#indexedPosition <= intervalBytes) return;
    this.offsets.append(last, position);
    this.times.maybeAppend(this.largest.timestamp, this.largest.offset);
    this.#indexedPosition = position;
  }

  /** Whether a batch at a position cannot be where the last entry is right. */
  contradicts(last: number, position: number): boolean {
    const entry = this.offsets.last;
    if (entry === undefined || position < entry.position) return false;
    return position === entry.position ? last !== entry.offset : last <= entry.offset;
  }

  noteBatch(window: Buffer, at: number, position: number, intervalBytes: number): void {
    // A batch that compaction has emptied keeps its time; an index entry must be about a record.
    const time = recordCount(window, at) > 0 ? maxTimestamp(window, at) : NO_TIMESTAMP;
    this.note(lastOffset(window, at), time, position, intervalBytes);
  }

  /** The last entry that a closed segment has: its largest timestamp. */
  seal(): void {
    if (this.largest.timestamp > NO_TIMESTAMP) {
      this.times.maybeAppend(this.largest.timestamp, this.largest.offset);
    }
  }

  /** Where to go on from when batches were added that are not noted yet. */
  get catchUpPosition(): number {
    const indexed = this.offsets.last?.position ?? 0;
    // The time index may lack entries that the offset index has.
    const timed = this.offsets.lookup(this.times.last.offset).position;
    return Math.min(indexed, timed);
  }

  /** Forgets everything about batches after the one at a position. */
  truncateAfter(position: number): void {
    this.offsets.truncateAt(position + 1);
    const last = this.offsets.last;
    this.times.truncateAbove(last?.offset ?? this.offsets.baseOffset - 1);
    this.largest = this.times.last;
    this.#indexedPosition = last?.position ?? 0;
  }

  /** How many of `batches`, from one on, go into a segment of that size before it is full. */
  room(
    batches: readonly BatchExtent[],
    first: number,
    segmentBytes: number,
    options: LogOptions,
    rollAt: number,
  ): number {
    const { baseOffset } = this.offsets;
    let entriesLeft = Math.floor(options.segmentIndexBytes / OFFSET_ENTRY_BYTES);
    entriesLeft -= this.offsets.table.count;
    // The last place of the time index is kept for the entry of the closed segment.
    const timesMax = Math.floor(options.segmentIndexBytes / TIME_ENTRY_BYTES) - 1;
    entriesLeft = Math.min(entriesLeft, timesMax - this.times.table.count);
    let position = segmentBytes;
    let indexed = this.#indexedPosition;
    let index = first;
    for (; index < batches.length; index++) {
      const batch = batches[index]!;
      const isFull = position + batch.sizeBytes > options.segmentBytes || entriesLeft <= 0;
      const isOld = batch.maxTimestamp > rollAt;
      if (position > 0 && (isFull || isOld)) break;
      if (batch.lastOffset - baseOffset > 0x7fff_ffff) break;
      if (position - indexed > options.indexIntervalBytes) {
        indexed = position;
        entriesLeft--;
      }
      position += batch.sizeBytes;
    }
    return index - first;
  }
}

/** Where the index files of a segment are. */
export interface IndexPlace {
  readonly folder: string;
  readonly baseOffset: number;
  /** `.deleted` and the like; empty as long as the segment is in use. */
  readonly suffix: string;
}

function indexPaths({ folder, baseOffset, suffix }: IndexPlace) {
  return {
    offsets: path.join(folder, segmentFileName(baseOffset, INDEX_SUFFIX) + suffix),
    times: path.join(folder, segmentFileName(baseOffset, TIME_INDEX_SUFFIX) + suffix),
  };
}

/** Reads the index files; a text when one is missing or cannot be right. */
export async function readIndexes(
  disk: Disk,
  place: IndexPlace,
  segmentBytes: number,
): Promise<SegmentIndexes | string> {
  const paths = indexPaths(place);
  const offsets = await disk.readFile(paths.offsets);
  if (offsets === undefined) return `${paths.offsets}: there is none`;
  const offsetsFault = OffsetIndex.fault(offsets, segmentBytes);
  if (offsetsFault !== undefined) return `${paths.offsets}: ${offsetsFault}`;
  const times = await disk.readFile(paths.times);
  if (times === undefined) return `${paths.times}: there is none`;
  const timesFault = TimeIndex.fault(times);
  if (timesFault !== undefined) return `${paths.times}: ${timesFault}`;
  return new SegmentIndexes(place.baseOffset, offsets, times);
}

/** Brings both files up to what is in memory; makes them where they are missing. */
export async function writeIndexes(
  disk: Disk,
  place: IndexPlace,
  indexes: SegmentIndexes,
  isSynced: boolean,
): Promise<void> {
  const paths = indexPaths(place);
  await storeTable(disk, paths.offsets, indexes.offsets.table, isSynced);
  await storeTable(disk, paths.times, indexes.times.table, isSynced);
}

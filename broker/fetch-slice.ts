/**
 * One partition's part of a Fetch: what is asked, what was read, and what the answer says of it.
 * A slice is read at least once, and again after each wait; between two readings it holds no data.
 */

import { ErrorCode } from '../protocol/errors.ts';
import type { AbortedTransaction, LogSlice } from '../storage/types.ts';
import type { LocationAnswer } from './fetch-location.ts';
import type { PartitionOutcome, SessionPartition } from './fetch-sessions.ts';
import type { Partition } from './partition.ts';
import type { WatchedSlice, WatchList } from './watchers.ts';

/** An offset that is not known: of a partition that was answered with an error. */
export const NO_OFFSET = -1;

const NO_READS: LogSlice[] = [];

export class FetchSlice implements PartitionOutcome, WatchedSlice {
  readonly asked: SessionPartition;
  /** Undefined when it is not there; `errorCode` says why. */
  readonly partition: Partition | undefined;
  readonly list: WatchList;
  readonly fetchOffset: number;
  readonly limitBytes: number;
  readonly lastFetchedEpoch: number;
  errorCode = ErrorCode.NONE as number;
  highWatermark = NO_OFFSET;
  lastStableOffset = NO_OFFSET;
  logStartOffset = NO_OFFSET;
  divergingEpoch: { epoch: number; endOffset: number } | undefined;
  /** Of a read_committed fetch; null otherwise and beside an error. */
  aborted: AbortedTransaction[] | null = null;
  /** Where the records lie, when they are located and not read; the sizes below are then its. */
  location: LocationAnswer | undefined;
  /** What was read, in order; to be released. */
  reads: LogSlice[] = NO_READS;
  /** Bytes of what was read, and how many of them lie in batches with records. */
  sizeBytes = 0;
  recordBytes = 0;
  nextOffset = 0;
  /** Up to where the asker may see, and the watchers' position that belongs to it. */
  end = 0;
  readPosition = 0;

  constructor(asked: SessionPartition, partition: Partition | undefined, list: WatchList) {
    this.asked = asked;
    this.partition = partition;
    this.list = list;
    // Copied, as another request of the session may change what it asks while this one waits.
    this.fetchOffset = asked.fetchOffset;
    this.limitBytes = asked.maxBytes;
    this.lastFetchedEpoch = asked.lastFetchedEpoch;
  }

  get diverges(): boolean {
    return this.divergingEpoch !== undefined;
  }

  /** There is more to read than was read: limits stood against it. */
  get isCut(): boolean {
    return this.nextOffset < this.end;
  }

  /** Bytes that count towards min_bytes; of what was not read, as many as the limit allows. */
  get readBytes(): number {
    return this.isCut ? Math.max(this.recordBytes, this.limitBytes) : this.recordBytes;
  }

  /** Forgets what was read; whoever calls has released it. */
  reset(): void {
    this.errorCode = ErrorCode.NONE;
    this.divergingEpoch = undefined;
    this.aborted = null;
    this.location = undefined;
    this.reads = NO_READS;
    this.sizeBytes = 0;
    this.recordBytes = 0;
    this.nextOffset = this.fetchOffset;
    this.end = this.fetchOffset;
  }

  add(read: LogSlice): void {
    if (this.reads === NO_READS) this.reads = [read];
    else this.reads.push(read);
    this.sizeBytes += read.sizeBytes;
    this.recordBytes += read.recordBytes;
    this.nextOffset = read.nextOffset;
  }

  /** Takes a location in place of records. */
  place(location: LocationAnswer): void {
    this.location = location;
    this.sizeBytes = location.length;
    this.recordBytes = location.length;
    this.nextOffset = location.nextOffset;
  }

  /** Takes it back. */
  unplace(): void {
    this.location = undefined;
    this.sizeBytes = 0;
    this.recordBytes = 0;
    this.nextOffset = this.fetchOffset;
  }

  /** Gives away what was read, to be released. */
  letGo(): readonly LogSlice[] {
    const { reads } = this;
    this.reads = NO_READS;
    return reads;
  }

  /** Takes an error for the answer; what was read before it is to be released by the caller. */
  fail(errorCode: number): void {
    this.reset();
    this.errorCode = errorCode;
    this.highWatermark = NO_OFFSET;
    this.lastStableOffset = NO_OFFSET;
    this.logStartOffset = NO_OFFSET;
  }
}

/** What a cleaning is told, and what comes of it: plain values, to be sent to a thread and back. */

import type { AbortedTxn } from '../txn-index.ts';

/** A closed segment that is to be cleaned. */
export interface SegmentInput {
  readonly baseOffset: number;
  /** Base of the segment behind it. */
  readonly nextOffset: number;
  readonly sizeBytes: number;
}

/** What a producer's newest batch is known by; it must stay, emptied if need be. */
export interface LastOfProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** -1 where only a marker is known of the producer. */
  readonly lastOffset: number;
}

export interface CleaningJob {
  /** The partition's folder. */
  readonly folder: string;
  /** From the first of the log on, one behind the other, up to where nothing may be cleaned. */
  readonly segments: readonly SegmentInput[];
  readonly firstDirtyOffset: number;
  /** All aborted transactions that overlap the segments. */
  readonly aborted: readonly AbortedTxn[];
  readonly lastOfProducers: readonly LastOfProducer[];
  readonly nowMs: number;
  readonly deleteRetentionMs: number;
  /** Limits of a segment that is made of several. */
  readonly segmentBytes: number;
  readonly segmentIndexBytes: number;
  readonly indexIntervalBytes: number;
  /** Memory of the offset map, and how full it may become. */
  readonly mapBytes: number;
  readonly mapLoadFactor: number;
  /** Memory for reading, and as much for writing. */
  readonly bufferBytes: number;
  /** Bytes a second, read and written; infinite for no limit. */
  readonly maxBytesPerSecond: number;
  /** What the records of a compressed batch may become. */
  readonly maxRecordsBytes: number;
  /** 16 random bytes for the hashes of the keys. */
  readonly secret: Uint8Array;
}

/** A segment that was made, in `.cleaned` files that are synced; its name is not. */
export interface CleanedSegment {
  /** Bases of the segments that it replaces, rising; the first is its own. */
  readonly bases: readonly number[];
  /** What those had together. */
  readonly oldBytes: number;
  readonly sizeBytes: number;
  readonly hasTxnIndex: boolean;
}

/** What one group of segments came to. */
export interface GroupResult {
  /** Undefined where nothing was to be changed: there are no files then. */
  readonly cleaned: CleanedSegment | undefined;
}

/** What a pass has done so far. */
export interface CleaningStats {
  /** Where the next pass begins. */
  readonly endOffset: number;
  /** Dirty bytes that went into the map. */
  readonly mapBytesRead: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly recordsRead: number;
  readonly recordsWritten: number;
  readonly recordsWithoutKey: number;
  readonly keys: number;
  /** Most memory that the map took. */
  readonly mapHeldBytes: number;
  /** How full the map became, in [0, 1]. */
  readonly mapUtilization: number;
}

/** How whoever runs a cleaning paces and ends it. */
export interface Pace {
  /** After so many bytes were read or written; waits, and throws CleaningAborted. */
  spent(bytes: number): Promise<void>;
}

/** The cleaning was told to end. */
export class CleaningAborted extends Error {
  constructor() {
    super('the cleaning was ended');
    this.name = 'CleaningAborted';
  }
}

/** A cleaning that was begun: first `map`, then `cleanNext` until it gives undefined, then `end`. */
export interface CleaningRun {
  /** Reads the dirty part. */
  map(): Promise<void>;
  /** Cleans the next group of segments; what was made of the last one must be in place. */
  cleanNext(): Promise<GroupResult | undefined>;
  stats(): Promise<CleaningStats>;
  /** Lets a call that runs fail with CleaningAborted, soon. */
  abort(): void;
  /** Gives memory back; to be called whatever happened. */
  end(): Promise<void>;
}

/** Where cleanings are run: in threads, or inline in a simulated world. */
export interface Cleaners {
  begin(job: CleaningJob): CleaningRun;
  /** There is nothing to clean for a while. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

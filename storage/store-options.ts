/** Sizes and times of the write path, as broker/config.ts derives them from the configuration. */

import type { LogOptions } from './types.ts';

export interface StoreOptions {
  readonly dataDir: string;
  readonly nodeId: number;
  /** `tail.chunk.bytes`: an open chunk is sealed at this size. */
  readonly chunkBytes: number;
  /** `tail.chunk.max.ms`: an open chunk is sealed at this age. */
  readonly chunkMaxMs: number;
  /** `tail.max.bytes`: open chunks together; above it the largest are sealed. */
  readonly tailMaxBytes: number;
  /** `flush.queue.bytes`: sealed chunks together; at it sources are held back. */
  readonly flushQueueBytes: number;
  /** `flush.queue.reserve.bytes`: what internal topics may use beyond it. */
  readonly flushReserveBytes: number;
  /** `flush.parallelism`: partitions flushed at once. */
  readonly flushParallelism: number;
  /** `journal.file.bytes`: size at which the journal goes to its next file. */
  readonly journalFileBytes: number;
  /** `journal.max.bytes`: all journal files; at half of it what pins the oldest is flushed. */
  readonly journalMaxBytes: number;
  /** `journal.write.sync.max.bytes`: groups up to this size are written in the turn. */
  readonly journalWriteSyncMaxBytes: number;
  /** `journal.bypass.bytes`: what one partition got in a turn goes straight to its segment. */
  readonly journalBypassBytes: number;
  /** `journal.sync.max.ms`: what nobody waits for is synced after this time. */
  readonly journalSyncMaxMs: number;
  /** `offset.lease.records`: offsets leased at once; below 2^31. */
  readonly offsetLeaseRecords: number;
  /** `produce.hold.max.ms`: how long a source may be held back. */
  readonly produceHoldMaxMs: number;
  /** `checkpoint.interval.ms`: recovery points are written this often. */
  readonly checkpointIntervalMs: number;
  /** Whether located files get names for a static server: `slice.location.base.url`. */
  readonly linksLocated: boolean;
  /** `log.retention.check.interval.ms`: how often it is looked for what is too old or too much. */
  readonly retentionCheckMs: number;
  /** Options of the metadata log. */
  readonly metadata: LogOptions;
}

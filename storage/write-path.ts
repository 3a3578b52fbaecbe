/** What the logs of one data folder share on their way to the disk. */

import type { BufferPool } from './buffer-pool.ts';
import type { Env } from './env.ts';
import type { FlushQueue } from './flush-queue.ts';
import type { Journal } from './journal.ts';
import type { LogWriter } from './log-writer.ts';
import type { OpenChunks } from './open-chunks.ts';
import type { StoreOptions } from './store-options.ts';
import type { TailSavings } from './tail-compactor.ts';
import type { TailRule } from './tail-rule.ts';
import type { Deflate, Inflate } from './types.ts';

export interface WritePath {
  readonly env: Env;
  readonly options: StoreOptions;
  readonly pool: BufferPool;
  readonly journal: Journal;
  readonly queue: FlushQueue;
  readonly openChunks: OpenChunks;
  readonly inflate: Inflate;
  /** Without it compressed batches of which only some records go are left as they are. */
  readonly deflate: Deflate | undefined;
  readonly tailRule: TailRule;
  readonly tailSavings: TailSavings;
  /** Told how long each sync of segments took, in milliseconds. */
  readonly onSegmentSync: (durationMs: number) => void;
  /** More memory is held by open chunks; the store seals some when it is too much. */
  readonly onGrowth: () => void;
  /** The persisted mark of a log rose by so many bytes. */
  readonly onPersisted: (log: LogWriter, sizeBytes: number) => void;
  /** Makes the log start of a log durable. */
  readonly saveLogStart: () => Promise<void>;
  /** Saves a log's producers, before batches go that tell of them. Failures are reported only. */
  readonly saveProducers: (log: LogWriter) => Promise<void>;
}

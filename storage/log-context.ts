/** What the segment logs of one data folder share. */

import type { Disk, Env } from './env.ts';
import { FileCache } from './file-cache.ts';
import { FilterBuilder } from './filter-builder.ts';
import { FolderSyncs } from './folder-syncs.ts';
import { IndexCache } from './index-cache.ts';
import { LeftSegments, type LocatedLinks } from './located.ts';
import { PageCache } from './page-cache.ts';
import { Removals } from './removals.ts';
import { RunCache } from './run-cache.ts';
import type { BufferSource } from './segment-scan.ts';

/** Gives the records of a compressed payload, bounded in size. */
export type Decompress = (codec: number, payload: Buffer) => Promise<Buffer>;

export interface LogContext {
  readonly env: Env;
  /** For what a start reads of each log. */
  readonly startDisk: Disk;
  readonly files: FileCache;
  readonly indexes: IndexCache;
  /** Key filters in memory, and who makes those that are missing. */
  readonly filters: IndexCache;
  readonly filterBuilder: FilterBuilder;
  readonly buffers: BufferSource;
  readonly pageCache: PageCache;
  readonly runs: RunCache;
  readonly decompress: Decompress;
  /** Makes the names of new logs' folders durable, those of several at once. */
  readonly folderSyncs: FolderSyncs;
  readonly left: LeftSegments;
  readonly removals: Removals;
  /** Undefined where no static server hands files out. */
  readonly links: LocatedLinks | undefined;
  /** Told of bytes that are not what was written. */
  readonly onDamage: () => void;
}

export interface LogContextOptions {
  readonly buffers: BufferSource;
  readonly decompress: Decompress;
  readonly links?: LocatedLinks | undefined;
  readonly onDamage?: () => void;
  /** Descriptors kept open for segments. */
  readonly maxOpenFiles?: number;
  /** Memory for the indexes of closed segments. */
  readonly indexCacheBytes?: number;
  /** Memory for key filters. */
  readonly filterCacheBytes?: number;
}

const MAX_OPEN_FILES = 512;
export const INDEX_CACHE_BYTES = 32 * 1024 * 1024;
/** Runs that several readers share: some pieces for each of some dozen of readers. */
export const RUN_CACHE_BYTES = 32 * 1024 * 1024;
export const FILTER_CACHE_BYTES = 32 * 1024 * 1024;

export function makeLogContext(env: Env, options: LogContextOptions): LogContext {
  const closeFailed = (error: unknown) => env.log.warn({ err: error }, 'closing a file failed');
  return {
    env,
    startDisk: env.disk.blocking?.() ?? env.disk,
    files: new FileCache(env.disk, options.maxOpenFiles ?? MAX_OPEN_FILES, closeFailed),
    indexes: new IndexCache(options.indexCacheBytes ?? INDEX_CACHE_BYTES),
    filters: new IndexCache(options.filterCacheBytes ?? FILTER_CACHE_BYTES),
    filterBuilder: new FilterBuilder(env),
    buffers: options.buffers,
    pageCache: new PageCache(env.clock, env.disk.cachedBytes ?? 0),
    runs: new RunCache(RUN_CACHE_BYTES),
    decompress: options.decompress,
    folderSyncs: new FolderSyncs(env.disk),
    left: new LeftSegments(),
    removals: new Removals(env),
    links: options.links,
    onDamage: options.onDamage ?? (() => {}),
  };
}

/**
 * Where the operators' commands get their facts from: the files of a data folder or of single logs'
 * folders, read only.
 */

import { CorruptCompression, DecompressionLimit } from '../../protocol/compression/faults.ts';
import {
  type BatchCodec,
  decompressionLimit,
  isCodecNumber,
  loadCodec,
} from '../../protocol/compression.ts';
import { BufferPool } from '../../storage/buffer-pool.ts';
import type { Disk } from '../../storage/env.ts';
import { DataFolderUnusable } from '../../storage/errors.ts';
import {
  type DataFolder,
  type FoundLog,
  readDataFolder,
  readLogFolder,
} from '../../storage/inspect/data-folder.ts';
import type { Findings } from '../../storage/inspect/findings.ts';
import type { Uncompress } from '../../storage/inspect/record-check.ts';
import { nodeDisk } from '../../storage/node-disk.ts';
import { NotFound } from '../exit.ts';

export interface SourceOptions {
  readonly data: string;
  readonly json?: boolean;
}

/** Buffers kept between reads. */
const POOL_KEEP_BYTES = 16 * 1024 * 1024;
/** What one batch may become. */
const UNCOMPRESSED_MAX_BYTES = 1024 * 1024 * 1024;

export const disk: Disk = nodeDisk();
export const buffers = new BufferPool(POOL_KEEP_BYTES);

/** The data folder, and those of its logs that were asked for; all where none was. */
export interface Selection {
  /** Undefined when all logs were named by paths. */
  readonly folder: DataFolder | undefined;
  readonly logs: readonly FoundLog[];
}

/** Throws NotFound where there is no such folder or log. */
export async function select(
  options: SourceOptions,
  names: readonly string[],
  findings: Findings,
): Promise<Selection> {
  const byPath: FoundLog[] = [];
  const byName: string[] = [];
  for (const name of names) {
    if (!/[\\/]/.test(name)) byName.push(name);
    else byPath.push(await logAt(name));
  }
  if (names.length > 0 && byName.length === 0) return { folder: undefined, logs: byPath };
  const folder = await openFolder(options.data, findings);
  if (byName.length === 0) return { folder, logs: folder.logs };
  const chosen = new Set<FoundLog>();
  for (const name of byName) {
    const found = folder.logs.filter((log) => log.topic === name || log.name === name);
    if (found.length === 0) throw new NotFound(`${options.data} has no log of the name ${name}`);
    for (const log of found) chosen.add(log);
  }
  return { folder, logs: [...byPath, ...folder.logs.filter((log) => chosen.has(log))] };
}

export async function openFolder(dataDir: string, findings: Findings): Promise<DataFolder> {
  try {
    return await readDataFolder(disk, dataDir, findings);
  } catch (error) {
    if (error instanceof DataFolderUnusable) throw new NotFound(error.message);
    throw error;
  }
}

async function logAt(folder: string): Promise<FoundLog> {
  const log = await readLogFolder(disk, folder);
  if (log === undefined) {
    throw new NotFound(`${folder} is not the folder of a log, as <topic>-<partition> would be`);
  }
  return log;
}

/** Loads all codecs. */
export async function makeUncompress(): Promise<Uncompress> {
  const codecs = new Map<number, BatchCodec>();
  for (let codec = 0; isCodecNumber(codec); codec++) codecs.set(codec, await loadCodec(codec));
  return (number, payload) => {
    const codec = codecs.get(number);
    if (codec === undefined) return `no codec has the number ${number}`;
    const limit = decompressionLimit(payload.length, UNCOMPRESSED_MAX_BYTES);
    try {
      return codec.decompress(payload, limit);
    } catch (error) {
      const isFault = error instanceof CorruptCompression || error instanceof DecompressionLimit;
      if (isFault) return error.message;
      throw error;
    }
  };
}

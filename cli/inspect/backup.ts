/**
 * Keeps files that are about to be replaced: as further names of the same files where the file
 * system has those, so that it costs no space until they are replaced, else as copies.
 */

import path from 'node:path';
import fs from 'fs-extra';
import type { FoundLog, FoundSegment } from '../../storage/inspect/data-folder.ts';
import {
  INDEX_SUFFIX,
  LOG_SUFFIX,
  segmentFileName,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
} from '../../storage/segment-names.ts';
import { disk } from './source.ts';

/** Name in the data folder; no partition's folder can have it. */
export const BACKUPS_FOLDER = '.tailrace-backups';

const SUFFIXES = [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX];
/** The file system has no second names, or not for this file. */
const CANNOT_LINK = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS']);

/** Keeps the files of segments in a new folder, durably; gives its path. */
export async function keepSegments(
  log: FoundLog,
  segments: readonly FoundSegment[],
  backups: string,
): Promise<string> {
  const stamp = new Date().toISOString().replace(/[:.]/g, '');
  const folder = path.join(backups, `${log.name}.${stamp}`);
  await disk.makeDir(folder);
  for (const { baseOffset } of segments) {
    for (const suffix of SUFFIXES) {
      const name = segmentFileName(baseOffset, suffix);
      const from = path.join(log.folder, name);
      if ((await disk.stat(from)) !== undefined) await keep(from, path.join(folder, name));
    }
  }
  await disk.syncDir(folder);
  await disk.syncDir(backups);
  await disk.syncDir(path.dirname(backups));
  return folder;
}

async function keep(from: string, to: string): Promise<void> {
  try {
    await fs.link(from, to);
  } catch (error) {
    if (!CANNOT_LINK.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await fs.copyFile(from, to, fs.constants.COPYFILE_EXCL);
    const file = await disk.open(to, 'write');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

/** Frees the files of the last run's journal, all of which is in fsynced segments by now. */

import type { Disk } from './env.ts';
import { JournalFile } from './journal-file.ts';
import type { JournalPart } from './journal-replay.ts';
import type { JournalSource } from './journal-source.ts';

const FREE_JOURNAL_FILES = 2;

/** A few are kept, made void, for the journal's next use; damaged ones are kept for people. */
export async function freeJournalFiles(
  disk: Disk,
  journalDir: string,
  parts: readonly JournalPart[],
): Promise<JournalFile<JournalSource>[]> {
  const free: JournalFile<JournalSource>[] = [];
  for (const { file, sizeBytes, path, isDamaged } of parts) {
    if (isDamaged) {
      await file.close();
      await disk.rename(path, `${path}.damaged`);
    } else if (free.length < FREE_JOURNAL_FILES) {
      const part = new JournalFile<JournalSource>(file, sizeBytes);
      await part.makeVoid();
      free.push(part);
    } else {
      await file.close();
      await disk.remove(path);
    }
  }
  if (parts.length > 0) await disk.syncDir(journalDir);
  return free;
}

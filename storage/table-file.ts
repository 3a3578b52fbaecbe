/** Brings the file of an index up to the table in memory. */

import type { EntryTable } from './entry-table.ts';
import type { Disk } from './env.ts';

/** Writes what the file lacks, and cuts what it has too much. */
export async function storeTable(
  disk: Disk,
  file: string,
  table: EntryTable,
  isSynced: boolean,
): Promise<void> {
  if (table.isStored) return;
  const exists = (await disk.stat(file)) !== undefined;
  if (!exists) table.forgetStored();
  const { bytes, position, count } = table.pending();
  const opened = await disk.open(file, exists ? 'write' : 'create');
  try {
    if (bytes.length > 0) await opened.write([bytes], position);
    // What lies behind was about batches that are not there any more.
    if (exists) await opened.truncate(position + bytes.length);
    if (isSynced) await opened.sync();
  } finally {
    await opened.close();
  }
  table.markStored(count);
}

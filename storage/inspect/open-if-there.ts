/** Opening files that a broker which runs may take away: its cleaner, or its retention. */

import type { Disk, DiskFile } from '../env.ts';

/** Opens a file for reading; undefined when it is not there any more. */
export async function openIfThere(disk: Disk, path: string): Promise<DiskFile | undefined> {
  try {
    return await disk.open(path, 'read');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

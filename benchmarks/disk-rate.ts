/** What the disk takes for long: large writes in order, synced as they come. */

import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { nodeDisk } from '../storage/node-disk.ts';

const BLOCK_BYTES = 1024 * 1024;
const SYNC_BLOCKS = 16;
const SECONDS = 2;

/** Bytes a second that a file in this folder takes. */
export async function diskBytesPerSecond(folder: string): Promise<number> {
  const disk = nodeDisk();
  const own = mkdtempSync(path.join(folder, 'disk-rate-'));
  const file = await disk.open(path.join(own, 'written'), 'create');
  const block = Buffer.alloc(BLOCK_BYTES, 9);
  const began = performance.now();
  let position = 0;
  try {
    while (performance.now() - began < SECONDS * 1000) {
      for (let blocks = 0; blocks < SYNC_BLOCKS; blocks += 1) {
        await file.write([block], position);
        position += BLOCK_BYTES;
      }
      await file.sync();
    }
    return position / ((performance.now() - began) / 1000);
  } finally {
    await file.close();
    rmSync(own, { recursive: true, force: true });
  }
}

/** Quiet between two measurements: nothing of the one before is to be removed or written any more. */

import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { sleep } from './pace.ts';
import type { Target } from './scenario.ts';

const POLL_MS = 50;
const LIMIT_MS = 30_000;

/**
 * Resolves when no deleted partition's folder is left and the disk has all that was written. A broker
 * that does not sync leaves gigabytes in the page cache, which the next one's syncs would wait for.
 */
export async function settle(targets: readonly Target[]): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  const folders = targets.flatMap(({ dataDir }) => dataDir ?? []);
  while (folders.some(hasRemovals) && performance.now() < deadline) await sleep(POLL_MS);
  await promisify(execFile)('sync');
}

function hasRemovals(folder: string): boolean {
  return readdirSync(folder).some((name) => name.endsWith('-delete'));
}

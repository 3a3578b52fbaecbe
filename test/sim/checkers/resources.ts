/**
 * Checkers of what a broker holds: memory within its budget all the time; at the end, when all
 * clients are gone, nothing; and after an orderly stop no timer, file, connection or listener.
 */

import { MEMORY_USERS } from '../../../broker/memory-budget.ts';
import type { Run } from '../run.ts';

/** Above the limit: one frame in full, and a chunk or a small frame for each connection. */
const FRAMES_BYTES = 2 ** 22;
/** Above the limit of the storage: the batch that reaches it. */
const BATCH_BYTES = 2 ** 20;
/** A group's session and a producer's transaction may last so long after all clients went. */
const SESSIONS_MS = 20_000;
/** So long may half a frame be waited for whose connection is lost: 30 s, and 1 s for 32 KB of it. */
const SLOWEST_FRAME_MS = 70_000;

export interface Budget {
  /** memory.max.bytes. */
  readonly memoryBytes: number;
  /** tail.max.bytes, flush.queue.bytes and its reserve. */
  readonly storageBytes: number;
}

export function checkMemory({ world, history }: Run, budget: Budget): void {
  const { memoryBytes, storageBytes } = world.peaks;
  if (memoryBytes > budget.memoryBytes + FRAMES_BYTES) {
    history.violate('memory', 'broker', `counted ${memoryBytes} of ${budget.memoryBytes}`);
  }
  if (storageBytes > budget.storageBytes + BATCH_BYTES) {
    const text = `had ${storageBytes} of ${budget.storageBytes} in memory for segments`;
    history.violate('memory', 'broker', text);
  }
}

/** All clients go; after a while nothing is held for them any more. */
export async function checkReleased(run: Run): Promise<void> {
  const { world, history } = run;
  run.leaveAll();
  await world.sleep(SESSIONS_MS);
  if (world.network.hasLost) await world.sleep(SLOWEST_FRAME_MS - SESSIONS_MS);
  if (world.broker === undefined) throw new Error('the broker ended in peace');
  const { memory, watchers, deadlines } = world.broker.services;
  for (const user of MEMORY_USERS) {
    const bytes = memory.bytesOf(user);
    if (bytes > 0) history.violate('released', 'broker', `${bytes} bytes are held for ${user}`);
  }
  const counts = { watchers: watchers.parked, deadlines: deadlines.size };
  for (const [what, count] of Object.entries(counts)) {
    if (count > 0) history.violate('released', 'broker', `${count} ${what} wait still`);
  }
}

/** The chores of a store: whoever has work for the background adds a line here. */

import type { BufferPool } from './buffer-pool.ts';
import { type Chore, type ChoreContext, PeriodicChore } from './housekeeping.ts';
import type { StoreCheckpoints } from './store-checkpoints.ts';

const EXPIRE_PRODUCERS_MS = 600_000;
const TRIM_BUFFERS_MS = 10_000;

export function makeChores(
  context: ChoreContext,
  checkpoints: StoreCheckpoints,
  pool: BufferPool,
): Chore[] {
  const { env, options, files } = context;
  return [
    new PeriodicChore(env, 'checkpoint', options.checkpointIntervalMs, () =>
      checkpoints.saveChanged(),
    ),
    new PeriodicChore(env, 'expire producers', EXPIRE_PRODUCERS_MS, () => expireProducers(context)),
    new PeriodicChore(env, 'trim buffers', TRIM_BUFFERS_MS, () => {
      files.runs.trim();
      pool.trim();
    }),
  ];
}

function expireProducers({ env, logs }: ChoreContext): void {
  const now = env.clock.now();
  for (const log of logs.values()) {
    const { producerIdExpirationMs } = log.options;
    log.producers.expire(now, producerIdExpirationMs);
    log.flushedProducers.expire(now, producerIdExpirationMs);
  }
}

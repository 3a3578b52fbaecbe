/** Which batches go to the journal, and which straight to their segments. */

import t, { type Test } from 'tap';
import type { PartitionLogView } from '../../storage/types.ts';
import { StoreWorld, TOPIC_ID } from './store-world.ts';

const KIB = 1024;
const BYPASS_BYTES = 64 * KIB;

function logsOf(world: StoreWorld, count: number): PartitionLogView[] {
  return Array.from({ length: count }, (_, index) => world.store.get(TOPIC_ID, index)!);
}

/** A world in which each of some logs gets so many bytes in one turn, all durable at the end. */
async function oneTurn(t: Test, partitions: number, bytes: number) {
  const world = new StoreWorld({
    store: {
      chunkBytes: 1024 * KIB,
      journalBypassBytes: BYPASS_BYTES,
      flushQueueBytes: 8192 * KIB,
    },
  });
  await world.start(partitions);
  t.teardown(() => world.stop());
  const logs = logsOf(world, partitions);
  for (const log of logs) world.appendTo(log, 1, bytes);
  const durable = logs.map(
    (log) =>
      new Promise<void>((resolve, reject) => {
        log.onMark('durable', log.endOffset, (error) => (error ? reject(error) : resolve()));
      }),
  );
  await world.clock.run(Promise.all(durable).then(() => undefined));
  return { world, logs, persisted: logs.filter((log) => log.persistedOffset === 1).length };
}

t.test('what one log gets in bulk skips the journal', async (t) => {
  t.equal((await oneTurn(t, 1, BYPASS_BYTES)).persisted, 1);
  t.equal((await oneTurn(t, 1, BYPASS_BYTES / 2)).persisted, 0);
});

t.test('so does what many logs get in bulk together', async (t) => {
  t.equal((await oneTurn(t, 16, BYPASS_BYTES / 8)).persisted, 16);
});

t.test('small batches of very many logs are journaled: one sync for all', async (t) => {
  t.equal((await oneTurn(t, 64, BYPASS_BYTES / 16)).persisted, 0);
});

t.test('both ways one after the other keep the order, over a kill', async (t) => {
  const { world } = await oneTurn(t, 16, BYPASS_BYTES / 8);
  const logs = logsOf(world, 16);
  for (const bytes of [100, BYPASS_BYTES / 8, 100]) {
    for (const log of logs) world.appendTo(log, 2, bytes);
    await world.clock.advance(1);
  }
  for (const log of logs) t.equal(log.endOffset, 7);
  await world.clock.advance(100);
  await world.kill();
  await world.start(16);
  for (const log of logsOf(world, 16)) t.equal(log.endOffset, 7);
  t.same(await world.batches(), [
    [0, 0],
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
});

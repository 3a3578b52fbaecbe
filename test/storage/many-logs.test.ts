/** What a stop and a start cost with many logs, in calls of the disk: that is what they take. */

import t from 'tap';
import { parsePartitionMetadata } from '../../storage/meta-properties.ts';
import type { CallName } from '../sim/disk.ts';
import { STORE_OPTIONS, StoreWorld, TOPIC, TOPIC_ID } from './store-world.ts';

const LOGS = 200;
/** Of a log's first flush: its segment, and the names in its folder. */
const SYNCS_OF_A_LOG = 2;
/** Of the data folder's names: one for all that are persisted at once, 64 of them; of small files. */
const OTHER_SYNCS = 40;

async function worldOfMany(): Promise<StoreWorld> {
  const world = new StoreWorld({
    store: {
      journalMaxBytes: 64 * 1024 * 1024,
      flushQueueBytes: 64 * STORE_OPTIONS.flushQueueBytes,
    },
  });
  await world.start(LOGS);
  for (let partition = 0; partition < LOGS; partition++) {
    world.appendTo(world.store.get(TOPIC_ID, partition)!, 2);
  }
  const durable = Array.from({ length: LOGS }, (_, partition) => {
    const log = world.store.get(TOPIC_ID, partition)!;
    return new Promise<void>((resolve) => log.onMark('durable', 2, () => resolve()));
  });
  await world.clock.run(Promise.all(durable));
  return world;
}

/** How often each call comes while something is done. */
async function countCalls(world: StoreWorld, run: () => Promise<void>) {
  const counts = new Map<CallName, number>();
  world.disk.onCall = ({ name }) => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return undefined;
  };
  await run();
  world.disk.onCall = undefined;
  return (name: CallName) => counts.get(name) ?? 0;
}

function endsOf(world: StoreWorld): Set<number> {
  const ends = new Set<number>();
  for (let partition = 0; partition < LOGS; partition++) {
    ends.add(world.store.get(TOPIC_ID, partition)!.endOffset);
  }
  return ends;
}

t.test('a stop syncs of each new log the segment and its names, and nothing more', async (t) => {
  const world = await worldOfMany();
  const calls = await countCalls(world, () => world.stop());
  const syncs = calls('sync') + calls('syncDir');
  t.ok(calls('sync') >= LOGS && calls('syncDir') >= LOGS, 'all of them are made durable');
  t.ok(syncs <= SYNCS_OF_A_LOG * LOGS + OTHER_SYNCS, `${syncs} syncs of ${LOGS} logs`);
  await world.powerCut();
  await world.start(LOGS);
  t.same([...endsOf(world)], [2], 'and all of it is there after a power cut');
  await world.stop();
});

t.test('a start after a kill syncs as little, and the next stop nothing of the logs', async (t) => {
  const world = await worldOfMany();
  await world.kill();
  const calls = await countCalls(world, () => world.start(LOGS));
  t.same([...endsOf(world)], [2]);
  const syncs = calls('sync') + calls('syncDir');
  t.ok(syncs <= SYNCS_OF_A_LOG * LOGS + OTHER_SYNCS, `${syncs} syncs of ${LOGS} logs`);
  const stopped = await countCalls(world, () => world.stop());
  t.ok(stopped('sync') + stopped('syncDir') <= OTHER_SYNCS, 'what is durable is not synced again');
});

t.test('what a power cut took beside the segments, the start puts back', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(3);
  await world.clock.run(world.log.flush());
  await world.powerCut();
  await world.start();
  const metadata = world.disk.file(`/data/${TOPIC}-0/partition.metadata`);
  t.equal(parsePartitionMetadata(metadata.contents), TOPIC_ID);
  t.same((await world.batches())[0], [0, 2]);
  const readAgain = world.lines.filter(({ text }) => text.includes('leader epochs are read'));
  t.equal(readAgain.length, 1, 'the epochs are read from the batches');
  await world.stop();
});

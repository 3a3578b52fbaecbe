/** What waits for the journal, when its chunk is persisted before the journal has it. */

import t from 'tap';
import { StoreWorld } from './store-world.ts';

t.test('a group holds what is not persisted yet, whatever became of the rest', async (t) => {
  const world = new StoreWorld({ topic: { visibility: 'durable' } });
  await world.start();
  // The journal's first file takes long to be made; meanwhile a chunk goes to its segment.
  world.disk.delayMs = ({ path }) => (path.includes('journal') ? 50 : 0);
  world.append(20, 100);
  await world.clock.run(world.log.flush());
  world.append(1, 100);
  await world.clock.run(
    new Promise<void>((resolve) => world.log.onMark('durable', 21, () => resolve())),
  );
  t.equal(world.log.persistedOffset, 20, 'the second batch is in the journal alone');
  await world.powerCut();
  await world.start();
  t.same(await world.batches(), [
    [0, 19],
    [20, 20],
  ]);
});

t.test('memory is not used again while the journal writes it', async (t) => {
  const world = new StoreWorld({
    topic: { visibility: 'durable' },
    store: { journalWriteSyncMaxBytes: 1 },
  });
  await world.start();
  world.append(1, 100);
  await world.reached('durable', 1);
  world.disk.delayMs = ({ name, path }) => (name === 'write' && path.includes('journal') ? 50 : 0);
  world.append(20, 100);
  await world.clock.settle();
  // In the journal's hands now; its chunk goes, and others take the place.
  await world.clock.run(world.log.flush());
  world.append(20, 100);
  await world.clock.settle();
  world.append(20, 100);
  await world.reached('durable', 61);
  const { contents } = world.disk.file('/data/journal/00000001.journal');
  const written = String(contents);
  for (let index = 0; index < 61; index++) {
    const copies = written.split(`${index}.`.padEnd(40, '.')).length - 1;
    t.ok(copies > 0, `record ${index} stands in the journal as it was`);
  }
});

import t from 'tap';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { buildBatch } from '../../protocol/records.ts';
import { StoreWorld, TOPIC, TOPIC_ID } from './store-world.ts';

t.test(
  'a log start within a batch that only the journal has loses nothing behind it',
  async (t) => {
    for (const persisted of [0, 2]) {
      const world = new StoreWorld();
      await world.start();
      if (persisted > 0) {
        world.append(persisted);
        await world.clock.run(world.log.flush());
      }
      world.append(4);
      world.append(3);
      const end = persisted + 7;
      await world.reached('durable', end);
      const start = persisted + 2;
      t.equal(await world.clock.run(world.log.deleteRecordsBefore(start)), start);
      await world.kill();
      await world.start();
      t.equal(world.log.logStartOffset, start);
      t.equal(world.log.endOffset, end);
      t.same(await world.batches(start), [
        [persisted, persisted + 3],
        [persisted + 4, persisted + 6],
      ]);
      t.equal(world.append(), end);
      await world.stop();
    }
  },
);

t.test('a log start above all that is left stays the start', async (t) => {
  const world = new StoreWorld({ topic: { visibility: 'written' } });
  await world.start();
  world.append(4);
  await world.reached('written', 4);
  t.equal(await world.clock.run(world.log.deleteRecordsBefore(3)), 3);
  // Its journal is gone, as after a power cut with nothing synced.
  await world.powerCut();
  for (const name of world.disk.files().filter((file) => file.includes('/journal/'))) {
    const { contents } = world.disk.file(name);
    for (let at = 0; at < contents.length; at += 64) world.disk.file(name).flip(at, 0xff);
  }
  await world.start();
  t.equal(world.log.logStartOffset, 3);
  t.ok(world.log.endOffset >= 3);
  await world.stop();
});

t.test('a log start that could not be recorded is recorded when asked for again', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(4);
  await world.reached('durable', 4);
  const isCheckpoint = (path: string) => path.includes('log-start-offset-checkpoint');
  world.disk.onCall = ({ name, path }) =>
    name === 'write' && isCheckpoint(path) ? { code: 'ENOSPC' } : undefined;
  await t.rejects(world.clock.run(world.log.deleteRecordsBefore(3)), { code: 'ENOSPC' });
  await t.rejects(world.clock.run(world.log.deleteRecordsBefore(3)), { code: 'ENOSPC' });
  world.disk.onCall = undefined;
  t.equal(await world.clock.run(world.log.deleteRecordsBefore(3)), 3);
  await world.kill();
  await world.start();
  t.equal(world.log.logStartOffset, 3);
  await world.stop();
});

t.test("a topic of a deleted one's name does not inherit its log start", async (t) => {
  const world = new StoreWorld();
  await world.start(0);
  const { store } = world;
  const oldId = Buffer.alloc(16, 3).toString('base64url');
  store.create(TOPIC, oldId, 0, world.topic);
  const old = store.get(oldId, 0)!;
  for (const end of [8, 16]) {
    world.appendTo(old, 8);
    await world.clock.run(old.flush());
    t.equal(old.persistedOffset, end);
  }
  await world.clock.run(old.deleteRecordsBefore(12));
  await world.clock.run(store.remove(oldId, 0));
  store.create(TOPIC, TOPIC_ID, 0, world.topic);
  world.append(3);
  await world.reached('durable', 3);
  await world.kill();
  await world.start();
  t.equal(world.log.logStartOffset, 0);
  t.same(await world.batches(), [[0, 2]]);
  await world.stop();
});

for (const isPersisted of [false, true]) {
  const where = isPersisted ? 'segments' : 'journal';
  t.test(`a repeated batch is known though its records in the ${where} are deleted`, async (t) => {
    const world = new StoreWorld();
    await world.start();
    world.append(4, 10, { id: 5, sequence: 0 });
    world.append(2, 10, { id: 5, sequence: 4 });
    await world.reached('durable', 6);
    if (isPersisted) await world.clock.run(world.log.flush());
    world.append(3, 10, { id: 5, sequence: 6 });
    await world.reached('durable', 9);
    await world.clock.run(world.log.deleteRecordsBefore(6));
    await world.kill();
    await world.start();
    t.equal(world.log.logStartOffset, 6);
    t.equal(world.log.endOffset, 9);
    const batch = buildBatch({
      producerId: 5,
      producerEpoch: 0,
      baseSequence: 0,
      records: Array.from({ length: 4 }, () => ({ key: null, value: null, timestamp: 0 })),
    });
    const original = world.log.producers.check(readBatchHeader(batch, 0));
    t.same(original, { baseOffset: 0, lastOffset: 3 });
    await world.stop();
  });
}

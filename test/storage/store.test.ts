import t from 'tap';
import { LogDeleted, LogFailed, OffsetOutOfRange } from '../../storage/errors.ts';
import type { DiskCall } from '../sim/disk.ts';
import { StoreWorld, TOPIC, TOPIC_ID } from './store-world.ts';

t.test('a batch is written, then durable, and read from memory at once', async (t) => {
  const world = new StoreWorld();
  await world.start();
  t.equal(world.append(3), 0);
  t.equal(world.append(2), 3);
  t.equal(world.log.endOffset, 5);
  t.equal(world.log.highWatermark, 0, 'nothing is to be seen before it is written');
  await world.reached('written', 5);
  t.equal(world.log.persistedOffset, 0);
  t.same(await world.batches(), [
    [0, 2],
    [3, 4],
  ]);
  await world.reached('durable', 5);
  await world.stop();
});

t.test('one read goes over segments and memory', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(2);
  await world.clock.run(world.log.flush());
  t.equal(world.log.persistedOffset, 2);
  t.equal(world.store.gauges().tailBytes, 0);
  world.append(3);
  await world.reached('durable', 5);
  const slice = await world.clock.run(Promise.resolve(world.log.read(1, 1 << 20, 5, true)));
  t.equal(slice.nextOffset, 5);
  slice.release();
  t.same(await world.batches(), [
    [0, 1],
    [2, 4],
  ]);
  t.throws(() => world.log.read(6, 1, 6, true), OffsetOutOfRange);
  await world.stop();
});

t.test('an open chunk is persisted when it is old', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append();
  await world.reached('durable', 1);
  await world.clock.advance(9000);
  t.equal(world.log.persistedOffset, 0);
  await world.clock.advance(3000);
  t.equal(world.log.persistedOffset, 1);
  await world.stop();
});

t.test('a kill loses nothing that was written, and leaves no gap', async (t) => {
  const world = new StoreWorld();
  await world.start();
  for (let index = 0; index < 20; index++) world.append(2, 100);
  await world.reached('written', 40);
  await world.kill();
  await world.start();
  t.equal(world.log.endOffset, 40);
  t.equal(world.log.persistedOffset, 40, 'what the journal had is in the segments');
  t.equal((await world.batches()).length, 20);
  t.same(
    world.log.endOffsetForEpoch(1),
    { leaderEpoch: 1, endOffset: 40 },
    'before its first batch',
  );
  t.equal(world.append(), 40);
  t.equal(world.log.leaderEpoch, 1);
  await world.reached('durable', 41);
  t.same(world.log.endOffsetForEpoch(0), { leaderEpoch: 0, endOffset: 40 });
  await world.stop();
});

t.test(
  'after a power cut the offsets that may have been given out name nothing else',
  async (t) => {
    const world = new StoreWorld();
    await world.start();
    world.append(5);
    await world.reached('durable', 5);
    // The next batch is written and served, and never synced.
    world.disk.onCall = ({ name }: DiskCall) => (name === 'sync' ? { ends: 'before' } : undefined);
    world.append(2);
    await world.clock.settle();
    t.equal(world.log.highWatermark, 7, 'it was served');
    world.disk.onCall = undefined;
    await world.powerCut();
    await world.start();
    const end = world.log.endOffset;
    t.ok(end >= 1000, 'the lease is taken out of use');
    t.same(world.log.endOffsetForEpoch(0), { leaderEpoch: 0, endOffset: 5 });
    t.same(await world.batches(), [
      [0, 4],
      [5, end - 1],
    ]);
    t.equal(world.append(), end);
    await world.reached('durable', end + 1);
    await world.stop();
    await world.start();
    t.equal(world.log.endOffset, end + 1, 'a clean stop leaves no further gap');
    await world.stop();
  },
);

t.test('a topic whose readers see durable data only has no gap', async (t) => {
  const world = new StoreWorld({ topic: { visibility: 'durable' } });
  await world.start();
  world.append(5);
  await world.reached('durable', 5);
  t.equal(world.log.highWatermark, 5);
  await world.powerCut();
  await world.start();
  t.equal(world.log.endOffset, 5);
  await world.stop();
});

t.test('a clean stop leaves everything in segments and nothing to recover', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(4);
  await world.reached('written', 4);
  await world.stop();
  t.ok(world.disk.files().includes('/data/.kafka_cleanshutdown'));
  world.lines.length = 0;
  await world.start();
  t.equal(world.log.endOffset, 4);
  t.notOk(world.disk.files().includes('/data/.kafka_cleanshutdown'));
  t.match(
    world.lines.find(({ text }) => text === 'the logs are open'),
    { values: { wasClean: true } },
  );
  await world.stop();
});

t.test(
  'a bulk load goes to the segments at once, in order with what goes by the journal',
  async (t) => {
    const world = new StoreWorld();
    await world.start();
    world.append(1);
    await world.reached('durable', 1);
    const journaled = world.store.gauges().journalBytes;
    for (let index = 0; index < 30; index++) world.append(1, 4000);
    await world.reached('durable', 31);
    t.equal(world.log.persistedOffset, 31);
    t.ok(world.store.gauges().journalBytes - journaled < 4000, 'the journal has none of it');
    world.append(1);
    await world.reached('written', 32);
    t.equal((await world.batches()).length, 32);
    await world.kill();
    await world.start();
    t.equal(world.log.endOffset, 32);
    t.equal((await world.batches()).length, 32);
    await world.stop();
  },
);

t.test('a repeated batch is known after a kill', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(2, 10, { id: 77, sequence: 0 });
  world.append(3, 10, { id: 77, sequence: 2 });
  await world.reached('durable', 5);
  await world.kill();
  await world.start();
  const header = {
    ...{ baseOffset: 0, lastOffset: 2, sizeBytes: 100, leaderEpoch: 0, codec: 0 },
    ...{ logAppendTime: false, transactional: false, control: false, hasDeleteHorizon: false },
    ...{ baseTimestamp: 0, maxTimestamp: 0, producerId: 77, producerEpoch: 0 },
    ...{ baseSequence: 2, lastSequence: 4, recordCount: 3 },
  };
  t.same(world.log.producers.check(header), { baseOffset: 2, lastOffset: 4 });
  await world.stop();
});

t.test('a full disk refuses what was not written, reads go on, writing resumes', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(2);
  await world.reached('durable', 2);
  world.disk.onCall = ({ name }: DiskCall) => (name === 'write' ? { code: 'ENOSPC' } : undefined);
  world.append(3, 10, { id: 5, sequence: 0 });
  await t.rejects(world.reached('durable', 5), LogFailed);
  t.equal(world.log.endOffset, 2, 'what was refused is not there');
  t.throws(() => world.append(), LogFailed);
  await t.rejects(world.store.admit(10, false)!, LogFailed);
  t.same(await world.batches(), [[0, 1]]);
  world.disk.onCall = undefined;
  await world.clock.advance(1000);
  t.equal(world.append(3, 10, { id: 5, sequence: 0 }), 2, 'the producer may repeat it');
  await world.reached('durable', 5);
  await world.kill();
  await world.start();
  t.same(await world.batches(), [
    [0, 1],
    [2, 4],
  ]);
  await world.stop();
});

t.test('a stop while the disk is full leaves nothing that would write later', async (t) => {
  const world = new StoreWorld();
  await world.start();
  const before = world.clock.pendingTimers;
  world.disk.onCall = ({ name }: DiskCall) => (name === 'write' ? { code: 'ENOSPC' } : undefined);
  world.append(3);
  await t.rejects(world.reached('durable', 3), LogFailed);
  t.ok(world.clock.pendingTimers > before, 'the journal will try again');
  world.disk.onCall = undefined;
  await world.clock.run(world.store.close());
  t.equal(world.clock.pendingTimers, 0);
});

t.test('after a failed sync of the journal nothing is acknowledged, and reads go on', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(2);
  await world.reached('durable', 2);
  world.disk.onCall = ({ name }: DiskCall) => (name === 'sync' ? { code: 'EIO' } : undefined);
  world.append(1);
  await t.rejects(world.reached('durable', 3), LogFailed);
  world.disk.onCall = undefined;
  t.throws(() => world.append(), LogFailed);
  t.same((await world.batches())[0], [0, 1]);
  t.equal(world.store.gauges().failedLogs > 0, true);
  await world.stop();
  await world.start();
  t.ok(world.log.endOffset >= 2, 'the next start reads what is there');
  await world.stop();
});

t.test('a deleted log leaves no folder, and its journal records harm nobody', async (t) => {
  const world = new StoreWorld();
  await world.start(2);
  world.append(2);
  await world.clock.run(world.log.flush());
  world.append(2);
  const waiting = world.reached('durable', 4);
  await world.clock.run(Promise.allSettled([waiting, world.store.remove(TOPIC_ID, 0)]));
  await t.rejects(
    waiting.then(() => {
      throw new LogDeleted('it was durable before it was deleted');
    }),
    LogDeleted,
  );
  t.equal(world.store.get(TOPIC_ID, 0), undefined);
  await world.kill();
  await world.start(0);
  t.notOk(world.disk.files().some((file) => file.startsWith(`/data/${TOPIC}-0/`)));
  await world.stop();
});

t.test('a folder of no known topic is set aside and kept', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(2);
  await world.stop();
  await world.start(0);
  t.ok(world.disk.files().some((file) => /^\/data\/orders-0\.[0-9a-f]{32}-stray\//.test(file)));
  await world.stop();
});

t.test('records below a raised log start are gone, also after a kill', async (t) => {
  const world = new StoreWorld();
  await world.start();
  for (let index = 0; index < 10; index++) world.append(1);
  await world.reached('durable', 10);
  t.equal(await world.clock.run(world.log.deleteRecordsBefore(6)), 6);
  t.throws(() => world.log.read(5, 100, 10, true), OffsetOutOfRange);
  await t.rejects(world.clock.run(world.log.deleteRecordsBefore(11)), OffsetOutOfRange);
  await world.kill();
  await world.start();
  t.equal(world.log.logStartOffset, 6);
  t.equal(world.log.endOffset, 10);
  t.equal((await world.batches(6)).length, 4);
  await world.stop();
});

t.test('all records may be deleted, and offsets go on behind them', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(3);
  await world.reached('durable', 3);
  await world.clock.run(world.log.deleteRecordsBefore(3));
  await world.stop();
  await world.start();
  t.equal(world.log.logStartOffset, 3);
  t.equal(world.log.endOffset, 3);
  t.equal(world.append(), 3);
  await world.reached('durable', 4);
  await world.stop();
});

t.test('a journal under load never outgrows its limit by more than a turn', async (t) => {
  const world = new StoreWorld();
  await world.start(8);
  let largest = 0;
  for (let round = 0; round < 200; round++) {
    for (let index = 0; index < 8; index++) world.append(1, 3000);
    await world.reached('durable', world.log.endOffset);
    largest = Math.max(largest, world.store.gauges().journalBytes);
  }
  t.ok(largest <= 1024 * 1024, `${largest} bytes at most`);
  t.equal((await world.batches()).length, 1600);
  await world.stop();
});

t.test('times are found in segments and in memory alike', async (t) => {
  const world = new StoreWorld();
  await world.start();
  const times: number[] = [];
  for (let index = 0; index < 6; index++) {
    times.push(world.clock.now());
    world.append(1);
    await world.reached('durable', index + 1);
    if (index === 2) await world.clock.run(world.log.flush());
    await world.clock.advance(10);
  }
  for (const [offset, timestamp] of times.entries()) {
    const found = await world.clock.run(world.log.offsetForTime(timestamp, 6));
    t.match(found, { offset, timestamp, leaderEpoch: 0 });
  }
  t.equal(await world.clock.run(world.log.offsetForTime(times[5]! + 1, 6)), undefined);
  t.match(await world.clock.run(world.log.offsetOfMaxTimestamp(6)), { offset: 5 });
  t.match(await world.clock.run(world.log.offsetOfMaxTimestamp(2)), { offset: 1 });
  await world.stop();
});

t.test('a kill in the middle of a write to the journal cuts it, and is no damage', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(2);
  await world.reached('durable', 2);
  world.disk.onCall = ({ name, path, bytes }: DiskCall) =>
    name === 'write' && path.includes('journal')
      ? { ends: 'before', writtenBytes: bytes - 100 }
      : undefined;
  world.append(3, 200);
  await world.clock.advance(100);
  world.disk.onCall = undefined;
  await world.clock.advance(20_000);
  world.lines.length = 0;
  await world.start();
  t.same(await world.batches(), [[0, 1]]);
  t.notOk(world.disk.files().some((file) => file.endsWith('.damaged')));
  t.same(
    world.lines.filter(({ level }) => level === 'error'),
    [],
  );
  t.ok(world.lines.some(({ text }) => /was not written whole/.test(text)));
  await world.stop();
});

/** Retention: what goes when, and what has to stay whatever happens meanwhile. */

import t from 'tap';
import type { LogOptions } from '../../storage/types.ts';
import { StoreWorld, TOPIC, TOPIC_ID } from './store-world.ts';

const HOUR = 3_600_000;
const ROUND = 300_000;
const FOLDER = `/data/${TOPIC}-0`;

/** A log with small segments, kept for two hours. */
function worldOf(topic: Partial<LogOptions> = {}): StoreWorld {
  return new StoreWorld({ topic: { segmentBytes: 1000, retentionMs: 2 * HOUR, ...topic } });
}

/** Fills so many segments, persisted; gives the end. */
async function fill(world: StoreWorld, segments: number): Promise<number> {
  for (let count = 0; count < segments; count++) {
    world.append(4, 200);
    await world.clock.run(world.log.flush());
  }
  return world.log.endOffset;
}

/** Base offsets of the segments in the partition's folder. */
function bases(world: StoreWorld): number[] {
  const names = world.disk.files().filter((file) => file.startsWith(FOLDER));
  return names
    .filter((file) => file.endsWith('.log'))
    .map((file) => Number.parseInt(file.slice(FOLDER.length + 1), 10));
}

t.test('segments go when their newest record is too old, and readers of them finish', async (t) => {
  const world = worldOf();
  await world.start();
  await fill(world, 3);
  await world.clock.advance(HOUR);
  await fill(world, 2);
  const reading = await world.clock.run(Promise.resolve(world.log.read(0, 100, 20, true)));
  const located = await world.clock.run(world.log.locate(0, 100));
  await world.clock.advance(HOUR - 2 * ROUND);
  t.same(bases(world), [0, 4, 8, 12, 16]);
  while (bases(world)[0] === 0) await world.clock.advance(1000);
  t.same(bases(world), [12, 16]);
  t.equal(world.log.logStartOffset, 12);
  t.same(world.expired, [['time', 3, reading.sizeBytes * 3]]);
  t.ok(reading.buffers[0]!.length > 0);
  reading.release();
  await t.rejects(async () => world.log.read(0, 100, 20, true), { name: 'OffsetOutOfRange' });
  t.ok(located);
  const aside = world.disk.files().filter((file) => file.endsWith('.deleted'));
  t.equal(aside.filter((file) => file.includes('.log')).length, 3, 'for who reads them still');
  await world.clock.advance(world.topic.fileDeleteDelayMs + 1);
  t.notOk(world.disk.files().some((file) => file.endsWith('.deleted')));
  await world.powerCut();
  await world.start();
  t.equal(world.log.logStartOffset, 12);
});

t.test('a stop closes the files of segments that were to be removed later', async (t) => {
  const world = worldOf({ fileDeleteDelayMs: 10 * HOUR });
  await world.start();
  await fill(world, 3);
  await world.clock.run(Promise.resolve(world.log.read(0, 100, 12, true))).then((read) => {
    read.release();
  });
  await world.clock.advance(2 * HOUR + ROUND);
  t.ok(world.disk.files().some((file) => file.endsWith('.log.deleted')));
  await world.clock.run(world.store.close());
  t.same(
    [...world.disk.openFiles].map(({ path }) => path),
    [],
  );
});

t.test('a stop at any call of a log that is being emptied waits for it', async (t) => {
  let isEmptied = false;
  for (let call = 0; !isEmptied && call < 100; call++) {
    const world = new StoreWorld({
      topic: { segmentBytes: 1000, retentionMs: 900 },
      store: { retentionCheckMs: 1000, chunkMaxMs: HOUR },
    });
    await world.start();
    world.append(4, 200);
    await world.clock.advance(999);
    world.disk.delayMs = () => 1;
    let left = call;
    await world.clock.run(
      new Promise<void>((resolve) => {
        world.disk.onCall = () => {
          if (left-- === 0) resolve();
          return undefined;
        };
      }),
    );
    isEmptied = bases(world).every((base) => base === 4) && world.log.logStartOffset === 4;
    await world.stop();
    const { calls } = world.disk;
    const held = { timers: world.clock.pendingTimers, files: world.disk.openFiles.size };
    await world.clock.advance(1000);
    const after = world.disk.calls - calls;
    t.same({ ...held, after }, { timers: 0, files: 0, after: 0 }, `stop at call ${call}`);
  }
  t.ok(isEmptied);
});

t.test('a stop leaves no timer of a topic that was deleted', async (t) => {
  const world = worldOf({ fileDeleteDelayMs: HOUR });
  await world.start();
  await fill(world, 3);
  await world.clock.run(world.store.remove(TOPIC_ID, 0));
  await world.stop();
  t.equal(world.clock.pendingTimers, 0);
  t.equal(world.disk.openFiles.size, 0);
});

t.test('segments go when there is too much, and no more of them than that', async (t) => {
  const world = worldOf({ retentionMs: -1, retentionBytes: 2500 });
  await world.start();
  const end = await fill(world, 5);
  const { sizeBytes } = world.log;
  await world.clock.advance(ROUND);
  t.same(bases(world), [8, 12, 16], 'less would be below the limit');
  t.ok(world.log.sizeBytes >= 2500 && world.log.sizeBytes - sizeBytes / 5 < 2500);
  t.equal(world.log.endOffset, end);
  t.same(
    (await world.batches(world.log.logStartOffset)).map(([base]) => base),
    [8, 12, 16],
  );
});

t.test(
  'where all is too old, memory is flushed, the segment rolled and all of it goes',
  async (t) => {
    const world = worldOf();
    await world.start();
    await fill(world, 2);
    world.append(2, 20);
    await world.clock.advance(4 * HOUR);
    t.equal(world.log.logStartOffset, 10);
    t.equal(world.log.endOffset, 10);
    t.same(bases(world), [10]);
    t.equal(world.append(), 10, 'offsets go on');
    await world.stop();
    await world.start();
    t.equal(world.log.logStartOffset, 10);
    t.equal(world.log.endOffset, 11);
  },
);

t.test('what only memory holds goes when it is too old', async (t) => {
  const world = new StoreWorld({ store: { chunkMaxMs: 100 * HOUR }, topic: { retentionMs: HOUR } });
  await world.start();
  world.append(3, 20);
  await world.clock.advance(HOUR);
  t.equal(world.log.persistedOffset, 0);
  await world.clock.advance(ROUND);
  t.equal(world.log.logStartOffset, 3);
  t.equal(world.log.sizeBytes, 0);
});

t.test('what comes while the memory is flushed stays', async (t) => {
  const world = new StoreWorld({
    store: { chunkMaxMs: 100 * HOUR },
    topic: { retentionMs: HOUR, segmentMs: 100 * HOUR },
  });
  await world.start();
  await fill(world, 1);
  world.append(1, 20);
  let late: number | undefined;
  world.disk.onCall = ({ name, path }) => {
    if (name === 'write' && path.startsWith(FOLDER)) late ??= world.append(1, 20);
    return undefined;
  };
  await world.clock.advance(2 * HOUR);
  t.equal(late, 5);
  t.equal(world.log.logStartOffset, 5);
  t.same(await world.batches(5), [[5, 5]]);
});

t.test('a compacted log keeps all; a compacted one with delete does not', async (t) => {
  const world = worldOf({ deletes: false, compacts: true });
  await world.start();
  await fill(world, 3);
  await world.clock.advance(4 * HOUR);
  t.equal(world.log.logStartOffset, 0);
  world.store.setOptions(TOPIC_ID, { ...world.topic, deletes: true });
  await world.clock.advance(ROUND);
  t.equal(world.log.logStartOffset, 12, 'a new configuration counts from the next round on');
});

t.test('segments below a log start that was raised go, whatever the policy', async (t) => {
  const world = worldOf({ deletes: false, compacts: true });
  await world.start();
  await fill(world, 3);
  world.disk.onCall = ({ name }) => (name === 'rename' ? { code: 'EIO' } : undefined);
  await t.rejects(world.clock.run(world.log.deleteRecordsBefore(9)));
  world.disk.onCall = undefined;
  t.same(bases(world), [0, 4, 8]);
  await world.clock.advance(ROUND);
  t.same(bases(world), [8]);
  t.same(
    world.expired.map(([reason]) => reason),
    ['start'],
  );
  await world.powerCut();
  await world.start();
  t.equal(world.log.logStartOffset, 9);
});

t.test('records of the future keep their segment, which is said once', async (t) => {
  const world = worldOf();
  await world.start();
  world.clock.jumpWall(10 * HOUR);
  await fill(world, 2);
  world.clock.jumpWall(-10 * HOUR);
  await fill(world, 2);
  await world.clock.advance(5 * HOUR);
  t.equal(world.log.logStartOffset, 0);
  const said = world.lines.filter(({ text }) => text.includes('times in the future'));
  t.equal(said.length, 1);
  t.equal(said[0]!.level, 'warn');
});

t.test('a clock that jumps suspends retention by time, and by nothing else', async (t) => {
  const world = worldOf({ retentionBytes: 2500 });
  await world.start();
  await fill(world, 2);
  world.clock.jumpWall(1000 * HOUR);
  await world.clock.advance(2 * ROUND);
  t.equal(world.log.logStartOffset, 0);
  t.ok(world.lines.some(({ level, text }) => level === 'warn' && text.includes('has jumped')));
  t.equal(world.store.gauges().isRetentionSuspended, true);
  world.clock.jumpWall(-1000 * HOUR);
  await fill(world, 3);
  world.clock.jumpWall(1000 * HOUR);
  await world.clock.advance(ROUND);
  t.equal(world.log.logStartOffset, 8, 'size counts all the same');
  world.clock.jumpWall(-1000 * HOUR);
  await world.clock.advance(ROUND);
  t.equal(world.store.gauges().isRetentionSuspended, false);
  t.equal(world.log.logStartOffset, 8);
});

t.test('a clock that stays where it jumped to is believed after a day', async (t) => {
  const world = worldOf();
  await world.start();
  await fill(world, 2);
  world.clock.jumpWall(2 * HOUR);
  await world.clock.advance(23 * HOUR);
  t.equal(world.log.logStartOffset, 0);
  await world.clock.advance(2 * HOUR);
  t.equal(world.log.logStartOffset, 8);
});

t.test('a time index that has lost its end does not make a segment older', async (t) => {
  const world = worldOf({ segmentBytes: 2000, indexIntervalBytes: 100 });
  await world.start();
  world.append(1, 400);
  await world.clock.advance(1.5 * HOUR);
  for (let count = 0; count < 6; count++) {
    world.append(1, 400);
    await world.clock.advance(1000);
  }
  await world.clock.run(world.log.flush());
  await world.stop();
  const index = world.disk.file(`${FOLDER}/00000000000000000000.timeindex`);
  t.ok(index.sizeBytes > 12);
  index.truncate(12);
  await world.start();
  await world.clock.advance(HOUR);
  t.equal(world.log.logStartOffset, 0);
  await world.clock.advance(1.5 * HOUR);
  t.equal(world.log.logStartOffset, 7);
});

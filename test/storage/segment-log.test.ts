import t from 'tap';
import { OffsetOutOfRange } from '../../storage/errors.ts';
import { SegmentLog } from '../../storage/segment-log.ts';
import {
  append,
  batchesFrom,
  batchOf,
  CLEAN,
  FOLDER,
  headersOf,
  KILLED,
  OPTIONS,
  PLACE,
  readAll,
  World,
} from './segment-world.ts';

t.test('a new log touches no disk until its first append', async (t) => {
  const world = new World();
  const context = world.context();
  const before = world.disk.calls;
  const log = SegmentLog.create(context, PLACE, OPTIONS, 7);
  t.equal(world.disk.calls, before);
  t.equal(log.endOffset, 7);
  t.equal(log.firstOffset, 7);
  const slice = await log.read(7, 100, 7, true);
  t.equal(slice.sizeBytes, 0);
  t.equal(world.disk.calls, before);
});

t.test('the first append makes the folder, the topic id in it, and the segment', async (t) => {
  const world = new World();
  const log = await world.create();
  const batches = batchesFrom(0, 3);
  await append(log, batches);
  await log.sync();
  t.same(world.disk.files(), [
    `${FOLDER}/00000000000000000000.log`,
    `${FOLDER}/partition.metadata`,
  ]);
  const metadata = world.disk.file(`${FOLDER}/partition.metadata`).contents.toString();
  t.equal(metadata, 'version: 0\ntopic_id: mGLLJmJwQOKoNTpZuFXtMg');
  const contents = world.disk.file(`${FOLDER}/00000000000000000000.log`).contents;
  t.ok(contents.equals(Buffer.concat(batches)));
  t.equal(log.endOffset, 6);
});

t.test('what was appended is read back from every offset with every size', async (t) => {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 700 };
  const log = await world.create();
  const batches = batchesFrom(0, 20);
  await append(log, batches.slice(0, 11));
  await append(log, batches.slice(11));
  t.ok(log.segments().length > 3, 'over several segments');
  const headers = headersOf(batches);
  for (let from = 0; from < log.endOffset; from++) {
    for (const maxBytes of [1, 150, 300, 5000]) {
      const slice = await log.read(from, maxBytes, log.endOffset, true);
      const index = headers.findIndex((header) => header.lastOffset >= from);
      let end = index + 1;
      let size = batches[index]!.length;
      while (end < batches.length && size + batches[end]!.length <= maxBytes) {
        size += batches[end]!.length;
        end++;
      }
      const expected = Buffer.concat(batches.slice(index, end));
      if (!Buffer.concat(slice.buffers).equals(expected)) t.fail(`from ${from}, ${maxBytes} bytes`);
      t.equal(slice.nextOffset, headers[end - 1]!.lastOffset + 1);
      t.equal(slice.recordBytes, expected.length);
      slice.release();
    }
  }
  t.equal(world.buffers.out.size, 0, 'all buffers came back');
});

t.test('a read without "at least one" gives nothing that is larger than asked', async (t) => {
  const world = new World();
  const log = await world.create();
  await append(log, batchesFrom(0, 2));
  const slice = await log.read(0, 50, log.endOffset, false);
  t.equal(slice.sizeBytes, 0);
  t.equal(slice.nextOffset, 0);
  t.equal(world.buffers.out.size, 0);
});

t.test('a read ends before the batch that reaches the limit', async (t) => {
  const world = new World();
  const log = await world.create();
  await append(log, batchesFrom(0, 4));
  for (const [limit, next] of [
    [0, 0],
    [1, 0],
    [2, 2],
    [3, 2],
    [8, 8],
  ] as const) {
    const slice = await log.read(0, 10_000, limit, true);
    t.equal(slice.nextOffset, next, `limit ${limit}`);
    slice.release();
  }
});

t.test('an offset outside of the log is refused', async (t) => {
  const world = new World();
  const log = await world.create();
  await append(log, batchesFrom(0, 2));
  await t.rejects(async () => log.read(5, 100, 5, true), OffsetOutOfRange);
});

t.test('batches without records do not count and are stepped over', async (t) => {
  const world = new World();
  const log = await world.create();
  const full = batchOf({ baseOffset: 0 });
  const empty = [2, 4, 6].map((baseOffset) =>
    batchOf({ baseOffset, records: 0, lastOffsetDelta: 1 }),
  );
  const last = batchOf({ baseOffset: 8 });
  await append(log, [full, ...empty, last]);
  const slice = await log.read(2, 70, log.endOffset, true);
  t.equal(slice.nextOffset, 10);
  t.equal(slice.recordBytes, last.length);
  slice.release();
  const before = await log.read(2, 1000, 8, true);
  t.equal(before.recordBytes, 0);
  t.equal(before.nextOffset, 8, 'given alone where nothing else comes before the limit');
  before.release();
  t.equal(world.buffers.out.size, 0);
});

t.test('an append that is repeated passes over what is there', async (t) => {
  const world = new World();
  const log = await world.create();
  const batches = batchesFrom(0, 6);
  await append(log, batches.slice(0, 4));
  await append(log, batches);
  t.ok((await readAll(log, 0)).equals(Buffer.concat(batches)));
});

t.test('segments roll by size, by time, by the index and by the distance of offsets', async (t) => {
  const bases = (log: SegmentLog) => log.segments().map((segment) => segment.baseOffset);

  await t.test('by size', async (t) => {
    const world = new World();
    const size = batchOf({ baseOffset: 0 }).length;
    world.options = { ...OPTIONS, segmentBytes: size * 3 };
    const log = await world.create();
    await append(log, batchesFrom(0, 7));
    t.same(bases(log), [0, 6, 12]);
    for (const segment of log.segments()) t.ok(segment.sizeBytes <= size * 3);
  });

  await t.test('a batch larger than a segment has one of its own', async (t) => {
    const world = new World();
    world.options = { ...OPTIONS, segmentBytes: 300 };
    const log = await world.create();
    await append(log, [
      batchOf({ baseOffset: 0 }),
      batchOf({ baseOffset: 2, valueBytes: 500 }),
      batchOf({ baseOffset: 4 }),
    ]);
    t.same(bases(log), [0, 2, 4]);
    t.equal((await readAll(log, 0)).length, log.sizeBytes);
  });

  await t.test('by the first record and the one that comes', async (t) => {
    const world = new World();
    world.options = { ...OPTIONS, segmentMs: 1000 };
    const log = await world.create();
    await append(log, [
      batchOf({ baseOffset: 0, timestamp: 5000 }),
      batchOf({ baseOffset: 2, timestamp: 6000 }),
      batchOf({ baseOffset: 4, timestamp: 6001 }),
    ]);
    t.same(bases(log), [0, 4]);
  });

  await t.test('by the clock where records have no time', async (t) => {
    const world = new World();
    world.options = { ...OPTIONS, segmentMs: 1000 };
    const log = await world.create();
    await append(log, [batchOf({ baseOffset: 0, timestamp: -1 })]);
    await append(log, [batchOf({ baseOffset: 2, timestamp: -1 })]);
    t.same(bases(log), [0]);
    await world.clock.advance(1001);
    await append(log, [batchOf({ baseOffset: 4, timestamp: -1 })]);
    t.same(bases(log), [0, 4]);
  });

  await t.test('by a full index', async (t) => {
    const world = new World();
    world.options = { ...OPTIONS, indexIntervalBytes: 1, segmentIndexBytes: 12 * 4 };
    const log = await world.create();
    await append(log, batchesFrom(0, 12));
    t.same(bases(log), [0, 8, 16]);
  });

  await t.test('by offsets that are too far from the base', async (t) => {
    const world = new World();
    const log = await world.create();
    const first = batchOf({ baseOffset: 0, lastOffsetDelta: 0x7fff_ffff });
    const second = batchOf({ baseOffset: 0x8000_0000 });
    await append(log, [first, second]);
    t.same(bases(log), [0, 0x8000_0000]);
    t.ok((await readAll(log, 5)).equals(Buffer.concat([first, second])));
  });

  await t.test('when it is asked for, but no empty segment', async (t) => {
    const world = new World();
    const log = await world.create();
    await append(log, batchesFrom(0, 1));
    await log.roll();
    await log.roll();
    t.same(bases(log), [0, 2]);
    await log.close();
    const again = await world.open(CLEAN);
    t.same(bases(again), [0, 2]);
    t.equal(again.endOffset, 2);
  });
});

t.test('a rolled segment is synced before the next one gets its first byte', async (t) => {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 400 };
  const log = await world.create();
  const calls: string[] = [];
  world.disk.onCall = ({ name, path }) => {
    if (path.endsWith('.log')) calls.push(`${name} ${path.slice(-8)}`);
    return undefined;
  };
  await append(log, batchesFrom(0, 3));
  t.same(calls, [
    'open 0000.log',
    'write 0000.log',
    'sync 0000.log',
    'open 0004.log',
    'write 0004.log',
  ]);
});

t.test('a log is the same after it was opened again', async (t) => {
  for (const request of [CLEAN, KILLED]) {
    const world = new World();
    world.options = { ...OPTIONS, segmentBytes: 900 };
    const log = await world.create();
    const batches = batchesFrom(0, 17);
    await append(log, batches);
    await log.sync();
    if (request.cleanShutdown) await log.close();
    else world.disk.kill();
    const again = await world.open(request);
    t.equal(again.endOffset, 34);
    t.equal(again.firstOffset, 0);
    t.equal(again.sizeBytes, Buffer.concat(batches).length);
    t.ok((await readAll(again, 0)).equals(Buffer.concat(batches)));
    const more = batchesFrom(34, 9);
    await append(again, more);
    t.ok((await readAll(again, 0)).equals(Buffer.concat([...batches, ...more])));
    await again.close();
    t.equal(world.buffers.out.size, 0);
    t.notOk(world.lines.some(({ level }) => level === 'warn' || level === 'error'));
  }
});

t.test('a bounded number of files is open, whatever the number of segments', async (t) => {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 200 };
  const context = world.context(3);
  await context.env.disk.makeDir(PLACE.dataDir);
  const log = SegmentLog.create(context, PLACE, world.options, 0);
  await append(log, batchesFrom(0, 12));
  await log.sync();
  t.equal(log.segments().length, 12);
  for (let from = 22; from >= 0; from -= 2) {
    (await log.read(from, 1, log.endOffset, true)).release();
    t.ok(context.files.openFiles <= 3);
  }
  await log.close();
  t.equal(context.files.openFiles, 0);
});

t.test('a sync beside a roll gives the file back once', async (t) => {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 700 };
  const context = world.context();
  await context.env.disk.makeDir(PLACE.dataDir);
  const log = SegmentLog.create(context, PLACE, world.options, 0);
  const batches = batchesFrom(0, 7);
  await append(log, batches.slice(0, 1));
  await log.sync();
  await append(log, batches.slice(1, 3));
  const isLog = (path: string) => path.endsWith('00000.log');
  world.disk.delayMs = ({ name, path }) => (name === 'sync' && isLog(path) ? 100 : 0);
  const rolling = append(log, batches.slice(3));
  await world.clock.settle();
  t.equal(log.segments().length, 1, 'the roll waits for its sync');
  const syncing = log.sync();
  await world.clock.run(Promise.all([rolling, syncing]));
  t.ok(log.segments().length > 1);
  await world.clock.run(log.sync());
  await world.clock.run(log.close());
  await context.files.close();
  const left = [...world.disk.openFiles].map(({ path }) => path);
  t.same(left, [], 'no user is counted twice, and none is missing');
});

import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { Codec, readBatchHeader } from '../../protocol/record-batch.ts';
import { buildBatch, readRecords } from '../../protocol/records.ts';
import { makeLogContext } from '../../storage/log-context.ts';
import { SegmentLog } from '../../storage/segment-log.ts';
import type { AbortedTxn } from '../../storage/txn-index.ts';
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

/** A log whose compressed batches can be looked into. */
async function logWith(world: World, batches: readonly Buffer[]): Promise<SegmentLog> {
  const context = makeLogContext(world.env(), {
    buffers: world.buffers,
    decompress: async (_codec, payload) => gunzipSync(payload),
    maxOpenFiles: 4,
    indexCacheBytes: 64,
  });
  await context.env.disk.makeDir(PLACE.dataDir);
  await context.env.disk.syncDir('/');
  const log = SegmentLog.create(context, PLACE, world.options, 0);
  await append(log, batches);
  await log.sync();
  return log;
}

interface TimedBatch {
  readonly times: readonly number[];
  readonly isCompressed: boolean;
  readonly logAppendTime: number | undefined;
}

function buildTimed(plans: readonly TimedBatch[]): Buffer[] {
  let baseOffset = 0;
  return plans.map(({ times, isCompressed, logAppendTime }) => {
    const records = times.map((timestamp) => ({ key: null, value: Buffer.alloc(30), timestamp }));
    const batch = buildBatch({
      baseOffset,
      leaderEpoch: 2,
      records,
      ...(logAppendTime === undefined ? {} : { logAppendTime }),
      ...(isCompressed ? { compression: { codec: Codec.gzip, compress: gzipSync } } : {}),
    });
    baseOffset += times.length;
    return batch;
  });
}

function recordsOf(batches: readonly Buffer[]) {
  return batches.flatMap((batch) => {
    const payload = batch.subarray(61);
    const isCompressed = readBatchHeader(batch, 0).codec !== 0;
    return [...readRecords(batch, 0, isCompressed ? gunzipSync(payload) : payload)];
  });
}

const timedBatch = fc.record({
  times: fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 4 }),
  isCompressed: fc.boolean(),
  logAppendTime: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined, freq: 5 }),
});

t.test('look-ups by time find what a search through all records finds', async (t) => {
  const property = fc.asyncProperty(
    fc.array(timedBatch, { minLength: 1, maxLength: 25 }),
    fc.nat(30),
    fc.nat(40),
    fc.boolean(),
    async (plans, startAt, limitAt, isReopened) => {
      const batches = buildTimed(plans);
      const headers = headersOf(batches);
      const world = new World();
      world.options = { ...OPTIONS, segmentBytes: 600, indexIntervalBytes: 100 };
      let log = await logWith(world, batches);
      const end = log.endOffset;
      const start = Math.min(startAt, end);
      // Limits lie between batches, as every mark of a partition does.
      const limit = headers[Math.min(limitAt, headers.length - 1)]!.lastOffset + 1;
      if (isReopened) {
        await log.close();
        log = await logOf(world);
      }
      const readable = recordsOf(batches).filter(({ offset }) => offset >= start && offset < limit);
      for (let time = 0; time <= 61; time += 3) {
        const found = await log.offsetForTime(time, start, limit);
        const expected = readable.find(({ timestamp }) => timestamp >= time);
        if (found?.offset !== expected?.offset || found?.timestamp !== expected?.timestamp) {
          throw new Error(`time ${time}: ${JSON.stringify(found)} for ${expected?.offset}`);
        }
      }
      const whole = recordsOf(batches.filter((_, at) => headers[at]!.lastOffset >= start));
      const largest = await log.offsetOfMaxTimestamp(start, limit);
      const max = whole
        .filter(({ offset }) => offset < limit)
        .reduce<(typeof whole)[number] | undefined>(
          (best, record) =>
            best === undefined || record.timestamp > best.timestamp ? record : best,
          undefined,
        );
      if (largest?.offset !== (start < limit ? max?.offset : undefined)) {
        throw new Error(`largest ${JSON.stringify(largest)} for ${max?.offset}`);
      }
      if (world.buffers.out.size > 0) throw new Error('buffers are missing');
    },
  );
  await fc.assert(property, { numRuns: 150, seed: 4711 });
  t.pass('150 logs');
});

async function logOf(world: World): Promise<SegmentLog> {
  const context = makeLogContext(world.env(), {
    buffers: world.buffers,
    decompress: async (_codec, payload) => gunzipSync(payload),
  });
  return SegmentLog.open(context, PLACE, world.options, CLEAN);
}

t.test('the epoch of a found record is that of its batch', async (t) => {
  const world = new World();
  const log = await logWith(world, [
    batchOf({ baseOffset: 0, leaderEpoch: 3 }),
    batchOf({ baseOffset: 2, leaderEpoch: 5 }),
  ]);
  t.same(await log.offsetForTime(1001, 0, 4), { offset: 2, timestamp: 1002, leaderEpoch: 5 });
  t.same(await log.offsetOfMaxTimestamp(0, 2), { offset: 0, timestamp: 1000, leaderEpoch: 3 });
  t.equal(await log.offsetForTime(1003, 0, 4), undefined);
  t.equal(await log.offsetOfMaxTimestamp(0, 0), undefined);
});

t.test('a location names just the bytes that a read gives', async (t) => {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 1300 };
  const batches = batchesFrom(0, 20).map((batch, at) =>
    at % 4 === 0 ? batchOf({ baseOffset: at * 2, valueBytes: 90 }) : batch,
  );
  const log = await logWith(world, batches);
  for (let from = 0; from < log.endOffset; from++) {
    for (const limit of [from + 1, 21, log.endOffset]) {
      if (limit <= from) continue;
      for (const maxBytes of [1, 160, 500, 1_000_000]) {
        const location = await log.locate(from, maxBytes, limit);
        const slice = await log.read(from, maxBytes, limit, true);
        const what = `from ${from}, ${maxBytes} bytes, limit ${limit}`;
        if (location === undefined) {
          if (slice.sizeBytes > 0) t.fail(`${what}: no location`);
          continue;
        }
        const { contents } = world.disk.file(location.path);
        const bytes = contents.subarray(location.position, location.position + location.length);
        const read = Buffer.concat(slice.buffers).subarray(0, bytes.length);
        slice.release();
        if (!bytes.equals(read)) t.fail(`${what}: other bytes`);
        const headers = headersOf(batches).filter(({ lastOffset }) => lastOffset >= from);
        if (location.firstOffset !== headers[0]!.baseOffset) t.fail(`${what}: first offset`);
        const last = headers.find(({ lastOffset }) => lastOffset + 1 === location.nextOffset);
        if (last === undefined) t.fail(`${what}: next offset ${location.nextOffset}`);
        const isInOne = bytes.length === Math.min(read.length, contents.length - location.position);
        if (!isInOne) t.fail(`${what}: too few bytes`);
      }
    }
  }
  t.equal(await log.locate(log.endOffset, 100, log.endOffset), undefined);
});

t.test('where compaction left gaps a location ends with its last record', async (t) => {
  const world = new World();
  const places = [0, 10, 12, 30, 32, 34, 90];
  const batches = places.map((baseOffset) => batchOf({ baseOffset, valueBytes: 300 }));
  const log = await logWith(world, batches);
  const [size] = batches.map(({ length }) => length) as [number];
  for (let first = 0; first < places.length; first++) {
    for (let count = 1; first + count <= places.length; count++) {
      const from = first === 0 ? 0 : places[first - 1]! + 2;
      const location = (await log.locate(from, size * count, log.endOffset))!;
      t.equal(location.length, size * count);
      t.equal(location.firstOffset, places[first]);
      t.equal(location.nextOffset, places[first + count - 1]! + 2, `${first}, ${count}`);
    }
  }
});

t.test('going on behind a large location takes three reads', async (t) => {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 1 << 30, indexIntervalBytes: 4096 };
  const log = await logWith(world, batchesFrom(0, 300, { records: 50, valueBytes: 400 }));
  const first = (await log.locate(0, 2_000_000, log.endOffset))!;
  t.ok(first.length > 1_900_000 && first.length <= 2_000_000);
  const calls: string[] = [];
  world.disk.onCall = ({ name }) => {
    calls.push(name);
    return undefined;
  };
  const second = (await log.locate(first.nextOffset, 2_000_000, log.endOffset))!;
  t.equal(second.position, first.length);
  t.equal(second.firstOffset, first.nextOffset);
  t.same(calls, ['read', 'read', 'read'], 'first, last, and what is behind it');
});

t.test('a generation stays with its file, over restarts, and goes with it', async (t) => {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 600 };
  const log = await logWith(world, batchesFrom(0, 8));
  const generation = async (of: SegmentLog, offset: number) =>
    (await of.locate(offset, 100, of.endOffset))?.generation;
  const first = await generation(log, 0);
  const second = await generation(log, 7);
  t.match(first, /^[0-9a-f]{16}$/);
  t.not(first, second);
  t.equal(await generation(log, 2), first);
  world.disk.powerCut(world.random, 0);
  const again = await world.open({ ...KILLED, recoveryPoint: 16, powerLost: true });
  t.equal(await generation(again, 0), first, 'what was given out is durable');
  t.equal(await generation(again, 7), second);

  const path = `${FOLDER}/00000000000000000000.log`;
  const disk = world.disk.mount();
  const copy = await disk.open('/data/copy', 'create');
  await copy.write([Buffer.from(world.disk.file(path).contents)], 0);
  await disk.rename('/data/copy', path);
  const copied = await world.open({ ...KILLED, recoveryPoint: 16 });
  t.not(await generation(copied, 0), first, 'a copy is another file');
  t.equal(await generation(copied, 7), second);

  await disk.remove(`${FOLDER}/tailrace-generations`);
  const without = await world.open({ ...KILLED, recoveryPoint: 16 });
  t.not(await generation(without, 7), second);
  t.ok((await readAll(without, 0)).length > 0);
});

const ABORTED: AbortedTxn[] = [
  { producerId: 1, firstOffset: 0, lastOffset: 5, lastStableOffset: 3 },
  { producerId: 2, firstOffset: 3, lastOffset: 13, lastStableOffset: 14 },
  { producerId: 3, firstOffset: 16, lastOffset: 27, lastStableOffset: 28 },
];

t.test('aborted transactions are found over segments, and kept over restarts', async (t) => {
  for (const request of [CLEAN, KILLED]) {
    const world = new World();
    world.options = { ...OPTIONS, segmentBytes: 600 };
    const context = world.context();
    await context.env.disk.makeDir(PLACE.dataDir);
    await context.env.disk.syncDir('/');
    let log = SegmentLog.create(context, PLACE, world.options, 0);
    const batches = batchesFrom(0, 15);
    await log.append(batches, headersOf(batches), ABORTED);
    await log.sync();
    for (let round = 0; round < 2; round++) {
      const ids = async (from: number, to: number) =>
        (await log.abortedTransactions(from, to)).map(({ producerId }) => producerId);
      t.same(await ids(0, 30), [1, 2, 3]);
      t.same(await ids(0, 3), [1]);
      t.same(await ids(4, 10), [1, 2]);
      t.same(await ids(6, 16), [2]);
      t.same(await ids(14, 16), []);
      t.same(await ids(20, 21), [3]);
      if (request.cleanShutdown) await log.close();
      else world.disk.kill();
      log = await world.open({ ...request, recoveryPoint: 30 });
      t.equal(log.replayFrom, 30);
    }
  }
});

t.test('aborted transactions above the recovery point are asked for again', async (t) => {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 600 };
  const batches = batchesFrom(0, 15);
  const context = world.context();
  await context.env.disk.makeDir(PLACE.dataDir);
  await context.env.disk.syncDir('/');
  const log = SegmentLog.create(context, PLACE, world.options, 0);
  await log.append(batches, headersOf(batches), ABORTED);
  await log.sync();
  world.disk.kill();
  const again = await world.open({ ...KILLED, recoveryPoint: 12 });
  t.equal(again.replayFrom, 12);
  t.equal((await again.abortedTransactions(0, 30)).length, 1);
  await again.restoreAborted(ABORTED);
  t.same(await again.abortedTransactions(0, 30), ABORTED);
  world.disk.powerCut(world.random, 0);
  const last = await world.open({ ...KILLED, recoveryPoint: 30 });
  t.same(await last.abortedTransactions(0, 30), ABORTED, 'they are durable');
});

t.test('the name of a transaction index is synced, whoever made the file', async (t) => {
  const batches = batchesFrom(0, 15);
  const prepare = async () => {
    const world = new World();
    const context = world.context();
    await context.env.disk.makeDir(PLACE.dataDir);
    await context.env.disk.syncDir('/');
    const log = SegmentLog.create(context, PLACE, world.options, 0);
    await append(log, batches.slice(0, 1));
    await log.sync();
    await log.append(batches.slice(1), headersOf(batches.slice(1)), ABORTED);
    return { world, log };
  };
  const check = async (world: World, what: string) => {
    world.disk.powerCut(world.random, 0);
    const log = await world.open({ ...KILLED, powerLost: true, recoveryPoint: 30 });
    t.same(await log.abortedTransactions(0, 30), ABORTED, what);
  };
  const failed = await prepare();
  failed.world.disk.onCall = ({ name }) => (name === 'syncDir' ? { code: 'EMFILE' } : undefined);
  await t.rejects(failed.log.sync(), { message: /EMFILE/ });
  failed.world.disk.onCall = undefined;
  await failed.log.sync();
  await check(failed.world, 'after a sync that was not begun');

  const { world, log } = await prepare();
  world.disk.onCall = ({ name }) => (name === 'syncDir' ? { ends: 'before' } : undefined);
  await Promise.race([log.sync(), world.clock.settle()]);
  world.disk.onCall = undefined;
  const next = await world.open({ ...KILLED, recoveryPoint: 0 });
  await next.restoreAborted(ABORTED);
  await check(world, 'after a kill before the sync');
});

t.test('a damaged transaction index is asked for again from its segment on', async (t) => {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 600 };
  const batches = batchesFrom(0, 15);
  const context = world.context();
  await context.env.disk.makeDir(PLACE.dataDir);
  await context.env.disk.syncDir('/');
  const log = SegmentLog.create(context, PLACE, world.options, 0);
  await log.append(batches, headersOf(batches), ABORTED);
  await log.close();
  const [damaged] = world.disk.files().filter((file) => file.endsWith('12.txnindex'));
  world.disk.file(damaged!).flip(1, 1);
  const again = await world.open(CLEAN);
  t.equal(again.replayFrom, 12);
  t.same(
    (await again.abortedTransactions(0, 30)).map(({ producerId }) => producerId),
    [1],
  );
  await again.restoreAborted(ABORTED);
  t.same(await again.abortedTransactions(0, 30), ABORTED);
  t.ok(world.said('a transaction index is made anew'));
});

t.test('a scan gives the whole batches of a range, over segments and damage', async (t) => {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 600 };
  const batches = batchesFrom(0, 15);
  const log = await logWith(world, batches);
  world.disk.file(`${FOLDER}/00000000000000000006.log`).flip(batches[0]!.length + 80, 4);
  const scanned = async (from: number, to: number, most = 100) => {
    const bases: number[] = [];
    await log.scan(from, to, (window, at) => {
      const header = readBatchHeader(window, at);
      const whole = window.subarray(at, at + header.sizeBytes);
      if (!whole.equals(batches[header.baseOffset / 2]!)) t.fail('other bytes');
      bases.push(header.baseOffset);
      return bases.length < most;
    });
    return bases;
  };
  t.same(await scanned(0, 30), [0, 2, 4, 6, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28]);
  t.same(await scanned(5, 13), [4, 6, 10, 12]);
  t.same(await scanned(9, 11), [10]);
  t.same(await scanned(0, 30, 3), [0, 2, 4]);
  t.same(await scanned(30, 30), []);
  t.ok(world.said('a segment is damaged'));
});

import t, { type Test } from 'tap';
import type { SegmentLog } from '../../storage/segment-log.ts';
import type { DiskCall, Fate } from '../sim/disk.ts';
import {
  append,
  batchesFrom,
  CLEAN,
  FOLDER,
  KILLED,
  OPTIONS,
  POWER_LOST,
  readAll,
  World,
} from './segment-world.ts';

const BATCHES = batchesFrom(0, 30);
const SCRIPT_OPTIONS = { ...OPTIONS, segmentBytes: 700, fileDeleteDelayMs: 100 };

/** What a partition promised at some moment. */
interface Promised {
  appendedEnd: number;
  syncedEnd: number;
  logStart: number;
}

function upTo(endOffset: number): Buffer[] {
  return BATCHES.slice(0, endOffset / 2);
}

/** Appends, rolls, syncs and deletes; notes what is promised after each step. */
async function play(world: World, promised: Promised): Promise<void> {
  const log = await world.create();
  await appendTo(log, 0, 5, promised);
  await appendTo(log, 10, 6, promised);
  await log.sync();
  promised.syncedEnd = 22;
  await appendTo(log, 22, 7, promised);
  // The log start is durable before the segments below it go.
  promised.logStart = 17;
  await log.deleteSegmentsBelow(17);
  await log.sync();
  promised.syncedEnd = 36;
  await appendTo(log, 36, 2, promised);
  await world.clock.advance(100);
  await log.roll();
  await appendTo(log, 40, 3, promised);
  await log.close();
  promised.syncedEnd = 46;
}

async function appendTo(log: SegmentLog, from: number, count: number, promised: Promised) {
  await append(log, BATCHES.slice(from / 2, from / 2 + count));
  promised.appendedEnd = from + count * 2;
}

/** Plays with one call of another fate; says how far it came. */
async function playWith(seed: number, fateOf: (call: DiskCall) => Fate | undefined) {
  const world = new World(seed);
  world.options = SCRIPT_OPTIONS;
  const promised: Promised = { appendedEnd: 0, syncedEnd: 0, logStart: 0 };
  world.disk.onCall = fateOf;
  const work = play(world, promised).catch(() => {});
  await Promise.race([work, world.clock.runUntilIdle(10_000).then(() => world.clock.settle())]);
  world.disk.onCall = undefined;
  return { world, promised: { ...promised } };
}

async function countCalls(): Promise<DiskCall[]> {
  const calls: DiskCall[] = [];
  await playWith(1, (call) => {
    calls.push(call);
    return undefined;
  });
  return calls;
}

async function check(t: Test, world: World, promised: Promised, powerLost: boolean, what: string) {
  const { syncedEnd, appendedEnd, logStart } = promised;
  const request = { ...(powerLost ? POWER_LOST : KILLED), recoveryPoint: syncedEnd };
  const log = await world.open({ ...request, logStartOffset: logStart });
  const least = powerLost ? syncedEnd : appendedEnd;
  if (log.endOffset < least) t.fail(`${what}: end ${log.endOffset} of ${least}`);
  if (log.firstOffset > logStart) t.fail(`${what}: begins at ${log.firstOffset}`);
  const first = log.firstOffset;
  const expected = Buffer.concat(upTo(log.endOffset).slice(first / 2));
  if (!(await readAll(log, first)).equals(expected)) t.fail(`${what}: other contents`);
  await append(log, BATCHES.slice(log.endOffset / 2, log.endOffset / 2 + 4));
  await log.close();
  const again = await world.open({ ...CLEAN, logStartOffset: logStart });
  const all = Buffer.concat(upTo(again.endOffset).slice(again.firstOffset / 2));
  if (!(await readAll(again, again.firstOffset)).equals(all)) t.fail(`${what}: after a clean stop`);
  await again.close();
  const leftOver = world.disk.files().filter((file) => /\.(deleted|tmp|swap|cleaned)$/.test(file));
  if (leftOver.length > 0) t.fail(`${what}: ${leftOver.join()} is left over`);
  if (world.buffers.out.size > 0) t.fail(`${what}: buffers are missing`);
}

t.test('a kill at any call of the disk loses nothing that was appended', async (t) => {
  const calls = await countCalls();
  t.ok(calls.length > 100, `${calls.length} calls`);
  for (const { number: at, bytes } of calls) {
    for (const ends of ['before', 'after'] as const) {
      const writtenBytes = Math.floor((bytes * (at % 7)) / 7);
      const partly = bytes > 0 && ends === 'before' ? { writtenBytes } : {};
      const fate: Fate = { ends, ...partly };
      const { world, promised } = await playWith(at, ({ number }) =>
        number === at ? fate : undefined,
      );
      await check(t, world, promised, false, `${ends} call ${at}`);
    }
  }
});

t.test('a power cut at any call of the disk loses nothing that was synced', async (t) => {
  for (const { number: at, name, bytes } of await countCalls()) {
    for (let seed = 0; seed < 4; seed++) {
      const fate: Fate = { ends: 'before', writtenBytes: Math.floor((bytes * seed) / 4) };
      const { world, promised } = await playWith(at * 4 + seed, ({ number }) =>
        number === at ? fate : undefined,
      );
      world.disk.powerCut(world.random);
      await check(t, world, promised, true, `call ${at} (${name}), seed ${seed}`);
    }
  }
});

t.test('a call that fails once can be repeated, unless it was a sync', async (t) => {
  for (const call of await countCalls()) {
    for (const code of ['ENOSPC', 'EIO']) {
      const world = new World(call.number);
      world.options = SCRIPT_OPTIONS;
      const fate: Fate = { code, writtenBytes: Math.floor(call.bytes / 3) };
      world.disk.onCall = ({ number }) => (number === call.number ? fate : undefined);
      const what = `${code} at call ${call.number}, ${call.name} ${call.path}`;
      await failAndRepeat(t, world, what);
    }
  }
});

/** Whatever fails is done once more; what then still fails must have been a sync. */
async function failAndRepeat(t: Test, world: World, what: string) {
  const twice = async <T>(run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch {
      return run();
    }
  };
  let log: SegmentLog | undefined;
  let syncedEnd = 0;
  try {
    log = await twice(() => world.create());
    const opened = log;
    for (const [from, count] of [
      [0, 5],
      [10, 6],
      [22, 7],
      [36, 4],
    ] as const) {
      await twice(() => append(opened, BATCHES.slice(from / 2, from / 2 + count)));
      await twice(() => opened.sync());
      syncedEnd = from + count * 2;
    }
    await twice(() => opened.deleteSegmentsBelow(17));
    await twice(() => opened.close());
  } catch (error) {
    if (!world.said('sync failed')) t.fail(`${what}: ${(error as Error).message}`);
  }
  world.disk.onCall = undefined;
  world.disk.kill();
  const again = await world.open({ ...KILLED, recoveryPoint: syncedEnd });
  if (again.endOffset < syncedEnd) t.fail(`${what}: end ${again.endOffset} of ${syncedEnd}`);
  const expected = Buffer.concat(upTo(again.endOffset).slice(again.firstOffset / 2));
  if (!(await readAll(again, again.firstOffset)).equals(expected)) t.fail(`${what}: contents`);
}

t.test('a full disk: what was written of an append is cut off again', async (t) => {
  const world = new World();
  const log = await world.create();
  await append(log, BATCHES.slice(0, 3));
  const size = log.sizeBytes;
  for (let writtenBytes = 0; writtenBytes <= 400; writtenBytes += 13) {
    world.disk.onCall = ({ name }) =>
      name === 'write' ? { code: 'ENOSPC', writtenBytes } : undefined;
    await t.rejects(append(log, BATCHES.slice(3, 6)), {
      name: 'LogFailed',
      cause: { code: 'ENOSPC' },
    });
    t.equal(log.endOffset, 6);
    t.equal(world.disk.file(`${FOLDER}/00000000000000000000.log`).sizeBytes, size);
    t.equal((await readAll(log, 0)).length, size, 'reads go on');
  }
  world.disk.onCall = undefined;
  await append(log, BATCHES.slice(3, 6));
  t.ok((await readAll(log, 0)).equals(Buffer.concat(BATCHES.slice(0, 6))));
});

t.test('a write that fails and cannot be cut off ends the log', async (t) => {
  const world = new World();
  const log = await world.create();
  await append(log, BATCHES.slice(0, 3));
  world.disk.onCall = ({ name }) =>
    name === 'write' || name === 'truncate' ? { code: 'EIO', writtenBytes: 50 } : undefined;
  await t.rejects(append(log, BATCHES.slice(3, 6)), { name: 'LogFailed' });
  world.disk.onCall = undefined;
  t.match(log.failure, { name: 'LogFailed' });
  await t.rejects(append(log, BATCHES.slice(3, 6)), { name: 'LogFailed' });
  t.ok((await readAll(log, 0)).equals(Buffer.concat(BATCHES.slice(0, 3))), 'reads go on');
  await log.close();
  const again = await world.open(KILLED);
  t.equal(again.endOffset, 6);
});

t.test('an index that cannot be written does not hold the log up', async (t) => {
  const world = new World();
  world.options = SCRIPT_OPTIONS;
  const log = await world.create();
  world.disk.onCall = ({ path, name }) =>
    path.includes('index') && name !== 'stat' ? { code: 'ENOSPC' } : undefined;
  await append(log, BATCHES);
  await log.close();
  world.disk.onCall = undefined;
  const again = await world.open(CLEAN);
  t.ok((await readAll(again, 0)).equals(Buffer.concat(BATCHES)));
  t.ok(world.said('an index file could not be written'));
});

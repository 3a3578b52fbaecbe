import path from 'node:path';
import t from 'tap';
import { LogDeleted } from '../../storage/errors.ts';
import { makeLogContext } from '../../storage/log-context.ts';
import { SegmentLog } from '../../storage/segment-log.ts';
import { isDeletedFolderName } from '../../storage/segment-names.ts';
import {
  append,
  batchesFrom,
  CLEAN,
  FOLDER,
  KILLED,
  OPTIONS,
  PLACE,
  readAll,
  World,
} from './segment-world.ts';

const BATCHES = batchesFrom(0, 20);

async function worldOfSegments() {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 700, fileDeleteDelayMs: 60_000 };
  const log = await world.create();
  await append(log, BATCHES);
  await log.sync();
  return { world, log };
}

t.test('segments below an offset leave the log at once and the disk later', async (t) => {
  const { world, log } = await worldOfSegments();
  t.same(
    log.segments().map(({ baseOffset }) => baseOffset),
    [0, 8, 16, 24, 32],
  );
  await log.deleteSegmentsBelow(7);
  t.equal(log.firstOffset, 0, 'a segment that reaches over the offset stays');
  await log.deleteSegmentsBelow(17);
  t.equal(log.firstOffset, 16);
  t.ok((await readAll(log, 16)).equals(Buffer.concat(BATCHES.slice(8))));
  const deleted = () => world.disk.files().filter((file) => file.endsWith('.deleted'));
  t.equal(deleted().length, 6);
  await world.clock.advance(59_999);
  t.equal(deleted().length, 6);
  await world.clock.advance(1);
  t.equal(deleted().length, 0);
  await log.deleteSegmentsBelow(1000);
  t.equal(log.firstOffset, 32, 'the active segment stays');
  await log.close();
  const again = await world.open({ ...CLEAN, logStartOffset: 32 });
  t.equal(again.endOffset, 40);
  t.equal(deleted().length, 0, 'the next start removes what was left');
});

t.test('a log is emptied by rolling first', async (t) => {
  const { world, log } = await worldOfSegments();
  await log.roll();
  await log.deleteSegmentsBelow(log.endOffset);
  t.equal(log.firstOffset, 40);
  t.equal(log.endOffset, 40);
  t.equal(log.sizeBytes, 0);
  await append(log, batchesFrom(40, 2));
  await log.close();
  const again = await world.open({ ...CLEAN, logStartOffset: 40 });
  t.equal(again.endOffset, 44);
});

t.test('readers in the middle of a segment that is deleted finish', async (t) => {
  for (const moment of ['openFile', 'index', 'read'] as const) {
    const { world, log } = await worldOfSegments();
    await log.close();
    const reopened = await world.open(CLEAN);
    let tell = () => {};
    const reached = new Promise<void>((resolve) => {
      tell = resolve;
    });
    // The call that the reader makes at that moment takes a second.
    const isMoment = (name: string, path: string) =>
      (moment === 'openFile' && name === 'open' && path.endsWith('00008.log')) ||
      (moment === 'index' && name === 'readFile' && path.endsWith('00008.index')) ||
      (moment === 'read' && name === 'read' && path.endsWith('00008.log'));
    let isFirst = true;
    world.disk.delayMs = ({ name, path }) => {
      if (!isFirst || !isMoment(name, path)) return 0;
      isFirst = false;
      tell();
      return 1000;
    };
    const reading = reopened.read(9, 10_000, 16, true);
    await reached;
    const deleting = reopened.deleteSegmentsBelow(16);
    const slice = await world.clock.run(Promise.resolve(reading));
    await world.clock.run(deleting);
    const expected = Buffer.concat(BATCHES.slice(4, 8));
    t.ok(Buffer.concat(slice.buffers).equals(expected), moment);
    slice.release();
    await world.clock.advance(60_000);
    t.equal(world.disk.files().filter((file) => file.includes('00008')).length, 0);
    t.equal(world.buffers.out.size, 0);
  }
});

t.test('a reader that holds a file reads on when its name has gone', async (t) => {
  const { world, log } = await worldOfSegments();
  let pending = 0;
  world.disk.delayMs = ({ name }) => {
    if (name !== 'read') return 0;
    pending++;
    return 120_000;
  };
  const reading = log.read(0, 500, 8, true);
  await world.clock.settle();
  t.equal(pending, 1);
  await log.deleteSegmentsBelow(16);
  await world.clock.advance(60_000);
  t.notOk(world.disk.files().some((file) => file.includes('0000.log')));
  const slice = await world.clock.run(Promise.resolve(reading));
  t.ok(Buffer.concat(slice.buffers).equals(Buffer.concat(BATCHES.slice(0, 3))));
  slice.release();
});

t.test('files go one after the other, in steps where nobody reads them', async (t) => {
  const { world, log: made } = await worldOfSegments();
  await made.close();
  const mount = world.disk.mount();
  const cut: string[] = [];
  const removeInSteps = async (file: string, rest: () => Promise<boolean>) => {
    cut.push(path.basename(file));
    await mount.remove(file);
    await rest();
  };
  const disk = new Proxy(mount, {
    get(target, name) {
      if (name === 'removeInSteps') return removeInSteps;
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const context = makeLogContext(world.env(disk), {
    buffers: world.buffers,
    decompress: () => Promise.reject(new Error('nothing is compressed here')),
  });
  const log = await SegmentLog.open(context, PLACE, world.options, CLEAN);
  world.disk.delayMs = ({ name }) => (name === 'read' ? 120_000 : 0);
  const reading = log.read(0, 500, 8, true);
  await world.clock.settle();
  await log.deleteSegmentsBelow(32);
  await world.clock.advance(60_000);
  t.same(cut, ['00000000000000000008.log.deleted'], 'the one that is read is not cut');
  t.notOk(world.disk.files().some((file) => file.includes('0000.log')));
  await world.clock.advance(10);
  t.equal(cut.length, 2);
  await context.removals.stop();
  t.equal(cut.length, 2, 'a stop leaves the rest to the next start');
  t.ok(world.disk.files().some((file) => file.includes('24.log.deleted')));
  const slice = await world.clock.run(Promise.resolve(reading));
  t.ok(Buffer.concat(slice.buffers).equals(Buffer.concat(BATCHES.slice(0, 3))));
  slice.release();
});

t.test('a deleted log has another name at once, durably, and goes later', async (t) => {
  const { world, log } = await worldOfSegments();
  await log.removeAll();
  await t.rejects(async () => log.read(0, 100, 40, true), LogDeleted);
  await t.rejects(append(log, batchesFrom(40, 1)), LogDeleted);
  await t.rejects(log.sync(), LogDeleted);
  const folders = async () =>
    (await world.disk.mount().list('/data')).filter((name) => name !== '');
  const [name, ...others] = await folders();
  t.same(others, []);
  t.match(name, /^orders-3\.[0-9a-f]{32}-delete$/);
  t.ok(isDeletedFolderName(name!));
  const again = SegmentLog.create(world.context(), PLACE, world.options, 0);
  await append(again, BATCHES.slice(0, 2));
  await again.sync();
  await world.clock.advance(60_000);
  t.same(await folders(), ['orders-3']);
  t.ok((await readAll(again, 0)).equals(Buffer.concat(BATCHES.slice(0, 2))));
});

t.test('a topic that was deleted does not come back after a power cut', async (t) => {
  const { world, log } = await worldOfSegments();
  await log.removeAll();
  world.disk.powerCut(world.random, 0);
  const again = await world.open({ ...KILLED, powerLost: true });
  t.equal(again.endOffset, 0);
});

t.test('a log that was never written is deleted without a trace', async (t) => {
  const world = new World();
  const log = await world.create();
  const before = world.disk.calls;
  await log.removeAll();
  await log.removeAll();
  t.equal(world.disk.calls, before);
  t.equal(world.clock.pendingTimers, 0);
});

t.test('a stop leaves what is to be removed later to the next start', async (t) => {
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 700, fileDeleteDelayMs: 60_000 };
  const context = world.context();
  await context.env.disk.makeDir(PLACE.dataDir);
  const log = SegmentLog.create(context, PLACE, world.options, 0);
  await append(log, BATCHES);
  await log.deleteSegmentsBelow(16);
  t.equal(world.clock.pendingTimers, 2);
  await log.removeAll();
  t.equal(world.clock.pendingTimers, 3, 'also of a log that is gone');
  await context.removals.stop();
  t.equal(world.clock.pendingTimers, 0);
  context.removals.later(1, FOLDER, () => Promise.reject(new Error('too late')));
  t.equal(world.clock.pendingTimers, 0);
  await context.files.close();
  t.same([...world.disk.openFiles], []);
});

t.test('a stop waits for a removal that has begun', async (t) => {
  const { world, log } = await worldOfSegments();
  await log.close();
  const context = world.context();
  const reopened = await SegmentLog.open(context, PLACE, world.options, CLEAN);
  await reopened.deleteSegmentsBelow(8);
  world.disk.delayMs = ({ name }) => (name === 'remove' ? 5000 : 0);
  await world.clock.advance(60_001);
  const calls = world.disk.calls;
  t.ok(
    world.disk.files().some((file) => file.endsWith('.deleted')),
    'it is under way',
  );
  await world.clock.run(context.removals.stop());
  t.notOk(world.disk.files().some((file) => file.endsWith('.deleted')));
  t.ok(world.disk.calls > calls);
  await reopened.close();
});

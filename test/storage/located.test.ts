import t from 'tap';
import { LOCATED_FOLDER, locatedPath } from '../../storage/located.ts';
import type { LocatedFile, Location, PartitionLogView } from '../../storage/types.ts';
import { StoreWorld, TOPIC_ID } from './store-world.ts';

const DELAY_MS = 60_000;
const topic = { segmentBytes: 4096, fileDeleteDelayMs: DELAY_MS };

/** A world whose log has several segments, all persisted. */
async function filled(more: { linksLocated?: boolean } = {}) {
  const world = new StoreWorld({ topic, store: more });
  await world.start();
  for (let round = 0; round < 5; round++) {
    world.append(3, 600);
    await world.clock.run(world.log.flush());
  }
  return world;
}

async function bytesOf(file: LocatedFile, position: number, length: number): Promise<Buffer> {
  const target = Buffer.alloc(length);
  const count = await file.read(target, 0, length, position);
  return target.subarray(0, count);
}

/** What the store gives for a location; undefined when it is gone. */
async function read(world: StoreWorld, location: Location): Promise<Buffer | undefined> {
  const { segmentBaseOffset, generation, position, length } = location;
  const opening = world.store.openLocated(TOPIC_ID, 0, segmentBaseOffset, generation);
  const file = await world.clock.run(opening);
  if (file === undefined) return undefined;
  try {
    return await world.clock.run(bytesOf(file, position, length));
  } finally {
    file.release();
  }
}

async function locate(world: StoreWorld, from: number): Promise<Location> {
  const location = await world.clock.run(world.log.locate(from, 1_000_000));
  if (location === undefined) throw new Error(`nothing is located at ${from}`);
  return location;
}

function onDisk(world: StoreWorld, { path, position, length }: Location): Buffer {
  const { contents } = world.disk.file(path);
  return Buffer.from(contents.subarray(position, position + length));
}

t.test('a location opens the file that it names, and no other', async (t) => {
  const world = await filled();
  const { log } = world;
  const location = await locate(world, 0);
  const expected = onDisk(world, location);
  t.ok(expected.length > 0);
  t.same(await read(world, location), expected);
  const other = await locate(world, location.nextOffset);
  t.not(other.generation, location.generation);
  for (const [base, generation] of [
    [location.segmentBaseOffset, other.generation],
    [other.segmentBaseOffset, location.generation],
    [location.segmentBaseOffset + 1, location.generation],
    [location.segmentBaseOffset, '0000000000000000'],
    [-1, location.generation],
  ] as const) {
    t.equal(await world.clock.run(log.openLocated(base, generation)), undefined);
  }
  const { openLocated } = world.store;
  const open = openLocated.bind(world.store);
  t.equal(await open(TOPIC_ID, 1, 0, location.generation), undefined, 'no such partition');
  t.equal(await open('AAAAAAAAAAAAAAAAAAAAAA', 0, 0, location.generation), undefined);
});

t.test('nothing above the persisted mark is to be had', async (t) => {
  const world = await filled();
  const before = await locate(world, world.log.persistedOffset - 1);
  const end = before.position + before.length;
  const opening = world.log.openLocated(before.segmentBaseOffset, before.generation);
  const file = (await world.clock.run(opening))!;
  t.equal(file.sizeBytes, end);
  t.equal((await world.clock.run(bytesOf(file, end - 10, 100))).length, 10);
  t.equal((await bytesOf(file, end, 100)).length, 0);
  t.equal((await bytesOf(file, -5, 100)).length, 0);
  file.release();

  // Written to the segment, and its sync does not come to an end.
  world.disk.delayMs = ({ name, path }) => (name === 'sync' && path.endsWith('.log') ? 1e9 : 0);
  const persisted = world.log.persistedOffset;
  world.append(1, 600);
  void world.log.flush().catch(() => undefined);
  await world.clock.advance(1000);
  t.equal(world.log.persistedOffset, persisted);
  t.ok(world.disk.file(before.path).contents.length > end, 'the bytes are in the file');
  const again = (await world.clock.run(
    world.log.openLocated(before.segmentBaseOffset, before.generation),
  ))!;
  t.equal(again.sizeBytes, end);
  again.release();
});

t.test('what was deleted stays readable for a while, and then is gone', async (t) => {
  const world = await filled();
  const first = await locate(world, 0);
  const expected = onDisk(world, first);
  const { log } = world;
  await world.clock.run(log.deleteRecordsBefore(first.nextOffset));
  t.equal(await world.clock.run(log.locate(0, 1000)), undefined);
  t.same(await read(world, first), expected);
  await world.clock.advance(DELAY_MS - 1000);
  t.same(await read(world, first), expected);
  const held = (await world.clock.run(
    log.openLocated(first.segmentBaseOffset, first.generation),
  )) as LocatedFile;
  await world.clock.advance(2000);
  t.equal(await read(world, first), undefined);
  t.same(await world.clock.run(bytesOf(held, 0, first.length)), expected, 'who reads finishes');
  held.release();
});

t.test('the same holds for a topic that was deleted', async (t) => {
  const world = await filled();
  const log: PartitionLogView = world.log;
  const first = await locate(world, 0);
  const last = await locate(world, log.persistedOffset - 1);
  const expected = [onDisk(world, first), onDisk(world, last)];
  const removal = world.store.remove(TOPIC_ID, 0);
  t.same(await read(world, first), expected[0], 'while it is being removed');
  await world.clock.run(removal);
  t.same(await read(world, first), expected[0]);
  t.same(await read(world, last), expected[1]);
  await world.clock.advance(DELAY_MS + 1);
  t.equal(await read(world, first), undefined);
  t.equal(await read(world, last), undefined);
});

t.test('generations outlive a restart, those that have left do not', async (t) => {
  const world = await filled();
  const first = await locate(world, 0);
  const second = await locate(world, first.nextOffset);
  const expected = onDisk(world, second);
  await world.clock.run(world.log.deleteRecordsBefore(first.nextOffset));
  await world.clock.run(world.store.close());
  await world.start();
  t.equal(await read(world, first), undefined);
  t.same(await read(world, second), expected);
  t.equal((await locate(world, first.nextOffset)).generation, second.generation);
});

t.test('a segment that leaves while it is being located gets no new generation', async (t) => {
  const world = await filled();
  const { nextOffset } = await locate(world, 0);
  let isHeld = false;
  // Looking at the file takes longer than its deletion.
  world.disk.delayMs = ({ name, path }) => {
    if (isHeld || name !== 'stat' || !path.endsWith('.log')) return 0;
    isHeld = true;
    return 5000;
  };
  const locating = world.log.locate(nextOffset, 1000);
  await world.clock.settle();
  t.ok(isHeld);
  const deleting = world.log.deleteRecordsBefore(world.log.persistedOffset);
  const location = await world.clock.run(locating);
  await world.clock.run(deleting);
  t.equal(location, undefined);
});

t.test('a stop waits for a generation that is being written, and no other begins', async (t) => {
  const world = await filled();
  let calls = 0;
  world.disk.delayMs = ({ path }) => {
    if (!path.endsWith('tailrace-generations.tmp')) return 0;
    calls++;
    return 5000;
  };
  const locating = world.log.locate(0, 1000);
  while (calls === 0) await world.clock.advance(1);
  await world.clock.run(world.store.close());
  const atTheEnd = calls;
  const location = await world.clock.run(locating);
  t.match(location?.generation, /^[0-9a-f]{16}$/);
  await world.clock.advance(60_000);
  t.equal(calls, atTheEnd, 'nothing was left to be done');
});

t.test('for a static server each generation has a name of its own', async (t) => {
  const world = await filled({ linksLocated: true });
  const nameOf = ({ segmentBaseOffset: baseOffset, generation }: Location) =>
    `/data/${LOCATED_FOLDER}/${locatedPath({ topicId: TOPIC_ID, partition: 0, baseOffset, generation })}`;
  const first = await locate(world, 0);
  t.ok(first.isLinked);
  t.equal(world.disk.file(nameOf(first)), world.disk.file(first.path), 'the same file');
  const second = await locate(world, first.nextOffset);
  t.ok(world.disk.files().includes(nameOf(second)));
  await world.clock.run(world.log.deleteRecordsBefore(first.nextOffset));
  t.ok(world.disk.files().includes(nameOf(first)), 'it goes with its file');
  await world.clock.advance(DELAY_MS + 1);
  t.notOk(world.disk.files().includes(nameOf(first)));
  t.ok(world.disk.files().includes(nameOf(second)));
  await world.clock.run(world.store.close());
  await world.start();
  t.notOk(world.disk.files().includes(nameOf(second)), 'names are of one run');
  t.ok((await locate(world, first.nextOffset)).isLinked);
  t.ok(world.disk.files().includes(nameOf(second)));
});

t.test('a file that cannot be linked is located without', async (t) => {
  const world = await filled({ linksLocated: true });
  world.disk.onCall = ({ name }) => (name === 'link' ? { code: 'EPERM' } : undefined);
  t.equal((await locate(world, 0)).isLinked, false);
  t.ok(world.lines.some(({ text }) => text === 'a segment could not be linked'));
  world.disk.onCall = undefined;
  t.equal((await locate(world, 0)).isLinked, true, 'it is tried again');
});

/** Reads of what this process wrote not long ago: at once, without a second check of its sums. */

import t from 'tap';
import type { LogSlice } from '../../storage/types.ts';
import { StoreWorld } from './store-world.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const BATCH_BYTES = 100 * KIB;
/** A position within the batch of offset 5. */
const IN_SIXTH = 5.5 * BATCH_BYTES;
const LOG_FILE = '/data/orders-0/00000000000000000000.log';

/** A log of so many batches, all in one segment, on a disk whose system caches so much. */
async function filled(batches: number, cachedBytes?: number): Promise<StoreWorld> {
  const world = new StoreWorld({
    store: { chunkBytes: 4 * MIB, flushQueueBytes: 64 * MIB, tailMaxBytes: 64 * MIB },
    topic: { segmentBytes: 256 * MIB },
  });
  world.disk.cachedBytes = cachedBytes;
  await world.start();
  await grow(world, batches);
  return world;
}

async function grow(world: StoreWorld, batches: number): Promise<void> {
  for (let count = 0; count < batches; count++) world.append(1, BATCH_BYTES);
  await world.clock.run(world.log.flush());
}

function read(world: StoreWorld, from: number, maxBytes = 16 * MIB): LogSlice | Promise<LogSlice> {
  return world.log.read(from, maxBytes, world.log.endOffset, true);
}

/** Reads at once, and says from where on the next read goes on. */
function readNow(world: StoreWorld, from: number, maxBytes?: number): number {
  const slice = read(world, from, maxBytes);
  if (slice instanceof Promise) throw new Error(`offset ${from} is waited for`);
  slice.release();
  return slice.nextOffset;
}

async function readWaiting(world: StoreWorld, from: number, maxBytes?: number): Promise<number> {
  const reading = read(world, from, maxBytes);
  if (!(reading instanceof Promise)) throw new Error(`offset ${from} is not waited for`);
  const slice = await world.clock.run(reading);
  slice.release();
  return slice.nextOffset;
}

/** Calls of the disk for the log's bytes from now on. */
function countReads(world: StoreWorld): () => number {
  let count = 0;
  world.disk.onCall = ({ name, path }) => {
    if (name === 'read' && path === LOG_FILE) count++;
    return undefined;
  };
  return () => count;
}

t.test('what was written not long ago is read at once, from the start and on', async (t) => {
  const world = await filled(60, 64 * MIB);
  const middle = readNow(world, 0, 2 * MIB);
  t.equal(middle, 20);
  t.equal(readNow(world, middle), 60);
  t.same(
    await world.batches(0, 3 * MIB),
    Array.from({ length: 60 }, (_, offset) => [offset, offset]),
  );
  await world.stop();
});

t.test('nothing is read at once where the system says nothing of its memory', async (t) => {
  const world = await filled(10);
  t.equal(await readWaiting(world, 0), 10);
  await world.stop();
});

t.test('what more was written after than the system holds is waited for', async (t) => {
  // What is written at once is of one age, and so is what lies in one block of 16 MiB.
  const world = await filled(50, MIB);
  for (let count = 0; count < 4; count++) await grow(world, 50);
  const next = await readWaiting(world, 0, MIB);
  t.equal(await readWaiting(world, next, MIB), 2 * next);
  await world.stop();
});

t.test('what a process before has written is waited for, and checked', async (t) => {
  const world = await filled(10, 64 * MIB);
  await world.stop();
  world.disk.file(LOG_FILE).flip(IN_SIXTH, 1);
  await world.start();
  await t.rejects(readWaiting(world, 5), /wrong checksum/);
  t.equal(world.damaged, 1);
  await world.stop();
});

t.test('a file that others have written to is checked', async (t) => {
  const world = await filled(10, 64 * MIB);
  t.equal(readNow(world, 0, 3 * BATCH_BYTES), 2);
  await world.clock.advance(5);
  world.disk.file(LOG_FILE).flip(IN_SIXTH, 1);
  world.disk.file(LOG_FILE).modifiedMs = world.clock.now();
  t.equal(await readWaiting(world, 0), 5, 'up to the damage');
  await t.rejects(readWaiting(world, 5), /wrong checksum/);
  await grow(world, 10);
  t.equal(await readWaiting(world, 6, 16 * MIB), 20, 'also what was read after it was changed');
  await world.stop();
});

t.test('a turn reads so much at once, and the rest in the next ones', async (t) => {
  const world = await filled(300, 64 * MIB);
  const first = read(world, 0, 6 * MIB);
  const second = read(world, 0, 6 * MIB);
  t.notOk(first instanceof Promise);
  t.ok(second instanceof Promise);
  const slices = [await first, await world.clock.run(Promise.resolve(second))];
  t.equal(slices[0]!.nextOffset, slices[1]!.nextOffset);
  t.same(Buffer.concat(slices[0]!.buffers), Buffer.concat(slices[1]!.buffers));
  for (const slice of slices) slice.release();
  await world.stop();
});

t.test('two that read the same cold log at once cause one read', async (t) => {
  const world = await filled(60);
  await world.stop();
  await world.start();
  const reads = countReads(world);
  await readWaiting(world, 0);
  const alone = reads();
  await world.stop();
  await world.start();
  const shared = countReads(world);
  const both = await world.clock.run(Promise.all([read(world, 0), read(world, 0)]));
  t.equal(shared(), alone);
  t.same(Buffer.concat(both[0].buffers), Buffer.concat(both[1].buffers));
  for (const slice of both) slice.release();
  await world.stop();
});

t.test('from the third reader on nothing is read again', async (t) => {
  const world = await filled(60, 64 * MIB);
  const bytes: Buffer[] = [];
  const reads = countReads(world);
  const perReader: number[] = [];
  for (let reader = 0; reader < 4; reader++) {
    const before = reads();
    const slice = await world.clock.run(Promise.resolve(read(world, 0, 4 * MIB)));
    bytes.push(Buffer.concat(slice.buffers));
    slice.release();
    perReader.push(reads() - before);
  }
  t.same(perReader.slice(2), [0, 0], String(perReader));
  for (const other of bytes) t.same(other, bytes[0]);
  t.ok(world.store.memoryBytes > 0, 'it is counted');
  world.store.makeRoom();
  t.equal(world.store.memoryBytes, 0);
  const limited = (await world.log.read(0, 150 * KIB, 60, true)) as LogSlice;
  t.equal(limited.nextOffset, 1);
  limited.release();
  await world.stop();
});

t.test('what is shared is cut where a limit asks for it', async (t) => {
  const world = await filled(60, 64 * MIB);
  for (let reader = 0; reader < 3; reader++) {
    (await world.clock.run(Promise.resolve(read(world, 0)))).release();
  }
  const reads = countReads(world);
  for (const [maxBytes, limit, end] of [
    [350 * KIB, 60, 3],
    [16 * MIB, 4, 4],
    [10 * KIB, 60, 1],
  ] as const) {
    const slice = (await world.log.read(0, maxBytes, limit, true)) as LogSlice;
    t.equal(slice.nextOffset, end);
    slice.release();
  }
  const none = (await world.log.read(0, 10 * KIB, 60, false)) as LogSlice;
  t.equal(none.sizeBytes, 0);
  t.equal(reads(), 0);
  await world.stop();
});

/** Slices of several megabytes, which are read from a segment in pieces. */

import t from 'tap';
import { StoreWorld } from './store-world.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

async function filled(sizes: readonly number[]): Promise<StoreWorld> {
  const world = new StoreWorld({
    store: { chunkBytes: 4 * MIB, flushQueueBytes: 64 * MIB, tailMaxBytes: 64 * MIB },
    topic: { segmentBytes: 64 * MIB },
  });
  await world.start();
  for (const bytes of sizes) world.append(1, bytes);
  await world.clock.run(world.log.flush());
  return world;
}

t.test('one slice holds all that fits, whatever the size of its batches', async (t) => {
  const sizes = [300, 300, 300, 1500, 10, 2500, 300, 300].map((kib) => kib * KIB);
  const world = await filled(sizes);
  const { log } = world;
  const slice = await world.clock.run(Promise.resolve(log.read(0, 16 * MIB, 8, true)));
  t.equal(slice.nextOffset, 8);
  t.ok(slice.sizeBytes > 5 * MIB);
  slice.release();
  const cut = await world.clock.run(Promise.resolve(log.read(0, 3 * MIB, 8, true)));
  t.equal(cut.nextOffset, 5, 'the next one would be too much');
  cut.release();
  const limited = await world.clock.run(Promise.resolve(log.read(0, 16 * MIB, 4, true)));
  t.equal(limited.nextOffset, 4);
  limited.release();
  t.same(
    await world.batches(0, 2 * MIB),
    sizes.map((_, offset) => [offset, offset]),
  );
  await world.stop();
});

t.test('what is given never exceeds what was asked for, but for a first batch', async (t) => {
  const world = await filled(Array(60).fill(90 * KIB));
  for (const maxBytes of [50 * KIB, 1 * MIB, 1.5 * MIB, 2 * MIB, 5 * MIB]) {
    const slice = await world.clock.run(Promise.resolve(world.log.read(7, maxBytes, 60, true)));
    t.ok(slice.sizeBytes <= Math.max(maxBytes, 91 * KIB), `${maxBytes}: ${slice.sizeBytes}`);
    t.ok(slice.sizeBytes >= Math.min(maxBytes, 4.5 * MIB) - 220 * KIB || maxBytes < MIB);
    t.equal(slice.nextOffset, 7 + Math.round(slice.sizeBytes / (90 * KIB)));
    slice.release();
  }
  await world.stop();
});

/** Retention and DeleteRecords over crashes: at every call of the disk, on a full one, and after. */

import t, { type Test } from 'tap';
import type { DiskCall, Fate } from '../sim/disk.ts';
import { StoreWorld, TOPIC } from './store-world.ts';

const MINUTE = 60_000;
const PRODUCER = 77;

/** Five closed segments, one active, some in memory; the clock is one round before they are old. */
async function prepare(retentionBytes: number): Promise<StoreWorld> {
  const world = new StoreWorld({
    store: { chunkMaxMs: 100 * MINUTE, retentionCheckMs: 10_000 },
    topic: { segmentBytes: 1000, retentionMs: MINUTE, retentionBytes, fileDeleteDelayMs: 500 },
  });
  await world.start();
  for (let count = 0; count < 6; count++) {
    world.append(4, 200, { id: PRODUCER, sequence: count * 4 });
    await world.clock.run(world.log.flush());
  }
  await world.clock.advance(11_000);
  world.append(2, 20, { id: PRODUCER, sequence: 24 });
  await world.reached('durable', 26);
  return world;
}

interface Way {
  readonly what: string;
  readonly retentionBytes: number;
  readonly waitMs: number;
  readonly deleteBefore?: number;
}

/** By size some segments go; by time all that is there; or up to where somebody says. */
const WAYS: readonly Way[] = [
  { what: 'by size', retentionBytes: 2000, waitMs: 10_000 },
  { what: 'by time', retentionBytes: -1, waitMs: MINUTE },
  { what: 'by request', retentionBytes: -1, waitMs: 0, deleteBefore: 17 },
];

/** The log starts that were answered. */
const promised = new Map<StoreWorld, number>();

/** Lets a round run with a fate for its calls, from the first that retention makes on. */
async function playWith(
  way: Way,
  fateOf: (call: DiskCall, number: number) => Fate | undefined,
): Promise<StoreWorld> {
  const world = await prepare(-1);
  // What else happens at that time is no part of it.
  let calls = 0;
  world.disk.onCall = (call) => {
    const isOurs = call.path.includes(TOPIC) || call.path.includes('checkpoint');
    return isOurs ? fateOf(call, ++calls) : undefined;
  };
  world.store.setOptions(world.log.topicId, {
    ...world.topic,
    retentionBytes: way.retentionBytes,
  });
  if (way.deleteBefore !== undefined) {
    world.log.deleteRecordsBefore(way.deleteBefore).then(
      (start) => {
        promised.set(world, start);
      },
      () => undefined,
    );
  }
  await world.clock.advance(way.waitMs + 21_000);
  world.disk.onCall = undefined;
  return world;
}

async function check(t: Test, world: StoreWorld, what: string): Promise<void> {
  await world.start();
  const { log } = world;
  if (log.endOffset < 26) t.fail(`${what}: the log ends at ${log.endOffset}`);
  const least = promised.get(world) ?? 0;
  if (log.logStartOffset < least) t.fail(`${what}: ${least} was answered`);
  const found = await world.batches(log.logStartOffset);
  const all = [0, 4, 8, 12, 16, 20, 24];
  const expected = all.filter((base) => base > log.logStartOffset - (base === 24 ? 2 : 4));
  const bases = found.map(([base]) => base).filter((base) => base < 26);
  if (bases.join() !== expected.join())
    t.fail(`${what}: ${bases.join()} from ${log.logStartOffset}`);
  const left = world.disk.files().filter((file) => file.endsWith('.deleted'));
  if (left.length > 0) t.fail(`${what}: ${left.join()} is left over`);
}

t.test('a stop at any call of the disk leaves a log without a hole', async (t) => {
  for (const way of WAYS) {
    let count = 0;
    const whole = await playWith(way, (_call, number) => {
      count = number;
      return undefined;
    });
    t.ok(whole.log.logStartOffset >= 12, `${way.what} something goes`);
    t.ok(count > 20, `${count} calls`);
    for (let at = 1; at <= count; at++) {
      for (const ends of ['before', 'after'] as const) {
        const powerLost = at % 2 === 0 || ends === 'after';
        const world = await playWith(way, (_call, number) =>
          number === at ? { ends } : undefined,
        );
        if (powerLost) await world.powerCut([0, 0.5, 0.9][at % 3]);
        else await world.kill();
        await check(t, world, `${way.what}, ${ends} call ${at}`);
      }
    }
  }
});

t.test('a disk without room for a checkpoint gets room by retention all the same', async (t) => {
  const [bySize] = WAYS;
  const world = await playWith(bySize!, ({ name, path }) =>
    name === 'open' && path.endsWith('.tmp') ? { code: 'ENOSPC' } : undefined,
  );
  const start = world.log.logStartOffset;
  t.equal(start, 12);
  t.ok(world.lines.some(({ text }) => text.includes('could not be recorded')));
  t.notOk(world.disk.files().some((file) => file.endsWith('.deleted')));
  await world.powerCut();
  await check(t, world, 'after a power cut');
  t.equal(world.log.logStartOffset, 12, 'the files themselves say so');
});

t.test('a producer whose records were deleted is known after a crash', async (t) => {
  const [, byTime] = WAYS;
  const world = await playWith(byTime!, () => undefined);
  t.equal(world.log.logStartOffset, 26);
  await world.powerCut();
  await world.start();
  const header = { id: PRODUCER, sequence: 26 };
  t.throws(() => world.log.producers.check(headerOf(world, { ...header, sequence: 40 })), {
    name: 'OutOfOrderSequence',
  });
  t.match(world.log.producers.check(headerOf(world, { ...header, sequence: 24 })), {
    lastOffset: 25,
  });
  t.equal(world.log.producers.check(headerOf(world, header)), undefined);
});

/** The header of a batch of two records. */
function headerOf(world: StoreWorld, producer: { id: number; sequence: number }) {
  return world.batch(2, 20, producer).header;
}

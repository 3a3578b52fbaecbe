/** Work in the background: when it runs, what its failures do, and how it is stopped. */

import t from 'tap';
import { Housekeeping, PeriodicChore } from '../../storage/housekeeping.ts';
import { World } from './segment-world.ts';

t.test('a chore runs again so long after it has ended', async (t) => {
  const world = new World();
  const env = world.env();
  const begun: number[] = [];
  const chore = new PeriodicChore(env, 'work', 1000, () => {
    begun.push(env.clock.monotonic());
    return new Promise((resolve) => env.clock.setTimer(500, resolve));
  });
  await world.clock.advance(5000);
  t.same(begun, [], 'not before it is started');
  chore.start();
  await world.clock.advance(4100);
  t.same(begun, [6000, 7500, 9000]);
});

t.test('a failure is reported, and the next run comes', async (t) => {
  const world = new World();
  let runs = 0;
  const chore = new PeriodicChore(world.env(), 'work', 1000, () => {
    runs++;
    throw new Error('no luck');
  });
  chore.start();
  await world.clock.advance(3500);
  t.equal(runs, 3);
  const { level, values } = world.lines[0]!;
  t.equal(level, 'error');
  t.match(values, { chore: 'work', err: { message: 'no luck' } });
});

t.test('a stop waits for what runs, and nothing runs after it', async (t) => {
  const world = new World();
  const env = world.env();
  const ended: string[] = [];
  const choreOf = (name: string, takesMs: number) =>
    new PeriodicChore(env, name, 1000, async () => {
      await new Promise<void>((resolve) => env.clock.setTimer(takesMs, resolve));
      ended.push(name);
    });
  const all = new Housekeeping([choreOf('quick', 10), choreOf('slow', 700)]);
  all.start();
  await world.clock.advance(1100);
  t.same(ended, ['quick']);
  await world.clock.run(all.stop());
  t.same(ended, ['quick', 'slow']);
  await world.clock.advance(10_000);
  t.same(ended, ['quick', 'slow']);
  t.equal(world.clock.pendingTimers, 0);
});

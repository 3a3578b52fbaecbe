/**
 * A whole broker in a simulated world: a fixed set of seeds, and some fresh ones. `TAILRACE_SEEDS=A-B`
 * runs others; `npm run simulate -- --seed N` runs one that failed and prints its history.
 */

import { randomInt } from 'node:crypto';
import t from 'tap';
import { simulate } from './scenario.ts';

const [firstSeed = 1, lastSeed = 40] = (process.env.TAILRACE_SEEDS ?? '1-40')
  .split('-')
  .map((text) => Number.parseInt(text, 10));
const FRESH_SEEDS = 5;
const LARGEST_SEED = 2 ** 31;

/** For a machine that is busy with other things. */
t.setTimeout(120_000 + (lastSeed - firstSeed) * 2000);

t.test('the same seed gives the same history twice, another one another', async (t) => {
  const first = await simulate(7);
  const second = await simulate(7);
  t.ok(first.lines.length > 20, `${first.lines.length} lines`);
  t.strictSame(second.lines, first.lines);
  t.notSame((await simulate(8)).lines, first.lines);
});

t.test('what was promised to clients holds through crashes of all kinds', async (t) => {
  for (let seed = firstSeed; seed <= lastSeed; seed++) {
    const { violations } = await simulate(seed);
    t.strictSame(violations, [], `seed ${seed}`);
  }
});

t.test('it holds for seeds that were never tried', async (t) => {
  for (let left = FRESH_SEEDS; left > 0; left--) {
    const seed = randomInt(LARGEST_SEED);
    const { violations } = await simulate(seed);
    t.strictSame(violations, [], `seed ${seed}`);
  }
});

/**
 * A whole broker in a simulated world. `TAILRACE_SEEDS=from-to` runs other seeds than usual, so that
 * one that failed can be run again.
 */

import t from 'tap';
import { simulate } from './scenario.ts';

const [firstSeed = 1, lastSeed = 30] = (process.env.TAILRACE_SEEDS ?? '1-30')
  .split('-')
  .map((text) => Number.parseInt(text, 10));

t.test('the same seed gives the same history twice, another one another', async (t) => {
  const first = await simulate(7);
  const second = await simulate(7);
  t.ok(first.lines.length > 100, `${first.lines.length} lines`);
  t.strictSame(second.lines, first.lines);
  t.notSame((await simulate(8)).lines, first.lines);
});

t.test('what was promised to clients holds through crashes of all kinds', async (t) => {
  for (let seed = firstSeed; seed <= lastSeed; seed++) {
    const { violations } = await simulate(seed);
    t.strictSame(violations, [], `seed ${seed}`);
  }
});

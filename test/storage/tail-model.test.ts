/**
 * Tries to catch the compaction in memory: histories of one seed each, with producers, readers,
 * retries, transactions, crashes and power cuts at any call of the disk. Rules that are wrong on
 * purpose must be caught, or the test would show nothing. `TAILRACE_TAIL_SEEDS=from-to` runs others.
 */

import t from 'tap';
import { TAIL_RULE, type TailRule } from '../../storage/tail-rule.ts';
import { TailWorld } from './tail-world.ts';

const [firstSeed = 1, lastSeed = 100] = (process.env.TAILRACE_TAIL_SEEDS ?? '1-100')
  .split('-')
  .map((text) => Number.parseInt(text, 10));

/** For a machine that is busy with other things. */
t.setTimeout(60_000 + (lastSeed - firstSeed) * 1000);

async function violationsOf(seed: number, rule?: TailRule): Promise<readonly string[]> {
  const world = new TailWorld(seed, rule);
  await world.run();
  return world.truth.violations;
}

t.test('readers, producers and crashes cannot tell', async (t) => {
  let records = 0;
  let pairs = 0;
  for (let seed = firstSeed; seed <= lastSeed; seed++) {
    const world = new TailWorld(seed);
    await world.run();
    t.strictSame(world.truth.violations, [], `seed ${seed}`);
    records += world.saved.records;
    pairs += world.saved.pairs;
  }
  t.ok(records > 0 && pairs > 0, `${records} records went, ${pairs} pairs entirely`);
});

const wrongRules: Record<string, Partial<TailRule>> = {
  'what was served counts as unseen': { wasServed: () => false },
  'no key counts as persisted': { mayBePersisted: () => false },
  'what is neither durable nor stable pushes others out': {
    limitOf: () => Number.POSITIVE_INFINITY,
  },
  'no batch is kept for the producers': { batchesKept: 0 },
};

for (const [name, wrong] of Object.entries(wrongRules)) {
  t.test(`a wrong rule is caught: ${name}`, async (t) => {
    const rule = { ...TAIL_RULE, ...wrong };
    for (let seed = 1; seed <= 400; seed++) {
      const [violation] = await violationsOf(seed, rule);
      if (violation === undefined) continue;
      t.pass(`seed ${seed}: ${violation}`);
      return;
    }
    t.fail('400 histories showed nothing');
  });
}

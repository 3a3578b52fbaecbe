/**
 * Checkers that cannot fail show nothing: brokers that are wrong on purpose must be caught, each by
 * the checker that is there for it, and every checker has a broker that it catches.
 */

import t from 'tap';
import { CHECKERS } from './checkers/names.ts';
import { MUTANTS, type Mutant } from './mutants.ts';
import { simulate } from './scenario.ts';

/** What a wrong broker does wrong may need an accident to show. */
const MOST_SEEDS = 150;

/** For a machine that is busy with other things. */
t.setTimeout(180_000);

/** Runs seeds until the checker speaks; what it says, and at which seed. */
async function caught(mutant: Mutant): Promise<string | undefined> {
  for (let seed = 1; seed <= MOST_SEEDS; seed++) {
    const repair = mutant.exchange?.();
    try {
      const { violations } = await simulate(seed, mutant);
      const found = violations.find(({ checker }) => checker === mutant.checker);
      if (found !== undefined) return `seed ${seed}: ${found.text}`;
    } finally {
      repair?.();
    }
  }
  return undefined;
}

for (const mutant of MUTANTS) {
  t.test(`a broker that ${mutant.name} is caught by: ${mutant.checker}`, async (t) => {
    const found = await caught(mutant);
    t.ok(found, found ?? `${MOST_SEEDS} seeds showed nothing`);
  });
}

t.test('every checker is known to speak', async (t) => {
  const spoken = new Set(MUTANTS.map(({ checker }) => checker));
  t.same(
    Object.keys(CHECKERS).filter((checker) => !spoken.has(checker as Mutant['checker'])),
    [],
  );
});

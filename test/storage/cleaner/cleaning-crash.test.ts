/**
 * A cleaning that ends at any of its file calls, by a kill or a power cut: each group of segments is
 * then as it was or as it was to become, readers get the model's state, and the next cleaning does
 * what was left.
 */

import t from 'tap';
import {
  changesAmong,
  check,
  cleanWith,
  compare,
  countCalls,
  FOLDER,
  prepare,
  wholeCleaning,
} from './cleaning-script.ts';

t.test('the script cleans several groups, and joins segments', async (t) => {
  const { before, after } = await wholeCleaning();
  t.ok(before.size > after.size, `${before.size} segments become ${after.size}`);
  t.ok(after.size > 1, `${after.size} groups`);
  t.equal(compare(before, { before, after }), 0);
  t.equal(compare(after, { before, after }), after.size);
  const world = await prepare();
  await world.clean();
  t.ok(world.disk.files().some((file) => file.startsWith(FOLDER) && file.endsWith('.txnindex')));
});

t.test('a kill at any call', async (t) => {
  const outcome = await wholeCleaning();
  const calls = await countCalls();
  t.ok(calls.length > 100, `${calls.length} calls`);
  for (const at of changesAmong(calls)) {
    const { name, bytes, path } = calls[at - 1]!;
    const partly = bytes > 0 ? { writtenBytes: (bytes * (at % 5)) >> 2 } : {};
    const world = await prepare();
    await cleanWith(world, (index) => (index === at ? { ends: 'before', ...partly } : undefined));
    await world.kill();
    await check(t, world, outcome, `call ${at}, ${name} ${path}`);
  }
});

t.test('a power cut at any call', async (t) => {
  const outcome = await wholeCleaning();
  const calls = await countCalls();
  for (const at of changesAmong(calls)) {
    for (const keepChance of [0, 0.5]) {
      const world = await prepare();
      await cleanWith(world, (index) => (index === at ? { ends: 'before' } : undefined));
      await world.powerCut(keepChance);
      await check(t, world, outcome, `call ${at} (${calls[at - 1]!.name}), keeps ${keepChance}`);
    }
  }
});

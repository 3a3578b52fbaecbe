/**
 * A cleaning that ends at any of its file calls, by a kill or a power cut: each group of segments is
 * then as it was or as it was to become, readers get the model's state, and the next cleaning does
 * what was left. And a call that fails: the log goes on, or says that it has to be opened anew.
 */

import t, { type Test } from 'tap';
import type { DiskCall, Fate } from '../../sim/disk.ts';
import { CleanerWorld, stateOf } from './cleaner-world.ts';

const FOLDER = '/data/orders-0';
const TOPIC = { segmentBytes: 700, deleteRetentionMs: 3600_000 };

/** Segments of updates, deletes and transactions, some so small that they are joined. */
async function prepare(): Promise<CleanerWorld> {
  const world = new CleanerWorld(TOPIC);
  await world.start();
  const value = (text: string) => text.padEnd(20, '.');
  for (let round = 0; round < 5; round++) {
    for (const key of ['a', 'b', 'c', `only ${round}`]) {
      world.put([{ key, value: value(`${key} ${round}`) }]);
    }
    world.put([{ key: 'deleted', value: round % 2 === 0 ? value('there') : null }]);
    const transactional = { id: 7, sequence: round, transactional: true };
    world.put([{ key: 'in a transaction', value: value(`${round}`) }], { producer: transactional });
    world.endTransaction(7, round % 2 === 1);
    await world.roll();
  }
  world.put([{ key: 'a', value: 'the newest' }]);
  await world.clock.run(world.log.flush());
  return world;
}

/** Cleans, with a fate for one of the calls counted from the cleaning's first. */
async function cleanWith(
  world: CleanerWorld,
  fateOf: (index: number, call: DiskCall) => Fate | undefined,
) {
  const first = world.disk.calls;
  world.disk.onCall = (call) => fateOf(call.number - first, call);
  const cleaning = world.store.cleaner!.cleanAll().catch(() => {});
  await Promise.race([cleaning, world.clock.advance(1000)]);
  world.disk.onCall = undefined;
}

async function countCalls(): Promise<DiskCall[]> {
  const calls: DiskCall[] = [];
  await cleanWith(await prepare(), (_index, call) => {
    calls.push(call);
    return undefined;
  });
  return calls;
}

/** The log files of the partition by base, the active one left out. */
function logsOf(world: CleanerWorld): Map<number, Buffer> {
  const logs = new Map<number, Buffer>();
  for (const file of world.disk.files()) {
    const match = /^\/data\/orders-0\/(\d{20})\.log$/.exec(file);
    if (match !== null) logs.set(Number(match[1]), Buffer.from(world.disk.file(file).contents));
  }
  logs.delete(Math.max(...logs.keys()));
  return logs;
}

interface Outcome {
  readonly before: Map<number, Buffer>;
  readonly after: Map<number, Buffer>;
}

async function wholeCleaning(): Promise<Outcome> {
  const world = await prepare();
  const before = logsOf(world);
  await cleanWith(world, () => undefined);
  return { before, after: logsOf(world) };
}

/** How many groups are new; a text when one is neither old nor new. */
function compare(found: Map<number, Buffer>, { before, after }: Outcome): number | string {
  const bases = [...after.keys()];
  const seen = new Map(found);
  let isNew = 0;
  for (const [index, base] of bases.entries()) {
    const next = bases[index + 1] ?? Number.POSITIVE_INFINITY;
    const olds = [...before.keys()].filter((old) => old >= base && old < next);
    if (
      found.get(base)?.equals(after.get(base)!) &&
      olds.every((old) => old === base || !found.has(old))
    ) {
      isNew++;
      seen.delete(base);
    } else if (olds.every((old) => found.get(old)?.equals(before.get(old)!))) {
      for (const old of olds) seen.delete(old);
    } else {
      return `the segments from ${base} are a mix`;
    }
  }
  return seen.size === 0 ? isNew : `there is a segment at ${[...seen.keys()].join()}`;
}

async function check(t: Test, world: CleanerWorld, outcome: Outcome, what: string): Promise<void> {
  await world.start();
  const state = compare(logsOf(world), outcome);
  if (typeof state === 'string') t.fail(`${what}: ${state}`);
  const expected = JSON.stringify([...world.stateBelow(world.log.endOffset)].sort());
  const read = async () => JSON.stringify([...stateOf(await world.readCommitted(0))].sort());
  if ((await read()) !== expected) t.fail(`${what}: another state`);
  const strange = world.disk.files().filter((file) => /\.(deleted|swap|cleaned)$/.test(file));
  if (strange.length > 0) t.fail(`${what}: ${strange.join()} is left over`);
  await world.clean();
  if ((await read()) !== expected) t.fail(`${what}: another state after cleaning again`);
  const bytes = (logs: Map<number, Buffer>) => [...logs.values()].map(({ length }) => length);
  const again = bytes(logsOf(world)).reduce((sum, size) => sum + size, 0);
  const once = bytes(outcome.after).reduce((sum, size) => sum + size, 0);
  if (again > once) t.fail(`${what}: ${again} bytes are left after cleaning again, not ${once}`);
  await world.stop();
}

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
  for (let at = 1; at <= calls.length; at++) {
    for (const ends of ['before', 'after'] as const) {
      const { name, bytes, path } = calls[at - 1]!;
      const partly =
        bytes > 0 && ends === 'before' ? { writtenBytes: (bytes * (at % 5)) >> 2 } : {};
      const world = await prepare();
      await cleanWith(world, (index) => (index === at ? { ends, ...partly } : undefined));
      await world.kill();
      await check(t, world, outcome, `${ends} call ${at}, ${name} ${path}`);
    }
  }
});

t.test('a power cut at any call', async (t) => {
  const outcome = await wholeCleaning();
  const calls = await countCalls();
  for (let at = 1; at <= calls.length; at++) {
    for (const keepChance of [0, 0.5, 0.5, 0.9, 1]) {
      const world = await prepare();
      await cleanWith(world, (index) => (index === at ? { ends: 'before' } : undefined));
      await world.powerCut(keepChance);
      await check(t, world, outcome, `call ${at} (${calls[at - 1]!.name}), keeps ${keepChance}`);
    }
  }
});

t.test('a kill at any call of the start that finishes a swap', async (t) => {
  const outcome = await wholeCleaning();
  const calls = await countCalls();
  const renames = calls.flatMap(({ name, path }, index) =>
    (name === 'rename' && path.includes(FOLDER)) || name === 'syncDir' ? [index + 1] : [],
  );
  for (const at of renames) {
    for (let later = 1; ; later++) {
      const world = await prepare();
      await cleanWith(world, (index) => (index === at ? { ends: 'before' } : undefined));
      await world.kill();
      const first = world.disk.calls;
      let hasEnded = false;
      world.disk.onCall = (call) => {
        if (call.number - first !== later) return undefined;
        hasEnded = true;
        return { ends: 'before' };
      };
      await Promise.race([world.start().catch(() => {}), world.clock.advance(1000)]);
      world.disk.onCall = undefined;
      if (!hasEnded) break;
      if (later % 2 === 0) await world.powerCut(0.5);
      else await world.kill();
      await check(t, world, outcome, `call ${at}, then call ${later} of the start`);
    }
  }
});

t.test('a call that fails leaves the log whole', async (t) => {
  const outcome = await wholeCleaning();
  const calls = await countCalls();
  for (let at = 1; at <= calls.length; at++) {
    for (const code of ['ENOSPC', 'EIO']) {
      const what = `${code} at call ${at}, ${calls[at - 1]!.name} ${calls[at - 1]!.path}`;
      const world = await prepare();
      await cleanWith(world, (index) => (index === at ? { code } : undefined));
      const expected = JSON.stringify([...world.stateBelow(world.log.endOffset)].sort());
      const read = JSON.stringify([...stateOf(await world.readCommitted(0))].sort());
      if (read !== expected) t.fail(`${what}: another state`);
      await world.kill();
      await check(t, world, outcome, what);
    }
  }
});

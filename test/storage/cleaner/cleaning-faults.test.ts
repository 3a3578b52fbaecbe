/**
 * What goes wrong around a cleaning: a start that is killed while it finishes a swap, and calls of
 * the disk that fail.
 */

import t from 'tap';
import { BufferPool } from '../../../storage/buffer-pool.ts';
import { makeLogContext } from '../../../storage/log-context.ts';
import { readLogFolder } from '../../../storage/log-folder.ts';
import { TOPIC_ID } from '../store-world.ts';
import { type CleanerWorld, stateOf } from './cleaner-world.ts';
import {
  changesAmong,
  check,
  cleanWith,
  countCalls,
  FOLDER,
  prepare,
  wholeCleaning,
} from './cleaning-script.ts';

function contextOf({ clock, disk, random }: CleanerWorld) {
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const host = { bootId: 'boot', hostName: 'sim', processId: 1 };
  const env = { clock, disk: disk.mount(), random, host, log };
  const decompress = () => Promise.reject(new Error('nothing is compressed here'));
  return makeLogContext(env, { buffers: new BufferPool(0), decompress });
}

t.test('a kill at any call of the start that finishes a swap', async (t) => {
  const outcome = await wholeCleaning();
  const calls = await countCalls();
  const renames = calls.flatMap(({ name, path }, index) =>
    name === 'rename' && /(cleaned|swap|000000\.log)$/.test(path) ? [index + 1] : [],
  );
  // With some files of the first group renamed, with all, and when its old ones have gone.
  for (const at of [renames[2]!, renames[4]!, renames[6]!]) {
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
      const clearing = readLogFolder(contextOf(world), FOLDER).catch(() => {});
      await Promise.race([clearing, world.clock.settle()]);
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
  for (const at of changesAmong(calls)) {
    const code = at % 2 === 0 ? 'ENOSPC' : 'EIO';
    const what = `${code} at call ${at}, ${calls[at - 1]!.name} ${calls[at - 1]!.path}`;
    const world = await prepare();
    await cleanWith(world, (index) => (index === at ? { code } : undefined));
    const expected = JSON.stringify([...world.stateBelow(world.log.endOffset)].sort());
    const read = JSON.stringify([...stateOf(await world.readCommitted(0))].sort());
    if (read !== expected) t.fail(`${what}: another state`);
    await world.kill();
    await check(t, world, outcome, what);
  }
});

t.test('a cleaning in a time without descriptors leaves a log that goes on', async (t) => {
  const outcome = await wholeCleaning();
  const calls = await countCalls();
  for (const at of changesAmong(calls).filter((_call, index) => index % 3 === 0)) {
    const what = `EMFILE from call ${at} on, ${calls[at - 1]!.name} ${calls[at - 1]!.path}`;
    const world = await prepare();
    let failed = 0;
    await cleanWith(world, (index, { name }) => {
      if (index < at || failed === 3 || (name !== 'open' && name !== 'syncDir')) return undefined;
      failed++;
      return { code: 'EMFILE' };
    });
    t.equal(world.store.get(TOPIC_ID, 0)?.segments.failure, undefined, what);
    const expected = JSON.stringify([...world.stateBelow(world.log.endOffset)].sort());
    const read = JSON.stringify([...stateOf(await world.readCommitted(0))].sort());
    if (read !== expected) t.fail(`${what}: another state`);
    await world.kill();
    await check(t, world, outcome, what);
  }
});

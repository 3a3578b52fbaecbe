/**
 * Each sync of a run fails once, of files and of folders: whatever is acknowledged as durable, then
 * or later, is there after a power cut.
 */

import t from 'tap';
import { StoreWorld, TOPIC_ID } from './store-world.ts';

const ROUNDS = 14;

/** Appends, small and in bulk, with flushes, rolls, a checkpoint and a raised log start. */
async function play(world: StoreWorld): Promise<{ acknowledged: number; logStart: number }> {
  let acknowledged = 0;
  let logStart = 0;
  await world.start();
  const { log } = world;
  const ignore = () => undefined;
  for (let round = 0; round < ROUNDS; round++) {
    try {
      world.append(2, round % 5 === 4 ? 30_000 : 300);
    } catch {
      continue;
    }
    const end = log.endOffset;
    log.onMark('durable', end, (error) => {
      if (error === undefined) acknowledged = Math.max(acknowledged, end);
    });
    if (round % 3 === 1) log.flush().catch(ignore);
    if (round === 8) {
      log.deleteRecordsBefore(5).then((start) => {
        logStart = start;
      }, ignore);
    }
    await world.clock.advance(round === 10 ? 61_000 : 700);
  }
  return { acknowledged, logStart };
}

function worldOf(): StoreWorld {
  return new StoreWorld({ topic: { segmentBytes: 4000 } });
}

t.test('no sync that failed is followed by a promise', async (t) => {
  const whole = worldOf();
  let syncs = 0;
  whole.disk.onCall = ({ name }) => {
    if (name === 'sync' || name === 'syncDir') syncs++;
    return undefined;
  };
  const promised = await play(whole);
  t.equal(promised.acknowledged, ROUNDS * 2);
  t.equal(promised.logStart, 5);
  t.ok(syncs > 40, `${syncs} syncs`);
  let refusals = 0;
  for (let failing = 1; failing <= syncs; failing++) {
    const world = worldOf();
    let count = 0;
    world.disk.onCall = ({ name }) => {
      const isSync = name === 'sync' || name === 'syncDir';
      return isSync && ++count === failing ? { code: 'EIO' } : undefined;
    };
    const run = await play(world).catch(() => undefined);
    world.disk.onCall = undefined;
    if (run === undefined) continue;
    if (run.acknowledged < ROUNDS * 2) refusals++;
    await world.powerCut();
    await world.start();
    const { endOffset, logStartOffset } = world.store.get(TOPIC_ID, 0)!;
    if (endOffset < run.acknowledged) {
      t.fail(`sync ${failing}: ${run.acknowledged} promised, ${endOffset} there`);
    }
    if (logStartOffset < run.logStart)
      t.fail(`sync ${failing}: the log starts at ${logStartOffset}`);
    const found = await world.batches(logStartOffset);
    const isDense = found.every(
      ([base], index) => index === 0 || base === found[index - 1]![1] + 1,
    );
    if (!isDense) t.fail(`sync ${failing}: ${found.join(' ')}`);
  }
  t.ok(refusals > 5, `${refusals} failures ended a log`);
});

t.test('a time without descriptors is got over without a new start', async (t) => {
  const isOpening = (name: string) => name === 'open' || name === 'syncDir';
  const whole = worldOf();
  let openings = 0;
  whole.disk.onCall = ({ name }) => {
    if (isOpening(name)) openings++;
    return undefined;
  };
  await play(whole);
  for (let first = 8; first <= openings; first++) {
    const world = worldOf();
    let count = 0;
    world.disk.onCall = ({ name }) => {
      if (!isOpening(name)) return undefined;
      count++;
      return count >= first && count < first + 4 ? { code: 'EMFILE' } : undefined;
    };
    await play(world);
    world.disk.onCall = undefined;
    await world.clock.advance(2000);
    const end = world.append() + 1;
    await world.reached('durable', end);
    await world.clock.run(world.log.flush());
    t.equal(world.store.gauges().failedLogs, 0, `from opening ${first} on`);
    await world.powerCut();
    await world.start();
    t.ok(world.log.endOffset >= end);
  }
});

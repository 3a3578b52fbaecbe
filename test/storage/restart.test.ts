/** What a start reads of a log, and what it does without the files beside the segments. */

import t from 'tap';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { StoreWorld, TOPIC } from './store-world.ts';

const FOLDER = `/data/${TOPIC}-0`;
const LOG = `${FOLDER}/00000000000000000000.log`;

/** Paths of the calls that a start makes, with what they were. */
async function startCalls(world: StoreWorld): Promise<string[]> {
  const calls: string[] = [];
  world.disk.onCall = ({ name, path }) => {
    if (path.startsWith(FOLDER)) calls.push(`${name} ${path.slice(FOLDER.length + 1)}`);
    return undefined;
  };
  await world.start();
  world.disk.onCall = undefined;
  return calls;
}

t.test('after a clean stop no segment is opened, with and without producers', async (t) => {
  for (const producer of [undefined, { id: 5, sequence: 0 }]) {
    const world = new StoreWorld();
    await world.start();
    world.append(3, 100, producer);
    await world.stop();
    const calls = await startCalls(world);
    t.notOk(calls.some((call) => call.startsWith('open') || call.startsWith('read ')));
    t.equal(calls.filter((call) => call.endsWith('.snapshot')).length, producer ? 1 : 0);
    t.equal(world.log.endOffset, 3);
    t.same(await world.batches(), [[0, 2]]);
  }
});

t.test('after a kill only the logs are read that were written to since a checkpoint', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(3, 100);
  await world.clock.run(world.log.flush());
  // The checkpoint comes once a minute.
  await world.clock.advance(61_000);
  await world.kill();
  const quiet = await startCalls(world);
  t.notOk(quiet.some((call) => call.startsWith('open')));
  t.equal(world.log.endOffset, 3);
  world.append(2, 100);
  await world.clock.run(world.log.flush());
  await world.kill();
  const busy = await startCalls(world);
  t.ok(busy.some((call) => call === 'open 00000000000000000000.log'));
  t.equal(world.log.endOffset, 5);
  await world.powerCut();
  const again = await startCalls(world);
  t.notOk(
    again.some((call) => /^open .*\.(log|index|snapshot)/.test(call)),
    'what one start has checked the next one need not',
  );
  t.same((await world.batches()).slice(0, 2), [
    [0, 2],
    [3, 4],
  ]);
});

t.test(
  'a file that was cut after it was synced is reported, and no offset comes again',
  async (t) => {
    const world = new StoreWorld();
    await world.start();
    for (const records of [3, 2, 1]) world.append(records, 100);
    await world.stop();
    const whole = Buffer.from(world.disk.file(LOG).contents);
    const second = readBatchHeader(whole, 0).sizeBytes;
    const third = second + readBatchHeader(whole, second).sizeBytes;
    // Within each batch by steps, and around their ends at every byte.
    for (let size = 0; size <= whole.length; size++) {
      const isNearEnd = [0, second, third, whole.length].some((end) => Math.abs(end - size) < 4);
      if (!isNearEnd && size % 48 > 0) continue;
      for (const stop of ['clean', 'killed']) {
        const next = new StoreWorld();
        await next.start();
        for (const records of [3, 2, 1]) next.append(records, 100);
        await next.stop();
        next.disk.file(LOG).truncate(size);
        if (stop === 'killed') await next.disk.mount().remove('/data/.kafka_cleanshutdown');
        await next.start();
        const kept = [third, second, 0].find((position) => position <= size)!;
        const from = size === whole.length ? 6 : kept === third ? 5 : kept === second ? 3 : 0;
        const what = `${size} bytes, ${stop}`;
        if (next.log.endOffset !== 6) t.fail(`${what}: ends at ${next.log.endOffset}`);
        const isReported = next.lines.some(({ level }) => level === 'error');
        if (isReported !== size < whole.length) t.fail(`${what}: reported ${isReported}`);
        if (from > 0) {
          const slice = await next.clock.run(Promise.resolve(next.log.read(0, 1 << 20, 6, true)));
          const bytes = Buffer.concat(slice.buffers);
          const sound = [second, third, whole.length][[3, 5, 6].indexOf(from)]!;
          if (!bytes.subarray(0, sound).equals(whole.subarray(0, sound))) t.fail(`${what}: other`);
          slice.release();
        }
        if (next.append() !== 6) t.fail(`${what}: an offset came again`);
        await next.clock.run(next.log.flush());
        await next.kill();
        await next.start();
        if (next.log.endOffset !== 7) t.fail(`${what}: ends at ${next.log.endOffset} after a kill`);
      }
    }
  },
);

t.test(
  'what a cut file has lost the journal gives back, and nothing of its own is lost',
  async (t) => {
    const world = new StoreWorld();
    await world.start();
    world.append(3, 100);
    await world.clock.run(world.log.flush());
    await world.clock.advance(61_000);
    world.append(2, 100);
    await world.reached('durable', 5);
    await world.kill();
    world.disk.file(LOG).truncate(0);
    await world.start();
    t.equal(world.log.endOffset, 5);
    t.same((await world.batches(3)).at(-1), [3, 4]);
    t.ok(world.lines.some(({ text }) => text.includes('are missing')));
  },
);

t.test('epochs rise, also where their file was lost, damaged or left behind', async (t) => {
  const file = `${FOLDER}/leader-epoch-checkpoint`;
  for (const damage of ['lost', 'emptied', 'changed', 'old']) {
    const world = new StoreWorld();
    await world.start();
    for (let life = 0; life < 3; life++) {
      world.append(1, 50);
      await world.stop();
      await world.start();
    }
    world.append(1, 50);
    await world.clock.run(world.log.flush());
    const { leaderEpoch } = world.log;
    const contents = world.disk.file(file);
    if (damage === 'lost') await world.disk.mount().remove(file);
    if (damage === 'emptied') contents.truncate(0);
    if (damage === 'changed') contents.write(Buffer.from('x'), 4);
    if (damage === 'old') {
      const text = contents.contents.toString().split('\n').slice(2, -2);
      contents.truncate(0);
      contents.write(Buffer.from(`0\n${text.length}\n${text.join('\n')}\n`), 0);
    }
    await world.kill();
    await world.start();
    t.equal(world.log.leaderEpoch, leaderEpoch + 1, damage);
    t.equal(world.log.epochAt(2), leaderEpoch - 1, damage);
    t.same(world.log.endOffsetForEpoch(leaderEpoch - 1), {
      leaderEpoch: leaderEpoch - 1,
      endOffset: 3,
    });
    await world.stop();
  }
});

t.test('a start that takes long says how far it is', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(3, 100);
  await world.clock.run(world.log.flush());
  await world.kill();
  world.disk.delayMs = ({ path }) => (path.startsWith(FOLDER) ? 700 : 0);
  await world.start();
  world.disk.delayMs = undefined;
  const said = world.lines.filter(({ text }) => text === 'the logs are being opened');
  t.ok(said.length >= 2);
  t.match(said[0], { level: 'info', values: { opened: 0, logs: 1, durationMs: 3000 } });
  await world.clock.advance(10_000);
  t.equal(
    world.lines.filter(({ text }) => text === 'the logs are being opened').length,
    said.length,
  );
});

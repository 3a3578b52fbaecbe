import t from 'tap';
import type { Disk } from '../../storage/env.ts';
import { FolderSyncs } from '../../storage/folder-syncs.ts';
import { StoreWorld, TOPIC } from './store-world.ts';

t.test('data written before a kill survives a power cut after the next start', async (t) => {
  // The process ends before each call of the disk that the first flush of a log makes.
  for (let calls = 1; ; calls++) {
    const world = new StoreWorld();
    await world.start();
    world.append(3);
    await world.reached('durable', 3);
    const last = world.disk.calls + calls;
    let hasEnded = false;
    world.disk.onEnd = () => {
      hasEnded = true;
    };
    world.disk.onCall = ({ number }) => (number === last ? { ends: 'before' } : undefined);
    // Ends by itself, or never: the process is gone then.
    void world.log.flush().catch(() => {});
    await world.clock.advance(1000);
    world.disk.onCall = undefined;
    if (!hasEnded) await world.kill();
    await world.clock.advance(20_000);
    await world.start();
    t.equal(world.log.endOffset, 3, `killed at call ${calls}`);
    await world.powerCut();
    await world.start();
    t.same((await world.batches())[0], [0, 2], `${TOPIC} after the power cut (call ${calls})`);
    await world.stop();
    if (!hasEnded) break;
  }
});

t.test('a data folder in folders that were not there before survives a power cut', async (t) => {
  for (let calls = 0; calls < 12; calls++) {
    const world = new StoreWorld({ store: { dataDir: '/srv/broker/data' } });
    // A first start that ends early must not keep the next one from making the names durable.
    if (calls > 0) {
      world.disk.onCall = ({ number }) => (number === calls ? { ends: 'after' } : undefined);
      await t.rejects(
        world.start(),
        /nothing is left that could end the work|not done after/,
        `ended after call ${calls}`,
      );
      world.disk.onCall = undefined;
      await world.kill();
    }
    await world.start();
    world.append(3);
    await world.reached('durable', 3);
    await world.powerCut();
    await world.start();
    t.same((await world.batches())[0], [0, 2], `a first start ended after call ${calls}`);
    await world.stop();
  }
});

t.test(
  'who asks for a sync of a folder gets one that begins later, shared with others',
  async (t) => {
    const ends: ((error?: Error) => void)[] = [];
    const syncDir = () =>
      new Promise<void>((resolve, reject) => {
        ends.push((error) => (error === undefined ? resolve() : reject(error)));
      });
    const syncs = new FolderSyncs({ syncDir } as unknown as Disk);
    const done: string[] = [];
    const ask = (name: string) =>
      syncs.sync('/data').then(
        () => done.push(name),
        () => done.push(`${name} failed`),
      );
    const asked = [ask('first'), ask('second'), ask('third')];
    t.equal(ends.length, 1);
    ends[0]!(new Error('EIO'));
    await asked[0];
    await Promise.resolve();
    t.equal(ends.length, 2, 'one for both, though the first failed');
    t.same(done, ['first failed']);
    asked.push(ask('fourth'));
    ends[1]!();
    await Promise.all(asked.slice(0, 3));
    t.equal(ends.length, 3, 'it had begun too early for the fourth');
    ends[2]!();
    await Promise.all(asked);
    t.same(done, ['first failed', 'second', 'third', 'fourth']);
    const alone = ask('alone');
    t.equal(ends.length, 4);
    ends[3]!();
    await alone;
  },
);

import t from 'tap';
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

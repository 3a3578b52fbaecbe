/** Looking records up by time where batches have lost theirs. */

import t from 'tap';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { buildBatch } from '../../protocol/records.ts';
import { StoreWorld } from './store-world.ts';

t.test('a time is that of a record, not of a batch without one', async (t) => {
  for (const survives of ['the flush', 'a restart', 'lost indexes']) {
    const world = new StoreWorld({ topic: { deletes: false, compacts: true, compactsTail: true } });
    await world.start();
    const put = (key: string, value: string, timestamp: number, baseSequence: number) => {
      const record = { key: Buffer.from(key), value: Buffer.from(value), timestamp };
      // Of a producer, so that what is emptied stays as it is.
      const producer = { producerId: 3, producerEpoch: 0, baseSequence };
      const batch = buildBatch({ records: [record], ...producer });
      world.log.append(batch, readBatchHeader(batch, 0), world.clock.now());
    };
    put('a', '1', 1000, 0);
    put('b', '1', 9000, 1);
    put('c', '1', 5000, 2);
    put('b', '2', 3000, 3);
    await world.reached('durable', 4);
    await world.clock.run(world.log.flush());
    if (survives === 'a restart') await world.stop();
    if (survives === 'lost indexes') {
      await world.kill();
      for (const suffix of ['index', 'timeindex']) {
        await world.disk.mount().remove(`/data/orders-0/00000000000000000000.${suffix}`);
      }
    }
    if (survives !== 'the flush') await world.start();
    const { log } = world;
    t.same((await world.batches()).length, 4, survives);
    t.match(await world.clock.run(log.offsetOfMaxTimestamp(4)), { offset: 2, timestamp: 5000 });
    // The range ends within the segment: looked for batch by batch.
    t.match(await world.clock.run(log.offsetOfMaxTimestamp(2)), { offset: 0, timestamp: 1000 });
    t.match(await world.clock.run(log.offsetForTime(4000, 4)), { offset: 2, timestamp: 5000 });
    t.equal(await world.clock.run(log.offsetForTime(6000, 4)), undefined);
  }
});

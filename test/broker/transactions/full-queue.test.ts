/** Transactions while the flush queue is full: their records and markers draw on the reserve. */

import { join } from 'node:path';
import fse from 'fs-extra';
import t from 'tap';
import { Broker } from '../../../broker/broker.ts';
import { settingsOfProgram } from '../../../broker/config/sources.ts';
import { Config } from '../../../broker/config.ts';
import { silentLog, systemWorld, temporaryFolder } from '../../../broker/main.ts';
import { readBatchHeader } from '../../../protocol/record-batch.ts';
import { batchOf } from '../data-broker.ts';
import { until } from '../harness.ts';
import { HeldDisk } from '../held-disk.ts';

const VALUE = 'x'.repeat(8000);

t.test('a transaction ends while sources are held back', async (t) => {
  const dataDir = temporaryFolder();
  const world = systemWorld(silentLog);
  const disk = new HeldDisk(world.env.disk, `${join(dataDir, 'loaded')}-`);
  const config = new Config(
    settingsOfProgram({
      listeners: 'PLAINTEXT://127.0.0.1:0',
      'log.dirs': dataDir,
      'tail.chunk.bytes': '65536',
      'flush.queue.bytes': '1048576',
      'tail.chunk.max.ms': '600000',
      'transaction.state.log.num.partitions': '1',
    }),
  );
  const broker = await Broker.launch(config, { ...world, env: { ...world.env, disk } });
  t.teardown(async () => {
    disk.letGo();
    await broker.stop();
    await fse.remove(dataDir);
  });
  const { topics, transactions, logs, env } = broker.services;
  const topic = await topics.create({
    name: 'loaded',
    numPartitions: 1,
    replicationFactor: 1,
    assignments: [],
    configs: [],
  });
  const partition = topic.partitions[0]!;
  const append = (batch: Buffer) => {
    const { lastOffset } = partition.append(batch, readBatchHeader(batch, 0), env.clock.now());
    return new Promise((resolve) => partition.log.onMark('durable', lastOffset + 1, resolve));
  };

  const request = { timeoutMs: 60_000, expected: undefined };
  const client = await transactions.initProducerId('x', request);
  const place = { topic: 'loaded', partition: 0 };
  t.equal(await transactions.addPartitions('x', client, [place], 0), 'NONE');
  const { producerId, producerEpoch } = client;
  await append(batchOf(['a'], { producerId, producerEpoch, baseSequence: 0, transactional: true }));
  t.equal(partition.log.lastStableOffset, 0);

  disk.hold();
  let held: Promise<void> | undefined;
  while (held === undefined) {
    const batch = batchOf([VALUE]);
    held = logs.admit(batch.length, false);
    if (held === undefined) await append(batch);
  }
  const end = { producerId, producerEpoch, isCommit: true, clientVersion: 0 } as const;
  t.match(await transactions.endTransaction('x', end), { error: 'NONE' });
  await until(() => partition.log.lastStableOffset === partition.log.highWatermark);
  await until(() => (transactions.describe('x') as { name: string }).name === 'CompleteCommit');
  const next = await transactions.initProducerId('x', request);
  t.match(next, { error: 'NONE', producerEpoch: producerEpoch + 1 });
  t.equal(await transactions.addPartitions('x', next, [place], 0), 'NONE');

  disk.letGo();
  await held;
});

/** Topics and configurations of a whole broker, over restarts on the same folder. */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import t, { type Test } from 'tap';
import { Broker } from '../../broker/index.ts';
import { ResourceType } from '../../broker/metadata-image.ts';
import { newTopic } from './topics-harness.ts';

async function onFolder(t: Test, config: Record<string, string> = {}) {
  const dataDir = await fse.mkdtemp(join(tmpdir(), 'tailrace-topics-'));
  let broker: Broker | undefined;
  t.teardown(async () => {
    await broker?.stop();
    await fse.remove(dataDir);
  });
  const start = async () => {
    await broker?.stop();
    broker = await Broker.start({ dataDir, config });
    return broker.services;
  };
  return { dataDir, start };
}

function setting(resourceName: string, name: string, value: string | null) {
  const resourceType = resourceName === '' ? ResourceType.broker : ResourceType.topic;
  const operation = value === null ? 1 : 0;
  return { resourceType, resourceName, changes: [{ name, operation, value }], replacesAll: false };
}

t.test('a restart finds topics, partitions, records and settings as they were', async (t) => {
  const { start, dataDir } = await onFolder(t);
  const before = await start();
  const kept = await before.topics.create(newTopic('kept', { numPartitions: 2 }));
  const gone = await before.topics.create(newTopic('gone'));
  const record = { key: null, value: Buffer.from('a record') };
  await kept.partitions[1]!.appendRecords([record]);
  await gone.partitions[0]!.appendRecords([record]);
  await before.topics.addPartitions(kept, 3);
  const changes = [
    setting('kept', 'segment.bytes', '2000000'),
    setting('', 'message.max.bytes', '5'),
  ];
  t.strictSame(await before.configChanges.alter(changes, false), [undefined, undefined]);
  await before.topics.delete(gone);
  const after = await start();
  const topic = after.topics.get('kept')!;
  t.equal(topic.id, kept.id);
  t.strictSame(
    topic.partitions.map(({ log }) => log.endOffset),
    [0, 1, 0],
  );
  t.equal(topic.partitions[2]!.log.options.segmentBytes, 2000000);
  t.equal(topic.config.get('max.message.bytes'), 5);
  t.equal(after.topics.get('gone'), undefined);
  t.strictSame(
    (await fse.readdir(dataDir)).filter((name) => name.startsWith('gone')),
    [],
  );
  const again = await after.topics.create(newTopic('gone'));
  t.equal(again.partitions[0]!.log.endOffset, 0, 'a new topic of an old name is empty');
});

t.test('after snapshots a restart reads the newest and what follows it', async (t) => {
  const { start, dataDir } = await onFolder(t, {
    'metadata.log.max.record.bytes.between.snapshots': '2000',
  });
  let services = await start();
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 10; index++) {
      await services.topics.create(newTopic(`t-${round}-${index}`, { numPartitions: 3 }));
    }
    for (let index = 0; index < 5; index++) {
      await services.topics.delete(services.topics.get(`t-${round}-${index}`)!);
    }
    services = await start();
    t.equal(services.topics.count, 5 * (round + 1));
    t.equal(services.topics.partitionCount, 15 * (round + 1));
  }
  const folder = join(dataDir, '__cluster_metadata-0');
  const snapshots = (await fse.readdir(folder)).filter((name) => name.endsWith('.checkpoint'));
  t.equal(snapshots.length, 1);
});

t.test('no producer id is given again after a restart', async (t) => {
  const { start } = await onFolder(t);
  const first = await (await start()).producerIds.next();
  const second = await (await start()).producerIds.next();
  t.ok(second >= first + 1000, `${second} comes after the block of ${first}`);
});

import fse from 'fs-extra';
import t from 'tap';
import { MetadataImage, ResourceType } from '../../broker/metadata-image.ts';
import { MetadataLog } from '../../broker/metadata-log.ts';
import {
  decodeMetadataRecord,
  encodeMetadataRecord,
  type MetadataRecord,
  type NewMetadataRecord,
} from '../../broker/metadata-records.ts';
import { listSnapshots, snapshotBatches, writeSnapshot } from '../../broker/metadata-snapshot.ts';
import { quotaRecord } from '../../broker/security/quota-image.ts';
import { gapBatch } from '../../protocol/batch-builder.ts';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { CorruptLog, LogFailed } from '../../storage/errors.ts';
import { settle } from './harness.ts';
import { makeWorld, NODE_ID, type World } from './topics-harness.ts';

const TOPIC_ID = 'AAAAAAAAQACAAAAAAAAAAA';

function topicRecord(name: string, topicId = TOPIC_ID): NewMetadataRecord {
  return { kind: 'TopicRecord', value: { name, topicId } };
}

function setting(name: string, value: string | null): NewMetadataRecord {
  const resource = { resourceType: ResourceType.topic, resourceName: 'a' };
  return { kind: 'ConfigRecord', value: { ...resource, name, value } };
}

function quota(user: string | null, key: string, value: number | null): NewMetadataRecord {
  return { kind: 'ClientQuotaRecord', value: quotaRecord(new Map([['user', user]]), key, value) };
}

function credential(name: string, mechanism: number): NewMetadataRecord {
  const [salt, storedKey, serverKey] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte));
  const value = { name, mechanism, salt, storedKey, serverKey, iterations: 4096 };
  return { kind: 'UserScramCredentialRecord', value } as NewMetadataRecord;
}

function acl(id: string, resourceName: string): NewMetadataRecord {
  const pattern = { resourceType: 2, resourceName, patternType: 3 };
  const value = { id, ...pattern, principal: 'User:a', host: '*', operation: 3, permissionType: 3 };
  return { kind: 'AccessControlEntryRecord', value };
}

function open(world: World, bytesBetweenSnapshots = 1_000_000): Promise<MetadataLog> {
  const { env, metadataLog, store, folder } = world;
  return MetadataLog.open(env, metadataLog, store, {
    folder,
    nodeId: NODE_ID,
    bytesBetweenSnapshots,
  });
}

/** All that an image says, to compare two of them. */
function contents(image: MetadataImage): unknown {
  return [...image.records(NODE_ID)];
}

t.test('a record has the bytes that KRaft writes', async (t) => {
  const bytes = encodeMetadataRecord(topicRecord('foo'));
  // Frame version, type id, version; name with its length; id; no tagged fields.
  const parts = ['010200', '04666f6f', '00000000000040008000000000000000', '00'];
  t.equal(bytes.toString('hex'), parts.join(''));
  t.strictSame(decodeMetadataRecord(bytes), topicRecord('foo'));
});

t.test('records of kinds and versions that are not used here are stepped over', async (t) => {
  t.equal(decodeMetadataRecord(Buffer.from([1, 27, 3, 0, 0])), undefined);
  t.equal(decodeMetadataRecord(Buffer.from([1, 2, 9, 0])), undefined);
  t.throws(() => decodeMetadataRecord(Buffer.from([2, 2, 0])), /frame version 2/);
  t.throws(() => decodeMetadataRecord(Buffer.from([1, 2, 0, 5])), /bytes wanted/);
});

t.test('an image is made again by its own records', async (t) => {
  const image = new MetadataImage();
  const records: NewMetadataRecord[] = [
    { kind: 'FeatureLevelRecord', value: { name: 'metadata.version', featureLevel: 33 } },
    topicRecord('a'),
    setting('retention.ms', '1'),
    setting('flush.ms', '2'),
    setting('flush.ms', null),
    { kind: 'ProducerIdsRecord', value: { brokerId: 1, nextProducerId: 3000 } },
    topicRecord('b', 'BBBBBBBBQACAAAAAAAAAAA'),
    { kind: 'NoOpRecord', value: {} },
    quota('u', 'producer_byte_rate', 1000.5),
    quota(null, 'request_percentage', 5),
    quota('gone', 'request_percentage', 5),
    quota('gone', 'request_percentage', null),
    credential('alice', 1),
    credential('alice', 2),
    credential('gone', 1),
    { kind: 'RemoveUserScramCredentialRecord', value: { name: 'gone', mechanism: 1 } },
    acl(TOPIC_ID, 'kept'),
    acl('BBBBBBBBQACAAAAAAAAAAA', 'gone'),
    { kind: 'RemoveAccessControlEntryRecord', value: { id: 'BBBBBBBBQACAAAAAAAAAAA' } },
  ];
  for (const record of records) image.apply(record as MetadataRecord);
  image.apply({ kind: 'RemoveTopicRecord', value: { topicId: 'BBBBBBBBQACAAAAAAAAAAA' } });
  const again = new MetadataImage();
  for (const record of image.records(NODE_ID)) again.apply(record as MetadataRecord);
  t.strictSame(contents(again), contents(image));
  t.equal(again.topicCount, 1);
  t.equal(again.topicByName('b'), undefined);
  t.equal(again.nextProducerId, 3000);
  t.equal(again.feature('metadata.version'), 33);
  t.strictSame([...again.settings(ResourceType.topic, 'a')], [['retention.ms', '1']]);
  const entities = [...again.quotas.entities()];
  t.strictSame(
    entities.map(({ entity, values }) => [[...entity], [...values]]),
    [
      [[['user', 'u']], [['producer_byte_rate', 1000.5]]],
      [[['user', null]], [['request_percentage', 5]]],
    ],
  );
  t.strictSame([...again.scram.users()], ['alice']);
  t.strictSame([...again.scram.of('alice').keys()], [1, 2]);
  t.strictSame(
    [...again.acls.all()].map(({ resourceName }) => resourceName),
    ['kept'],
  );
});

t.test('a deleted topic takes its settings with it, also for a new one of the name', async (t) => {
  const image = new MetadataImage();
  for (const record of [topicRecord('a'), setting('flush.ms', '2')]) {
    image.apply(record as MetadataRecord);
  }
  image.apply({ kind: 'RemoveTopicRecord', value: { topicId: TOPIC_ID } });
  image.apply(topicRecord('a', 'CCCCCCCCQACAAAAAAAAAAA') as MetadataRecord);
  t.equal(image.settings(ResourceType.topic, 'a').size, 0);
});

t.test('a record is planned at once and committed when it is durable', async (t) => {
  const world = await makeWorld(t);
  const metadata = await open(world);
  const told: string[][] = [];
  metadata.onCommit((records) => told.push(records.map(({ kind }) => kind)));
  world.metadataLog.held = true;
  const appended = metadata.append([topicRecord('a'), setting('flush.ms', '7')]);
  await settle();
  t.equal(metadata.planned.topicByName('a')?.id, TOPIC_ID);
  t.equal(metadata.committed.topicByName('a'), undefined);
  t.strictSame(told, []);
  world.metadataLog.sync();
  await appended;
  t.equal(metadata.committed.topicByName('a')?.id, TOPIC_ID);
  t.strictSame(told, [['FeatureLevelRecord', 'TopicRecord', 'ConfigRecord']]);
  t.equal(world.metadataLog.appends, 1, 'one batch holds them all');
  t.equal(metadata.committedEnd, 3);
});

t.test('appends keep their order when room must be waited for', async (t) => {
  const world = await makeWorld(t);
  const metadata = await open(world);
  let admit = () => {};
  world.store.admission = new Promise((resolve) => {
    admit = resolve;
  });
  const first = metadata.append([setting('flush.ms', '1')]);
  world.store.admission = undefined;
  const second = metadata.append([setting('flush.ms', '2')]);
  await settle();
  t.equal(world.metadataLog.appends, 0);
  admit();
  await Promise.all([first, second]);
  t.equal(metadata.committed.settings(ResourceType.topic, 'a').get('flush.ms'), '2');
});

t.test('a restart finds what was durable, and nothing else', async (t) => {
  const world = await makeWorld(t);
  const metadata = await open(world);
  await metadata.append([topicRecord('a')]);
  await metadata.append([setting('flush.ms', '7')]);
  world.metadataLog.held = true;
  const lost = metadata.append([setting('flush.ms', '8')]);
  world.metadataLog.crash();
  await t.rejects(lost, LogFailed);
  const again = await open(world);
  t.strictSame(contents(again.committed), contents(metadata.committed));
  t.strictSame(contents(again.planned), contents(metadata.committed));
  t.equal(again.committed.settings(ResourceType.topic, 'a').get('flush.ms'), '7');
});

t.test('the batch that closes a gap is stepped over', async (t) => {
  const world = await makeWorld(t);
  const metadata = await open(world);
  await metadata.append([topicRecord('a')]);
  const gap = gapBatch({ from: 2, to: 1000, leaderEpoch: 1, timestamp: 1 });
  world.metadataLog.append(gap, readBatchHeader(gap, 0));
  await settle();
  const again = await open(world);
  t.equal(again.committedEnd, 1000);
  await again.append([setting('flush.ms', '7')]);
  t.equal((await open(world)).committed.settings(ResourceType.topic, 'a').get('flush.ms'), '7');
});

for (const reachedTheDisk of [false, true]) {
  const how = reachedTheDisk ? 'reached the disk after all' : 'is lost';
  t.test(`after a failed append that ${how} the log tells what is`, async (t) => {
    const world = await makeWorld(t);
    const metadata = await open(world);
    await metadata.append([topicRecord('a')]);
    world.metadataLog.held = true;
    const told: string[] = [];
    metadata.onCommit((records) => told.push(...records.map(({ kind }) => kind)));
    const failed = [metadata.append([setting('flush.ms', '1')])];
    failed.push(metadata.append([setting('flush.messages', '2')]));
    world.metadataLog.failWrites(reachedTheDisk);
    for (const append of failed) await t.rejects(append, LogFailed);
    t.ok(metadata.isUncertain);
    world.metadataLog.held = false;
    await metadata.append([setting('segment.ms', '3')]);
    t.notOk(metadata.isUncertain);
    const expected = reachedTheDisk ? ['flush.ms', 'flush.messages', 'segment.ms'] : ['segment.ms'];
    const names = [...metadata.committed.settings(ResourceType.topic, 'a').keys()];
    t.strictSame(names, expected);
    t.strictSame(contents(metadata.planned), contents(metadata.committed));
    t.equal(told.length, expected.length);
    t.strictSame(contents((await open(world)).committed), contents(metadata.committed));
  });
}

t.test('when the log has grown enough, a snapshot takes its place', async (t) => {
  const world = await makeWorld(t);
  const metadata = await open(world, 2000);
  await metadata.append([topicRecord('a')]);
  for (let round = 0; round < 40; round++) {
    await metadata.append([setting('flush.ms', String(round))]);
  }
  await metadata.close();
  const [newest, ...older] = await listSnapshots(world.env.disk, world.folder);
  t.ok(newest, 'there is one');
  t.strictSame(older, [], 'older ones are gone');
  t.ok(world.metadataLog.logStartOffset > 10, 'the log begins later');
  t.equal(world.metadataLog.logStartOffset, newest!.endOffset);
  const again = await open(world);
  t.strictSame(contents(again.committed), contents(metadata.committed));
  t.equal(again.committedEnd, 42);
});

t.test('a snapshot of many records spans batches and is read whole', async (t) => {
  const world = await makeWorld(t);
  const metadata = await open(world);
  const records = [topicRecord('a')];
  for (let index = 0; index < 2500; index++) records.push(setting(`name-${index}`, 'x'));
  await metadata.append(records);
  await metadata.writeSnapshot();
  const again = await open(world);
  t.equal(again.committed.settings(ResourceType.topic, 'a').size, 2500);
});

t.test('an unsound snapshot is told of and the one before it is used', async (t) => {
  const world = await makeWorld(t);
  const { disk, clock } = world.env;
  const metadata = await open(world);
  await metadata.append([topicRecord('a')]);
  await metadata.append([setting('flush.ms', '7')]);
  const id = { endOffset: 1, epoch: 0 };
  const sound = snapshotBatches(id, [topicRecord('a')], clock.now());
  await writeSnapshot(disk, world.folder, id, sound);
  const path = `${world.folder}/00000000000000000002-0000000000.checkpoint`;
  const unfinished = Buffer.concat(snapshotBatches({ ...id, endOffset: 2 }, [], 1).slice(0, -1));
  const flipped = Buffer.concat(snapshotBatches({ ...id, endOffset: 2 }, [], 1));
  flipped[70] = flipped[70]! ^ 1;
  for (const bytes of [unfinished, flipped, Buffer.alloc(0), Buffer.from('no snapshot')]) {
    await fse.writeFile(path, bytes);
    world.lines.length = 0;
    const again = await open(world);
    t.strictSame(contents(again.committed), contents(metadata.committed));
    t.match(world.lines[0], {
      level: 'error',
      values: { file: '00000000000000000002-0000000000.checkpoint' },
    });
    // The next start would read the sound one alone.
    await fse.writeFile(path, bytes);
  }
});

t.test('a log that begins above every sound snapshot is refused', async (t) => {
  const world = await makeWorld(t);
  const metadata = await open(world);
  await metadata.append([topicRecord('a')]);
  await metadata.append([setting('flush.ms', '7')]);
  await world.metadataLog.deleteRecordsBefore(2);
  await t.rejects(open(world), CorruptLog);
});

t.test('a snapshot above the end of the log is refused', async (t) => {
  const world = await makeWorld(t);
  const id = { endOffset: 5, epoch: 0 };
  const batches = snapshotBatches(id, [topicRecord('a')], 1);
  await writeSnapshot(world.env.disk, world.folder, id, batches);
  await t.rejects(open(world), /before the snapshot of 5/);
});

t.test('what was left of an unfinished snapshot is removed', async (t) => {
  const world = await makeWorld(t);
  await fse.writeFile(`${world.folder}/00000000000000000001-0000000000.checkpoint.part`, 'x');
  const metadata = await open(world);
  await metadata.append([topicRecord('a')]);
  await metadata.writeSnapshot();
  t.strictSame(await fse.readdir(world.folder), ['00000000000000000002-0000000000.checkpoint']);
});

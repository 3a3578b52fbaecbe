import t from 'tap';
import {
  readLogEnds,
  readOffsetCheckpoint,
  replaceFile,
  takeCleanShutdown,
  writeCleanShutdown,
  writeLogEnds,
  writeOffsetCheckpoint,
} from '../../storage/checkpoint.ts';
import { CorruptLog, DataFolderUnusable } from '../../storage/errors.ts';
import { LeaderEpochs } from '../../storage/leader-epochs.ts';
import {
  formatPartitionMetadata,
  loadMetaProperties,
  parsePartitionMetadata,
  parseProperties,
  randomUuid,
  readMetaProperties,
  writeMetaProperties,
} from '../../storage/meta-properties.ts';
import { World } from './segment-world.ts';

async function worldWithData(seed = 1) {
  const world = new World(seed);
  const env = world.env();
  await env.disk.makeDir('/data');
  await env.disk.syncDir('/');
  return { world, env };
}

function text(world: World, file: string): string {
  return world.disk.file(file).contents.toString();
}

t.test('an offset checkpoint is written as Kafka writes it', async (t) => {
  const { world, env } = await worldWithData();
  const file = '/data/recovery-point-offset-checkpoint';
  t.same(await readOffsetCheckpoint(env.disk, file), []);
  const offsets = [
    { topic: 'orders', partition: 0, offset: 4711 },
    { topic: 'a.b_c-d', partition: 12, offset: 2 ** 52 },
  ];
  await writeOffsetCheckpoint(env.disk, file, offsets);
  t.equal(text(world, file), '0\n2\norders 0 4711\na.b_c-d 12 4503599627370496\n');
  t.same(await readOffsetCheckpoint(env.disk, file), offsets);
  await writeOffsetCheckpoint(env.disk, file, []);
  t.equal(text(world, file), '0\n0\n');
  t.same(world.disk.files(), [file], 'nothing is left beside it');
});

t.test('the ends of logs are kept for the next start', async (t) => {
  const { world, env } = await worldWithData();
  t.same(await readLogEnds(env.disk, '/data'), []);
  const ends = [
    { topic: 'a-b', partition: 1, endOffset: 90, baseOffset: 40, sizeBytes: 777, producers: 0 },
  ];
  await writeLogEnds(env.disk, '/data', ends);
  t.equal(text(world, '/data/tailrace-log-ends'), '0\n1\na-b 1 90 40 777 0\n');
  t.same(await readLogEnds(env.disk, '/data'), ends);
  for (const line of ['a 1 2 3 4', 'a 1 2 3 4 5 6', 'a 1 2 3 4 x']) {
    await replaceFile(env.disk, '/data/tailrace-log-ends', Buffer.from(`0\n1\n${line}\n`));
    await t.rejects(readLogEnds(env.disk, '/data'), CorruptLog);
  }
});

t.test('a checkpoint that contradicts itself is refused', async (t) => {
  const { env } = await worldWithData();
  const bad = [
    '1\n0\n',
    'x\n0\n',
    '0\n2\norders 0 1\n',
    '0\n1\norders 0\n',
    '0\n1\norders 0 1 2\n',
    '0\n1\norders 0 1x\n',
    '0\n1\norders zero 1\n',
    '0\n1\norders 0 9007199254740993\n',
    '\0\0\0\0',
  ];
  for (const contents of bad) {
    await replaceFile(env.disk, '/data/c', Buffer.from(contents));
    await t.rejects(
      readOffsetCheckpoint(env.disk, '/data/c'),
      CorruptLog,
      JSON.stringify(contents),
    );
  }
  for (const contents of ['', '0\n', '0']) {
    await replaceFile(env.disk, '/data/c', Buffer.from(contents));
    t.same(await readOffsetCheckpoint(env.disk, '/data/c'), []);
  }
});

t.test('a replaced file is the old or the new one after a power cut at any call', async (t) => {
  let ended = 0;
  for (let seed = 0; seed < 120; seed++) {
    const { world, env } = await worldWithData(seed);
    await replaceFile(env.disk, '/data/c', Buffer.alloc(1300, 'old'));
    const at = world.disk.calls + 1 + (seed % 8);
    world.disk.onCall = ({ number }) => (number === at ? { ends: 'after' } : undefined);
    let isDone = false;
    const work = replaceFile(env.disk, '/data/c', Buffer.alloc(1400, 'new')).then(() => {
      isDone = true;
    });
    await world.clock.settle();
    if (isDone) await work;
    else ended++;
    world.disk.powerCut(world.random);
    const contents = text(world, '/data/c');
    const isNew = contents === Buffer.alloc(1400, 'new').toString();
    const isOld = contents === Buffer.alloc(1300, 'old').toString();
    if (!(isNew || (isOld && !isDone))) t.fail(`seed ${seed}: ${contents.slice(0, 20)}`);
  }
  t.ok(ended > 60, 'most ended within');
});

t.test('the mark of a clean stop speaks once', async (t) => {
  const { world, env } = await worldWithData();
  t.equal(await takeCleanShutdown(env.disk, '/data'), false);
  await writeCleanShutdown(env.disk, '/data', -1);
  t.equal(text(world, '/data/.kafka_cleanshutdown'), '{"version":0,"brokerEpoch":-1}');
  t.equal(await takeCleanShutdown(env.disk, '/data'), true);
  world.disk.powerCut(world.random, 0);
  t.equal(await takeCleanShutdown(world.disk.mount(), '/data'), false, 'also after a power cut');
});

t.test('the identity of a data folder is made once', async (t) => {
  const { world, env } = await worldWithData();
  const made = await loadMetaProperties(env, '/data', 1);
  t.match(made.clusterId, /^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/);
  const lines = text(world, '/data/meta.properties').split('\n');
  t.same(lines, [
    '#',
    `cluster.id=${made.clusterId}`,
    `directory.id=${made.directoryId}`,
    'node.id=1',
    'version=1',
    '',
  ]);
  t.same(await loadMetaProperties(env, '/data', 1), made);
  await t.rejects(loadMetaProperties(env, '/data', 2), DataFolderUnusable);
});

t.test('meta.properties of Kafka are read', async (t) => {
  const { env } = await worldWithData();
  const write = (contents: string) =>
    replaceFile(env.disk, '/data/meta.properties', Buffer.from(contents));
  t.equal(await readMetaProperties(env.disk, '/data'), undefined);
  await write(
    '#\n#Tue Nov 26 13:52:25 UTC 2024\ncluster.id=q1Sh-9_ISia_zwGINzRvyQ\r\nnode.id=3\nversion=1\n',
  );
  t.same(await readMetaProperties(env.disk, '/data'), {
    clusterId: 'q1Sh-9_ISia_zwGINzRvyQ',
    nodeId: 3,
    directoryId: undefined,
  });
  await write('version=0\nbroker.id=5\ncluster.id : a\\:b\n');
  t.match(await readMetaProperties(env.disk, '/data'), { nodeId: 5, clusterId: 'a:b' });
  await write('version=2\nnode.id=5\ncluster.id=x\n');
  await t.rejects(readMetaProperties(env.disk, '/data'), DataFolderUnusable);
  await write('version=1\ncluster.id=x\n');
  await t.rejects(readMetaProperties(env.disk, '/data'), DataFolderUnusable);
  await writeMetaProperties(env.disk, '/data', {
    clusterId: 'a=b:c',
    nodeId: 9,
    directoryId: undefined,
  });
  t.match(await readMetaProperties(env.disk, '/data'), { clusterId: 'a=b:c', nodeId: 9 });
});

t.test('properties are read as Java does', async (t) => {
  const properties = parseProperties(
    ' a = b c \n! no\n#no\nd:e\nf g\nh\\ i=j\\\\k\nempty=\nalone\n',
  );
  t.same(
    [...properties],
    [
      ['a', 'b c '],
      ['d', 'e'],
      ['f', 'g'],
      ['h i', 'j\\k'],
      ['empty', ''],
      ['alone', ''],
    ],
  );
});

t.test('partition.metadata holds the topic id', async (t) => {
  const contents = formatPartitionMetadata('mGLLJmJwQOKoNTpZuFXtMg');
  t.equal(contents.toString(), 'version: 0\ntopic_id: mGLLJmJwQOKoNTpZuFXtMg');
  t.equal(parsePartitionMetadata(contents), 'mGLLJmJwQOKoNTpZuFXtMg');
  t.equal(
    parsePartitionMetadata(Buffer.from('version: 1\ntopic_id: mGLLJmJwQOKoNTpZuFXtMg')),
    undefined,
  );
  t.equal(parsePartitionMetadata(Buffer.from('version: 0\ntopic_id: ../../etc')), undefined);
  t.equal(parsePartitionMetadata(Buffer.alloc(0)), undefined);
});

t.test('a random uuid never begins with a dash', async (t) => {
  const { env } = await worldWithData();
  for (let count = 0; count < 500; count++) t.match(randomUuid(env), /^[A-Za-z0-9_][\w-]{21}$/);
});

t.test('leader epochs: where each one begins and ends', async (t) => {
  const { env } = await worldWithData();
  const epochs = new LeaderEpochs(env.disk, '/data');
  t.equal(epochs.latest, -1);
  t.same(epochs.endOffsetFor(0, 0, 10), { leaderEpoch: 0, endOffset: 10 });
  t.equal(epochs.endOffsetFor(1, 0, 10), undefined);
  epochs.assign(1, 0);
  epochs.assign(1, 5);
  epochs.assign(3, 10);
  epochs.assign(7, 20);
  t.same(epochs.endOffsetFor(1, 7, 30), { leaderEpoch: 1, endOffset: 10 });
  t.same(epochs.endOffsetFor(2, 7, 30), { leaderEpoch: 1, endOffset: 10 });
  t.same(epochs.endOffsetFor(3, 7, 30), { leaderEpoch: 3, endOffset: 20 });
  t.same(epochs.endOffsetFor(7, 7, 30), { leaderEpoch: 7, endOffset: 30 });
  t.equal(epochs.endOffsetFor(8, 7, 30), undefined);
  const withoutBatch = 'an epoch without a batch yet begins at the end';
  t.same(epochs.endOffsetFor(9, 9, 30), { leaderEpoch: 9, endOffset: 30 }, withoutBatch);
  t.same(epochs.endOffsetFor(8, 9, 30), { leaderEpoch: 7, endOffset: 30 }, withoutBatch);
  t.same(epochs.endOffsetFor(7, 9, 30), { leaderEpoch: 7, endOffset: 30 }, withoutBatch);
  t.equal(epochs.endOffsetFor(-1, 7, 30), undefined);
  t.same(epochs.endOffsetFor(0, 7, 30), { leaderEpoch: 0, endOffset: 0 });
  t.same(
    [0, 9, 10, 19, 20, 99].map((offset) => epochs.epochAt(offset)),
    [1, 1, 3, 3, 7, 7],
  );
  epochs.truncateFromStart(12);
  t.same(epochs.entries(), [
    { epoch: 3, startOffset: 12 },
    { epoch: 7, startOffset: 20 },
  ]);
  t.equal(epochs.epochAt(11), -1);
  epochs.truncateFromEnd(20);
  t.same(epochs.entries(), [{ epoch: 3, startOffset: 12 }]);
  epochs.assign(4, 12);
  t.same(epochs.entries(), [{ epoch: 4, startOffset: 12 }], 'what a new epoch contradicts goes');
});

t.test('leader epochs are stored up to what is persisted', async (t) => {
  const { world, env } = await worldWithData();
  const epochs = new LeaderEpochs(env.disk, '/data');
  epochs.assign(1, 0);
  epochs.assign(2, 10);
  await epochs.save(10);
  t.equal(text(world, '/data/leader-epoch-checkpoint'), '0\n1\n1 0\n');
  await epochs.save(11);
  t.equal(text(world, '/data/leader-epoch-checkpoint'), '0\n2\n1 0\n2 10\n');
  const calls = world.disk.calls;
  await epochs.save(50);
  t.equal(world.disk.calls, calls, 'nothing is written twice');
  const loaded = await LeaderEpochs.load(env, '/data');
  t.same(loaded.entries(), epochs.entries());
  await replaceFile(env.disk, '/data/leader-epoch-checkpoint', Buffer.from('0\n9\n1 0\n'));
  t.same((await LeaderEpochs.load(env, '/data')).entries(), []);
  t.ok(world.said('the file of the leader epochs cannot be read'));
});

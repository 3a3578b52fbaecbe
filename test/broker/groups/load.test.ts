/** What a coordinator finds in the log when it starts, and what it answers until then. */

import t from 'tap';
import { offsetRecord } from '../../../broker/groups/offset-records.ts';
import { loadCodec } from '../../../protocol/compression.ts';
import { Codec } from '../../../protocol/record-batch.ts';
import { controlBatch, gapBatch, MarkerType } from '../../../protocol/records.ts';
import { settle } from '../harness.ts';
import { CoordinatorWorld, offset, TOPIC_ID } from './coordinator-world.ts';
import { joinRequest } from './group-world.ts';

const timestamp = 1_700_000_000_000;

function committed(group: string, partition: number, at: number, topic = 't') {
  const value = { offset: at, metadata: '', commitTimestamp: timestamp, topicId: TOPIC_ID };
  return { ...offsetRecord(group, topic, partition, { leaderEpoch: 0, ...value }), timestamp };
}

/** A world whose topic is there, with one group's partition ready to be filled. */
async function filled() {
  const world = await CoordinatorWorld.loaded();
  await world.commit({ groupId: 'g' });
  return { world, partition: world.partitionOf('g')! };
}

t.test('groups, members and offsets are as they were', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const memberId = await world.member('g', ['t']);
  await world.commit({ groupId: 'g', memberId, generationId: 1 });
  await world.commit({ groupId: 'simple', offsets: [offset('u', 3, 7)] });
  const before = world.coordinator.describeGroup('g');
  await world.restart();
  t.same(world.coordinator.describeGroup('g'), before);
  t.equal(world.coordinator.heartbeat('g', memberId, null, 1), 'NONE');
  t.same(await world.fetch('g'), ['t-0=42']);
  t.same(await world.fetch('simple'), ['u-3=7']);
  t.equal(world.coordinator.groupCount, 2);
  t.equal(world.coordinator.memberCount, 1);
  const ids = world.coordinator.listGroups();
  t.same(typeof ids === 'string' ? ids : ids.map(({ groupId }) => groupId).sort(), ['g', 'simple']);
  const listed = await world.coordinator.fetchOffsets('g', null, false);
  t.match(listed, [
    {
      topic: 't',
      partitions: [{ committed: { leaderEpoch: 3, metadata: 'at 42', topicId: TOPIC_ID } }],
    },
  ]);
});

t.test('until it has loaded, it says so', async (t) => {
  const { world } = await filled();
  const member = await world.member('h');
  const loading = new CoordinatorWorld();
  loading.topics.topic = world.topics.topic;
  const loads = 'COORDINATOR_LOAD_IN_PROGRESS';
  const { coordinator } = loading;
  t.match(await coordinator.joinGroup('g', joinRequest()), { error: loads });
  const sync = { memberId: 'm', instanceId: null, generationId: 1 };
  const request = { ...sync, protocolType: null, protocolName: null, assignments: [] };
  t.match(await coordinator.syncGroup('g', request), { error: loads });
  t.equal(coordinator.heartbeat('h', member, null, 1), 'NONE', 'nobody is to give up');
  t.equal(loading.leave('h', member), loads);
  t.same(await loading.commit({ groupId: 'g' }), [loads]);
  t.equal(await coordinator.fetchOffsets('g', null, false), loads);
  t.equal(coordinator.describeGroup('g'), loads);
  t.equal(coordinator.listGroups(), loads);
  t.same([...(await coordinator.deleteGroups(new Set(['g'])))], [['g', loads]]);
  await coordinator.load();
  t.equal(coordinator.heartbeat('h', member, null, 1), 'NONE');
  t.same(await loading.fetch('g'), ['t-0=42']);
});

t.test('a session begins anew with the load', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const memberId = await world.member('g');
  world.clock.advance(9000);
  await world.restart();
  await world.pass(9000);
  t.equal(world.coordinator.heartbeat('g', memberId, null, 1), 'NONE');
  await world.pass(10_000);
  t.equal(world.coordinator.heartbeat('g', memberId, null, 1), 'UNKNOWN_MEMBER_ID');
  t.match(world.coordinator.describeGroup('g'), { state: 'Empty' });
});

t.test('offsets of a transaction count when its marker says so', async (t) => {
  const { world, partition } = await filled();
  const producer = { producerId: 9, producerEpoch: 0 };
  const marker = { ...producer, coordinatorEpoch: 0, timestamp };
  const write = (at: number) => {
    partition.append({ ...producer, transactional: true, records: [committed('g', 0, at)] });
  };
  const end = (type: 0 | 1) => {
    const baseOffset = partition.log.endOffset;
    partition.appendBatch(controlBatch({ ...marker, type, baseOffset }));
  };
  write(50);
  await world.restart();
  t.same(await world.fetch('g'), ['t-0=42'], 'open');
  t.same(await world.fetch('g', true), ['t-0=UNSTABLE_OFFSET_COMMIT']);
  end(MarkerType.abort);
  await world.restart();
  t.same(await world.fetch('g', true), ['t-0=42'], 'aborted');
  write(60);
  end(MarkerType.commit);
  await world.restart();
  t.same(await world.fetch('g', true), ['t-0=60'], 'committed');
  write(70);
  await world.restart();
  await world.commit({ groupId: 'g', offsets: [offset('t', 0, 99)] });
  end(MarkerType.commit);
  await world.restart();
  t.same(await world.fetch('g', true), ['t-0=99'], 'the later record counts');
});

t.test('an open transaction keeps a group from expiring', async (t) => {
  const { world, partition } = await filled();
  const producer = { producerId: 9, producerEpoch: 0, transactional: true };
  partition.append({ ...producer, records: [committed('g', 0, 50)] });
  await world.restart();
  await world.pass(30 * 24 * 3600 * 1000);
  t.same(await world.fetch('g'), ['t-0=42']);
});

t.test('the batch that closes a gap of offsets says nothing', async (t) => {
  const { world, partition } = await filled();
  const from = partition.log.endOffset;
  partition.appendBatch(gapBatch({ from, to: from + 100, leaderEpoch: 2, timestamp }));
  partition.append({ records: [committed('g', 1, 5)] });
  await world.restart();
  t.same(await world.fetch('g'), ['t-0=42', 't-1=5']);
});

t.test('compressed batches are read, whatever the codec', async (t) => {
  const { world, partition } = await filled();
  const codecs = [Codec.gzip, Codec.zstd, Codec.lz4, Codec.snappy];
  for (const [index, codec] of codecs.entries()) {
    const { compress } = await loadCodec(codec);
    const records = [committed('g', index + 1, codec)];
    partition.append({ compression: { codec, compress }, records });
  }
  partition.append({ records: [committed('g', 0, 43)] });
  await world.restart();
  t.same(await world.fetch('g'), ['t-0=43', 't-1=1', 't-2=4', 't-3=3', 't-4=2']);
});

t.test('what cannot be read is reported with its place, and left out', async (t) => {
  const { world, partition } = await filled();
  const good = committed('g', 1, 5);
  const consumerGroup = { key: Buffer.from('0003000167', 'hex'), value: Buffer.alloc(4) };
  partition.append({
    records: [
      { key: null, value: null, timestamp },
      { key: Buffer.from('0001', 'hex'), value: Buffer.alloc(4), timestamp },
      { key: committed('g', 2, 0).key, value: Buffer.from('0009', 'hex'), timestamp },
      { key: committed('g', 3, 0).key, value: Buffer.from('000400', 'hex'), timestamp },
      { ...consumerGroup, timestamp },
      good,
    ],
  });
  partition.append({
    compression: { codec: Codec.gzip, compress: () => Buffer.from('no gzip') },
    records: [good],
  });
  world.lines.length = 0;
  await world.restart();
  t.same(await world.fetch('g'), ['t-0=42', 't-1=5']);
  const reported = world.lines.filter(({ level }) => level === 'error');
  t.same(reported.map(({ values }) => values.offset).sort(), [1, 2, 3, 4, 7]);
  t.match(
    world.lines.find(({ level }) => level === 'warn'),
    { values: { type: 3, count: 1 } },
  );
});

t.test('of each key the latest record counts, whatever its size', async (t) => {
  const { world, partition } = await filled();
  const long = { metadata: 'x'.repeat(300) };
  const commits = [
    offset('t', 0, 1),
    offset('t', 0, 2),
    offset('t', 0, 3, long),
    offset('t', 0, 4),
  ];
  for (const commit of commits) await world.commit({ groupId: 'g', offsets: [commit] });
  await world.commit({ groupId: 'h', offsets: [offset('t', 1, 5), offset('u', 1, 6)] });
  partition.append({ records: [{ ...committed('g', 0, 0), value: null }, committed('g', 7, 8)] });
  await world.restart();
  t.same(await world.fetch('g'), ['t-7=8']);
  t.same(await world.fetch('h'), ['t-1=5', 'u-1=6']);
  await world.commit({ groupId: 'g', offsets: commits });
  await world.restart();
  t.same((await world.fetch('g')).sort(), ['t-0=4', 't-7=8']);
});

t.test('a partition that the disk does not give leaves the others to be served', async (t) => {
  const { world, partition } = await filled();
  await world.commit({ groupId: 'h' });
  t.not(world.partitionOf('h'), partition);
  partition.scan = async () => {
    throw new Error('EIO');
  };
  await world.restart();
  t.same(await world.fetch('g'), ['COORDINATOR_NOT_AVAILABLE']);
  t.same(await world.commit({ groupId: 'g' }), ['COORDINATOR_NOT_AVAILABLE']);
  t.same(await world.fetch('h'), ['t-0=42']);
});

t.test('offsets of a topic that was deleted as the process ended are deleted', async (t) => {
  const { world } = await filled();
  await world.commit({ groupId: 'g', offsets: [offset('u', 0, 7)] });
  world.topics.names.delete('t');
  await world.restart();
  t.same(await world.fetch('g'), ['u-0=7']);
  world.topics.names.add('t');
  await world.restart();
  t.same(await world.fetch('g'), ['u-0=7'], 'a new topic of that name begins anew');
});

t.test('a closed coordinator answers who waits, takes no more and leaves no timer', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const memberId = await world.member('g');
  const { coordinator } = world;
  const join = coordinator.joinGroup('g', joinRequest());
  await settle();
  coordinator.close();
  coordinator.close();
  t.match(await join, { error: 'NOT_COORDINATOR' });
  const gone = 'COORDINATOR_NOT_AVAILABLE';
  t.equal(coordinator.heartbeat('g', memberId, null, 1), gone);
  t.match(await coordinator.joinGroup('g', joinRequest()), { error: gone });
  t.same(await world.commit({ groupId: 'g' }), [gone]);
  t.equal(world.clock.waiting, 0);
  t.equal(coordinator.stateBytes, 0);
});

t.test('a coordinator that is closed while it loads stays closed', async (t) => {
  const { world } = await filled();
  await world.commit({ groupId: 'h' });
  const other = new CoordinatorWorld();
  other.topics.topic = world.topics.topic;
  const load = other.coordinator.load();
  other.coordinator.close();
  await load;
  t.same(await other.fetch('g'), ['COORDINATOR_NOT_AVAILABLE']);
  t.same(await other.fetch('h'), ['COORDINATOR_NOT_AVAILABLE']);
  t.equal(other.coordinator.groupCount, 0);
  t.equal(other.clock.waiting, 0);
});

t.test('requests that no group can have are refused', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const { coordinator } = world;
  const sync = { memberId: 'm', instanceId: null, generationId: 1 };
  const request = { ...sync, protocolType: null, protocolName: null, assignments: [] };
  const tooLong = 'x'.repeat(0x8000);
  for (const groupId of ['', tooLong]) {
    const invalid = 'INVALID_GROUP_ID';
    t.match(await coordinator.joinGroup(groupId, joinRequest()), { error: invalid });
    t.match(await coordinator.syncGroup(groupId, request), { error: invalid });
    t.equal(coordinator.heartbeat(groupId, 'm', null, 1), invalid);
    t.equal(world.leave(groupId, 'm'), invalid);
  }
  t.same(await world.commit({ groupId: tooLong }), ['INVALID_GROUP_ID']);
  for (const sessionTimeoutMs of [5999, 1_800_001, -1]) {
    t.match(await coordinator.joinGroup('g', joinRequest({ sessionTimeoutMs })), {
      error: 'INVALID_SESSION_TIMEOUT',
    });
  }
  const unknown = 'UNKNOWN_MEMBER_ID';
  t.match(await coordinator.joinGroup('g', joinRequest({ memberId: 'm' })), { error: unknown });
  t.match(await coordinator.syncGroup('g', request), { error: unknown });
  t.equal(coordinator.heartbeat('g', 'm', null, 1), unknown);
  t.same(world.leave('g', 'm'), [unknown]);
  t.match(await coordinator.joinGroup('g', joinRequest({ protocols: [] })), {
    error: 'INCONSISTENT_GROUP_PROTOCOL',
  });
  t.equal(coordinator.groupCount, 0, 'none of it made a group');
});

t.test('member ids are unlike, and begin with what names the client', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const idOf = async (clientId: string) => {
    const request = joinRequest({ clientId, requiresKnownMemberId: true });
    return (await world.coordinator.joinGroup('g', request)).memberId;
  };
  const uuid = /^my-app-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  const [first, second] = [await idOf('my-app'), await idOf('my-app')];
  t.match(first, uuid);
  t.match(second, uuid);
  t.not(first, second);
  const long = await idOf(`${'x'.repeat(254)}😀${'y'.repeat(1000)}`);
  t.equal(Buffer.from(long).toString(), long, 'no half of a character is left');
  t.ok(long.length < 300);
});

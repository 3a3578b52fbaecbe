/** Committed offsets: commit, fetch, deletion and expiry, through the coordinator. */

import t from 'tap';
import { LogFailed } from '../../../storage/errors.ts';
import { settle } from '../harness.ts';
import { allOf, CoordinatorWorld, offset, shown, TOPIC_ID } from './coordinator-world.ts';
import { joinRequest } from './group-world.ts';

const DAY_MS = 24 * 3600 * 1000;

t.test('an offset is answered when its record is durable, and read from then on', async (t) => {
  const world = await CoordinatorWorld.loaded();
  await world.commit({ groupId: 'g' });
  const partition = world.partitionOf('g')!;
  partition.isHeld = true;
  let answer: unknown;
  const commit = world.commit({ groupId: 'g', offsets: [offset('t', 0, 43)] });
  void commit.then((errors) => {
    answer = errors;
  });
  await settle();
  t.equal(answer, undefined);
  t.same(await world.fetch('g'), ['t-0=42'], 'what is not durable is not told');
  partition.release();
  t.same(await commit, ['NONE']);
  t.same(await world.fetch('g'), ['t-0=43']);
  t.match(world.recordsOf('g').at(-1), {
    kind: 'offset',
    topic: 't',
    partition: 0,
    value: {
      offset: 43,
      leaderEpoch: 3,
      metadata: 'at 43',
      commitTimestamp: world.clock.now(),
      expireTimestamp: -1,
      topicId: TOPIC_ID,
    },
  });
});

t.test('a fetch that wants stable offsets waits for commits on their way', async (t) => {
  const world = await CoordinatorWorld.loaded();
  await world.commit({ groupId: 'g' });
  const partition = world.partitionOf('g')!;
  partition.isHeld = true;
  const commit = world.commit({ groupId: 'g', offsets: [offset('t', 0, 43)] });
  const fetch = world.fetch('g', true);
  t.same(await world.fetch('g'), ['t-0=42']);
  partition.release();
  t.same(await fetch, ['t-0=43']);
  t.same(await commit, ['NONE']);
});

t.test('commits are applied in the order of the log', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const commits = [7, 8, 9].map((at) =>
    world.commit({ groupId: 'g', offsets: [offset('t', 0, at)] }),
  );
  t.same(await Promise.all(commits), [['NONE'], ['NONE'], ['NONE']]);
  t.same(await world.fetch('g'), ['t-0=9']);
});

t.test('what was not committed is told as none, without an error', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const none = await world.coordinator.fetchOffsets('nobody', allOf('t', 0, 1), false);
  t.same(shown(none), ['t-0=none', 't-1=none']);
  t.same(await world.fetch('nobody'), []);
  await world.commit({ groupId: 'g', offsets: [offset('t', 1, 5)] });
  const some = await world.coordinator.fetchOffsets('g', allOf('t', 0, 1), false);
  t.same(shown(some), ['t-0=none', 't-1=5']);
  const other = [{ topic: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAg', partitions: [1] }];
  t.same(shown(await world.coordinator.fetchOffsets('g', other, false)), ['t-1=none']);
  const same = [{ topic: 't', topicId: TOPIC_ID, partitions: [1] }];
  t.same(shown(await world.coordinator.fetchOffsets('g', same, false)), ['t-1=5']);
});

t.test('metadata that is too long is refused for its partition alone', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const offsets = [
    offset('t', 0, 1, { metadata: 'x'.repeat(4097) }),
    offset('t', 1, 2, { metadata: 'x'.repeat(4096) }),
    offset('t', 2, 3, { metadata: null }),
  ];
  t.same(await world.commit({ groupId: 'g', offsets }), [
    'OFFSET_METADATA_TOO_LARGE',
    'NONE',
    'NONE',
  ]);
  const fetched = await world.coordinator.fetchOffsets('g', null, false);
  if (typeof fetched === 'string') throw new Error(fetched);
  t.same(
    fetched[0]?.partitions.map(({ committed }) => committed?.metadata.length),
    [4096, 0],
  );
  const only = { groupId: 'h', offsets: offsets.slice(0, 1) };
  t.same(await world.commit(only), ['OFFSET_METADATA_TOO_LARGE']);
  t.equal(world.coordinator.groupCount, 1, 'no group is made for nothing');
});

t.test('a group that is not there is made only for who claims no generation', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const request = { groupId: 'g', generationId: 3, memberId: 'm' };
  t.same(await world.commit(request), ['GROUP_ID_NOT_FOUND']);
  t.same(await world.commit({ ...request, knowsGroupNotFound: false }), ['ILLEGAL_GENERATION']);
  t.same(await world.commit({ groupId: 'g' }), ['NONE']);
  t.match(world.coordinator.describeGroup('g'), {
    state: 'Empty',
    protocolType: '',
    members: [],
  });
  t.same(await world.commit({ groupId: '' }), ['NONE'], 'offsets may have no group name');
});

t.test('members of the generation commit, others do not', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const memberId = await world.member('g');
  t.same(await world.commit({ groupId: 'g', memberId, generationId: 1 }), ['NONE']);
  t.same(await world.commit({ groupId: 'g', memberId, generationId: 2 }), ['ILLEGAL_GENERATION']);
  t.same(await world.commit({ groupId: 'g', memberId: 'x', generationId: 1 }), [
    'UNKNOWN_MEMBER_ID',
  ]);
  t.same(await world.commit({ groupId: 'g' }), ['UNKNOWN_MEMBER_ID']);
});

t.test(
  'a commit that cannot be written is answered as Kafka does, and changes nothing',
  async (t) => {
    const world = await CoordinatorWorld.loaded();
    await world.commit({ groupId: 'g' });
    const partition = world.partitionOf('g')!;
    partition.failure = new LogFailed('no space left');
    t.same(await world.commit({ groupId: 'g', offsets: [offset('t', 0, 50)] }), [
      'NOT_COORDINATOR',
    ]);
    partition.failure = undefined;
    t.same(await world.fetch('g'), ['t-0=42']);
    t.ok(world.lines.some(({ text }) => text === 'records of groups could not be written'));
    partition.isHeld = true;
    const commit = world.commit({ groupId: 'g', offsets: [offset('t', 0, 51)] });
    await settle();
    partition.release(new LogFailed('fsync failed'));
    t.same(await commit, ['NOT_COORDINATOR']);
    t.same(await world.fetch('g', true), ['t-0=42']);
    t.same(await world.commit({ groupId: 'g', offsets: [offset('t', 0, 52)] }), ['NONE']);
    t.same(await world.fetch('g'), ['t-0=52']);
  },
);

t.test(
  'a commit that takes too long is told so, and counts if it comes to be durable',
  async (t) => {
    const world = await CoordinatorWorld.loaded();
    await world.commit({ groupId: 'g' });
    const partition = world.partitionOf('g')!;
    partition.isHeld = true;
    const commit = world.commit({ groupId: 'g', offsets: [offset('t', 0, 43)] });
    await world.pass(world.options.commitTimeoutMs);
    t.same(await commit, ['COORDINATOR_NOT_AVAILABLE']);
    t.same(await world.fetch('g'), ['t-0=42']);
    partition.release();
    await settle();
    t.same(await world.fetch('g'), ['t-0=43']);
  },
);

t.test(
  'the topic is made with the first record, and looked for again after a failure',
  async (t) => {
    const world = await CoordinatorWorld.loaded();
    await world.coordinator.joinGroup('g', joinRequest({ requiresKnownMemberId: true }));
    t.equal(world.topics.topic, undefined);
    world.topics.failure = new LogFailed('no space left');
    t.same(await world.commit({ groupId: 'g' }), ['NOT_COORDINATOR']);
    world.topics.failure = undefined;
    t.same(await Promise.all([world.commit({ groupId: 'g' }), world.commit({ groupId: 'h' })]), [
      ['NONE'],
      ['NONE'],
    ]);
    t.equal(world.topics.topic!.partitions.length, 50);
    t.same(world.topics.configs, [
      {
        'cleanup.policy': 'compact',
        'tail.compaction.enable': 'true',
        'compression.type': 'producer',
        'segment.bytes': '104857600',
      },
    ]);
  },
);

t.test('many offsets go in batches of a size that the topic takes', async (t) => {
  const world = await CoordinatorWorld.loaded();
  await world.commit({ groupId: 'g' });
  const partition = world.partitionOf('g')!;
  world.topics.topic!.maxMessageBytes = 3000;
  await world.restart();
  const metadata = 'x'.repeat(1000);
  const offsets = [0, 1, 2, 3, 4].map((index) => offset('t', index, index, { metadata }));
  t.same(await world.commit({ groupId: 'g', offsets }), Array(5).fill('NONE'));
  t.ok(partition.batches.every((batch) => batch.length <= 3000));
  t.equal(partition.log.endOffset, 6);
  await world.restart();
  t.same(
    await world.fetch('g'),
    [0, 1, 2, 3, 4].map((at) => `t-${at}=${at}`),
  );
  const tooLarge = [offset('t', 0, 9, { metadata: 'x'.repeat(3000) })];
  t.same(await world.commit({ groupId: 'g', offsets: tooLarge }), ['UNKNOWN_SERVER_ERROR']);
});

t.test('an empty group can be deleted, with its offsets', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const memberId = await world.member('g');
  await world.commit({ groupId: 'g', memberId, generationId: 1 });
  const remove = (...ids: string[]) => world.coordinator.deleteGroups(new Set(ids));
  t.same([...(await remove('g', 'nobody'))].sort(), [
    ['g', 'NON_EMPTY_GROUP'],
    ['nobody', 'GROUP_ID_NOT_FOUND'],
  ]);
  world.leave('g', memberId);
  t.same([...(await remove('g'))], [['g', 'NONE']]);
  t.same(world.recordsOf('g').slice(-2), [
    { kind: 'offset', group: 'g', topic: 't', partition: 0, value: undefined },
    { kind: 'group', group: 'g', value: undefined },
  ]);
  t.equal(world.coordinator.describeGroup('g'), 'GROUP_ID_NOT_FOUND');
  t.same(await world.fetch('g'), []);
  t.equal(world.coordinator.stateBytes, 0);
  await world.restart();
  t.equal(world.coordinator.groupCount, 0);
});

t.test('a deletion takes what is on its way with it, not what comes after', async (t) => {
  const world = await CoordinatorWorld.loaded();
  await world.commit({ groupId: 'g' });
  const partition = world.partitionOf('g')!;
  partition.isHeld = true;
  const before = world.commit({ groupId: 'g', offsets: [offset('t', 1, 1)] });
  const deletion = world.coordinator.deleteGroups(new Set(['g']));
  const after = world.commit({ groupId: 'g', offsets: [offset('t', 2, 2)] });
  await settle();
  partition.release();
  await Promise.all([before, deletion, after]);
  t.same(await world.fetch('g'), ['t-2=2']);
  await world.restart();
  t.same(await world.fetch('g'), ['t-2=2'], 'the log says the same');
});

t.test('who joins while its group is being deleted stays', async (t) => {
  const world = await CoordinatorWorld.loaded();
  await world.commit({ groupId: 'g' });
  const partition = world.partitionOf('g')!;
  partition.isHeld = true;
  const deletion = world.coordinator.deleteGroups(new Set(['g']));
  const member = world.member('g');
  await settle();
  partition.release();
  t.same([...(await deletion)], [['g', 'NONE']]);
  const memberId = await member;
  t.equal(world.coordinator.heartbeat('g', memberId, null, 1), 'NONE');
  t.same(await world.fetch('g'), []);
  await world.restart();
  t.equal(world.coordinator.heartbeat('g', memberId, null, 1), 'NONE');
});

t.test('a deletion that cannot be recorded leaves all as it was', async (t) => {
  const world = await CoordinatorWorld.loaded();
  await world.commit({ groupId: 'g' });
  world.partitionOf('g')!.failure = new LogFailed('no space left');
  t.same([...(await world.coordinator.deleteGroups(new Set(['g'])))], [['g', 'NOT_COORDINATOR']]);
  t.same(await world.fetch('g'), ['t-0=42']);
});

t.test('offsets of a deleted topic go, in all groups, those on their way too', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const both = [offset('t', 0, 1), offset('u', 0, 2)];
  await world.commit({ groupId: 'g', offsets: both });
  await world.commit({ groupId: 'h', offsets: both });
  const partition = world.partitionOf('g')!;
  partition.isHeld = true;
  const commit = world.commit({ groupId: 'g', offsets: [offset('t', 1, 3)] });
  const deletion = world.coordinator.topicDeleted({ name: 't' });
  await settle();
  partition.release();
  await Promise.all([commit, deletion]);
  t.same(await world.fetch('g'), ['u-0=2']);
  t.same(await world.fetch('h'), ['u-0=2']);
  await world.restart();
  t.same(await world.fetch('g'), ['u-0=2']);
});

t.test('offsets expire when the group has been empty for long, not by their age', async (t) => {
  const world = await CoordinatorWorld.loaded({ retentionCheckIntervalMs: DAY_MS });
  const memberId = await world.member('g', ['t'], { sessionTimeoutMs: 1_800_000 });
  await world.commit({ groupId: 'g', memberId, generationId: 1 });
  for (let passedMs = 0; passedMs < 8 * DAY_MS; passedMs += 1_700_000) {
    world.coordinator.heartbeat('g', memberId, null, 1);
    await world.pass(1_700_000);
  }
  world.leave('g', memberId);
  const groupEmptyMs = world.clock.now();
  await world.pass(7 * DAY_MS - 1);
  t.same(await world.fetch('g'), ['t-0=42']);
  await world.pass(DAY_MS);
  t.same(await world.fetch('g'), []);
  t.equal(world.coordinator.describeGroup('g'), 'GROUP_ID_NOT_FOUND');
  t.ok(world.clock.now() - groupEmptyMs >= 7 * DAY_MS);
  t.same(
    world
      .recordsOf('g')
      .slice(-2)
      .map((record) => 'value' in record && record.value),
    [undefined, undefined],
  );
  await world.restart();
  t.equal(world.coordinator.groupCount, 0);
});

t.test('offsets of groups without members expire by their age', async (t) => {
  const world = await CoordinatorWorld.loaded({ retentionCheckIntervalMs: DAY_MS });
  await world.commit({ groupId: 'g', offsets: [offset('t', 0, 1), offset('t', 1, 1)] });
  await world.pass(4 * DAY_MS);
  await world.commit({ groupId: 'g', offsets: [offset('t', 1, 2)] });
  await world.pass(4 * DAY_MS);
  t.same(await world.fetch('g'), ['t-1=2']);
  await world.pass(4 * DAY_MS);
  t.equal(world.coordinator.groupCount, 0);
});

t.test(
  'a stable group loses old offsets of topics it no longer reads, and no others',
  async (t) => {
    const world = await CoordinatorWorld.loaded({ retentionCheckIntervalMs: DAY_MS });
    const long = { sessionTimeoutMs: 1_800_000 };
    const memberId = await world.member('g', ['t'], long);
    const offsets = [offset('t', 0, 1), offset('u', 0, 2)];
    await world.commit({ groupId: 'g', memberId, generationId: 1, offsets });
    for (let passedMs = 0; passedMs < 9 * DAY_MS; passedMs += 1_700_000) {
      t.equal(world.coordinator.heartbeat('g', memberId, null, 1), 'NONE');
      await world.pass(1_700_000);
    }
    t.same(await world.fetch('g'), ['t-0=1']);
  },
);

t.test('a retention of its own is kept to, where the client may ask for one', async (t) => {
  const world = await CoordinatorWorld.loaded({ retentionCheckIntervalMs: 1000 });
  await world.commit({ groupId: 'g', retentionTimeMs: 5000 });
  await world.pass(4999);
  t.same(await world.fetch('g'), ['t-0=42']);
  await world.restart();
  t.same(await world.fetch('g'), ['t-0=42'], 'it was recorded');
  await world.pass(1000);
  t.same(await world.fetch('g'), []);
});

t.test('nothing expires when the wall clock has jumped', async (t) => {
  const world = await CoordinatorWorld.loaded();
  await world.commit({ groupId: 'g' });
  const { clock } = world;
  const now = clock.now.bind(clock);
  clock.now = () => now() + 30 * DAY_MS;
  await world.pass(world.options.retentionCheckIntervalMs);
  t.same(await world.fetch('g'), ['t-0=42']);
  t.ok(world.lines.some(({ text }) => text.startsWith('the wall clock jumped')));
});

t.test('commits are refused when groups have all the memory they may have', async (t) => {
  const world = await CoordinatorWorld.loaded({ stateLimitBytes: 1000 });
  const many = [0, 1, 2, 3, 4, 5].map((index) => offset('t', index, 1));
  await world.commit({ groupId: 'g', offsets: many });
  t.same(await world.commit({ groupId: 'h' }), ['COORDINATOR_NOT_AVAILABLE']);
  t.same(await world.commit({ groupId: 'g', offsets: [offset('t', 9, 1), offset('t', 0, 2)] }), [
    'COORDINATOR_NOT_AVAILABLE',
    'NONE',
  ]);
  await world.coordinator.deleteGroups(new Set(['g']));
  t.same(await world.commit({ groupId: 'h' }), ['NONE']);
});

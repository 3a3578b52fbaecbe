/**
 * Classic groups on the wire: static members, fencing, groups that are no consumers', listings,
 * deletion, and members that go without a word. Proved on Apache Kafka.
 */

import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { type ErrorName, errorName } from '../../protocol/errors.ts';
import {
  DeleteGroupsRequest,
  DeleteGroupsResponse,
} from '../../protocol/messages/delete-groups.ts';
import {
  DescribeGroupsRequest,
  DescribeGroupsResponse,
} from '../../protocol/messages/describe-groups.ts';
import {
  FindCoordinatorRequest,
  FindCoordinatorResponse,
} from '../../protocol/messages/find-coordinator.ts';
import { HeartbeatRequest, HeartbeatResponse } from '../../protocol/messages/heartbeat.ts';
import { JoinGroupRequest, JoinGroupResponse } from '../../protocol/messages/join-group.ts';
import { LeaveGroupRequest, LeaveGroupResponse } from '../../protocol/messages/leave-group.ts';
import { ListGroupsRequest, ListGroupsResponse } from '../../protocol/messages/list-groups.ts';
import {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../protocol/messages/offset-commit.ts';
import { SyncGroupRequest, SyncGroupResponse } from '../../protocol/messages/sync-group.ts';
import { newTopic } from './kafkajs-client.ts';
import { startTestBroker, uniqueName } from './test-broker.ts';

const broker = await startTestBroker(t, { 'group.min.session.timeout.ms': '100' });
const connection = await WireConnection.open(broker.host, broker.port);
t.teardown(() => connection.close());
const topic = await newTopic(broker);

async function open(): Promise<WireConnection> {
  const other = await WireConnection.open(broker.host, broker.port);
  t.teardown(() => other.close());
  return other;
}

const RANGE = [{ name: 'range', metadata: Buffer.from('m') }];

async function joinOnce(groupId: string, rest: object, on: WireConnection, version: number) {
  const answer = await on.call(JoinGroupRequest, JoinGroupResponse, version, {
    groupId,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: RANGE,
    ...rest,
  });
  return { ...answer, error: errorName(answer.errorCode) };
}

/** Joins; Apache Kafka makes the topic of its groups when it is first asked for a coordinator. */
async function join(groupId: string, rest: object = {}, on = connection, version = 9) {
  const early: readonly ErrorName[] = [
    'NOT_COORDINATOR',
    'COORDINATOR_LOAD_IN_PROGRESS',
    'COORDINATOR_NOT_AVAILABLE',
  ];
  for (;;) {
    const pair = [FindCoordinatorRequest, FindCoordinatorResponse] as const;
    await connection.call(...pair, 4, { keyType: 0, coordinatorKeys: [groupId] });
    const answer = await joinOnce(groupId, rest, on, version);
    if (!early.includes(answer.error)) return answer;
  }
}

type Joined = Awaited<ReturnType<typeof join>>;

async function sync(groupId: string, member: Joined, rest: object = {}, on = connection) {
  const answer = await on.call(SyncGroupRequest, SyncGroupResponse, 5, {
    groupId,
    generationId: member.generationId,
    memberId: member.memberId,
    // Versions of JoinGroup before 7 do not tell it.
    protocolType: member.protocolType ?? 'consumer',
    protocolName: member.protocolName,
    assignments: [],
    ...rest,
  });
  return { ...answer, error: errorName(answer.errorCode) };
}

async function heartbeat(groupId: string, member: Joined, rest: object = {}) {
  const { memberId, generationId } = member;
  const request = { groupId, memberId, generationId, ...rest };
  const answer = await connection.call(HeartbeatRequest, HeartbeatResponse, 4, request);
  return errorName(answer.errorCode);
}

type Leaving = readonly [memberId: string, groupInstanceId: string | null];

async function leave(groupId: string, ...leaving: readonly Leaving[]) {
  const members = leaving.map(([memberId, groupInstanceId]) => ({ memberId, groupInstanceId }));
  const request = { groupId, members };
  const answer = await connection.call(LeaveGroupRequest, LeaveGroupResponse, 5, request);
  return answer.members.map(({ errorCode }) => errorName(errorCode));
}

async function commit(groupId: string, rest: object = {}) {
  const offset = { partitionIndex: 0, committedOffset: 5, committedMetadata: null };
  const answer = await connection.call(OffsetCommitRequest, OffsetCommitResponse, 9, {
    groupId,
    memberId: '',
    topics: [{ name: topic, partitions: [offset] }],
    ...rest,
  });
  return errorName(answer.topics[0]!.partitions[0]!.errorCode);
}

async function describe(groupId: string, version = 6) {
  const pair = [DescribeGroupsRequest, DescribeGroupsResponse] as const;
  const answer = await connection.call(...pair, version, { groups: [groupId] });
  return { ...answer.groups[0]!, error: errorName(answer.groups[0]!.errorCode) };
}

/** How a listing shows a group, undefined where it does not. */
async function listed(groupId: string, states: string[] = [], types: string[] = [], version = 5) {
  const pair = [ListGroupsRequest, ListGroupsResponse] as const;
  const request = { statesFilter: states, typesFilter: types };
  const { groups } = await connection.call(...pair, version, request);
  return groups.find((group) => group.groupId === groupId);
}

async function remove(...groupsNames: readonly string[]) {
  const pair = [DeleteGroupsRequest, DeleteGroupsResponse] as const;
  const { results } = await connection.call(...pair, 2, { groupsNames: [...groupsNames] });
  return results.map(({ errorCode }) => errorName(errorCode));
}

t.test('a static member that comes back takes its place, and fences who had it', async (t) => {
  const group = uniqueName('group');
  const instance = { groupInstanceId: 'i' };
  const first = await join(group, instance);
  t.match(first, { error: 'NONE', generationId: 1, leader: first.memberId });
  const assignments = [{ memberId: first.memberId, assignment: Buffer.from('all') }];
  t.equal((await sync(group, first, { ...instance, assignments })).error, 'NONE');
  t.equal(await heartbeat(group, first, instance), 'NONE');
  const changed = [{ name: 'range', metadata: Buffer.from('changed') }];
  const second = await join(group, { ...instance, protocols: changed });
  t.not(second.memberId, first.memberId);
  t.match(second, { error: 'NONE', generationId: 1, skipAssignment: true });
  t.equal((await describe(group)).groupState, 'Stable', 'nobody had to join again');
  t.same((await sync(group, second, instance)).assignment, Buffer.from('all'));
  t.equal(await heartbeat(group, first, instance), 'FENCED_INSTANCE_ID');
  t.equal(await heartbeat(group, first), 'UNKNOWN_MEMBER_ID');
  t.equal((await sync(group, first, instance)).error, 'FENCED_INSTANCE_ID');
  t.equal(
    (await join(group, { ...instance, memberId: first.memberId })).error,
    'FENCED_INSTANCE_ID',
  );
  const generationIdOrMemberEpoch = 1;
  const old = { ...instance, memberId: first.memberId, generationIdOrMemberEpoch };
  t.equal(await commit(group, old), 'FENCED_INSTANCE_ID');
  t.equal(await heartbeat(group, second, { groupInstanceId: 'other' }), 'UNKNOWN_MEMBER_ID');
  t.equal(await heartbeat(group, second, { generationId: 7 }), 'ILLEGAL_GENERATION');
  t.same(await leave(group, [first.memberId, 'i'], ['', 'other'], ['x', null], ['', 'i']), [
    'FENCED_INSTANCE_ID',
    'UNKNOWN_MEMBER_ID',
    'UNKNOWN_MEMBER_ID',
    'NONE',
  ]);
  t.equal((await describe(group)).groupState, 'Empty');
});

t.test('a group of another kind keeps what its members say, byte for byte', async (t) => {
  const group = uniqueName('connect');
  const sessioned = Buffer.from([0, 1, 255, 254]);
  const protocols = [
    { name: 'sessioned', metadata: sessioned },
    { name: 'compatible', metadata: Buffer.from([9]) },
  ];
  const worker = await join(group, {
    groupInstanceId: 'w',
    protocolType: 'connect',
    protocols,
  });
  t.match(worker, { error: 'NONE', protocolType: 'connect', protocolName: 'sessioned' });
  t.same(worker.members[0]?.metadata, sessioned);
  const assignment = Buffer.from([7, 0, 200]);
  const assignments = [{ memberId: worker.memberId, assignment }];
  t.same((await sync(group, worker, { groupInstanceId: 'w', assignments })).assignment, assignment);
  const described = await describe(group, 5);
  t.match(described, { groupState: 'Stable', protocolType: 'connect', protocolData: 'sessioned' });
  t.same(described.members[0]?.memberMetadata, sessioned);
  t.same(described.members[0]?.memberAssignment, assignment);
  t.equal((await join(group)).error, 'INCONSISTENT_GROUP_PROTOCOL', 'no consumer joins it');
  t.same(await leave(group, ['', 'w']), ['NONE']);
  const other = await join(group, { groupInstanceId: 'o', protocolType: 'other' });
  t.match(other, { error: 'NONE', protocolType: 'other' }, 'an empty group may change its kind');
  t.same(await leave(group, ['', 'o']), ['NONE']);
});

t.test('groups are listed by states and types, and deleted when they are empty', async (t) => {
  const group = uniqueName('group');
  const member = await join(group, { groupInstanceId: 'i' });
  await sync(group, member, { groupInstanceId: 'i' });
  const head = { groupId: group, protocolType: 'consumer', groupState: 'Stable' };
  t.match(await listed(group), { ...head, groupType: 'classic' });
  t.ok(await listed(group, ['stable', 'Empty']));
  t.ok(await listed(group, ['Stable'], ['Classic']));
  t.notOk(await listed(group, ['Empty']));
  t.notOk(await listed(group, ['no such state']));
  t.notOk(await listed(group, [], ['consumer']));
  t.match(await listed(group, ['Stable'], [], 4), head);
  t.same(await remove(group), ['NON_EMPTY_GROUP']);
  await leave(group, ['', 'i']);
  t.ok(await listed(group, ['Empty']));
  t.same(await remove(group, group), ['NONE'], 'once, however often it is named');
  t.notOk(await listed(group));
  t.same(await remove(group), ['GROUP_ID_NOT_FOUND']);
  t.match(await describe(group, 5), { error: 'NONE', groupState: 'Dead' });
  t.match(await describe(group), { error: 'GROUP_ID_NOT_FOUND', groupState: 'Dead' });
});

t.test(
  'offsets without members make a group, which only who is no member commits to',
  async (t) => {
    const group = uniqueName('offsets');
    const claim = { generationIdOrMemberEpoch: 3, memberId: 'x' };
    t.equal(await commit(group, claim), 'GROUP_ID_NOT_FOUND');
    t.equal(await commit(group), 'NONE');
    t.match(await listed(group), { protocolType: '', groupState: 'Empty', groupType: 'classic' });
    t.equal(await commit(group, claim), 'UNKNOWN_MEMBER_ID');
    const member = await join(group, { groupInstanceId: 'i' });
    t.equal(await commit(group), 'UNKNOWN_MEMBER_ID', 'it has a member now');
    const epoch = { generationIdOrMemberEpoch: member.generationId, memberId: member.memberId };
    t.equal(await commit(group, epoch), 'REBALANCE_IN_PROGRESS');
    await sync(group, member);
    t.equal(await commit(group, epoch), 'NONE');
    t.equal(await commit(group, { ...epoch, generationIdOrMemberEpoch: 99 }), 'ILLEGAL_GENERATION');
    await leave(group, ['', 'i']);
    t.same(await remove(group), ['NONE']);
  },
);

t.test('members that go without a word hold nobody up', async (t) => {
  const times = { sessionTimeoutMs: 300, rebalanceTimeoutMs: 600 };
  // Before its JoinGroup is answered, before its SyncGroup, and as a settled member.
  const phases: readonly ((group: string, doomed: WireConnection) => Promise<unknown>)[] = [
    async (group, doomed) => {
      const stays = await open();
      const first = await join(group, times, stays, 3);
      await sync(group, first, {}, stays);
      const lost = join(group, times, doomed, 3).catch(() => 'closed');
      // The first member is told that somebody is coming.
      while ((await heartbeat(group, first)) !== 'REBALANCE_IN_PROGRESS');
      doomed.close();
      return lost;
    },
    (group, doomed) => join(group, times, doomed, 3),
    async (group, doomed) => sync(group, await join(group, times, doomed, 3), {}, doomed),
  ];
  for (const [index, phase] of phases.entries()) {
    const group = uniqueName('group');
    const doomed = await open();
    await phase(group, doomed);
    doomed.close();
    let next = await join(group, times, connection, 3);
    t.equal(next.error, 'NONE', `phase ${index}`);
    // Who is gone may have been made the leader: then there is one more round without it.
    while ((await sync(group, next)).error === 'REBALANCE_IN_PROGRESS') {
      next = await join(group, { ...times, memberId: next.memberId }, connection, 3);
    }
    t.equal(await heartbeat(group, next), 'NONE');
    let { members } = await describe(group);
    while (members.length > 1) ({ members } = await describe(group));
    t.same(
      members.map(({ memberId }) => memberId),
      [next.memberId],
    );
  }
});

/** The APIs of members and groups through their codecs, as clients of each version see them. */

import t from 'tap';
import { joinGroup } from '../../../broker/apis/11-join-group.ts';
import { heartbeat } from '../../../broker/apis/12-heartbeat.ts';
import { leaveGroup } from '../../../broker/apis/13-leave-group.ts';
import { syncGroup } from '../../../broker/apis/14-sync-group.ts';
import { describeGroups } from '../../../broker/apis/15-describe-groups.ts';
import { listGroups } from '../../../broker/apis/16-list-groups.ts';
import { deleteGroups } from '../../../broker/apis/42-delete-groups.ts';
import { apis } from '../../../broker/apis/index.ts';
import { clientHostOf } from '../../../broker/groups/client-host.ts';
import { ErrorCode } from '../../../protocol/errors.ts';
import { decodeResponse, encodeResponse } from '../../../protocol/header.ts';
import { GroupBroker, line, SESSION_MS, versionsOf } from './group-broker.ts';

const NO_BYTES = Buffer.alloc(0);

t.test('JoinGroup gives out an id first where the client knows of that', async (t) => {
  for (const version of versionsOf(joinGroup)) {
    const broker = await GroupBroker.loaded();
    let answer = await broker.join(version);
    if (version >= 4) {
      t.match(answer, { errorCode: ErrorCode.MEMBER_ID_REQUIRED, generationId: -1, leader: '' });
      t.equal(answer.protocolName, version >= 7 ? null : '');
      answer = await broker.join(version, { memberId: answer.memberId });
    }
    t.match(answer, {
      errorCode: 0,
      generationId: 1,
      protocolName: 'range',
      leader: answer.memberId,
      members: [{ memberId: answer.memberId, metadata: Buffer.from('sub') }],
    });
    t.match(answer.memberId, /^app-/);
    t.equal(answer.protocolType, version >= 7 ? 'consumer' : null);
  }
});

t.test('JoinGroup 0 has the session timeout for a rebalance timeout', async (t) => {
  const broker = await GroupBroker.loaded();
  const { memberId } = await broker.join(0);
  const sync = { groupId: 'g', generationId: 1, memberId, assignments: [] };
  await broker.ask(syncGroup, 0, sync);
  const call = broker.join(0);
  const beat = { groupId: 'g', generationId: 1, memberId };
  broker.clock.advance(SESSION_MS - 1);
  // Alive, but it does not join again.
  t.match(await broker.ask(heartbeat, 0, beat), { errorCode: ErrorCode.REBALANCE_IN_PROGRESS });
  broker.clock.advance(1);
  t.match(await broker.ask(heartbeat, 0, beat), { errorCode: ErrorCode.UNKNOWN_MEMBER_ID });
  t.match(await call, { errorCode: 0, generationId: 2 });
});

t.test('JoinGroup lets static members in at once', async (t) => {
  for (const version of versionsOf(joinGroup, '5+')) {
    const broker = await GroupBroker.loaded();
    const first = await broker.join(version, { groupInstanceId: 'i' });
    t.match(first, { errorCode: 0, members: [{ groupInstanceId: 'i' }] });
    const { memberId } = first;
    const sync = { groupId: 'g', generationId: 1, memberId, groupInstanceId: 'i', assignments: [] };
    t.match(await broker.ask(syncGroup, 3, sync), { errorCode: 0 });
    const again = await broker.join(version, { groupInstanceId: 'i' });
    t.match(again, { errorCode: 0, generationId: 1, skipAssignment: version >= 9 });
  }
});

t.test('SyncGroup answers in the form of each version', async (t) => {
  for (const version of versionsOf(syncGroup)) {
    const broker = await GroupBroker.loaded();
    const { memberId } = await broker.join(3);
    const assignments = [{ memberId, assignment: Buffer.from('all') }];
    const request = { groupId: 'g', generationId: 1, memberId, assignments };
    if (version >= 5) {
      const refused = await broker.ask(syncGroup, version, request);
      t.equal(refused.errorCode, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, 'both must be named');
    }
    const named = version >= 5 ? { protocolType: 'consumer', protocolName: 'range' } : {};
    const answer = await broker.ask(syncGroup, version, { ...request, ...named });
    t.match(answer, { errorCode: 0, assignment: Buffer.from('all') });
    t.equal(answer.protocolName, version >= 5 ? 'range' : null);
    const stranger = await broker.ask(syncGroup, version, { ...request, ...named, memberId: 'x' });
    t.match(stranger, { errorCode: ErrorCode.UNKNOWN_MEMBER_ID, assignment: NO_BYTES });
  }
});

t.test('Heartbeat tells a member how it stands', async (t) => {
  const broker = await GroupBroker.loaded();
  const memberId = await broker.member();
  for (const version of versionsOf(heartbeat)) {
    const request = { groupId: 'g', generationId: 1, memberId };
    t.match(await broker.ask(heartbeat, version, request), { errorCode: 0 });
    const old = { ...request, generationId: 0 };
    t.match(await broker.ask(heartbeat, version, old), {
      errorCode: ErrorCode.ILLEGAL_GENERATION,
    });
  }
});

t.test('LeaveGroup has one member up to version 2, and a list since', async (t) => {
  for (const version of versionsOf(leaveGroup)) {
    const broker = await GroupBroker.loaded();
    const memberId = await broker.member();
    const code = ErrorCode.UNKNOWN_MEMBER_ID;
    if (version < 3) {
      const stranger = { groupId: 'g', memberId: 'x' };
      t.match(await broker.ask(leaveGroup, version, stranger), { errorCode: code });
      const nowhere = { groupId: 'nope', memberId: 'x' };
      t.match(await broker.ask(leaveGroup, version, nowhere), { errorCode: code });
      t.match(await broker.ask(leaveGroup, version, { groupId: 'g', memberId }), { errorCode: 0 });
    } else {
      const members = [{ memberId: 'x', groupInstanceId: 'i' }, { memberId }];
      const answer = await broker.ask(leaveGroup, version, { groupId: 'g', members });
      t.match(answer, {
        errorCode: 0,
        members: [
          { memberId: 'x', groupInstanceId: 'i', errorCode: code },
          { memberId, groupInstanceId: null, errorCode: 0 },
        ],
      });
      const nowhere = await broker.ask(leaveGroup, version, { groupId: 'nope', members });
      t.match(nowhere, { errorCode: 0, members: [{ errorCode: code }, { errorCode: code }] });
    }
    t.match(broker.groups.describeGroup('g'), { state: 'Empty' });
  }
});

t.test('DescribeGroups shows members, and a group that is not there as dead', async (t) => {
  for (const version of versionsOf(describeGroups)) {
    const broker = await GroupBroker.loaded();
    const memberId = await broker.member();
    const asks = version >= 3 ? { includeAuthorizedOperations: true } : {};
    const request = { groups: ['g', 'nope'], ...asks };
    const { groups } = await broker.ask(describeGroups, version, request);
    t.match(groups[0], {
      errorCode: 0,
      groupId: 'g',
      groupState: 'Stable',
      protocolType: 'consumer',
      protocolData: 'range',
      members: [
        {
          memberId,
          clientId: 'app',
          clientHost: '/127.0.0.1',
          memberMetadata: Buffer.from('sub'),
          memberAssignment: Buffer.from('all'),
        },
      ],
    });
    // READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
    t.equal(groups[0]?.authorizedOperations, version >= 3 ? 3400 : -2147483648);
    t.match(groups[1], {
      groupId: 'nope',
      groupState: 'Dead',
      members: [],
      errorCode: version >= 6 ? ErrorCode.GROUP_ID_NOT_FOUND : 0,
      errorMessage: version >= 6 ? 'Group nope not found.' : null,
    });
    const join = broker.join(3);
    const { groups: joining } = await broker.ask(describeGroups, version, { groups: ['g'] });
    t.match(joining[0], { groupState: 'PreparingRebalance', protocolData: '' });
    t.match(joining[0]?.members[0], { memberMetadata: NO_BYTES });
    t.equal(joining[0]?.authorizedOperations, -2147483648);
    broker.groups.close();
    t.match(await join, { errorCode: ErrorCode.NOT_COORDINATOR });
  }
});

t.test('ListGroups filters by state and type, whatever their case', async (t) => {
  const broker = await GroupBroker.loaded();
  await broker.member();
  await broker.commit(5, { name: 't', partitions: [line(0, 1)] }, { groupId: 'simple' });
  for (const version of versionsOf(listGroups)) {
    const { errorCode, groups } = await broker.ask(listGroups, version, {});
    t.equal(errorCode, 0);
    t.match(
      [...groups].sort((a, b) => a.groupId.localeCompare(b.groupId)),
      [
        { groupId: 'g', protocolType: 'consumer', groupState: version >= 4 ? 'Stable' : '' },
        { groupId: 'simple', protocolType: '', groupType: version >= 5 ? 'classic' : '' },
      ],
    );
  }
  const idsOf = async (version: number, filter: object) =>
    (await broker.ask(listGroups, version, filter)).groups.map(({ groupId }) => groupId);
  t.same(await idsOf(4, { statesFilter: ['stable'] }), ['g']);
  t.same(await idsOf(4, { statesFilter: ['EMPTY', 'Dead'] }), ['simple']);
  t.same(await idsOf(4, { statesFilter: ['nonsense'] }), []);
  t.same((await idsOf(5, { typesFilter: ['Classic'] })).length, 2);
  t.same(await idsOf(5, { typesFilter: ['consumer'] }), []);
});

t.test('DeleteGroups tells of each group once', async (t) => {
  for (const version of versionsOf(deleteGroups)) {
    const broker = await GroupBroker.loaded();
    await broker.member();
    await broker.commit(5, { name: 't', partitions: [line(0, 1)] }, { groupId: 'simple' });
    const groupsNames = ['simple', 'g', 'nope', 'simple'];
    const { results } = await broker.ask(deleteGroups, version, { groupsNames });
    t.equal(results.length, 3);
    const codes = new Map(results.map(({ groupId, errorCode }) => [groupId, errorCode]));
    t.equal(codes.get('simple'), 0);
    t.equal(codes.get('g'), ErrorCode.NON_EMPTY_GROUP);
    t.equal(codes.get('nope'), ErrorCode.GROUP_ID_NOT_FOUND);
  }
});

t.test('each API can tell of an error in each of its versions', async (t) => {
  const broker = await GroupBroker.loaded();
  const topics = [{ name: 't', topicId: '', partitions: [line(0, 1)], partitionIndexes: [0] }];
  const request = {
    groupId: 'g',
    memberId: 'm',
    key: 'g',
    coordinatorKeys: ['g'],
    groups: ['g'],
    groupsNames: ['g', 'g'],
    topics: topics.map((topic) => ({ ...topic, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' })),
  };
  const fetchRequest = { ...request, groups: [{ groupId: 'g', topics: null }] };
  for (const api of apis.filter(({ key }) => (key >= 8 && key <= 16) || key === 42)) {
    for (const version of versionsOf(api)) {
      const context = { services: broker.services, apiVersion: version } as never;
      const code = ErrorCode.UNKNOWN_SERVER_ERROR;
      const answer = api.onError(context, api.key === 9 ? fetchRequest : request, code, 'why');
      if (typeof answer === 'symbol') throw new Error(`${api.name} has no answer`);
      const frame = Buffer.concat(encodeResponse(api.response, version, 1, answer)).subarray(4);
      const text = JSON.stringify(decodeResponse(frame, api.response, version).value);
      t.ok(text.includes(`"errorCode":${code}`), `${api.name} ${version}: ${text}`);
    }
  }
});

t.test('addresses are shown as Java shows them', async (t) => {
  t.equal(clientHostOf('127.0.0.1'), '/127.0.0.1');
  t.equal(clientHostOf('::ffff:10.0.0.7'), '/10.0.0.7');
  t.equal(clientHostOf('2001:db8::1'), '/2001:db8::1');
});

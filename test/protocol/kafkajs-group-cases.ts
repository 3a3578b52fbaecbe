/** What kafkajs says and hears of groups and their offsets. */

import * as describeGroups from '../../protocol/messages/describe-groups.ts';
import * as findCoordinator from '../../protocol/messages/find-coordinator.ts';
import * as heartbeat from '../../protocol/messages/heartbeat.ts';
import * as joinGroup from '../../protocol/messages/join-group.ts';
import * as leaveGroup from '../../protocol/messages/leave-group.ts';
import * as listGroups from '../../protocol/messages/list-groups.ts';
import * as offsetCommit from '../../protocol/messages/offset-commit.ts';
import * as offsetFetch from '../../protocol/messages/offset-fetch.ts';
import * as syncGroup from '../../protocol/messages/sync-group.ts';
import type { Case } from './kafkajs-case.ts';

export const groupCases: Case[] = [
  {
    api: 'OffsetCommit',
    first: 2,
    last: 5,
    messages: [offsetCommit.OffsetCommitRequest, offsetCommit.OffsetCommitResponse],
    options: {
      groupId: 'group',
      groupGenerationId: 6,
      memberId: 'member',
      retentionTime: 1000,
      topics: [{ topic: 'orders', partitions: [{ partition: 2, offset: '12', metadata: 'm' }] }],
    },
    request: {
      groupId: 'group',
      generationIdOrMemberEpoch: 6,
      memberId: 'member',
      topics: [
        {
          name: 'orders',
          partitions: [{ partitionIndex: 2, committedOffset: 12, committedMetadata: 'm' }],
        },
      ],
    },
    response: {
      throttleTimeMs: 3,
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 2, errorCode: 0 }] }],
    },
    parsed: { responses: [{ topic: 'orders', partitions: [{ partition: 2, errorCode: 0 }] }] },
  },
  {
    api: 'OffsetFetch',
    first: 1,
    last: 4,
    messages: [offsetFetch.OffsetFetchRequest, offsetFetch.OffsetFetchResponse],
    options: { groupId: 'group', topics: [{ topic: 'orders', partitions: [{ partition: 2 }] }] },
    request: { groupId: 'group', topics: [{ name: 'orders', partitionIndexes: [2] }] },
    response: {
      throttleTimeMs: 3,
      topics: [
        {
          name: 'orders',
          partitions: [{ partitionIndex: 2, committedOffset: 12, metadata: 'm', errorCode: 0 }],
        },
      ],
    },
    parsed: {
      responses: [
        {
          topic: 'orders',
          partitions: [{ partition: 2, offset: '12', metadata: 'm', errorCode: 0 }],
        },
      ],
    },
  },
  {
    api: 'GroupCoordinator',
    first: 0,
    last: 2,
    messages: [findCoordinator.FindCoordinatorRequest, findCoordinator.FindCoordinatorResponse],
    options: { groupId: 'group', coordinatorKey: 'group', coordinatorType: 1 },
    request: (version) => ({ key: 'group', keyType: version >= 1 ? 1 : 0 }),
    response: { throttleTimeMs: 3, nodeId: 4, host: 'localhost', port: 9092 },
    parsed: { errorCode: 0, coordinator: { nodeId: 4, host: 'localhost', port: 9092 } },
  },
  {
    api: 'JoinGroup',
    first: 0,
    last: 5,
    messages: [joinGroup.JoinGroupRequest, joinGroup.JoinGroupResponse],
    options: {
      groupId: 'group',
      sessionTimeout: 30_000,
      rebalanceTimeout: 60_000,
      memberId: 'member',
      groupInstanceId: 'static',
      protocolType: 'consumer',
      groupProtocols: [{ name: 'range', metadata: Buffer.from('meta') }],
    },
    request: (version) => ({
      groupId: 'group',
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: version >= 1 ? 60_000 : -1,
      memberId: 'member',
      groupInstanceId: version >= 5 ? 'static' : null,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('meta') }],
    }),
    response: {
      throttleTimeMs: 3,
      errorCode: 0,
      generationId: 6,
      protocolName: 'range',
      leader: 'leader',
      memberId: 'member',
      members: [{ memberId: 'member', groupInstanceId: 'static', metadata: Buffer.from('meta') }],
    },
    parsed: (version) => ({
      errorCode: 0,
      generationId: 6,
      groupProtocol: 'range',
      leaderId: 'leader',
      memberId: 'member',
      members: [
        {
          memberId: 'member',
          ...(version >= 5 && { groupInstanceId: 'static' }),
          memberMetadata: Buffer.from('meta'),
        },
      ],
    }),
  },
  {
    api: 'Heartbeat',
    first: 0,
    last: 3,
    messages: [heartbeat.HeartbeatRequest, heartbeat.HeartbeatResponse],
    options: {
      groupId: 'group',
      groupGenerationId: 6,
      memberId: 'member',
      groupInstanceId: 'static',
    },
    request: (version) => ({
      groupId: 'group',
      generationId: 6,
      memberId: 'member',
      groupInstanceId: version >= 3 ? 'static' : null,
    }),
    response: { throttleTimeMs: 3, errorCode: 0 },
    parsed: { errorCode: 0 },
  },
  {
    api: 'LeaveGroup',
    first: 0,
    last: 3,
    messages: [leaveGroup.LeaveGroupRequest, leaveGroup.LeaveGroupResponse],
    options: { groupId: 'group', memberId: 'member', members: [{ memberId: 'member' }] },
    request: (version) => ({
      groupId: 'group',
      memberId: version >= 3 ? '' : 'member',
      members: version >= 3 ? [{ memberId: 'member', groupInstanceId: null }] : [],
    }),
    response: {
      throttleTimeMs: 3,
      errorCode: 0,
      members: [{ memberId: 'member', groupInstanceId: null, errorCode: 0 }],
    },
    parsed: (version) => ({
      errorCode: 0,
      ...(version >= 3 && {
        members: [{ memberId: 'member', groupInstanceId: null, errorCode: 0 }],
      }),
    }),
  },
  {
    api: 'SyncGroup',
    first: 0,
    last: 3,
    messages: [syncGroup.SyncGroupRequest, syncGroup.SyncGroupResponse],
    options: {
      groupId: 'group',
      generationId: 6,
      memberId: 'member',
      groupInstanceId: 'static',
      groupAssignment: [{ memberId: 'member', memberAssignment: Buffer.from('assigned') }],
    },
    request: (version) => ({
      groupId: 'group',
      generationId: 6,
      memberId: 'member',
      groupInstanceId: version >= 3 ? 'static' : null,
      assignments: [{ memberId: 'member', assignment: Buffer.from('assigned') }],
    }),
    response: { throttleTimeMs: 3, errorCode: 0, assignment: Buffer.from('assigned') },
    parsed: { errorCode: 0, memberAssignment: Buffer.from('assigned') },
  },
  {
    api: 'DescribeGroups',
    first: 0,
    last: 2,
    messages: [describeGroups.DescribeGroupsRequest, describeGroups.DescribeGroupsResponse],
    options: { groupIds: ['group', 'other'] },
    request: { groups: ['group', 'other'] },
    response: {
      throttleTimeMs: 3,
      groups: [
        {
          errorCode: 0,
          groupId: 'group',
          groupState: 'Stable',
          protocolType: 'consumer',
          protocolData: 'range',
          members: [
            {
              memberId: 'member',
              clientId: 'client',
              clientHost: '/127.0.0.1',
              memberMetadata: Buffer.from('meta'),
              memberAssignment: Buffer.from('assigned'),
            },
          ],
        },
      ],
    },
    parsed: {
      groups: [
        {
          errorCode: 0,
          groupId: 'group',
          state: 'Stable',
          protocolType: 'consumer',
          protocol: 'range',
          members: [
            {
              memberId: 'member',
              clientId: 'client',
              clientHost: '/127.0.0.1',
              memberMetadata: Buffer.from('meta'),
              memberAssignment: Buffer.from('assigned'),
            },
          ],
        },
      ],
    },
  },
  {
    api: 'ListGroups',
    first: 0,
    last: 2,
    messages: [listGroups.ListGroupsRequest, listGroups.ListGroupsResponse],
    options: {},
    request: { statesFilter: [], typesFilter: [] },
    response: {
      throttleTimeMs: 3,
      errorCode: 0,
      groups: [{ groupId: 'group', protocolType: 'consumer' }],
    },
    parsed: { errorCode: 0, groups: [{ groupId: 'group', protocolType: 'consumer' }] },
  },
];

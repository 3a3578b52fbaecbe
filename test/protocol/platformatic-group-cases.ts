/** What @platformatic/kafka says and hears of groups and their offsets. */

import * as describeGroups from '../../protocol/messages/describe-groups.ts';
import * as findCoordinator from '../../protocol/messages/find-coordinator.ts';
import * as heartbeat from '../../protocol/messages/heartbeat.ts';
import * as joinGroup from '../../protocol/messages/join-group.ts';
import * as leaveGroup from '../../protocol/messages/leave-group.ts';
import * as listGroups from '../../protocol/messages/list-groups.ts';
import * as offsetCommit from '../../protocol/messages/offset-commit.ts';
import * as offsetFetch from '../../protocol/messages/offset-fetch.ts';
import * as syncGroup from '../../protocol/messages/sync-group.ts';
import type { Case } from './platformatic-case.ts';

export const groupCases: Case[] = [
  {
    api: 'offsetCommit',
    versions: [8, 9],
    messages: [offsetCommit.OffsetCommitRequest, offsetCommit.OffsetCommitResponse],
    arguments: [
      'group',
      6,
      'member',
      null,
      [
        {
          name: 'orders',
          partitions: [
            {
              partitionIndex: 2,
              committedOffset: 12n,
              committedLeaderEpoch: 5,
              committedMetadata: 'm',
            },
          ],
        },
      ],
    ],
    request: {
      groupId: 'group',
      generationIdOrMemberEpoch: 6,
      memberId: 'member',
      groupInstanceId: null,
      topics: [
        {
          name: 'orders',
          partitions: [
            {
              partitionIndex: 2,
              committedOffset: 12,
              committedLeaderEpoch: 5,
              committedMetadata: 'm',
            },
          ],
        },
      ],
    },
    response: {
      throttleTimeMs: 3,
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 2, errorCode: 0 }] }],
    },
  },
  {
    api: 'offsetFetch',
    versions: [8, 9],
    messages: [offsetFetch.OffsetFetchRequest, offsetFetch.OffsetFetchResponse],
    arguments: [
      [
        {
          groupId: 'group',
          memberId: 'member',
          memberEpoch: 6,
          topics: [{ name: 'orders', partitionIndexes: [2, 3] }],
        },
      ],
      true,
    ],
    request: (version) => ({
      groups: [
        {
          groupId: 'group',
          memberId: version >= 9 ? 'member' : null,
          memberEpoch: version >= 9 ? 6 : -1,
          topics: [{ name: 'orders', partitionIndexes: [2, 3] }],
        },
      ],
      requireStable: true,
    }),
    response: {
      throttleTimeMs: 3,
      groups: [
        {
          groupId: 'group',
          topics: [
            {
              name: 'orders',
              partitions: [
                {
                  partitionIndex: 2,
                  committedOffset: 12,
                  committedLeaderEpoch: 5,
                  metadata: null,
                  errorCode: 0,
                },
              ],
            },
          ],
          errorCode: 0,
        },
      ],
    },
  },
  {
    api: 'findCoordinator',
    versions: [4, 5, 6],
    messages: [findCoordinator.FindCoordinatorRequest, findCoordinator.FindCoordinatorResponse],
    arguments: [1, ['a', 'b']],
    request: { keyType: 1, coordinatorKeys: ['a', 'b'] },
    response: {
      throttleTimeMs: 3,
      coordinators: [
        { key: 'a', nodeId: 4, host: 'localhost', port: 9092, errorCode: 0, errorMessage: null },
      ],
    },
  },
  {
    api: 'joinGroup',
    versions: [6, 7, 8, 9],
    messages: [joinGroup.JoinGroupRequest, joinGroup.JoinGroupResponse],
    arguments: [
      'group',
      30_000,
      60_000,
      'member',
      'static',
      'consumer',
      [{ name: 'range', metadata: Buffer.from('meta') }],
      'why',
    ],
    request: (version) => ({
      groupId: 'group',
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 60_000,
      memberId: 'member',
      groupInstanceId: 'static',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('meta') }],
      reason: version >= 8 ? 'why' : null,
    }),
    response: {
      throttleTimeMs: 3,
      errorCode: 0,
      generationId: 6,
      protocolType: 'consumer',
      protocolName: 'range',
      leader: 'leader',
      skipAssignment: true,
      memberId: 'member',
      members: [{ memberId: 'member', groupInstanceId: null, metadata: Buffer.from('meta') }],
    },
    parsed: (version) => ({
      generationId: 6,
      ...(version >= 7 && { protocolType: 'consumer' }),
      protocolName: 'range',
      leader: 'leader',
      ...(version >= 9 && { skipAssignment: true }),
      memberId: 'member',
      members: [{ memberId: 'member', groupInstanceId: null, metadata: Buffer.from('meta') }],
    }),
  },
  {
    api: 'heartbeat',
    versions: [4],
    messages: [heartbeat.HeartbeatRequest, heartbeat.HeartbeatResponse],
    arguments: ['group', 6, 'member', null],
    request: { groupId: 'group', generationId: 6, memberId: 'member', groupInstanceId: null },
    response: { throttleTimeMs: 3, errorCode: 0 },
  },
  {
    api: 'leaveGroup',
    versions: [4, 5],
    messages: [leaveGroup.LeaveGroupRequest, leaveGroup.LeaveGroupResponse],
    arguments: ['group', [{ memberId: 'member', groupInstanceId: 'static', reason: 'why' }]],
    request: (version) => ({
      groupId: 'group',
      members: [
        {
          memberId: 'member',
          groupInstanceId: 'static',
          reason: version >= 5 ? 'why' : null,
        },
      ],
    }),
    response: {
      throttleTimeMs: 3,
      errorCode: 0,
      members: [{ memberId: 'member', groupInstanceId: 'static', errorCode: 0 }],
    },
  },
  {
    api: 'syncGroup',
    versions: [4, 5],
    messages: [syncGroup.SyncGroupRequest, syncGroup.SyncGroupResponse],
    arguments: [
      'group',
      6,
      'member',
      null,
      'consumer',
      'range',
      [{ memberId: 'member', assignment: Buffer.from('assigned') }],
    ],
    request: (version) => ({
      groupId: 'group',
      generationId: 6,
      memberId: 'member',
      groupInstanceId: null,
      protocolType: version >= 5 ? 'consumer' : null,
      protocolName: version >= 5 ? 'range' : null,
      assignments: [{ memberId: 'member', assignment: Buffer.from('assigned') }],
    }),
    response: {
      throttleTimeMs: 3,
      errorCode: 0,
      protocolType: 'consumer',
      protocolName: 'range',
      assignment: Buffer.from('assigned'),
    },
    parsed: (version) => ({
      errorCode: 0,
      ...(version >= 5 && { protocolType: 'consumer', protocolName: 'range' }),
      assignment: Buffer.from('assigned'),
    }),
  },
  {
    api: 'describeGroups',
    versions: [5],
    messages: [describeGroups.DescribeGroupsRequest, describeGroups.DescribeGroupsResponse],
    arguments: [['group'], true],
    request: { groups: ['group'], includeAuthorizedOperations: true },
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
              groupInstanceId: null,
              clientId: 'client',
              clientHost: '/127.0.0.1',
              memberMetadata: Buffer.from('meta'),
              memberAssignment: Buffer.from('assigned'),
            },
          ],
          authorizedOperations: 7,
        },
      ],
    },
  },
  {
    api: 'listGroups',
    versions: [4, 5],
    messages: [listGroups.ListGroupsRequest, listGroups.ListGroupsResponse],
    arguments: [['Stable'], ['classic']],
    request: (version) => ({
      statesFilter: ['Stable'],
      typesFilter: version >= 5 ? ['classic'] : [],
    }),
    response: {
      throttleTimeMs: 3,
      errorCode: 0,
      groups: [
        { groupId: 'group', protocolType: 'consumer', groupState: 'Stable', groupType: 'classic' },
      ],
    },
    parsed: (version) => ({
      groups: [
        {
          groupId: 'group',
          protocolType: 'consumer',
          groupState: 'Stable',
          ...(version >= 5 && { groupType: 'classic' }),
        },
      ],
    }),
  },
];

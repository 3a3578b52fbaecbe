/**
 * LeaveGroup, API key 13, versions 0-5: members leave a classic group, or are taken out of it.
 *
 * Version 3: several members, static ones by their group.instance.id (KIP-345); before, the error
 * of the one member is that of the request. Version 4: flexible. Version 5: a reason (KIP-800).
 * Source: Kafka's GroupCoordinatorService.leaveGroup, LeaveGroupResponse.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import { LeaveGroupRequest, LeaveGroupResponse } from '../../protocol/messages/leave-group.ts';
import { api } from '../api.ts';

const FIRST_WITH_MEMBERS = 3;

export const leaveGroup = api({
  name: 'LeaveGroup',
  versions: '0-5',
  request: LeaveGroupRequest,
  response: LeaveGroupResponse,
  handle: (context, request) => {
    const hasMembers = context.apiVersion >= FIRST_WITH_MEMBERS;
    const members = hasMembers
      ? request.members
      : [{ memberId: request.memberId, groupInstanceId: null, reason: null }];
    const outcome = context.services.groups.leaveGroup(request.groupId, members);
    if (typeof outcome === 'string') return { errorCode: ErrorCode[outcome] };
    if (!hasMembers) return { errorCode: ErrorCode[outcome[0]!] };
    return {
      errorCode: ErrorCode.NONE,
      members: members.map(({ memberId, groupInstanceId }, index) => ({
        memberId,
        groupInstanceId,
        errorCode: ErrorCode[outcome[index]!],
      })),
    };
  },
  onError: (_context, _request, errorCode) => ({ errorCode }),
});

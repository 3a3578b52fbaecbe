/**
 * SyncGroup, API key 14, versions 0-5: the leader hands in the assignments, each member gets its
 * own; answered when the assignments are durable.
 *
 * Version 3: static members (KIP-345). Version 4: flexible. Version 5: protocol type and name,
 * which must then be there (KIP-559).
 * Source: Kafka's GroupCoordinatorService.syncGroup, KafkaApis.handleSyncGroupRequest.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import { SyncGroupRequest, SyncGroupResponse } from '../../protocol/messages/sync-group.ts';
import { api } from '../api.ts';

const FIRST_WITH_PROTOCOL = 5;
const NO_ASSIGNMENT = Buffer.alloc(0);

export const syncGroup = api({
  name: 'SyncGroup',
  versions: '0-5',
  request: SyncGroupRequest,
  response: SyncGroupResponse,
  handle: async (context, request) => {
    const { groupId, protocolType, protocolName } = request;
    const isNamed = protocolType !== null && protocolName !== null;
    if (context.apiVersion >= FIRST_WITH_PROTOCOL && !isNamed) {
      return { errorCode: ErrorCode.INCONSISTENT_GROUP_PROTOCOL, assignment: NO_ASSIGNMENT };
    }
    const { error, ...result } = await context.services.groups.syncGroup(groupId, {
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      generationId: request.generationId,
      protocolType,
      protocolName,
      assignments: request.assignments,
    });
    return { ...result, errorCode: ErrorCode[error] };
  },
  onError: (_context, _request, errorCode) => ({ errorCode, assignment: NO_ASSIGNMENT }),
});

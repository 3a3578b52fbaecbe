/**
 * Heartbeat, API key 12, versions 0-4: a member of a classic group is alive, and is told when it
 * has to join again.
 *
 * Version 3: static members (KIP-345). Version 4: flexible.
 * Source: Kafka's GroupCoordinatorService.heartbeat.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import { HeartbeatRequest, HeartbeatResponse } from '../../protocol/messages/heartbeat.ts';
import { api } from '../api.ts';

export const heartbeat = api({
  name: 'Heartbeat',
  versions: '0-4',
  request: HeartbeatRequest,
  response: HeartbeatResponse,
  handle: (context, { groupId, memberId, groupInstanceId, generationId }) => ({
    errorCode:
      ErrorCode[
        context.services.groups.heartbeat(groupId, memberId, groupInstanceId, generationId)
      ],
  }),
  onError: (_context, _request, errorCode) => ({ errorCode }),
});

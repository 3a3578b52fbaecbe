/**
 * JoinGroup, API key 11, versions 0-9: a member joins a classic group; answered when the round of
 * joining is over.
 *
 * Version 1: a rebalance timeout apart from the session timeout. Version 4: MEMBER_ID_REQUIRED
 * (KIP-394). Version 5: static members (KIP-345). Version 6: flexible. Version 7: protocol type and
 * a null protocol name (KIP-559). Version 8: a reason (KIP-800). Version 9: a leader may be told
 * that it has nothing to assign (KIP-814).
 * Source: Kafka's GroupCoordinatorService.joinGroup.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import { JoinGroupRequest, JoinGroupResponse } from '../../protocol/messages/join-group.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { clientHostOf } from '../groups/client-host.ts';

type Request = Decoded<typeof JoinGroupRequest>;
type Response = Input<typeof JoinGroupResponse>;

const FIRST_WITH_REBALANCE_TIMEOUT = 1;
const FIRST_WITH_KNOWN_MEMBER_ID = 4;
const FIRST_WITH_NULL_PROTOCOL = 7;
const FIRST_WITH_SKIP_ASSIGNMENT = 9;
const NO_GENERATION = -1;

/** Before version 7 a protocol name could not be null. */
function protocolNameFor(context: RequestContext, name: string | null): string | null {
  return context.apiVersion < FIRST_WITH_NULL_PROTOCOL ? (name ?? '') : name;
}

async function handle(context: RequestContext, request: Request): Promise<Response> {
  const { apiVersion, clientId, connection } = context;
  const { error, members, protocolName, ...result } = await context.services.groups.joinGroup(
    request.groupId,
    {
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      clientId,
      clientHost: clientHostOf(connection.remoteAddress),
      sessionTimeoutMs: request.sessionTimeoutMs,
      rebalanceTimeoutMs:
        apiVersion >= FIRST_WITH_REBALANCE_TIMEOUT
          ? request.rebalanceTimeoutMs
          : request.sessionTimeoutMs,
      protocolType: request.protocolType,
      protocols: request.protocols,
      reason: request.reason,
      requiresKnownMemberId: apiVersion >= FIRST_WITH_KNOWN_MEMBER_ID,
      canSkipAssignment: apiVersion >= FIRST_WITH_SKIP_ASSIGNMENT,
    },
  );
  return {
    ...result,
    errorCode: ErrorCode[error],
    protocolName: protocolNameFor(context, protocolName),
    members,
  };
}

export const joinGroup = api({
  name: 'JoinGroup',
  versions: '0-9',
  request: JoinGroupRequest,
  response: JoinGroupResponse,
  handle,
  onError: (context, request, errorCode) => ({
    errorCode,
    generationId: NO_GENERATION,
    protocolName: protocolNameFor(context, null),
    leader: '',
    memberId: request.memberId,
    members: [],
  }),
});

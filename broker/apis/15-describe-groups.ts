/**
 * DescribeGroups, API key 15, versions 0-6: state, protocol and members of classic groups. A group
 * that is not there is shown as dead.
 *
 * Version 3: what the client may do with a group (KIP-430). Version 4: static members (KIP-345).
 * Version 5: flexible. Version 6: GROUP_ID_NOT_FOUND and a text beside the dead group (KIP-1043).
 * Source: Kafka's GroupMetadataManager.describeGroups, KafkaApis.handleDescribeGroupsRequest.
 */

import { ErrorCode, type ErrorName } from '../../protocol/errors.ts';
import {
  DescribeGroupsRequest,
  DescribeGroupsResponse,
} from '../../protocol/messages/describe-groups.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { GROUP_OPERATIONS, OPERATIONS_NOT_ASKED } from '../acl-operations.ts';
import { api, type RequestContext } from '../api.ts';

type Request = Decoded<typeof DescribeGroupsRequest>;
type GroupAnswer = Input<typeof DescribeGroupsResponse>['groups'][number];

const FIRST_WITH_NOT_FOUND = 6;
const NO_BYTES = Buffer.alloc(0);

function nothing(groupId: string, errorCode: number, errorMessage: string | null): GroupAnswer {
  const groupState = '';
  const empty = { groupState, protocolType: '', protocolData: '', members: [] };
  return { ...empty, groupId, errorCode, errorMessage };
}

function absent(context: RequestContext, groupId: string, operations: number): GroupAnswer {
  const dead = { groupState: 'Dead' };
  if (context.apiVersion < FIRST_WITH_NOT_FOUND) {
    const answer = nothing(groupId, ErrorCode.NONE, null);
    return { ...answer, ...dead, authorizedOperations: operations };
  }
  const text = `Group ${groupId} not found.`;
  return { ...nothing(groupId, ErrorCode.GROUP_ID_NOT_FOUND, text), ...dead };
}

function describe(context: RequestContext, request: Request, groupId: string): GroupAnswer {
  const operations = request.includeAuthorizedOperations ? GROUP_OPERATIONS : OPERATIONS_NOT_ASKED;
  const group = context.services.groups.describeGroup(groupId);
  if (typeof group === 'string') {
    const error: ErrorName = group;
    return error === 'GROUP_ID_NOT_FOUND'
      ? absent(context, groupId, operations)
      : nothing(groupId, ErrorCode[error], null);
  }
  return {
    groupId,
    errorCode: ErrorCode.NONE,
    groupState: group.state,
    protocolType: group.protocolType,
    protocolData: group.protocol,
    members: group.members.map(({ metadata, assignment, ...member }) => ({
      ...member,
      memberMetadata: metadata ?? NO_BYTES,
      memberAssignment: assignment,
    })),
    authorizedOperations: operations,
  };
}

export const describeGroups = api({
  name: 'DescribeGroups',
  versions: '0-6',
  request: DescribeGroupsRequest,
  response: DescribeGroupsResponse,
  handle: (context, request) => ({
    groups: request.groups.map((groupId) => describe(context, request, groupId)),
  }),
  onError: (_context, request, errorCode, message) => ({
    groups: request.groups.map((groupId) => nothing(groupId, errorCode, message)),
  }),
});

/**
 * DeleteGroups, API key 42, versions 0-3: deletes groups without members, and their offsets.
 *
 * Version 2: flexible. Version 3: an error text.
 * Source: Kafka's GroupCoordinatorService.deleteGroups, KafkaApis.handleDeleteGroupsRequest.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  DeleteGroupsRequest,
  DeleteGroupsResponse,
} from '../../protocol/messages/delete-groups.ts';
import { api } from '../api.ts';

export const deleteGroups = api({
  name: 'DeleteGroups',
  versions: '0-3',
  request: DeleteGroupsRequest,
  response: DeleteGroupsResponse,
  handle: async (context, { groupsNames }) => {
    // A group that is named twice is deleted, and answered, once.
    const results = await context.services.groups.deleteGroups(new Set(groupsNames));
    return {
      throttleTimeMs: 0,
      results: [...results].map(([groupId, error]) => ({ groupId, errorCode: ErrorCode[error] })),
    };
  },
  onError: (_context, request, errorCode, message) => ({
    throttleTimeMs: 0,
    results: [...new Set(request.groupsNames)].map((groupId) => ({
      groupId,
      errorCode,
      errorMessage: message,
    })),
  }),
});

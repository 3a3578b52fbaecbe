/**
 * DeleteAcls, API key 31, versions 1-3: removes the ACLs that filters mean, and tells which those
 * were. Version 2: flexible. Version 3: users as resources.
 * Source: KIP-140, KIP-290, KIP-373; Kafka's AclApis.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import { DeleteAclsRequest, DeleteAclsResponse } from '../../protocol/messages/delete-acls.ts';
import type { Input } from '../../protocol/schema.ts';
import { api, CLOSE_CONNECTION } from '../api.ts';
import { type AclDeletion, isOfUnknown } from '../security/acls.ts';

type Result = Input<typeof DeleteAclsResponse>['filterResults'][number];

function resultOf({ removed, error }: AclDeletion): Result {
  if (error !== undefined) {
    return { errorCode: error.code, errorMessage: error.message, matchingAcls: [] };
  }
  const none = { errorCode: ErrorCode.NONE, errorMessage: null };
  return {
    ...none,
    matchingAcls: removed.map((acl) => ({
      ...none,
      resourceType: acl.resourceType,
      resourceName: acl.resourceName,
      patternType: acl.patternType,
      principal: acl.principal,
      host: acl.host,
      operation: acl.operation,
      permissionType: acl.permissionType,
    })),
  };
}

export const deleteAcls = api({
  name: 'DeleteAcls',
  versions: '1-3',
  request: DeleteAclsRequest,
  response: DeleteAclsResponse,
  handle(context, { filters }) {
    for (const { resourceTypeFilter, patternTypeFilter, operation, permissionType } of filters) {
      const ids = [resourceTypeFilter, patternTypeFilter, operation, permissionType];
      if (isOfUnknown(context, ids)) return CLOSE_CONNECTION;
    }
    return context.services.acls.delete(filters).then((outcomes) => ({
      filterResults: outcomes.map(resultOf),
    }));
  },
  onError: (_context, { filters }, errorCode, errorMessage) => ({
    filterResults: filters.map(() => ({ errorCode, errorMessage, matchingAcls: [] })),
  }),
});

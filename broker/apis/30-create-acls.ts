/**
 * CreateAcls, API key 30, versions 1-3: adds ACLs. They are kept; nobody is held to them. Version 2:
 * flexible. Version 3: users as resources. Source: KIP-140, KIP-290, KIP-373; Kafka's AclApis.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import { CreateAclsRequest, CreateAclsResponse } from '../../protocol/messages/create-acls.ts';
import { api, CLOSE_CONNECTION } from '../api.ts';
import { isOfUnknown } from '../security/acls.ts';

export const createAcls = api({
  name: 'CreateAcls',
  versions: '1-3',
  request: CreateAclsRequest,
  response: CreateAclsResponse,
  handle(context, { creations }) {
    const acls = creations.map(({ resourcePatternType: patternType, ...acl }) => {
      return { ...acl, patternType };
    });
    for (const { resourceType, patternType, operation, permissionType } of acls) {
      const ids = [resourceType, patternType, operation, permissionType];
      if (isOfUnknown(context, ids)) return CLOSE_CONNECTION;
    }
    return context.services.acls.create(acls).then((outcomes) => ({
      results: outcomes.map((error) => ({
        errorCode: error?.code ?? ErrorCode.NONE,
        errorMessage: error?.message ?? null,
      })),
    }));
  },
  onError: (_context, { creations }, errorCode, errorMessage) => ({
    results: creations.map(() => ({ errorCode, errorMessage })),
  }),
});

/**
 * DescribeAcls, API key 29, versions 1-3: the ACLs that a filter means, by resource. They are kept;
 * nobody is held to them. Version 2: flexible. Version 3: users as resources.
 * Source: KIP-140, KIP-290, KIP-373; Kafka's AclApis, DescribeAclsRequest.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  DescribeAclsRequest,
  DescribeAclsResponse,
} from '../../protocol/messages/describe-acls.ts';
import type { Input } from '../../protocol/schema.ts';
import { api, CLOSE_CONNECTION } from '../api.ts';
import type { Acl } from '../security/acl-image.ts';
import { isOfUnknown } from '../security/acls.ts';

type Resource = Input<typeof DescribeAclsResponse>['resources'][number];

function byResource(acls: readonly Acl[]): Resource[] {
  const resources = new Map<string, { head: Omit<Resource, 'acls'>; acls: Acl[] }>();
  for (const acl of acls) {
    const { resourceType, resourceName, patternType } = acl;
    const key = `${resourceType} ${patternType} ${resourceName}`;
    const known = resources.get(key);
    if (known !== undefined) known.acls.push(acl);
    else resources.set(key, { head: { resourceType, resourceName, patternType }, acls: [acl] });
  }
  return Array.from(resources.values(), ({ head, acls: ofResource }) => ({
    ...head,
    acls: ofResource.map(({ principal, host, operation, permissionType }) => {
      return { principal, host, operation, permissionType };
    }),
  }));
}

export const describeAcls = api({
  name: 'DescribeAcls',
  versions: '1-3',
  request: DescribeAclsRequest,
  response: DescribeAclsResponse,
  handle(context, filter) {
    const { resourceTypeFilter, patternTypeFilter, operation, permissionType } = filter;
    const ids = [resourceTypeFilter, patternTypeFilter, operation, permissionType];
    if (isOfUnknown(context, ids)) return CLOSE_CONNECTION;
    const resources = byResource(context.services.acls.find(filter));
    return { errorCode: ErrorCode.NONE, errorMessage: null, resources };
  },
  onError: (_context, _request, errorCode, errorMessage) => ({
    errorCode,
    errorMessage,
    resources: [],
  }),
});

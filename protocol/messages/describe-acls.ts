/** DescribeAcls, API key 29. Source: Kafka 4.4's message definitions. */

import { array, int8, int16, int32, message, string } from '../schema.ts';

export const DescribeAclsRequest = message(
  'DescribeAclsRequest',
  { key: 29, type: 'request', versions: '1-3', flexible: '2+' },
  {
    resourceTypeFilter: int8('1+'),
    resourceNameFilter: string('1+', { nullable: '1+' }),
    patternTypeFilter: int8('1+', { default: 3 }),
    principalFilter: string('1+', { nullable: '1+' }),
    hostFilter: string('1+', { nullable: '1+' }),
    operation: int8('1+'),
    permissionType: int8('1+'),
  },
);

export const DescribeAclsResponse = message(
  'DescribeAclsResponse',
  { key: 29, type: 'response', versions: '1-3', flexible: '2+' },
  {
    throttleTimeMs: int32('1+', { default: 0 }),
    errorCode: int16('1+'),
    errorMessage: string('1+', { nullable: '1+' }),
    resources: array('1+', {
      resourceType: int8('1+'),
      resourceName: string('1+'),
      patternType: int8('1+', { default: 3 }),
      acls: array('1+', {
        principal: string('1+'),
        host: string('1+'),
        operation: int8('1+'),
        permissionType: int8('1+'),
      }),
    }),
  },
);

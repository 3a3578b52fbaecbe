/** CreateAcls, API key 30. Source: Kafka 4.4's message definitions. */

import { array, int8, int16, int32, message, string } from '../schema.ts';

export const CreateAclsRequest = message(
  'CreateAclsRequest',
  { key: 30, type: 'request', versions: '1-3', flexible: '2+' },
  {
    creations: array('1+', {
      resourceType: int8('1+'),
      resourceName: string('1+'),
      resourcePatternType: int8('1+', { default: 3 }),
      principal: string('1+'),
      host: string('1+'),
      operation: int8('1+'),
      permissionType: int8('1+'),
    }),
  },
);

export const CreateAclsResponse = message(
  'CreateAclsResponse',
  { key: 30, type: 'response', versions: '1-3', flexible: '2+' },
  {
    throttleTimeMs: int32('1+', { default: 0 }),
    results: array('1+', {
      errorCode: int16('1+'),
      errorMessage: string('1+', { nullable: '1+' }),
    }),
  },
);

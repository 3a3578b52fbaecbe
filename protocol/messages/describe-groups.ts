/** DescribeGroups, API key 15. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, bool, bytes, int16, int32, message, string } from '../schema.ts';

export const DescribeGroupsRequest = message(
  'DescribeGroupsRequest',
  { key: 15, type: 'request', versions: '0-6', flexible: '5+' },
  {
    groups: arrayOf('string', '0+'),
    includeAuthorizedOperations: bool('3+', { default: false }),
  },
);

export const DescribeGroupsResponse = message(
  'DescribeGroupsResponse',
  { key: 15, type: 'response', versions: '0-6', flexible: '5+' },
  {
    throttleTimeMs: int32('1+', { default: 0 }),
    groups: array('0+', {
      errorCode: int16('0+'),
      errorMessage: string('6+', { nullable: '6+', default: null }),
      groupId: string('0+'),
      groupState: string('0+'),
      protocolType: string('0+'),
      protocolData: string('0+'),
      members: array('0+', {
        memberId: string('0+'),
        groupInstanceId: string('4+', { nullable: '4+', default: null }),
        clientId: string('0+'),
        clientHost: string('0+'),
        memberMetadata: bytes('0+'),
        memberAssignment: bytes('0+'),
      }),
      authorizedOperations: int32('3+', { default: -2147483648 }),
    }),
  },
);

/** DeleteGroups, API key 42. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, int16, int32, message, string } from '../schema.ts';

export const DeleteGroupsRequest = message(
  'DeleteGroupsRequest',
  { key: 42, type: 'request', versions: '0-3', flexible: '2+' },
  {
    groupsNames: arrayOf('string', '0+'),
  },
);

export const DeleteGroupsResponse = message(
  'DeleteGroupsResponse',
  { key: 42, type: 'response', versions: '0-3', flexible: '2+' },
  {
    throttleTimeMs: int32('0+'),
    results: array('0+', {
      groupId: string('0+'),
      errorCode: int16('0+'),
      errorMessage: string('3+', { nullable: '3+', default: null }),
    }),
  },
);

/** ListGroups, API key 16. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, int16, int32, message, string } from '../schema.ts';

export const ListGroupsRequest = message(
  'ListGroupsRequest',
  { key: 16, type: 'request', versions: '0-5', flexible: '3+' },
  {
    statesFilter: arrayOf('string', '4+', { default: [] }),
    typesFilter: arrayOf('string', '5+', { default: [] }),
  },
);

export const ListGroupsResponse = message(
  'ListGroupsResponse',
  { key: 16, type: 'response', versions: '0-5', flexible: '3+' },
  {
    throttleTimeMs: int32('1+', { default: 0 }),
    errorCode: int16('0+'),
    groups: array('0+', {
      groupId: string('0+'),
      protocolType: string('0+'),
      groupState: string('4+', { default: '' }),
      groupType: string('5+', { default: '' }),
    }),
  },
);

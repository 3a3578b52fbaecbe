/** ListConfigResources, API key 74. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, int8, int16, int32, message, string } from '../schema.ts';

export const ListConfigResourcesRequest = message(
  'ListConfigResourcesRequest',
  { key: 74, type: 'request', versions: '0-1', flexible: '0+' },
  {
    resourceTypes: arrayOf('int8', '1+', { default: [] }),
  },
);

export const ListConfigResourcesResponse = message(
  'ListConfigResourcesResponse',
  { key: 74, type: 'response', versions: '0-1', flexible: '0+' },
  {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    configResources: array('0+', {
      resourceName: string('0+'),
      resourceType: int8('1+', { default: 16 }),
    }),
  },
);

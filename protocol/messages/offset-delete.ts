/** OffsetDelete, API key 47. Source: Kafka 4.4's message definitions. */

import { array, int16, int32, message, string } from '../schema.ts';

export const OffsetDeleteRequest = message(
  'OffsetDeleteRequest',
  { key: 47, type: 'request', versions: '0' },
  {
    groupId: string('0+'),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
      }),
    }),
  },
);

export const OffsetDeleteResponse = message(
  'OffsetDeleteResponse',
  { key: 47, type: 'response', versions: '0' },
  {
    errorCode: int16('0+'),
    throttleTimeMs: int32('0+', { default: 0 }),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
      }),
    }),
  },
);

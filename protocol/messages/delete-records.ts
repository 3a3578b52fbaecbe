/** DeleteRecords, API key 21. Source: Kafka 4.4's message definitions. */

import { array, int16, int32, int64, message, string } from '../schema.ts';

export const DeleteRecordsRequest = message(
  'DeleteRecordsRequest',
  { key: 21, type: 'request', versions: '0-2', flexible: '2+' },
  {
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        offset: int64('0+'),
      }),
    }),
    timeoutMs: int32('0+'),
  },
);

export const DeleteRecordsResponse = message(
  'DeleteRecordsResponse',
  { key: 21, type: 'response', versions: '0-2', flexible: '2+' },
  {
    throttleTimeMs: int32('0+'),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        lowWatermark: int64('0+'),
        errorCode: int16('0+'),
      }),
    }),
  },
);

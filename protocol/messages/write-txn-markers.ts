/** WriteTxnMarkers, API key 27. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, bool, int8, int16, int32, int64, message, string } from '../schema.ts';

export const WriteTxnMarkersRequest = message(
  'WriteTxnMarkersRequest',
  { key: 27, type: 'request', versions: '1-2', flexible: '1+' },
  {
    markers: array('0+', {
      producerId: int64('0+'),
      producerEpoch: int16('0+'),
      transactionResult: bool('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitionIndexes: arrayOf('int32', '0+'),
      }),
      coordinatorEpoch: int32('0+'),
      transactionVersion: int8('2+', { default: 0 }),
    }),
  },
);

export const WriteTxnMarkersResponse = message(
  'WriteTxnMarkersResponse',
  { key: 27, type: 'response', versions: '1-2', flexible: '1+' },
  {
    markers: array('0+', {
      producerId: int64('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          errorCode: int16('0+'),
        }),
      }),
    }),
  },
);

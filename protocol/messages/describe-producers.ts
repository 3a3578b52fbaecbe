/** DescribeProducers, API key 61. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, int16, int32, int64, message, string } from '../schema.ts';

export const DescribeProducersRequest = message(
  'DescribeProducersRequest',
  { key: 61, type: 'request', versions: '0', flexible: '0+' },
  {
    topics: array('0+', {
      name: string('0+'),
      partitionIndexes: arrayOf('int32', '0+'),
    }),
  },
);

export const DescribeProducersResponse = message(
  'DescribeProducersResponse',
  { key: 61, type: 'response', versions: '0', flexible: '0+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+', default: null }),
        activeProducers: array('0+', {
          producerId: int64('0+'),
          producerEpoch: int32('0+'),
          lastSequence: int32('0+', { default: -1 }),
          lastTimestamp: int64('0+', { default: -1 }),
          coordinatorEpoch: int32('0+'),
          currentTxnStartOffset: int64('0+', { default: -1 }),
        }),
      }),
    }),
  },
);

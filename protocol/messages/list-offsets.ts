/** ListOffsets, API key 2. Source: Kafka 4.4's message definitions. */

import { array, int8, int16, int32, int64, message, string } from '../schema.ts';

export const ListOffsetsRequest = message(
  'ListOffsetsRequest',
  { key: 2, type: 'request', versions: '1-11', flexible: '6+' },
  {
    replicaId: int32('0+'),
    isolationLevel: int8('2+', { default: 0 }),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        currentLeaderEpoch: int32('4+', { default: -1 }),
        timestamp: int64('0+'),
      }),
    }),
    timeoutMs: int32('10+', { default: 0 }),
  },
);

export const ListOffsetsResponse = message(
  'ListOffsetsResponse',
  { key: 2, type: 'response', versions: '1-11', flexible: '6+' },
  {
    throttleTimeMs: int32('2+', { default: 0 }),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        timestamp: int64('1+', { default: -1 }),
        offset: int64('1+', { default: -1 }),
        leaderEpoch: int32('4+', { default: -1 }),
      }),
    }),
  },
);

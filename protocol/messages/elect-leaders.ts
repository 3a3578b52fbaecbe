/** ElectLeaders, API key 43. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, int8, int16, int32, message, string } from '../schema.ts';

export const ElectLeadersRequest = message(
  'ElectLeadersRequest',
  { key: 43, type: 'request', versions: '0-2', flexible: '2+' },
  {
    electionType: int8('1+', { default: 0 }),
    topicPartitions: array(
      '0+',
      {
        topic: string('0+'),
        partitions: arrayOf('int32', '0+'),
      },
      { nullable: '0+' },
    ),
    timeoutMs: int32('0+', { default: 60000 }),
  },
);

export const ElectLeadersResponse = message(
  'ElectLeadersResponse',
  { key: 43, type: 'response', versions: '0-2', flexible: '2+' },
  {
    throttleTimeMs: int32('0+'),
    errorCode: int16('1+', { default: 0 }),
    replicaElectionResults: array('0+', {
      topic: string('0+'),
      partitionResult: array('0+', {
        partitionId: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+' }),
      }),
    }),
  },
);

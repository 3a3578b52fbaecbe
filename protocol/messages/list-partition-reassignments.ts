/** ListPartitionReassignments, API key 46. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, int16, int32, message, string } from '../schema.ts';

export const ListPartitionReassignmentsRequest = message(
  'ListPartitionReassignmentsRequest',
  { key: 46, type: 'request', versions: '0', flexible: '0+' },
  {
    timeoutMs: int32('0+', { default: 60000 }),
    topics: array(
      '0+',
      {
        name: string('0+'),
        partitionIndexes: arrayOf('int32', '0+'),
      },
      { nullable: '0+', default: null },
    ),
  },
);

export const ListPartitionReassignmentsResponse = message(
  'ListPartitionReassignmentsResponse',
  { key: 46, type: 'response', versions: '0', flexible: '0+' },
  {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        replicas: arrayOf('int32', '0+'),
        addingReplicas: arrayOf('int32', '0+'),
        removingReplicas: arrayOf('int32', '0+'),
      }),
    }),
  },
);

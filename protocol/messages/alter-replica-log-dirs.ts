/** AlterReplicaLogDirs, API key 34. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, int16, int32, message, string } from '../schema.ts';

export const AlterReplicaLogDirsRequest = message(
  'AlterReplicaLogDirsRequest',
  { key: 34, type: 'request', versions: '1-2', flexible: '2+' },
  {
    dirs: array('1+', {
      path: string('1+'),
      topics: array('1+', {
        name: string('1+'),
        partitions: arrayOf('int32', '1+'),
      }),
    }),
  },
);

export const AlterReplicaLogDirsResponse = message(
  'AlterReplicaLogDirsResponse',
  { key: 34, type: 'response', versions: '1-2', flexible: '2+' },
  {
    throttleTimeMs: int32('1+', { default: 0 }),
    results: array('1+', {
      topicName: string('1+'),
      partitions: array('1+', {
        partitionIndex: int32('1+'),
        errorCode: int16('1+'),
      }),
    }),
  },
);

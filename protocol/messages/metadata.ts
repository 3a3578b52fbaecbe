/** Metadata, API key 3. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, bool, int16, int32, message, string, uuid, ZERO_UUID } from '../schema.ts';

export const MetadataRequest = message(
  'MetadataRequest',
  { key: 3, type: 'request', versions: '0-13', flexible: '9+' },
  {
    topics: array(
      '0+',
      {
        topicId: uuid('10+', { default: ZERO_UUID }),
        name: string('0+', { nullable: '10+' }),
      },
      { nullable: '1+' },
    ),
    allowAutoTopicCreation: bool('4+', { default: true }),
    includeClusterAuthorizedOperations: bool('8-10', { default: false }),
    includeTopicAuthorizedOperations: bool('8+', { default: false }),
  },
);

export const MetadataResponse = message(
  'MetadataResponse',
  { key: 3, type: 'response', versions: '0-13', flexible: '9+' },
  {
    throttleTimeMs: int32('3+', { default: 0 }),
    brokers: array('0+', {
      nodeId: int32('0+'),
      host: string('0+'),
      port: int32('0+'),
      rack: string('1+', { nullable: '1+', default: null }),
    }),
    clusterId: string('2+', { nullable: '2+', default: null }),
    controllerId: int32('1+', { default: -1 }),
    topics: array('0+', {
      errorCode: int16('0+'),
      name: string('0+', { nullable: '12+' }),
      topicId: uuid('10+', { default: ZERO_UUID }),
      isInternal: bool('1+', { default: false }),
      partitions: array('0+', {
        errorCode: int16('0+'),
        partitionIndex: int32('0+'),
        leaderId: int32('0+'),
        leaderEpoch: int32('7+', { default: -1 }),
        replicaNodes: arrayOf('int32', '0+'),
        isrNodes: arrayOf('int32', '0+'),
        offlineReplicas: arrayOf('int32', '5+', { default: [] }),
      }),
      topicAuthorizedOperations: int32('8+', { default: -2147483648 }),
    }),
    clusterAuthorizedOperations: int32('8-10', { default: -2147483648 }),
    errorCode: int16('13+', { default: 0 }),
  },
);

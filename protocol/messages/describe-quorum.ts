/** DescribeQuorum, API key 55. Source: Kafka 4.4's message definitions. */

import { array, int16, int32, int64, message, string, uint16, uuid, ZERO_UUID } from '../schema.ts';

export const DescribeQuorumRequest = message(
  'DescribeQuorumRequest',
  { key: 55, type: 'request', versions: '0-2', flexible: '0+' },
  {
    topics: array('0+', {
      topicName: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
      }),
    }),
  },
);

export const DescribeQuorumResponse = message(
  'DescribeQuorumResponse',
  { key: 55, type: 'response', versions: '0-2', flexible: '0+' },
  {
    errorCode: int16('0+'),
    errorMessage: string('2+', { nullable: '2+', default: '' }),
    topics: array('0+', {
      topicName: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('2+', { nullable: '2+', default: '' }),
        leaderId: int32('0+'),
        leaderEpoch: int32('0+'),
        highWatermark: int64('0+'),
        currentVoters: array('0+', {
          replicaId: int32('0+'),
          replicaDirectoryId: uuid('2+', { default: ZERO_UUID }),
          logEndOffset: int64('0+'),
          lastFetchTimestamp: int64('1+', { default: -1 }),
          lastCaughtUpTimestamp: int64('1+', { default: -1 }),
        }),
        observers: array('0+', {
          replicaId: int32('0+'),
          replicaDirectoryId: uuid('2+', { default: ZERO_UUID }),
          logEndOffset: int64('0+'),
          lastFetchTimestamp: int64('1+', { default: -1 }),
          lastCaughtUpTimestamp: int64('1+', { default: -1 }),
        }),
      }),
    }),
    nodes: array(
      '2+',
      {
        nodeId: int32('2+', { default: 0 }),
        listeners: array(
          '2+',
          {
            name: string('2+', { default: '' }),
            host: string('2+', { default: '' }),
            port: uint16('2+', { default: 0 }),
          },
          { default: [] },
        ),
      },
      { default: [] },
    ),
  },
);

/** OffsetCommit, API key 8. Source: Kafka 4.4's message definitions. */

import { array, int16, int32, int64, message, string, uuid, ZERO_UUID } from '../schema.ts';

export const OffsetCommitRequest = message(
  'OffsetCommitRequest',
  { key: 8, type: 'request', versions: '2-10', flexible: '8+' },
  {
    groupId: string('0+'),
    generationIdOrMemberEpoch: int32('1+', { default: -1 }),
    memberId: string('1+'),
    groupInstanceId: string('7+', { nullable: '7+', default: null }),
    retentionTimeMs: int64('2-4', { default: -1 }),
    topics: array('0+', {
      name: string('0-9', { default: '' }),
      topicId: uuid('10+', { default: ZERO_UUID }),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        committedOffset: int64('0+'),
        committedLeaderEpoch: int32('6+', { default: -1 }),
        committedMetadata: string('0+', { nullable: '0+' }),
      }),
    }),
  },
);

export const OffsetCommitResponse = message(
  'OffsetCommitResponse',
  { key: 8, type: 'response', versions: '2-10', flexible: '8+' },
  {
    throttleTimeMs: int32('3+', { default: 0 }),
    topics: array('0+', {
      name: string('0-9', { default: '' }),
      topicId: uuid('10+', { default: ZERO_UUID }),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
      }),
    }),
  },
);

/** OffsetFetch, API key 9. Source: Kafka 4.4's message definitions. */

import {
  array,
  arrayOf,
  bool,
  int16,
  int32,
  int64,
  message,
  string,
  uuid,
  ZERO_UUID,
} from '../schema.ts';

export const OffsetFetchRequest = message(
  'OffsetFetchRequest',
  { key: 9, type: 'request', versions: '1-10', flexible: '6+' },
  {
    groupId: string('0-7', { default: '' }),
    topics: array(
      '0-7',
      {
        name: string('0-7', { default: '' }),
        partitionIndexes: arrayOf('int32', '0-7', { default: [] }),
      },
      { nullable: '2-7', default: [] },
    ),
    groups: array(
      '8+',
      {
        groupId: string('8+', { default: '' }),
        memberId: string('9+', { nullable: '9+', default: null }),
        memberEpoch: int32('9+', { default: -1 }),
        topics: array(
          '8+',
          {
            name: string('8-9', { default: '' }),
            topicId: uuid('10+', { default: ZERO_UUID }),
            partitionIndexes: arrayOf('int32', '8+', { default: [] }),
          },
          { nullable: '8+', default: [] },
        ),
      },
      { default: [] },
    ),
    requireStable: bool('7+', { default: false }),
  },
);

export const OffsetFetchResponse = message(
  'OffsetFetchResponse',
  { key: 9, type: 'response', versions: '1-10', flexible: '6+' },
  {
    throttleTimeMs: int32('3+', { default: 0 }),
    topics: array(
      '0-7',
      {
        name: string('0-7', { default: '' }),
        partitions: array(
          '0-7',
          {
            partitionIndex: int32('0-7', { default: 0 }),
            committedOffset: int64('0-7', { default: 0 }),
            committedLeaderEpoch: int32('5-7', { default: -1 }),
            metadata: string('0-7', { nullable: '0-7', default: '' }),
            errorCode: int16('0-7', { default: 0 }),
          },
          { default: [] },
        ),
      },
      { default: [] },
    ),
    errorCode: int16('2-7', { default: 0 }),
    groups: array(
      '8+',
      {
        groupId: string('8+', { default: '' }),
        topics: array(
          '8+',
          {
            name: string('8-9', { default: '' }),
            topicId: uuid('10+', { default: ZERO_UUID }),
            partitions: array(
              '8+',
              {
                partitionIndex: int32('8+', { default: 0 }),
                committedOffset: int64('8+', { default: 0 }),
                committedLeaderEpoch: int32('8+', { default: -1 }),
                metadata: string('8+', { nullable: '8+', default: '' }),
                errorCode: int16('8+', { default: 0 }),
              },
              { default: [] },
            ),
          },
          { default: [] },
        ),
        errorCode: int16('8+', { default: 0 }),
      },
      { default: [] },
    ),
  },
);

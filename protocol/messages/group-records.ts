/** Records of the __consumer_offsets topic, keyed by type id. Source: Kafka 4.4's coordinator schemas. */

import { array, bytes, int32, int64, message, string, uuid, ZERO_UUID } from '../schema.ts';

export const OffsetCommitKey = message(
  'OffsetCommitKey',
  { key: 1, type: 'record', versions: '0' },
  {
    group: string('0'),
    topic: string('0'),
    partition: int32('0'),
  },
);

export const OffsetCommitValue = message(
  'OffsetCommitValue',
  { key: 1, type: 'record', versions: '0-4', flexible: '4+' },
  {
    offset: int64('0+'),
    leaderEpoch: int32('3+', { default: -1 }),
    metadata: string('0+'),
    commitTimestamp: int64('0+'),
    expireTimestamp: int64('1', { default: -1 }),
    topicId: uuid('4+', { default: ZERO_UUID, tag: 0, tagged: '4+' }),
  },
);

export const GroupMetadataKey = message(
  'GroupMetadataKey',
  { key: 2, type: 'record', versions: '0' },
  {
    group: string('0'),
  },
);

export const GroupMetadataValue = message(
  'GroupMetadataValue',
  { key: 2, type: 'record', versions: '0-4', flexible: '4+' },
  {
    protocolType: string('0+'),
    generation: int32('0+'),
    protocol: string('0+', { nullable: '0+' }),
    leader: string('0+', { nullable: '0+' }),
    currentStateTimestamp: int64('2+', { default: -1 }),
    members: array('0+', {
      memberId: string('0+'),
      groupInstanceId: string('3+', { nullable: '3+', default: null }),
      clientId: string('0+'),
      clientHost: string('0+'),
      rebalanceTimeout: int32('1+', { default: -1 }),
      sessionTimeout: int32('0+'),
      subscription: bytes('0+'),
      assignment: bytes('0+'),
    }),
  },
);

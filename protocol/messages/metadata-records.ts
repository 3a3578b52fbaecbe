/** Records of the __cluster_metadata log, keyed by KRaft's type id. Source: Kafka 4.4's metadata schemas. */

import { arrayOf, int8, int16, int32, int64, message, string, uuid } from '../schema.ts';

export const TopicRecord = message(
  'TopicRecord',
  { key: 2, type: 'record', versions: '0', flexible: '0+' },
  {
    name: string('0+'),
    topicId: uuid('0+'),
  },
);

export const PartitionRecord = message(
  'PartitionRecord',
  { key: 3, type: 'record', versions: '0-2', flexible: '0+' },
  {
    partitionId: int32('0+', { default: -1 }),
    topicId: uuid('0+'),
    replicas: arrayOf('int32', '0+'),
    isr: arrayOf('int32', '0+'),
    removingReplicas: arrayOf('int32', '0+'),
    addingReplicas: arrayOf('int32', '0+'),
    leader: int32('0+', { default: -1 }),
    leaderRecoveryState: int8('0+', { default: 0, tag: 0, tagged: '0+' }),
    leaderEpoch: int32('0+', { default: -1 }),
    partitionEpoch: int32('0+', { default: -1 }),
    directories: arrayOf('uuid', '1+', { default: [] }),
    eligibleLeaderReplicas: arrayOf('int32', '2+', {
      nullable: '2+',
      default: null,
      tag: 1,
      tagged: '2+',
    }),
    lastKnownElr: arrayOf('int32', '2+', { nullable: '2+', default: null, tag: 2, tagged: '2+' }),
  },
);

export const ConfigRecord = message(
  'ConfigRecord',
  { key: 4, type: 'record', versions: '0', flexible: '0+' },
  {
    resourceType: int8('0+'),
    resourceName: string('0+'),
    name: string('0+'),
    value: string('0+', { nullable: '0+' }),
  },
);

export const RemoveTopicRecord = message(
  'RemoveTopicRecord',
  { key: 9, type: 'record', versions: '0', flexible: '0+' },
  {
    topicId: uuid('0+'),
  },
);

export const ProducerIdsRecord = message(
  'ProducerIdsRecord',
  { key: 15, type: 'record', versions: '0', flexible: '0+' },
  {
    brokerId: int32('0+'),
    brokerEpoch: int64('0+', { default: -1 }),
    nextProducerId: int64('0+'),
  },
);

export const FeatureLevelRecord = message(
  'FeatureLevelRecord',
  { key: 12, type: 'record', versions: '0', flexible: '0+' },
  {
    name: string('0+'),
    featureLevel: int16('0+'),
  },
);

export const NoOpRecord = message(
  'NoOpRecord',
  { key: 20, type: 'record', versions: '0', flexible: '0+' },
  {},
);

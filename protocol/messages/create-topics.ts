/** CreateTopics, API key 19. Source: Kafka 4.4's message definitions. */

import {
  array,
  arrayOf,
  bool,
  int8,
  int16,
  int32,
  message,
  string,
  uuid,
  ZERO_UUID,
} from '../schema.ts';

export const CreateTopicsRequest = message(
  'CreateTopicsRequest',
  { key: 19, type: 'request', versions: '2-7', flexible: '5+' },
  {
    topics: array('0+', {
      name: string('0+'),
      numPartitions: int32('0+'),
      replicationFactor: int16('0+'),
      assignments: array('0+', {
        partitionIndex: int32('0+'),
        brokerIds: arrayOf('int32', '0+'),
      }),
      configs: array('0+', {
        name: string('0+'),
        value: string('0+', { nullable: '0+' }),
      }),
    }),
    timeoutMs: int32('0+', { default: 60000 }),
    validateOnly: bool('1+', { default: false }),
  },
);

export const CreateTopicsResponse = message(
  'CreateTopicsResponse',
  { key: 19, type: 'response', versions: '2-7', flexible: '5+' },
  {
    throttleTimeMs: int32('2+'),
    topics: array('0+', {
      name: string('0+'),
      topicId: uuid('7+', { default: ZERO_UUID }),
      errorCode: int16('0+'),
      errorMessage: string('1+', { nullable: '0+' }),
      topicConfigErrorCode: int16('5+', { default: 0, tag: 0, tagged: '5+' }),
      numPartitions: int32('5+', { default: -1 }),
      replicationFactor: int16('5+', { default: -1 }),
      configs: array(
        '5+',
        {
          name: string('5+', { default: '' }),
          value: string('5+', { nullable: '5+', default: '' }),
          readOnly: bool('5+', { default: false }),
          configSource: int8('5+', { default: -1 }),
          isSensitive: bool('5+', { default: false }),
        },
        { nullable: '5+', default: [] },
      ),
    }),
  },
);

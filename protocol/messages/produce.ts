/** Produce, API key 0. Source: Kafka 4.4's message definitions. */

import {
  array,
  int16,
  int32,
  int64,
  message,
  records,
  string,
  struct,
  uuid,
  ZERO_UUID,
} from '../schema.ts';

export const ProduceRequest = message(
  'ProduceRequest',
  { key: 0, type: 'request', versions: '3-13', flexible: '9+' },
  {
    transactionalId: string('3+', { nullable: '3+', default: null }),
    acks: int16('0+'),
    timeoutMs: int32('0+'),
    topicData: array('0+', {
      name: string('0-12', { default: '' }),
      topicId: uuid('13+', { default: ZERO_UUID }),
      partitionData: array('0+', {
        index: int32('0+'),
        records: records('0+', { nullable: '0+' }),
      }),
    }),
  },
);

export const ProduceResponse = message(
  'ProduceResponse',
  { key: 0, type: 'response', versions: '3-13', flexible: '9+' },
  {
    responses: array('0+', {
      name: string('0-12', { default: '' }),
      topicId: uuid('13+', { default: ZERO_UUID }),
      partitionResponses: array('0+', {
        index: int32('0+'),
        errorCode: int16('0+'),
        baseOffset: int64('0+'),
        logAppendTimeMs: int64('2+', { default: -1 }),
        logStartOffset: int64('5+', { default: -1 }),
        recordErrors: array(
          '8+',
          {
            batchIndex: int32('8+', { default: 0 }),
            batchIndexErrorMessage: string('8+', { nullable: '8+', default: null }),
          },
          { default: [] },
        ),
        errorMessage: string('8+', { nullable: '8+', default: null }),
        currentLeader: struct(
          '10+',
          {
            leaderId: int32('10+', { default: -1 }),
            leaderEpoch: int32('10+', { default: -1 }),
          },
          { default: undefined, tag: 0, tagged: '10+' },
        ),
      }),
    }),
    throttleTimeMs: int32('1+', { default: 0 }),
    nodeEndpoints: array(
      '10+',
      {
        nodeId: int32('10+', { default: 0 }),
        host: string('10+', { default: '' }),
        port: int32('10+', { default: 0 }),
        rack: string('10+', { nullable: '10+', default: null }),
      },
      { default: [], tag: 0, tagged: '10+' },
    ),
  },
);

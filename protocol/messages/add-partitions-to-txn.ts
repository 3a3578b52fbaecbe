/** AddPartitionsToTxn, API key 24. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, bool, int16, int32, int64, message, string } from '../schema.ts';

export const AddPartitionsToTxnRequest = message(
  'AddPartitionsToTxnRequest',
  { key: 24, type: 'request', versions: '0-5', flexible: '3+' },
  {
    transactions: array(
      '4+',
      {
        transactionalId: string('4+', { default: '' }),
        producerId: int64('4+', { default: 0 }),
        producerEpoch: int16('4+', { default: 0 }),
        verifyOnly: bool('4+', { default: false }),
        topics: array(
          '4+',
          {
            name: string('0+'),
            partitions: arrayOf('int32', '0+'),
          },
          { default: [] },
        ),
      },
      { default: [] },
    ),
    v3AndBelowTransactionalId: string('0-3', { default: '' }),
    v3AndBelowProducerId: int64('0-3', { default: 0 }),
    v3AndBelowProducerEpoch: int16('0-3', { default: 0 }),
    v3AndBelowTopics: array(
      '0-3',
      {
        name: string('0+'),
        partitions: arrayOf('int32', '0+'),
      },
      { default: [] },
    ),
  },
);

export const AddPartitionsToTxnResponse = message(
  'AddPartitionsToTxnResponse',
  { key: 24, type: 'response', versions: '0-5', flexible: '3+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    errorCode: int16('4+', { default: 0 }),
    resultsByTransaction: array(
      '4+',
      {
        transactionalId: string('4+', { default: '' }),
        topicResults: array(
          '4+',
          {
            name: string('0+'),
            resultsByPartition: array('0+', {
              partitionIndex: int32('0+'),
              partitionErrorCode: int16('0+'),
            }),
          },
          { default: [] },
        ),
      },
      { default: [] },
    ),
    resultsByTopicV3AndBelow: array(
      '0-3',
      {
        name: string('0+'),
        resultsByPartition: array('0+', {
          partitionIndex: int32('0+'),
          partitionErrorCode: int16('0+'),
        }),
      },
      { default: [] },
    ),
  },
);

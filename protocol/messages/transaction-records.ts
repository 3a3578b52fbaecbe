/** Records of the __transaction_state topic. Source: Kafka 4.4's coordinator schemas. */

import { array, arrayOf, int8, int16, int32, int64, message, string } from '../schema.ts';

export const TransactionLogKey = message(
  'TransactionLogKey',
  { key: 0, type: 'record', versions: '0' },
  {
    transactionalId: string('0'),
  },
);

export const TransactionLogValue = message(
  'TransactionLogValue',
  { key: 0, type: 'record', versions: '0-1', flexible: '1+' },
  {
    producerId: int64('0+'),
    previousProducerId: int64('1+', { default: -1, tag: 0, tagged: '1+' }),
    nextProducerId: int64('1+', { default: -1, tag: 1, tagged: '1+' }),
    producerEpoch: int16('0+'),
    nextProducerEpoch: int16('1+', { default: -1, tag: 3, tagged: '1+' }),
    transactionTimeoutMs: int32('0+'),
    transactionStatus: int8('0+'),
    transactionPartitions: array(
      '0+',
      {
        topic: string('0+'),
        partitionIds: arrayOf('int32', '0+'),
      },
      { nullable: '0+' },
    ),
    transactionLastUpdateTimestampMs: int64('0+'),
    transactionStartTimestampMs: int64('0+'),
    clientTransactionVersion: int16('1+', { default: 0, tag: 2, tagged: '1+' }),
  },
);

/** DescribeTransactions, API key 65. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, int16, int32, int64, message, string } from '../schema.ts';

export const DescribeTransactionsRequest = message(
  'DescribeTransactionsRequest',
  { key: 65, type: 'request', versions: '0', flexible: '0+' },
  {
    transactionalIds: arrayOf('string', '0+'),
  },
);

export const DescribeTransactionsResponse = message(
  'DescribeTransactionsResponse',
  { key: 65, type: 'response', versions: '0', flexible: '0+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    transactionStates: array('0+', {
      errorCode: int16('0+'),
      transactionalId: string('0+'),
      transactionState: string('0+'),
      transactionTimeoutMs: int32('0+'),
      transactionStartTimeMs: int64('0+'),
      producerId: int64('0+'),
      producerEpoch: int16('0+'),
      topics: array('0+', {
        topic: string('0+'),
        partitions: arrayOf('int32', '0+'),
      }),
    }),
  },
);

/** ListTransactions, API key 66. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, int16, int32, int64, message, string } from '../schema.ts';

export const ListTransactionsRequest = message(
  'ListTransactionsRequest',
  { key: 66, type: 'request', versions: '0-2', flexible: '0+' },
  {
    stateFilters: arrayOf('string', '0+'),
    producerIdFilters: arrayOf('int64', '0+'),
    durationFilter: int64('1+', { default: -1 }),
    transactionalIdPattern: string('2+', { nullable: '2+', default: null }),
  },
);

export const ListTransactionsResponse = message(
  'ListTransactionsResponse',
  { key: 66, type: 'response', versions: '0-2', flexible: '0+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    errorCode: int16('0+'),
    unknownStateFilters: arrayOf('string', '0+'),
    transactionStates: array('0+', {
      transactionalId: string('0+'),
      producerId: int64('0+'),
      transactionState: string('0+'),
    }),
  },
);

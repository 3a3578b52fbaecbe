/** EndTxn, API key 26. Source: Kafka 4.4's message definitions. */

import { bool, int16, int32, int64, message, string } from '../schema.ts';

export const EndTxnRequest = message(
  'EndTxnRequest',
  { key: 26, type: 'request', versions: '0-5', flexible: '3+' },
  {
    transactionalId: string('0+'),
    producerId: int64('0+'),
    producerEpoch: int16('0+'),
    committed: bool('0+'),
  },
);

export const EndTxnResponse = message(
  'EndTxnResponse',
  { key: 26, type: 'response', versions: '0-5', flexible: '3+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    errorCode: int16('0+'),
    producerId: int64('5+', { default: -1 }),
    producerEpoch: int16('5+', { default: -1 }),
  },
);

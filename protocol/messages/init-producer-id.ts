/** InitProducerId, API key 22. Source: Kafka 4.4's message definitions. */

import { bool, int16, int32, int64, message, string } from '../schema.ts';

export const InitProducerIdRequest = message(
  'InitProducerIdRequest',
  { key: 22, type: 'request', versions: '0-6', flexible: '2+' },
  {
    transactionalId: string('0+', { nullable: '0+' }),
    transactionTimeoutMs: int32('0+'),
    producerId: int64('3+', { default: -1 }),
    producerEpoch: int16('3+', { default: -1 }),
    enable2Pc: bool('6+', { default: false }),
    keepPreparedTxn: bool('6+', { default: false }),
  },
);

export const InitProducerIdResponse = message(
  'InitProducerIdResponse',
  { key: 22, type: 'response', versions: '0-6', flexible: '2+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    errorCode: int16('0+'),
    producerId: int64('0+', { default: -1 }),
    producerEpoch: int16('0+'),
    ongoingTxnProducerId: int64('6+', { default: -1 }),
    ongoingTxnProducerEpoch: int16('6+', { default: -1 }),
  },
);

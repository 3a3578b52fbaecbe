/** AddOffsetsToTxn, API key 25. Source: Kafka 4.4's message definitions. */

import { int16, int32, int64, message, string } from '../schema.ts';

export const AddOffsetsToTxnRequest = message(
  'AddOffsetsToTxnRequest',
  { key: 25, type: 'request', versions: '0-4', flexible: '3+' },
  {
    transactionalId: string('0+'),
    producerId: int64('0+'),
    producerEpoch: int16('0+'),
    groupId: string('0+'),
  },
);

export const AddOffsetsToTxnResponse = message(
  'AddOffsetsToTxnResponse',
  { key: 25, type: 'response', versions: '0-4', flexible: '3+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    errorCode: int16('0+'),
  },
);

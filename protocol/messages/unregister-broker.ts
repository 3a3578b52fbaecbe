/** UnregisterBroker, API key 64. Source: Kafka 4.4's message definitions. */

import { int16, int32, message, string } from '../schema.ts';

export const UnregisterBrokerRequest = message(
  'UnregisterBrokerRequest',
  { key: 64, type: 'request', versions: '0', flexible: '0+' },
  {
    brokerId: int32('0+'),
  },
);

export const UnregisterBrokerResponse = message(
  'UnregisterBrokerResponse',
  { key: 64, type: 'response', versions: '0', flexible: '0+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
  },
);

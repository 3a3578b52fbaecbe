/** ExpireDelegationToken, API key 40. Source: Kafka 4.4's message definitions. */

import { bytes, int16, int32, int64, message } from '../schema.ts';

export const ExpireDelegationTokenRequest = message(
  'ExpireDelegationTokenRequest',
  { key: 40, type: 'request', versions: '1-2', flexible: '2+' },
  {
    hmac: bytes('1+'),
    expiryTimePeriodMs: int64('1+'),
  },
);

export const ExpireDelegationTokenResponse = message(
  'ExpireDelegationTokenResponse',
  { key: 40, type: 'response', versions: '1-2', flexible: '2+' },
  {
    errorCode: int16('1+'),
    expiryTimestampMs: int64('1+'),
    throttleTimeMs: int32('1+', { default: 0 }),
  },
);

/** RenewDelegationToken, API key 39. Source: Kafka 4.4's message definitions. */

import { bytes, int16, int32, int64, message } from '../schema.ts';

export const RenewDelegationTokenRequest = message(
  'RenewDelegationTokenRequest',
  { key: 39, type: 'request', versions: '1-2', flexible: '2+' },
  {
    hmac: bytes('1+'),
    renewPeriodMs: int64('1+'),
  },
);

export const RenewDelegationTokenResponse = message(
  'RenewDelegationTokenResponse',
  { key: 39, type: 'response', versions: '1-2', flexible: '2+' },
  {
    errorCode: int16('1+'),
    expiryTimestampMs: int64('1+'),
    throttleTimeMs: int32('1+', { default: 0 }),
  },
);

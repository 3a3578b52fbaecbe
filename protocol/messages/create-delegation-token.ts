/** CreateDelegationToken, API key 38. Source: Kafka 4.4's message definitions. */

import { array, bytes, int16, int32, int64, message, string } from '../schema.ts';

export const CreateDelegationTokenRequest = message(
  'CreateDelegationTokenRequest',
  { key: 38, type: 'request', versions: '1-3', flexible: '2+' },
  {
    ownerPrincipalType: string('3+', { nullable: '3+', default: '' }),
    ownerPrincipalName: string('3+', { nullable: '3+', default: '' }),
    renewers: array('1+', {
      principalType: string('1+'),
      principalName: string('1+'),
    }),
    maxLifetimeMs: int64('1+'),
  },
);

export const CreateDelegationTokenResponse = message(
  'CreateDelegationTokenResponse',
  { key: 38, type: 'response', versions: '1-3', flexible: '2+' },
  {
    errorCode: int16('1+'),
    principalType: string('1+'),
    principalName: string('1+'),
    tokenRequesterPrincipalType: string('3+', { default: '' }),
    tokenRequesterPrincipalName: string('3+', { default: '' }),
    issueTimestampMs: int64('1+'),
    expiryTimestampMs: int64('1+'),
    maxTimestampMs: int64('1+'),
    tokenId: string('1+'),
    hmac: bytes('1+'),
    throttleTimeMs: int32('1+', { default: 0 }),
  },
);

/** DescribeDelegationToken, API key 41. Source: Kafka 4.4's message definitions. */

import { array, bytes, int16, int32, int64, message, string } from '../schema.ts';

export const DescribeDelegationTokenRequest = message(
  'DescribeDelegationTokenRequest',
  { key: 41, type: 'request', versions: '1-3', flexible: '2+' },
  {
    owners: array(
      '1+',
      {
        principalType: string('1+'),
        principalName: string('1+'),
      },
      { nullable: '1+' },
    ),
  },
);

export const DescribeDelegationTokenResponse = message(
  'DescribeDelegationTokenResponse',
  { key: 41, type: 'response', versions: '1-3', flexible: '2+' },
  {
    errorCode: int16('1+'),
    tokens: array('1+', {
      principalType: string('1+'),
      principalName: string('1+'),
      tokenRequesterPrincipalType: string('3+', { default: '' }),
      tokenRequesterPrincipalName: string('3+', { default: '' }),
      issueTimestamp: int64('1+'),
      expiryTimestamp: int64('1+'),
      maxTimestamp: int64('1+'),
      tokenId: string('1+'),
      hmac: bytes('1+'),
      renewers: array('1+', {
        principalType: string('1+'),
        principalName: string('1+'),
      }),
    }),
    throttleTimeMs: int32('1+', { default: 0 }),
  },
);

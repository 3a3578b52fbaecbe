/** UpdateFeatures, API key 57. Source: Kafka 4.4's message definitions. */

import { array, bool, int8, int16, int32, message, string } from '../schema.ts';

export const UpdateFeaturesRequest = message(
  'UpdateFeaturesRequest',
  { key: 57, type: 'request', versions: '0-2', flexible: '0+' },
  {
    timeoutMs: int32('0+', { default: 60000 }),
    featureUpdates: array('0+', {
      feature: string('0+'),
      maxVersionLevel: int16('0+'),
      allowDowngrade: bool('0', { default: false }),
      upgradeType: int8('1+', { default: 1 }),
    }),
    validateOnly: bool('1+', { default: false }),
  },
);

export const UpdateFeaturesResponse = message(
  'UpdateFeaturesResponse',
  { key: 57, type: 'response', versions: '0-2', flexible: '0+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
    results: array(
      '0-1',
      {
        feature: string('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+' }),
      },
      { default: [] },
    ),
  },
);

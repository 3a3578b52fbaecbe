/**
 * ApiVersions, API key 18. Source: Kafka 4.4's message definitions; the tagged fields from 10000 on
 * are our own, docs/locations.md.
 */

import { array, bool, int16, int32, int64, message, string, struct } from '../schema.ts';

export const ApiVersionsRequest = message(
  'ApiVersionsRequest',
  { key: 18, type: 'request', versions: '0-5', flexible: '3+' },
  {
    clientSoftwareName: string('3+', { default: '' }),
    clientSoftwareVersion: string('3+', { default: '' }),
    clusterId: string('5+', { nullable: '5+', default: null }),
    nodeId: int32('5+', { default: -1 }),
    /** The client can use locations, and asks whether the broker gives them. */
    locations: bool('3+', { default: false, tag: 10000, tagged: '3+' }),
  },
);

export const ApiVersionsResponse = message(
  'ApiVersionsResponse',
  { key: 18, type: 'response', versions: '0-5', flexible: '3+' },
  {
    errorCode: int16('0+'),
    apiKeys: array('0+', {
      apiKey: int16('0+'),
      minVersion: int16('0+'),
      maxVersion: int16('0+'),
    }),
    throttleTimeMs: int32('1+', { default: 0 }),
    supportedFeatures: array(
      '3+',
      {
        name: string('3+', { default: '' }),
        minVersion: int16('3+', { default: 0 }),
        maxVersion: int16('3+', { default: 0 }),
      },
      { default: [], tag: 0, tagged: '3+' },
    ),
    finalizedFeaturesEpoch: int64('3+', { default: -1, tag: 1, tagged: '3+' }),
    finalizedFeatures: array(
      '3+',
      {
        name: string('3+', { default: '' }),
        maxVersionLevel: int16('3+', { default: 0 }),
        minVersionLevel: int16('3+', { default: 0 }),
      },
      { default: [], tag: 2, tagged: '3+' },
    ),
    zkMigrationReady: bool('3+', { default: false, tag: 3, tagged: '3+' }),
    /** Told to who asks: the form of the locations that Fetch gives, and the most bytes of one answer. */
    locations: struct(
      '3+',
      {
        form: int16('3+', { default: 0 }),
        maxBytes: int64('3+', { default: 0 }),
      },
      { default: undefined, tag: 10000, tagged: '3+' },
    ),
  },
);

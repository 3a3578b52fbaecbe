/** GetTelemetrySubscriptions, API key 71. Source: Kafka 4.4's message definitions. */

import { arrayOf, bool, int16, int32, message, uuid } from '../schema.ts';

export const GetTelemetrySubscriptionsRequest = message(
  'GetTelemetrySubscriptionsRequest',
  { key: 71, type: 'request', versions: '0', flexible: '0+' },
  {
    clientInstanceId: uuid('0+'),
  },
);

export const GetTelemetrySubscriptionsResponse = message(
  'GetTelemetrySubscriptionsResponse',
  { key: 71, type: 'response', versions: '0', flexible: '0+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    errorCode: int16('0+'),
    clientInstanceId: uuid('0+'),
    subscriptionId: int32('0+'),
    acceptedCompressionTypes: arrayOf('int8', '0+'),
    pushIntervalMs: int32('0+'),
    telemetryMaxBytes: int32('0+'),
    deltaTemporality: bool('0+'),
    requestedMetrics: arrayOf('string', '0+'),
  },
);

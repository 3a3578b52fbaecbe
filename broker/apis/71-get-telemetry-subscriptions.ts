/**
 * GetTelemetrySubscriptions, API key 71, version 0: which metrics are wanted of a client, and how
 * often. Source: KIP-714; Kafka's ClientMetricsManager.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  GetTelemetrySubscriptionsRequest,
  GetTelemetrySubscriptionsResponse,
} from '../../protocol/messages/get-telemetry-subscriptions.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { ACCEPTED_CODECS, type TelemetryClient } from '../telemetry/client-telemetry.ts';

/** Who sends a request about metrics. */
export function telemetryClient({ connection, clientId }: RequestContext): TelemetryClient {
  const identity = {
    client_id: clientId,
    client_software_name: connection.clientSoftwareName,
    client_software_version: connection.clientSoftwareVersion,
    client_source_address: connection.remoteAddress,
    client_source_port: String(connection.remotePort),
  };
  return { identity, connection };
}

export const getTelemetrySubscriptions = api({
  name: 'GetTelemetrySubscriptions',
  versions: '0',
  request: GetTelemetrySubscriptionsRequest,
  response: GetTelemetrySubscriptionsResponse,
  handle(context, { clientInstanceId }) {
    const { clientTelemetry } = context.services;
    const subscribed = clientTelemetry.subscribe(clientInstanceId, telemetryClient(context));
    return {
      errorCode: ErrorCode.NONE,
      clientInstanceId: subscribed.clientInstanceId,
      subscriptionId: subscribed.subscriptionId,
      acceptedCompressionTypes: ACCEPTED_CODECS,
      pushIntervalMs: subscribed.pushIntervalMs,
      telemetryMaxBytes: clientTelemetry.maxBytes,
      deltaTemporality: true,
      requestedMetrics: subscribed.metrics,
    };
  },
  onError: (_context, _request, errorCode) => ({
    errorCode,
    clientInstanceId: ZERO_UUID,
    subscriptionId: 0,
    acceptedCompressionTypes: [],
    pushIntervalMs: 0,
    telemetryMaxBytes: 0,
    deltaTemporality: false,
    requestedMetrics: [],
  }),
});

/**
 * PushTelemetry, API key 72, version 0: metrics of a client. They are checked, counted and let go.
 * Source: KIP-714; Kafka's ClientMetricsManager.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  PushTelemetryRequest,
  PushTelemetryResponse,
} from '../../protocol/messages/push-telemetry.ts';
import { api } from '../api.ts';
import { telemetryClient } from './71-get-telemetry-subscriptions.ts';

export const pushTelemetry = api({
  name: 'PushTelemetry',
  versions: '0',
  request: PushTelemetryRequest,
  response: PushTelemetryResponse,
  // One field of bytes.
  memory: (frameBytes) => frameBytes,
  async handle(context, request) {
    await context.services.clientTelemetry.push(request, telemetryClient(context));
    return { errorCode: ErrorCode.NONE };
  },
  onError: (_context, _request, errorCode) => ({ errorCode }),
});

/**
 * IncrementalAlterConfigs, API key 44, versions 0-1: sets, takes back, and appends to or subtracts
 * from lists; what is not named stays. Version 1: flexible.
 * Source: KIP-339; Kafka's ConfigAdminManager.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../protocol/messages/incremental-alter-configs.ts';
import { api } from '../api.ts';

export const incrementalAlterConfigs = api({
  name: 'IncrementalAlterConfigs',
  versions: '0-1',
  request: IncrementalAlterConfigsRequest,
  response: IncrementalAlterConfigsResponse,
  async handle({ services }, request) {
    const changes = request.resources.map(({ resourceType, resourceName, configs }) => ({
      resourceType,
      resourceName,
      changes: configs.map(({ name, value, configOperation }) => ({
        name,
        value,
        operation: configOperation,
      })),
      replacesAll: false,
    }));
    const outcomes = await services.configChanges.alter(changes, request.validateOnly);
    return {
      throttleTimeMs: 0,
      responses: changes.map(({ resourceType, resourceName }, index) => ({
        resourceType,
        resourceName,
        errorCode: outcomes[index]?.code ?? ErrorCode.NONE,
        errorMessage: outcomes[index]?.message ?? null,
      })),
    };
  },
  onError: (_context, request, errorCode, errorMessage) => ({
    throttleTimeMs: 0,
    responses: request.resources.map(({ resourceType, resourceName }) => ({
      resourceType,
      resourceName,
      errorCode,
      errorMessage,
    })),
  }),
});

/**
 * AlterConfigs, API key 33, versions 0-2: the settings given are all that the resource has
 * afterwards. Version 1: as 0. Version 2: flexible. Source: KIP-133; Kafka's ConfigAdminManager.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  AlterConfigsRequest,
  AlterConfigsResponse,
} from '../../protocol/messages/alter-configs.ts';
import { api } from '../api.ts';
import { AlterOperation } from '../config-changes.ts';

export const alterConfigs = api({
  name: 'AlterConfigs',
  versions: '0-2',
  request: AlterConfigsRequest,
  response: AlterConfigsResponse,
  async handle({ services }, request) {
    const changes = request.resources.map(({ resourceType, resourceName, configs }) => ({
      resourceType,
      resourceName,
      changes: configs.map((config) => ({ ...config, operation: AlterOperation.set })),
      replacesAll: true,
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

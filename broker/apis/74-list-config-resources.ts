/**
 * ListConfigResources, API key 74, versions 0-1: what can have configurations. Version 0 lists
 * subscriptions of client metrics alone; version 1 lists resources of the types asked for, all types
 * when none is. Subscriptions and groups are there as long as something is set for them.
 * Source: KIP-1000, KIP-1142.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import {
  ListConfigResourcesRequest,
  ListConfigResourcesResponse,
} from '../../protocol/messages/list-config-resources.ts';
import { api } from '../api.ts';
import { ResourceType } from '../metadata-image.ts';
import type { Services } from '../services.ts';

function namesOf({ topics, nodeId, configChanges }: Services, resourceType: number): string[] {
  switch (resourceType) {
    case ResourceType.topic:
      return Array.from(topics.all(), ({ name }) => name);
    case ResourceType.broker:
    case ResourceType.brokerLogger:
      return [String(nodeId)];
    case ResourceType.clientMetrics:
    case ResourceType.group:
      return configChanges.resources(resourceType);
    default:
      throw new ProtocolError('UNSUPPORTED_VERSION', `unknown resource type ${resourceType}`);
  }
}

export const listConfigResources = api({
  name: 'ListConfigResources',
  versions: '0-1',
  request: ListConfigResourcesRequest,
  response: ListConfigResourcesResponse,
  handle({ services, apiVersion }, request) {
    let types: readonly number[] = request.resourceTypes;
    if (apiVersion === 0) types = [ResourceType.clientMetrics];
    else if (types.length === 0) types = Object.values(ResourceType);
    const configResources = [...new Set(types)].flatMap((resourceType) =>
      namesOf(services, resourceType).map((resourceName) => ({ resourceName, resourceType })),
    );
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, configResources };
  },
  onError: (_context, _request, errorCode) => ({
    throttleTimeMs: 0,
    errorCode,
    configResources: [],
  }),
});

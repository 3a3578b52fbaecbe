/**
 * DescribeConfigs, API key 32, versions 1-4: the configurations of topics, of this broker and its
 * logger, of subscriptions of client metrics and of groups; and what was set for all brokers.
 *
 * Version 1: sources and synonyms (KIP-226). Version 3: types and documentation (KIP-569). Version
 * 4: flexible. Source: Kafka's ConfigHelper.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import {
  DescribeConfigsRequest,
  DescribeConfigsResponse,
} from '../../protocol/messages/describe-configs.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api } from '../api.ts';
import {
  type ConfigEntry,
  type DescribeOptions,
  describeAllBrokers,
  describeBroker,
  describeTopic,
} from '../config/describe.ts';
import { describeKept, keptResource } from '../config/kept-resources.ts';
import { describeLoggers } from '../loggers.ts';
import { ResourceType } from '../metadata-image.ts';
import type { Services } from '../services.ts';
import { topicNameFault } from '../topic-names.ts';

type Request = Decoded<typeof DescribeConfigsRequest>;
type Resource = Request['resources'][number];
type Result = Input<typeof DescribeConfigsResponse>['results'][number];

function invalid(message: string): never {
  throw new ProtocolError('INVALID_REQUEST', message);
}

function topicEntries(services: Services, name: string, options: DescribeOptions): ConfigEntry[] {
  const fault = topicNameFault(name);
  if (fault !== undefined) throw new ProtocolError('INVALID_TOPIC_EXCEPTION', fault);
  const topic = services.topics.get(name);
  if (topic === undefined) throw new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION');
  return describeTopic(services.config, topic.config, options);
}

function checkBroker(services: Services, name: string): void {
  if (!/^-?\d+$/.test(name)) invalid(`Broker id must be an integer, but it is: ${name}`);
  const { nodeId } = services;
  if (Number(name) !== nodeId) {
    invalid(`Unexpected broker id, expected ${nodeId} or empty string, but received ${name}`);
  }
}

function brokerEntries(services: Services, name: string, options: DescribeOptions): ConfigEntry[] {
  if (name === '') return describeAllBrokers(services.config, options);
  checkBroker(services, name);
  return describeBroker(services.config, options);
}

function loggerEntries(services: Services, name: string, options: DescribeOptions): ConfigEntry[] {
  if (name === '') invalid('Broker id must not be empty');
  checkBroker(services, name);
  return describeLoggers(services.env.log, options.names);
}

function entriesOf(
  services: Services,
  resource: Resource,
  options: DescribeOptions,
): ConfigEntry[] {
  const { resourceType, resourceName } = resource;
  switch (resourceType) {
    case ResourceType.topic:
      return topicEntries(services, resourceName, options);
    case ResourceType.broker:
      return brokerEntries(services, resourceName, options);
    case ResourceType.brokerLogger:
      return loggerEntries(services, resourceName, options);
  }
  const kept = keptResource(resourceType);
  if (kept === undefined) {
    invalid(`Unexpected resource type ${resourceType} for resource ${resourceName}`);
  }
  const settings = services.configChanges.settings(resourceType, resourceName);
  return describeKept(kept, resourceName, settings, options);
}

function describe(services: Services, request: Request, resource: Resource): Result {
  const { resourceType, resourceName, configurationKeys } = resource;
  const base = { resourceType, resourceName };
  const options = {
    names:
      configurationKeys === null || !configurationKeys.length ? null : new Set(configurationKeys),
    synonyms: request.includeSynonyms,
    documentation: request.includeDocumentation,
  };
  try {
    const configs = entriesOf(services, resource, options);
    return { ...base, errorCode: ErrorCode.NONE, errorMessage: null, configs };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { ...base, errorCode: error.code, errorMessage: error.message, configs: [] };
  }
}

export const describeConfigs = api({
  name: 'DescribeConfigs',
  versions: '1-4',
  request: DescribeConfigsRequest,
  response: DescribeConfigsResponse,
  handle({ services }, request) {
    const results = request.resources.map((resource) => describe(services, request, resource));
    return { throttleTimeMs: 0, results };
  },
  onError: (_context, request, errorCode, errorMessage) => ({
    throttleTimeMs: 0,
    results: request.resources.map(({ resourceType, resourceName }) => ({
      resourceType,
      resourceName,
      errorCode,
      errorMessage,
      configs: [],
    })),
  }),
});

/**
 * DescribeConfigs, API key 32, versions 1-4: the configurations of topics and of this broker, and
 * what was set for all brokers. Groups and client metrics have none here; the broker's logger has
 * one level.
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
  ConfigSource,
  type DescribeOptions,
  describeAllBrokers,
  describeBroker,
  describeTopic,
} from '../config/describe.ts';
import { ResourceType } from '../metadata-image.ts';
import type { Services } from '../services.ts';
import { topicNameFault } from '../topic-names.ts';

type Request = Decoded<typeof DescribeConfigsRequest>;
type Resource = Request['resources'][number];
type Result = Input<typeof DescribeConfigsResponse>['results'][number];

/** What Kafka says of a logger's level. */
const UNKNOWN_TYPE = 0;

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

/** The broker has one logger, whose level is set at the start. */
function loggerEntries(services: Services, name: string, options: DescribeOptions): ConfigEntry[] {
  if (name === '') invalid('Broker id must not be empty');
  checkBroker(services, name);
  if (options.names !== null && !options.names.has('root')) return [];
  const level = {
    name: 'root',
    value: services.config.get('log.level').toUpperCase(),
    readOnly: true,
    configSource: ConfigSource.brokerLogger,
    isSensitive: false,
    synonyms: [],
    configType: UNKNOWN_TYPE,
    documentation: null,
  };
  return [level];
}

function entriesOf(services: Services, resource: Resource, options: DescribeOptions) {
  const { resourceType, resourceName } = resource;
  switch (resourceType) {
    case ResourceType.topic:
      return topicEntries(services, resourceName, options);
    case ResourceType.broker:
      return brokerEntries(services, resourceName, options);
    case ResourceType.brokerLogger:
      return loggerEntries(services, resourceName, options);
    case ResourceType.clientMetrics:
      if (resourceName === '') invalid('Client metrics subscription name must not be empty');
      return [];
    case ResourceType.group:
      if (resourceName === '') invalid('Group name must not be empty');
      return [];
    default:
      return [];
  }
}

/** As in Kafka, one resource of an unknown type makes the whole request invalid. */
function checkTypes(resources: readonly Resource[]): void {
  const known: readonly number[] = Object.values(ResourceType);
  for (const { resourceType, resourceName } of resources) {
    if (known.includes(resourceType)) continue;
    invalid(`Unexpected resource type ${resourceType} for resource ${resourceName}`);
  }
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
    checkTypes(request.resources);
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

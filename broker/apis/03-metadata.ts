/**
 * Metadata, API key 3, versions 0-13.
 *
 * A topic that is unknown is created where `auto.create.topics.enable` and the request allow it,
 * and comes back in the same answer: kafkajs takes UNKNOWN_TOPIC_OR_PARTITION, which Kafka answers
 * the first time, as final.
 *
 * Version 0: an empty list means all topics. Version 1: null means all, empty none. Version 4:
 * allow_auto_topic_creation. Version 8: authorized operations. Version 9: flexible. Version 10:
 * topic ids in the answer. Version 12: topics by id. Version 13: error code of the whole answer.
 * Source: Kafka's KafkaApis.handleTopicMetadataRequest.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts';
import { type Decoded, type Input, ZERO_UUID } from '../../protocol/schema.ts';
import { CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS } from '../acl-operations.ts';
import { api, type RequestContext } from '../api.ts';
import { blameOf, errorCodeOf } from '../error-map.ts';
import { isInternalTopic, topicNameFault } from '../topic-names.ts';
import type { Topic } from '../topics.ts';

type Request = Decoded<typeof MetadataRequest>;
type Response = Input<typeof MetadataResponse>;
type TopicAnswer = Response['topics'][number];

function answerOf(context: RequestContext, request: Request, topics: TopicAnswer[]): Response {
  const { services, connection } = context;
  const { host, port } = connection.advertised;
  const rack = services.config.get('broker.rack');
  return {
    brokers: [{ nodeId: services.nodeId, host, port, rack }],
    clusterId: services.clusterId,
    controllerId: services.nodeId,
    topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
      ? CLUSTER_OPERATIONS
      : OPERATIONS_NOT_ASKED,
  };
}

function describe(context: RequestContext, request: Request, topic: Topic): TopicAnswer {
  const nodes = [context.services.nodeId];
  return {
    errorCode: ErrorCode.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.internal,
    partitions: topic.partitions.map((partition) => ({
      errorCode: ErrorCode.NONE,
      partitionIndex: partition.index,
      leaderId: context.services.nodeId,
      leaderEpoch: partition.log.leaderEpoch,
      replicaNodes: nodes,
      isrNodes: nodes,
    })),
    topicAuthorizedOperations: operationsOf(request),
  };
}

function operationsOf(request: Request): number {
  return request.includeTopicAuthorizedOperations ? TOPIC_OPERATIONS : OPERATIONS_NOT_ASKED;
}

function unknownId(topicId: string): TopicAnswer {
  return { errorCode: ErrorCode.UNKNOWN_TOPIC_ID, name: null, topicId, partitions: [] };
}

/** A topic of a name that is not there, and why. */
function missing(request: Request, name: string, errorCode: number): TopicAnswer {
  return {
    errorCode,
    name,
    isInternal: isInternalTopic(name),
    partitions: [],
    topicAuthorizedOperations: operationsOf(request),
  };
}

function unknownName(request: Request, name: string): TopicAnswer {
  const error =
    topicNameFault(name) === undefined ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'INVALID_TOPIC_EXCEPTION';
  return missing(request, name, ErrorCode[error]);
}

function asksForAll(request: Request, version: number): boolean {
  return request.topics === null || (version === 0 && request.topics.length === 0);
}

/** Names and ids asked for; before version 12 there are only names. */
function wanted(request: Request, version: number): { names: Set<string>; ids: Set<string> } {
  const names = new Set<string>();
  const ids = new Set<string>();
  for (const { name, topicId } of request.topics ?? []) {
    if (version < 12 && (name === null || topicId !== ZERO_UUID)) {
      throw new ProtocolError('INVALID_REQUEST', 'topics are asked for by id from version 12 on');
    }
    if (topicId !== ZERO_UUID) ids.add(topicId);
    else if (name !== null) names.add(name);
    else throw new ProtocolError('INVALID_REQUEST', 'a topic has neither name nor id');
  }
  return { names, ids };
}

/** Creates a topic; what cannot be created is answered with an error of its own. */
async function create(
  context: RequestContext,
  request: Request,
  name: string,
): Promise<TopicAnswer> {
  const { topics, env } = context.services;
  try {
    return describe(context, request, await topics.autoCreate(name));
  } catch (error) {
    const errorCode = errorCodeOf(error);
    if (blameOf(error) !== 'client') {
      const { clientId } = context;
      env.log.error({ topic: name, clientId, err: error }, 'topic could not be created');
    }
    return missing(request, name, errorCode);
  }
}

export const metadata = api({
  name: 'Metadata',
  versions: '0-13',
  request: MetadataRequest,
  response: MetadataResponse,
  handle(context, request) {
    const { topics, config } = context.services;
    if (asksForAll(request, context.apiVersion)) {
      const all = Array.from(topics.all(), (topic) => describe(context, request, topic));
      return answerOf(context, request, all);
    }
    const { names, ids } = wanted(request, context.apiVersion);
    const answers: TopicAnswer[] = [];
    for (const id of ids) {
      const topic = topics.byId(id);
      answers.push(topic === undefined ? unknownId(id) : describe(context, request, topic));
    }
    // As in Kafka, names are not looked at where there are ids.
    if (ids.size > 0) return answerOf(context, request, answers);
    const mayCreate = request.allowAutoTopicCreation && config.get('auto.create.topics.enable');
    const creations: Promise<void>[] = [];
    for (const name of names) {
      const topic = topics.get(name);
      if (topic !== undefined) answers.push(describe(context, request, topic));
      else if (!mayCreate) answers.push(unknownName(request, name));
      else {
        const at = answers.push(unknownName(request, name)) - 1;
        creations.push(
          create(context, request, name).then((answer) => {
            answers[at] = answer;
          }),
        );
      }
    }
    if (creations.length === 0) return answerOf(context, request, answers);
    return Promise.all(creations).then(() => answerOf(context, request, answers));
  },
  onError(context, request, errorCode) {
    const topics = (request.topics ?? []).map(({ name, topicId }) => ({
      errorCode,
      name: context.apiVersion >= 12 ? name : (name ?? ''),
      topicId,
      partitions: [],
    }));
    return { ...answerOf(context, request, topics), errorCode };
  },
});

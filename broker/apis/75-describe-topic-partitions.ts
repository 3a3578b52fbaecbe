/**
 * DescribeTopicPartitions, API key 75, version 0: topics and their partitions in the order of the
 * topics' names, so many partitions an answer, with a cursor to where the next one goes on.
 * Creates no topics. Source: KIP-966; Kafka's DescribeTopicPartitionsRequestHandler.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import {
  DescribeTopicPartitionsRequest,
  DescribeTopicPartitionsResponse,
} from '../../protocol/messages/describe-topic-partitions.ts';
import { type Decoded, type Input, ZERO_UUID } from '../../protocol/schema.ts';
import { TOPIC_OPERATIONS } from '../acl-operations.ts';
import { api } from '../api.ts';
import type { Services } from '../services.ts';
import { isInternalTopic, topicNameFault } from '../topic-names.ts';
import type { Topic } from '../topics.ts';

type Request = Decoded<typeof DescribeTopicPartitionsRequest>;
type Response = Input<typeof DescribeTopicPartitionsResponse>;
type TopicAnswer = Response['topics'][number];

/** Names from the cursor on, sorted. */
function namesOf({ topics }: Services, { topics: asked, cursor }: Request): string[] {
  const all = asked.length === 0;
  const names = new Set(
    all ? Array.from(topics.all(), ({ name }) => name) : asked.map((a) => a.name),
  );
  if (cursor !== null && !all && !names.has(cursor.topicName)) {
    throw new ProtocolError(
      'INVALID_REQUEST',
      `The list of topics should contain the cursor's: ${cursor.topicName}`,
    );
  }
  if (cursor !== null && cursor.partitionIndex < 0) {
    throw new ProtocolError('INVALID_REQUEST', "The cursor's partition must not be negative");
  }
  const first = cursor?.topicName ?? '';
  return [...names].filter((name) => name >= first).sort();
}

function unknown(name: string): TopicAnswer {
  const error =
    topicNameFault(name) === undefined ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'INVALID_TOPIC_EXCEPTION';
  return {
    errorCode: ErrorCode[error],
    name,
    topicId: ZERO_UUID,
    isInternal: isInternalTopic(name),
    partitions: [],
    topicAuthorizedOperations: TOPIC_OPERATIONS,
  };
}

function describe(topic: Topic, from: number, to: number, nodeId: number): TopicAnswer {
  const nodes = [nodeId];
  return {
    errorCode: ErrorCode.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.internal,
    partitions: topic.partitions.slice(from, to).map(({ index, log }) => ({
      errorCode: ErrorCode.NONE,
      partitionIndex: index,
      leaderId: nodeId,
      leaderEpoch: log.leaderEpoch,
      replicaNodes: nodes,
      isrNodes: nodes,
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
      offlineReplicas: [],
    })),
    topicAuthorizedOperations: TOPIC_OPERATIONS,
  };
}

export const describeTopicPartitions = api({
  name: 'DescribeTopicPartitions',
  versions: '0',
  request: DescribeTopicPartitionsRequest,
  response: DescribeTopicPartitionsResponse,
  handle({ services }, request) {
    const limit = services.config.get('max.request.partition.size.limit');
    let left = Math.max(1, Math.min(limit, request.responsePartitionLimit));
    const answers: TopicAnswer[] = [];
    let nextCursor: Response['nextCursor'] = null;
    for (const name of namesOf(services, request)) {
      if (left === 0) {
        nextCursor = { topicName: name, partitionIndex: 0 };
        break;
      }
      const topic = services.topics.get(name);
      if (topic === undefined) {
        answers.push(unknown(name));
        continue;
      }
      const { cursor } = request;
      const from = cursor?.topicName === name ? cursor.partitionIndex : 0;
      const to = Math.min(topic.partitions.length, from + left);
      answers.push(describe(topic, from, to, services.nodeId));
      left -= Math.max(0, to - from);
      if (to >= topic.partitions.length) continue;
      nextCursor = { topicName: name, partitionIndex: to };
      break;
    }
    return { throttleTimeMs: 0, topics: answers, nextCursor };
  },
  onError: (_context, request, errorCode) => ({
    throttleTimeMs: 0,
    topics: request.topics.map(({ name }) => ({
      errorCode,
      name,
      topicId: ZERO_UUID,
      partitions: [],
    })),
  }),
});

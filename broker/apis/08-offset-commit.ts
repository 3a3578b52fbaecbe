/**
 * OffsetCommit, API key 8, versions 2-10: a group's offsets, durable when they are answered.
 *
 * Versions 2-4: a retention of the client's own. Version 6: leader epoch. Version 7: static members
 * (KIP-345). Version 8: flexible. Version 9: GROUP_ID_NOT_FOUND where older ones are told
 * ILLEGAL_GENERATION (KIP-848). Version 10: topic ids in place of names.
 * Source: Kafka's KafkaApis.handleOffsetCommitRequest.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../protocol/messages/offset-commit.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import type { Topic } from '../topics.ts';

type Request = Decoded<typeof OffsetCommitRequest>;
type Response = Input<typeof OffsetCommitResponse>;
type AskedTopic = Request['topics'][number];
type AskedPartition = AskedTopic['partitions'][number];

const FIRST_WITH_GROUP_NOT_FOUND = 9;
const FIRST_WITH_TOPIC_ID = 10;

/** One partition of the request, with its place in the answer. */
interface Line {
  readonly asked: AskedPartition;
  readonly topic: Topic | undefined;
  errorCode: number;
}

function topicOf(context: RequestContext, asked: AskedTopic): Topic | undefined {
  const { topics } = context.services;
  return context.apiVersion >= FIRST_WITH_TOPIC_ID
    ? topics.byId(asked.topicId)
    : topics.get(asked.name);
}

function lineOf(context: RequestContext, topic: Topic | undefined, asked: AskedPartition): Line {
  let errorCode: number = ErrorCode.NONE;
  if (topic === undefined && context.apiVersion >= FIRST_WITH_TOPIC_ID) {
    errorCode = ErrorCode.UNKNOWN_TOPIC_ID;
  } else if (topic?.partitions[asked.partitionIndex] === undefined) {
    errorCode = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  }
  return { asked, topic, errorCode };
}

async function handle(context: RequestContext, request: Request): Promise<Response> {
  const byTopic = request.topics.map((topic) => {
    const found = topicOf(context, topic);
    return topic.partitions.map((partition) => lineOf(context, found, partition));
  });
  const valid = byTopic.flat().filter((line) => line.errorCode === ErrorCode.NONE);
  if (valid.length > 0) await commit(context, request, valid);
  return {
    topics: request.topics.map(({ name, topicId }, index) => ({
      name,
      topicId,
      partitions: byTopic[index]!.map(({ asked, errorCode }) => ({
        partitionIndex: asked.partitionIndex,
        errorCode,
      })),
    })),
  };
}

async function commit(
  context: RequestContext,
  request: Request,
  lines: readonly Line[],
): Promise<void> {
  const errors = await context.services.groups.commitOffsets({
    groupId: request.groupId,
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    generationId: request.generationIdOrMemberEpoch,
    retentionTimeMs: request.retentionTimeMs,
    knowsGroupNotFound: context.apiVersion >= FIRST_WITH_GROUP_NOT_FOUND,
    offsets: lines.map(({ asked, topic }) => ({
      topic: topic!.name,
      topicId: topic!.id,
      partition: asked.partitionIndex,
      offset: asked.committedOffset,
      leaderEpoch: asked.committedLeaderEpoch,
      metadata: asked.committedMetadata,
    })),
  });
  for (const [index, line] of lines.entries()) line.errorCode = ErrorCode[errors[index]!];
}

export const offsetCommit = api({
  name: 'OffsetCommit',
  versions: '2-10',
  request: OffsetCommitRequest,
  response: OffsetCommitResponse,
  handle,
  onError: (_context, request, errorCode) => ({
    topics: request.topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }),
});

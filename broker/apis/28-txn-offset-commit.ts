/**
 * TxnOffsetCommit, API key 28, versions 0-6: a group's offsets as a part of a transaction. They
 * count when it is committed.
 *
 * Version 2: leader epoch; COORDINATOR_LOAD_IN_PROGRESS, which older clients do not survive.
 * Version 3: flexible; the member and its generation (KIP-447). Version 4: TRANSACTION_ABORTABLE.
 * Version 5: the offsets join the transaction without AddOffsetsToTxn (KIP-890). Version 6: topic
 * ids in place of names (KIP-1319).
 * Source: Kafka's KafkaApis.handleTxnOffsetCommitRequest.
 */

import { ErrorCode, type ErrorName, ProtocolError } from '../../protocol/errors.ts';
import {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../protocol/messages/txn-offset-commit.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { OFFSETS_TOPIC } from '../groups/coordinator.ts';
import type { Topic } from '../topics.ts';
import { Participant, participation } from '../transactions/participation.ts';

type Request = Decoded<typeof TxnOffsetCommitRequest>;
type Response = Input<typeof TxnOffsetCommitResponse>;
type AskedTopic = Request['topics'][number];
type AskedPartition = AskedTopic['partitions'][number];

const FIRST_WITH_LOADING = 2;
const FIRST_VERSIONS = { knowsAbortable: 4, adds: 5 } as const;
const FIRST_WITH_TOPIC_ID = 6;

/** One partition of the request, with its place in the answer. */
interface Line {
  readonly asked: AskedPartition;
  readonly topic: Topic | undefined;
  error: ErrorName;
}

function topicOf(context: RequestContext, asked: AskedTopic): Topic | undefined {
  const { topics } = context.services;
  return context.apiVersion >= FIRST_WITH_TOPIC_ID
    ? topics.byId(asked.topicId)
    : topics.get(asked.name);
}

function lineOf(context: RequestContext, topic: Topic | undefined, asked: AskedPartition): Line {
  let error: ErrorName = 'NONE';
  if (topic === undefined && context.apiVersion >= FIRST_WITH_TOPIC_ID) error = 'UNKNOWN_TOPIC_ID';
  else if (topic?.partitions[asked.partitionIndex] === undefined) {
    error = 'UNKNOWN_TOPIC_OR_PARTITION';
  }
  return { asked, topic, error };
}

/** Commits what was found; gives the error of each line, in order. */
async function commit(
  context: RequestContext,
  request: Request,
  lines: readonly Line[],
): Promise<ErrorName[]> {
  const { groups, transactions, config } = context.services;
  const { transactionalId, producerId, producerEpoch, groupId } = request;
  const at = { topic: OFFSETS_TOPIC, partition: groups.partitionOf(groupId) };
  const participant = new Participant(
    transactions,
    transactionalId,
    { producerId, producerEpoch },
    participation(context.apiVersion, FIRST_VERSIONS),
    config.get('transaction.partition.verification.enable'),
  );
  const fault = (await participant.join([at])) ?? participant.fault(at) ?? 'NONE';
  if (fault !== 'NONE') return lines.map(() => fault);
  return groups.commitInTransaction({
    groupId,
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    generationId: request.generationIdOrMemberEpoch,
    offsets: lines.map(({ asked, topic }) => ({
      topic: topic!.name,
      topicId: topic!.id,
      partition: asked.partitionIndex,
      offset: asked.committedOffset,
      leaderEpoch: asked.committedLeaderEpoch,
      metadata: asked.committedMetadata,
    })),
    producer: {
      producerId,
      producerEpoch,
      check: () => {
        const late = participant.fault(at);
        if (late !== undefined) throw new ProtocolError(late);
      },
    },
  });
}

async function handle(context: RequestContext, request: Request): Promise<Response> {
  const byTopic = request.topics.map((topic) => {
    const found = topicOf(context, topic);
    return topic.partitions.map((partition) => lineOf(context, found, partition));
  });
  const valid = byTopic.flat().filter(({ error }) => error === 'NONE');
  if (valid.length > 0) {
    const errors = await commit(context, request, valid);
    for (const [index, line] of valid.entries()) line.error = told(context, errors[index]!);
  }
  return {
    topics: request.topics.map(({ name, topicId }, index) => ({
      name,
      topicId,
      partitions: byTopic[index]!.map(({ asked, error }) => ({
        partitionIndex: asked.partitionIndex,
        errorCode: ErrorCode[error],
      })),
    })),
  };
}

function told({ apiVersion }: RequestContext, error: ErrorName): ErrorName {
  const isUnknown = apiVersion < FIRST_WITH_LOADING && error === 'COORDINATOR_LOAD_IN_PROGRESS';
  return isUnknown ? 'COORDINATOR_NOT_AVAILABLE' : error;
}

export const txnOffsetCommit = api({
  name: 'TxnOffsetCommit',
  versions: '0-6',
  request: TxnOffsetCommitRequest,
  response: TxnOffsetCommitResponse,
  handle,
  onError: (_context, request, errorCode) => ({
    topics: request.topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }),
});

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

import { type ErrorName, ProtocolError } from '../../protocol/errors.ts';
import {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../protocol/messages/txn-offset-commit.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { commitLines, refusedLines } from '../groups/commit-lines.ts';
import { OFFSETS_TOPIC } from '../groups/coordinator.ts';
import type { OffsetToCommit } from '../groups/offset-operations.ts';
import { Participant, participation } from '../transactions/participation.ts';

type Request = Decoded<typeof TxnOffsetCommitRequest>;
type Response = Input<typeof TxnOffsetCommitResponse>;

const FIRST_WITH_LOADING = 2;
const FIRST_VERSIONS = { knowsAbortable: 4, adds: 5 } as const;
const FIRST_WITH_TOPIC_ID = 6;

/** Commits what was found; gives the error of each offset, in order. */
async function commit(
  context: RequestContext,
  request: Request,
  offsets: readonly OffsetToCommit[],
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
  if (fault !== 'NONE') return offsets.map(() => fault);
  return groups.commitInTransaction({
    groupId,
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    generationId: request.generationIdOrMemberEpoch,
    offsets,
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
  const hasTopicIds = context.apiVersion >= FIRST_WITH_TOPIC_ID;
  const topics = await commitLines(context, request.topics, hasTopicIds, async (offsets) => {
    const errors = await commit(context, request, offsets);
    return errors.map((error) => told(context, error));
  });
  return { topics };
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
    topics: refusedLines(request.topics, errorCode),
  }),
});

/**
 * OffsetCommit, API key 8, versions 2-10: a group's offsets, durable when they are answered.
 *
 * Versions 2-4: a retention of the client's own. Version 6: leader epoch. Version 7: static members
 * (KIP-345). Version 8: flexible. Version 9: GROUP_ID_NOT_FOUND where older ones are told
 * ILLEGAL_GENERATION (KIP-848). Version 10: topic ids in place of names.
 * Source: Kafka's KafkaApis.handleOffsetCommitRequest.
 */

import {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../protocol/messages/offset-commit.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { commitLines, refusedLines } from '../groups/commit-lines.ts';

type Request = Decoded<typeof OffsetCommitRequest>;
type Response = Input<typeof OffsetCommitResponse>;

const FIRST_WITH_GROUP_NOT_FOUND = 9;
const FIRST_WITH_TOPIC_ID = 10;

async function handle(context: RequestContext, request: Request): Promise<Response> {
  const { apiVersion, services } = context;
  const hasTopicIds = apiVersion >= FIRST_WITH_TOPIC_ID;
  const topics = await commitLines(context, request.topics, hasTopicIds, (offsets) =>
    services.groups.commitOffsets({
      groupId: request.groupId,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      generationId: request.generationIdOrMemberEpoch,
      retentionTimeMs: request.retentionTimeMs,
      knowsGroupNotFound: apiVersion >= FIRST_WITH_GROUP_NOT_FOUND,
      offsets,
    }),
  );
  return { topics };
}

export const offsetCommit = api({
  name: 'OffsetCommit',
  versions: '2-10',
  request: OffsetCommitRequest,
  response: OffsetCommitResponse,
  handle,
  onError: (_context, request, errorCode) => ({
    topics: refusedLines(request.topics, errorCode),
  }),
});

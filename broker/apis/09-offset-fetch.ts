/**
 * OffsetFetch, API key 9, versions 1-10: the committed offsets of one group, or of several. Where
 * nothing is committed the offset is -1, without an error.
 *
 * Version 2: null topics for all of them, and an error of the whole request; before it stood with
 * each partition. Version 5: leader epoch. Version 6: flexible. Version 7: require_stable, which
 * waits for what is on its way and tells nothing of open transactions (KIP-447). Version 8: several
 * groups (KIP-709). Version 9: member id and epoch, for groups of the new protocol. Version 10:
 * topic ids in place of names.
 * Source: Kafka's KafkaApis.handleOffsetFetchRequest.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import { OffsetFetchRequest, OffsetFetchResponse } from '../../protocol/messages/offset-fetch.ts';
import { type Decoded, type Input, ZERO_UUID } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import type { FetchedTopic, TopicToFetch } from '../groups/coordinator.ts';

type Request = Decoded<typeof OffsetFetchRequest>;
type Response = Input<typeof OffsetFetchResponse>;
type AskedGroup = Pick<Request['groups'][number], 'groupId' | 'topics'>;
type GroupAnswer = NonNullable<Response['groups']>[number];
type TopicAnswer = NonNullable<GroupAnswer['topics']>[number];
type PartitionAnswer = NonNullable<TopicAnswer['partitions']>[number];

const FIRST_WITH_GROUP_ERROR = 2;
const FIRST_WITH_GROUPS = 8;
const FIRST_WITH_TOPIC_ID = 10;
const NO_OFFSET = -1;
const NO_EPOCH = -1;

/** A partition of which there is nothing to tell but, perhaps, why. */
function nothing(partitionIndex: number, errorCode: number): PartitionAnswer {
  return {
    partitionIndex,
    committedOffset: NO_OFFSET,
    committedLeaderEpoch: NO_EPOCH,
    metadata: '',
    errorCode,
  };
}

function partitionsOf(topic: FetchedTopic): PartitionAnswer[] {
  return topic.partitions.map(({ partition, error, committed }) =>
    committed === undefined
      ? nothing(partition, ErrorCode[error])
      : {
          partitionIndex: partition,
          committedOffset: committed.offset,
          committedLeaderEpoch: committed.leaderEpoch,
          metadata: committed.metadata,
          errorCode: ErrorCode.NONE,
        },
  );
}

/** The answer where a group cannot be asked; old versions are told with each partition. */
function refusal(apiVersion: number, group: AskedGroup, errorCode: number): GroupAnswer {
  const { groupId } = group;
  if (apiVersion >= FIRST_WITH_GROUP_ERROR) return { groupId, errorCode };
  const topics = (group.topics ?? []).map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((index) => nothing(index, errorCode)),
  }));
  return { groupId, topics };
}

async function fetchGroup(
  context: RequestContext,
  group: AskedGroup,
  requireStable: boolean,
): Promise<GroupAnswer> {
  const { groupId, topics } = group;
  const { services, apiVersion } = context;
  const byId = apiVersion >= FIRST_WITH_TOPIC_ID;
  const nameOf = (id: string) => services.topics.byId(id)?.name;
  const known = topics?.filter(({ topicId }) => !byId || nameOf(topicId) !== undefined);
  const asked = known?.map(
    ({ name, topicId, partitionIndexes }): TopicToFetch => ({
      topic: byId ? nameOf(topicId)! : name,
      topicId: byId ? topicId : ZERO_UUID,
      partitions: partitionIndexes,
    }),
  );
  const fetched = await services.groups.fetchOffsets(groupId, asked ?? null, requireStable);
  if (typeof fetched === 'string') return refusal(apiVersion, group, ErrorCode[fetched]);
  const answers = fetched.map((topic, index): TopicAnswer => {
    const topicId = known?.[index]?.topicId ?? services.topics.get(topic.topic)?.id ?? ZERO_UUID;
    return { name: topic.topic, topicId, partitions: partitionsOf(topic) };
  });
  if (!byId) return { groupId, topics: answers };
  if (topics === null) {
    // A topic that is gone has no id to be told under.
    return { groupId, topics: answers.filter(({ topicId }) => topicId !== ZERO_UUID) };
  }
  const unknown = topics.filter((topic) => !known!.includes(topic));
  return { groupId, topics: [...answers, ...unknown.map(unknownTopic)] };
}

function unknownTopic(topic: NonNullable<AskedGroup['topics']>[number]): TopicAnswer {
  const { topicId, partitionIndexes } = topic;
  const partitions = partitionIndexes.map((index) => nothing(index, ErrorCode.UNKNOWN_TOPIC_ID));
  return { topicId, partitions };
}

/** The groups of a request; up to version 7 it is of one, and has its topics itself. */
function groupsOf(context: RequestContext, request: Request): AskedGroup[] {
  if (context.apiVersion >= FIRST_WITH_GROUPS) return request.groups;
  const topics = request.topics?.map((topic) => ({ ...topic, topicId: ZERO_UUID })) ?? null;
  return [{ groupId: request.groupId, topics }];
}

function responseOf(context: RequestContext, groups: GroupAnswer[]): Response {
  if (context.apiVersion >= FIRST_WITH_GROUPS) return { groups };
  const { topics, errorCode } = groups[0]!;
  return { topics: topics ?? [], errorCode };
}

export const offsetFetch = api({
  name: 'OffsetFetch',
  versions: '1-10',
  request: OffsetFetchRequest,
  response: OffsetFetchResponse,
  handle: async (context, request) => {
    const groups = groupsOf(context, request);
    const { requireStable } = request;
    return responseOf(
      context,
      await Promise.all(groups.map((group) => fetchGroup(context, group, requireStable))),
    );
  },
  onError: (context, request, errorCode) =>
    responseOf(
      context,
      groupsOf(context, request).map((group) => refusal(context.apiVersion, group, errorCode)),
    ),
});

/**
 * What OffsetCommit and TxnOffsetCommit have in common: the partitions that a request names are
 * looked up, those that are there are committed, and each is answered in its place.
 */

import { ErrorCode, type ErrorName } from '../../protocol/errors.ts';
import type { RequestContext } from '../api.ts';
import type { Topic } from '../topics.ts';
import type { OffsetToCommit } from './offset-operations.ts';

interface AskedPartition {
  readonly partitionIndex: number;
  readonly committedOffset: number;
  readonly committedLeaderEpoch: number;
  readonly committedMetadata: string | null;
}

interface AskedTopic {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: readonly AskedPartition[];
}

/** Where in the answer an error belongs. */
interface Line {
  readonly partitionIndex: number;
  error: ErrorName;
}

/**
 * Commits what is there and gives the answer's topics. `hasTopicIds`: the version names topics by
 * id. `commit` gives the error of each offset, in order; it is not called for none.
 */
export async function commitLines(
  context: RequestContext,
  topics: readonly AskedTopic[],
  hasTopicIds: boolean,
  commit: (offsets: readonly OffsetToCommit[]) => Promise<readonly ErrorName[]>,
) {
  const valid: Line[] = [];
  const offsets: OffsetToCommit[] = [];
  const byTopic = topics.map((asked) => {
    const { topics: known } = context.services;
    const topic = hasTopicIds ? known.byId(asked.topicId) : known.get(asked.name);
    return asked.partitions.map((partition) => {
      const { partitionIndex } = partition;
      if (topic?.partitions[partitionIndex] === undefined) {
        return { partitionIndex, error: missing(topic, hasTopicIds) };
      }
      const line: Line = { partitionIndex, error: 'NONE' };
      valid.push(line);
      offsets.push({
        topic: topic.name,
        topicId: topic.id,
        partition: partitionIndex,
        offset: partition.committedOffset,
        leaderEpoch: partition.committedLeaderEpoch,
        metadata: partition.committedMetadata,
      });
      return line;
    });
  });
  if (valid.length > 0) {
    const errors = await commit(offsets);
    for (const [index, line] of valid.entries()) line.error = errors[index]!;
  }
  return topics.map(({ name, topicId }, index) => ({
    name,
    topicId,
    partitions: byTopic[index]!.map(({ partitionIndex, error }) => ({
      partitionIndex,
      errorCode: ErrorCode[error],
    })),
  }));
}

function missing(topic: Topic | undefined, hasTopicIds: boolean): ErrorName {
  return topic === undefined && hasTopicIds ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION';
}

/** The answer to a request that failed as a whole. */
export function refusedLines(topics: readonly AskedTopic[], errorCode: number) {
  return topics.map(({ name, topicId, partitions }) => ({
    name,
    topicId,
    partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
  }));
}

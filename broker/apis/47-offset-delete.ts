/**
 * OffsetDelete, API key 47, version 0: forgets what a group has committed for topics that no member
 * reads (KIP-496).
 * Source: Kafka's KafkaApis.handleOffsetDeleteRequest, OffsetMetadataManager.deleteOffsets.
 */

import { ErrorCode, type ErrorName } from '../../protocol/errors.ts';
import {
  OffsetDeleteRequest,
  OffsetDeleteResponse,
} from '../../protocol/messages/offset-delete.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';

type Request = Decoded<typeof OffsetDeleteRequest>;
type Response = Input<typeof OffsetDeleteResponse>;

/** One partition of the request, with its place in the answer. */
interface Line {
  readonly topic: string;
  readonly partition: number;
  error: ErrorName;
}

async function handle({ services }: RequestContext, request: Request): Promise<Response> {
  const byTopic = request.topics.map(({ name: topic, partitions }) =>
    partitions.map(({ partitionIndex: partition }): Line => {
      const isThere = services.topics.partition(topic, partition) !== undefined;
      return { topic, partition, error: isThere ? 'NONE' : 'UNKNOWN_TOPIC_OR_PARTITION' };
    }),
  );
  const valid = byTopic.flat().filter(({ error }) => error === 'NONE');
  const errors = await services.groups.deleteOffsets(request.groupId, valid);
  if (typeof errors === 'string') return { errorCode: ErrorCode[errors], topics: [] };
  for (const [index, line] of valid.entries()) line.error = errors[index]!;
  return {
    errorCode: ErrorCode.NONE,
    topics: request.topics.map(({ name }, index) => ({
      name,
      partitions: byTopic[index]!.map(({ partition, error }) => ({
        partitionIndex: partition,
        errorCode: ErrorCode[error],
      })),
    })),
  };
}

export const offsetDelete = api({
  name: 'OffsetDelete',
  versions: '0',
  request: OffsetDeleteRequest,
  response: OffsetDeleteResponse,
  handle,
  onError: (_context, _request, errorCode) => ({ errorCode, topics: [] }),
});

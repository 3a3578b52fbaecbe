/**
 * OffsetForLeaderEpoch, API key 23, versions 2-4: where a leader epoch ended, by which a client
 * finds out that its log was cut (KIP-320).
 *
 * Version 3: replica id, without a meaning here. Version 4: flexible.
 * Source: Kafka's ReplicaManager.lastOffsetForLeaderEpoch.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse,
} from '../../protocol/messages/offset-for-leader-epoch.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api } from '../api.ts';
import { leaderEpochFault } from '../epoch-check.ts';
import type { Partition } from '../partition.ts';

type Request = Decoded<typeof OffsetForLeaderEpochRequest>;
type Asked = Request['topics'][number]['partitions'][number];
type Response = Input<typeof OffsetForLeaderEpochResponse>;
type Answered = Response['topics'][number]['partitions'][number];

function answerFor(partition: Partition | undefined, asked: Asked): Answered {
  if (partition === undefined) {
    return { partition: asked.partition, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
  }
  const errorCode = leaderEpochFault(partition.log, asked.currentLeaderEpoch);
  if (errorCode !== ErrorCode.NONE) return { partition: asked.partition, errorCode };
  const found = partition.log.endOffsetForEpoch(asked.leaderEpoch);
  return { partition: asked.partition, errorCode, ...found };
}

export const offsetForLeaderEpoch = api({
  name: 'OffsetForLeaderEpoch',
  versions: '2-4',
  request: OffsetForLeaderEpochRequest,
  response: OffsetForLeaderEpochResponse,
  handle({ services }, request) {
    return {
      throttleTimeMs: 0,
      topics: request.topics.map(({ topic: name, partitions }) => {
        const topic = services.topics.get(name);
        return {
          topic: name,
          partitions: partitions.map((asked) =>
            answerFor(topic?.partitions[asked.partition], asked),
          ),
        };
      }),
    };
  },
  onError: (_context, request, errorCode) => ({
    throttleTimeMs: 0,
    topics: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition }) => ({ partition, errorCode })),
    })),
  }),
});

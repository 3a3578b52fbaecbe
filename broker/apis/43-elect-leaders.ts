/**
 * ElectLeaders, API key 43, versions 0-2. The one replica of each partition is its leader, so that
 * no election is ever needed: that is what each partition is answered; where all partitions are
 * asked for, those are left out, as Kafka does it.
 *
 * Version 1: kind of election (KIP-460), error code of the whole answer. Version 2: flexible.
 * Source: KIP-183; Kafka's ReplicationControlManager.electLeaders.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import {
  ElectLeadersRequest,
  ElectLeadersResponse,
} from '../../protocol/messages/elect-leaders.ts';
import { api } from '../api.ts';
import type { Services } from '../services.ts';

/** Preferred and unclean. */
const ELECTION_TYPES: readonly number[] = [0, 1];

function elect({ topics }: Services, topic: string, partitionId: number) {
  if (topics.partition(topic, partitionId) !== undefined) {
    return { partitionId, errorCode: ErrorCode.ELECTION_NOT_NEEDED, errorMessage: null };
  }
  const errorMessage =
    topics.get(topic) === undefined
      ? `No such topic as ${topic}`
      : `No such partition as ${topic}-${partitionId}`;
  return { partitionId, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage };
}

export const electLeaders = api({
  name: 'ElectLeaders',
  versions: '0-2',
  request: ElectLeadersRequest,
  response: ElectLeadersResponse,
  handle({ services }, request) {
    if (!ELECTION_TYPES.includes(request.electionType)) {
      throw new ProtocolError('INVALID_REQUEST', `Unknown election type ${request.electionType}`);
    }
    const replicaElectionResults =
      request.topicPartitions === null
        ? Array.from(services.topics.all(), ({ name }) => ({ topic: name, partitionResult: [] }))
        : request.topicPartitions.map(({ topic, partitions }) => ({
            topic,
            partitionResult: partitions.map((partition) => elect(services, topic, partition)),
          }));
    return { throttleTimeMs: 0, replicaElectionResults };
  },
  onError: (_context, request, errorCode, errorMessage) => ({
    throttleTimeMs: 0,
    errorCode,
    replicaElectionResults: (request.topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map((partitionId) => ({ partitionId, errorCode, errorMessage })),
    })),
  }),
});

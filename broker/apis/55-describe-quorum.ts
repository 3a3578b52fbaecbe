/**
 * DescribeQuorum, API key 55, versions 0-2: who keeps the metadata log. On one node that is this one:
 * it leads, votes for itself, and nobody observes.
 *
 * Version 1: when a replica was last heard of. Version 2: texts of errors, folders, addresses
 * (KIP-853). Source: Kafka's KafkaRaftClient.handleDescribeQuorumRequest.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  DescribeQuorumRequest,
  DescribeQuorumResponse,
} from '../../protocol/messages/describe-quorum.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { METADATA_TOPIC } from '../topic-names.ts';

type Request = Decoded<typeof DescribeQuorumRequest>;
type Response = Input<typeof DescribeQuorumResponse>;
type Partition = Response['topics'][number]['partitions'][number];

const NOBODY = -1;

/** Only partition 0 of the metadata log may be asked for, and nothing else beside it. */
function isOfMetadata({ topics }: Request): boolean {
  const [topic] = topics;
  const isAlone = topics.length === 1 && topic?.partitions.length === 1;
  return isAlone && topic.topicName === METADATA_TOPIC && topic.partitions[0]!.partitionIndex === 0;
}

function refused(request: Request, errorCode: number): Response['topics'] {
  return request.topics.map(({ topicName, partitions }) => ({
    topicName,
    partitions: partitions.map(
      ({ partitionIndex }): Partition => ({
        partitionIndex,
        errorCode,
        leaderId: NOBODY,
        leaderEpoch: 0,
        highWatermark: NOBODY,
        currentVoters: [],
        observers: [],
      }),
    ),
  }));
}

function describe({ services, connection }: RequestContext): Omit<Response, 'errorCode'> {
  const { nodeId, metadataLog, env, config } = services;
  const nowMs = env.clock.now();
  const voter = {
    replicaId: nodeId,
    logEndOffset: metadataLog.endOffset,
    lastFetchTimestamp: nowMs,
    lastCaughtUpTimestamp: nowMs,
  };
  const partition: Partition = {
    partitionIndex: 0,
    errorCode: ErrorCode.NONE,
    leaderId: nodeId,
    leaderEpoch: metadataLog.leaderEpoch,
    highWatermark: metadataLog.highWatermark,
    currentVoters: [voter],
    observers: [],
  };
  const name = config.listeners.listeners[0]?.name ?? '';
  return {
    topics: [{ topicName: METADATA_TOPIC, partitions: [partition] }],
    nodes: [{ nodeId, listeners: [{ name, ...connection.advertised }] }],
  };
}

export const describeQuorum = api({
  name: 'DescribeQuorum',
  versions: '0-2',
  request: DescribeQuorumRequest,
  response: DescribeQuorumResponse,
  handle(context, request) {
    if (isOfMetadata(request)) return { errorCode: ErrorCode.NONE, ...describe(context) };
    const topics = refused(request, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    return { errorCode: ErrorCode.NONE, topics };
  },
  onError: (_context, _request, errorCode, errorMessage) => ({
    errorCode,
    errorMessage,
    topics: [],
  }),
});

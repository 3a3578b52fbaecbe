/**
 * ListOffsets, API key 2, versions 1-11: offsets by time.
 *
 * A timestamp from 0 on asks for the first record at or after it; none: offset and timestamp -1.
 * Below 0 stand special ones, each from a version on: -1 latest readable, -2 log start, -3 the
 * record with the largest timestamp (7, KIP-734), -4 start of what is local (8, KIP-405), -5 last
 * tiered (9, KIP-1005), -6 next to be tiered (11, KIP-1023). Nothing is tiered here: -4 is -2, and
 * -5 and -6 are offset -1. A consumer sees up to its isolation level, anyone else up to the end.
 *
 * Version 2: isolation level. Version 4: leader epochs (KIP-320). Version 6: flexible. Version 10:
 * timeout, for what is tiered. Source: Kafka's ReplicaManager.fetchOffset, Partition, UnifiedLog.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import { ListOffsetsRequest, ListOffsetsResponse } from '../../protocol/messages/list-offsets.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import type { PartitionLogView } from '../../storage/types.ts';
import { api, type RequestContext } from '../api.ts';
import { leaderEpochFault, NO_LEADER_EPOCH } from '../epoch-check.ts';
import { reportPartitionError } from '../partition-errors.ts';

type Request = Decoded<typeof ListOffsetsRequest>;
type Asked = Request['topics'][number]['partitions'][number];
type Response = Input<typeof ListOffsetsResponse>;
type Answered = Response['topics'][number]['partitions'][number];

const LATEST = -1;
const EARLIEST = -2;
const MAX_TIMESTAMP = -3;
const EARLIEST_LOCAL = -4;
const LATEST_TIERED = -5;
const EARLIEST_PENDING_UPLOAD = -6;

/** First version of each special timestamp. */
const firstVersions = new Map<number, number>([
  [LATEST, 1],
  [EARLIEST, 1],
  [MAX_TIMESTAMP, 7],
  [EARLIEST_LOCAL, 8],
  [LATEST_TIERED, 9],
  [EARLIEST_PENDING_UPLOAD, 11],
]);

const CONSUMER_REPLICA_ID = -1;
const READ_UNCOMMITTED = 0;
const READ_COMMITTED = 1;

interface Found {
  readonly offset: number;
  readonly timestamp: number;
  readonly leaderEpoch: number;
}

const NOTHING: Found = { offset: -1, timestamp: -1, leaderEpoch: NO_LEADER_EPOCH };

function isUnsupported(timestamp: number, version: number): boolean {
  if (timestamp >= 0) return false;
  const first = firstVersions.get(timestamp);
  return first === undefined || version < first;
}

/** The offset up to which the asker may see. */
function readableEnd(request: Request, log: PartitionLogView): number {
  if (request.replicaId !== CONSUMER_REPLICA_ID) return log.endOffset;
  return request.isolationLevel === READ_COMMITTED ? log.lastStableOffset : log.highWatermark;
}

/** The start of the log; an empty log has the epoch of the batches to come. */
function startOf(log: PartitionLogView): Found {
  const offset = log.logStartOffset;
  const isEmpty = offset >= log.endOffset;
  const leaderEpoch = isEmpty ? log.leaderEpoch : log.epochAt(offset);
  return { offset, timestamp: -1, leaderEpoch };
}

async function find(log: PartitionLogView, timestamp: number, limit: number): Promise<Found> {
  switch (timestamp) {
    case LATEST:
      return { offset: limit, timestamp: -1, leaderEpoch: log.leaderEpoch };
    case EARLIEST:
    case EARLIEST_LOCAL:
      return startOf(log);
    case LATEST_TIERED:
    case EARLIEST_PENDING_UPLOAD:
      return NOTHING;
    case MAX_TIMESTAMP:
      return (await log.offsetOfMaxTimestamp(limit)) ?? NOTHING;
    default:
      return (await log.offsetForTime(timestamp, limit)) ?? NOTHING;
  }
}

async function answerFor(
  context: RequestContext,
  request: Request,
  name: string,
  asked: Asked,
): Promise<Answered> {
  const { partitionIndex, timestamp } = asked;
  const log = context.services.topics.get(name)?.partitions[partitionIndex]?.log;
  if (isUnsupported(timestamp, context.apiVersion)) {
    return { partitionIndex, errorCode: ErrorCode.UNSUPPORTED_VERSION };
  }
  if (log === undefined) return { partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
  const fault = leaderEpochFault(log, asked.currentLeaderEpoch);
  if (fault !== ErrorCode.NONE) return { partitionIndex, errorCode: fault };
  try {
    const found = await find(log, timestamp, readableEnd(request, log));
    return { partitionIndex, errorCode: ErrorCode.NONE, ...found };
  } catch (error) {
    return {
      partitionIndex,
      errorCode: reportPartitionError(context, name, partitionIndex, error),
    };
  }
}

/** What is asked of the partitions of a topic: each once, and whether it is named more often. */
function askedOnce(topic: Request['topics'][number], counts: Map<string, number>) {
  const once = new Map<number, { asked: Asked; isRepeated: boolean }>();
  for (const asked of topic.partitions) {
    const isRepeated = counts.get(nameOf(topic.name, asked)) !== 1;
    once.set(asked.partitionIndex, { asked, isRepeated });
  }
  return [...once.values()];
}

function nameOf(topic: string, { partitionIndex }: Asked): string {
  return `${partitionIndex}:${topic}`;
}

/** How often each partition is named, over all topics of a request. */
function countNames(request: Request): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { name, partitions } of request.topics) {
    for (const asked of partitions) {
      const key = nameOf(name, asked);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}

export const listOffsets = api({
  name: 'ListOffsets',
  versions: '1-11',
  request: ListOffsetsRequest,
  response: ListOffsetsResponse,
  async handle(context, request) {
    const { isolationLevel } = request;
    if (isolationLevel !== READ_UNCOMMITTED && isolationLevel !== READ_COMMITTED) {
      throw new ProtocolError('UNKNOWN_SERVER_ERROR', `unknown isolation level ${isolationLevel}`);
    }
    const counts = countNames(request);
    const topics = request.topics.map(async (topic) => ({
      name: topic.name,
      partitions: await Promise.all(
        askedOnce(topic, counts).map(({ asked, isRepeated }) => {
          const { partitionIndex } = asked;
          if (isRepeated) return { partitionIndex, errorCode: ErrorCode.INVALID_REQUEST };
          return answerFor(context, request, topic.name, asked);
        }),
      ),
    }));
    return { topics: await Promise.all(topics) };
  },
  onError: (_context, request, errorCode) => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }),
});

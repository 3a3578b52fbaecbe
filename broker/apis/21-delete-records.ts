/**
 * DeleteRecords, API key 21, versions 0-2: raises the log start offset of partitions. Durable when
 * it is answered.
 *
 * Offset -1 stands for the high watermark. Refused for internal topics, and with POLICY_VIOLATION
 * where `cleanup.policy` has no `delete`. Version 2: flexible.
 * Source: KIP-107; Kafka's Partition.deleteRecordsOnLeader.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import {
  DeleteRecordsRequest,
  DeleteRecordsResponse,
} from '../../protocol/messages/delete-records.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { reportPartitionError } from '../partition-errors.ts';

type Request = Decoded<typeof DeleteRecordsRequest>;
type Asked = Request['topics'][number]['partitions'][number];
type Response = Input<typeof DeleteRecordsResponse>;
type Answered = Response['topics'][number]['partitions'][number];

const HIGH_WATERMARK = -1;
const NO_LOW_WATERMARK = -1;

/** Raises the log start of one partition; gives where it is then. */
function deleteBefore(context: RequestContext, name: string, asked: Asked): Promise<number> {
  const topic = context.services.topics.get(name);
  const partition = topic?.partitions[asked.partitionIndex];
  if (topic === undefined || partition === undefined) {
    throw new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION');
  }
  if (topic.internal) {
    throw new ProtocolError('INVALID_TOPIC_EXCEPTION', 'records of internal topics stay');
  }
  if (!topic.config.get('cleanup.policy').includes('delete')) {
    throw new ProtocolError('POLICY_VIOLATION', 'cleanup.policy has no delete');
  }
  const { log } = partition;
  const before = asked.offset === HIGH_WATERMARK ? log.highWatermark : asked.offset;
  if (before < 0 || before > log.highWatermark) {
    throw new ProtocolError('OFFSET_OUT_OF_RANGE', `there is no offset ${before}`);
  }
  return log.deleteRecordsBefore(before);
}

async function answerFor(context: RequestContext, name: string, asked: Asked): Promise<Answered> {
  const { partitionIndex } = asked;
  try {
    const lowWatermark = await deleteBefore(context, name, asked);
    return { partitionIndex, lowWatermark, errorCode: ErrorCode.NONE };
  } catch (error) {
    const errorCode = reportPartitionError(context, name, partitionIndex, error);
    return { partitionIndex, lowWatermark: NO_LOW_WATERMARK, errorCode };
  }
}

export const deleteRecords = api({
  name: 'DeleteRecords',
  versions: '0-2',
  request: DeleteRecordsRequest,
  response: DeleteRecordsResponse,
  async handle(context, request) {
    const topics = request.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(partitions.map((asked) => answerFor(context, name, asked))),
    }));
    return { throttleTimeMs: 0, topics: await Promise.all(topics) };
  },
  onError: (_context, request, errorCode) => ({
    throttleTimeMs: 0,
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        lowWatermark: NO_LOW_WATERMARK,
        errorCode,
      })),
    })),
  }),
});

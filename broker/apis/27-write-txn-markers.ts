/**
 * WriteTxnMarkers, API key 27, versions 1-2: ends transactions in some of their partitions. Brokers
 * of a cluster send it to each other; here it serves who ends a hanging transaction by hand
 * (Admin.abortTransaction). The coordinator's own markers take the same way, without a request.
 *
 * Version 2: which version of transactions the marker is of (KIP-1228); from 2 on the epoch in it
 * was raised by the end.
 * Source: Kafka's KafkaApis.handleWriteTxnMarkersRequest.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import {
  WriteTxnMarkersRequest,
  WriteTxnMarkersResponse,
} from '../../protocol/messages/write-txn-markers.ts';
import type { Decoded } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { reportPartitionError } from '../partition-errors.ts';
import { writeMarker } from '../transactions/markers.ts';

type Marker = Decoded<typeof WriteTxnMarkersRequest>['markers'][number];

async function markPartition(
  context: RequestContext,
  marker: Marker,
  topic: string,
  partition: number,
): Promise<{ partitionIndex: number; errorCode: number }> {
  const { topics, groups } = context.services;
  const { transactionResult: isCommit, topics: _, ...fields } = marker;
  try {
    if (fields.producerId < 0 || fields.producerEpoch < 0) {
      throw new ProtocolError('INVALID_REQUEST', 'a marker without a producer');
    }
    await writeMarker(topics, groups, { topic, partition }, { ...fields, isCommit });
    return { partitionIndex: partition, errorCode: ErrorCode.NONE };
  } catch (error) {
    const errorCode = reportPartitionError(context, topic, partition, error);
    return { partitionIndex: partition, errorCode };
  }
}

async function mark(context: RequestContext, marker: Marker) {
  const topics = marker.topics.map(async ({ name, partitionIndexes }) => {
    const partitions = partitionIndexes.map((index) => markPartition(context, marker, name, index));
    return { name, partitions: await Promise.all(partitions) };
  });
  return { producerId: marker.producerId, topics: await Promise.all(topics) };
}

export const writeTxnMarkers = api({
  name: 'WriteTxnMarkers',
  versions: '1-2',
  request: WriteTxnMarkersRequest,
  response: WriteTxnMarkersResponse,
  async handle(context, request) {
    return { markers: await Promise.all(request.markers.map((marker) => mark(context, marker))) };
  },
  onError: (_context, request, errorCode) => ({
    markers: request.markers.map(({ producerId, topics }) => ({
      producerId,
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, errorCode })),
      })),
    })),
  }),
});

/**
 * DescribeProducers, API key 61, version 0: the producers that partitions remember, with the
 * transactions that they have open there (KIP-664).
 * Source: Kafka's KafkaApis.handleDescribeProducersRequest.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  DescribeProducersRequest,
  DescribeProducersResponse,
} from '../../protocol/messages/describe-producers.ts';
import type { Input } from '../../protocol/schema.ts';
import type { ProducerState } from '../../storage/types.ts';
import { api, type RequestContext } from '../api.ts';
import { topicNameFault } from '../topic-names.ts';

type Topic = Input<typeof DescribeProducersResponse>['topics'][number];
type Partition = Topic['partitions'][number];

function producerAnswer(state: ProducerState) {
  return {
    producerId: state.producerId,
    producerEpoch: state.epoch,
    lastSequence: state.batches.at(-1)?.lastSequence ?? -1,
    lastTimestamp: state.lastTimestamp,
    coordinatorEpoch: state.coordinatorEpoch,
    currentTxnStartOffset: state.currentTxnFirstOffset,
  };
}

function describe({ services }: RequestContext, topic: string, partitionIndex: number): Partition {
  const nameFault = topicNameFault(topic);
  if (nameFault !== undefined) {
    const errorCode = ErrorCode.INVALID_TOPIC_EXCEPTION;
    return { partitionIndex, errorCode, errorMessage: nameFault, activeProducers: [] };
  }
  const partition = services.topics.partition(topic, partitionIndex);
  if (partition === undefined) {
    const errorCode = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    return { partitionIndex, errorCode, activeProducers: [] };
  }
  const producers = [...partition.log.producers.entries()];
  return { partitionIndex, errorCode: 0, activeProducers: producers.map(producerAnswer) };
}

export const describeProducers = api({
  name: 'DescribeProducers',
  versions: '0',
  request: DescribeProducersRequest,
  response: DescribeProducersResponse,
  handle: (context, request) => ({
    topics: request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((index) => describe(context, name, index)),
    })),
  }),
  onError: (_context, request, errorCode) => ({
    topics: request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => ({
        partitionIndex,
        errorCode,
        activeProducers: [],
      })),
    })),
  }),
});

/**
 * AddPartitionsToTxn, API key 24, versions 0-5: partitions become part of a transaction.
 *
 * Versions 0-3 are of clients, for one transaction. Version 2: PRODUCER_FENCED in place of
 * INVALID_PRODUCER_EPOCH. Version 3: flexible. Versions 4-5 are of brokers, for many transactions,
 * some of which are only to be verified (KIP-890). All partitions are added, or none.
 * Source: Kafka's KafkaApis.handleAddPartitionsToTxnRequest.
 */

import { ErrorCode, type ErrorName } from '../../protocol/errors.ts';
import {
  AddPartitionsToTxnRequest,
  AddPartitionsToTxnResponse,
} from '../../protocol/messages/add-partitions-to-txn.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { isInternalTopic } from '../topic-names.ts';
import type { TopicPartition } from '../transactions/coordinator.ts';

type Request = Decoded<typeof AddPartitionsToTxnRequest>;
type Response = Input<typeof AddPartitionsToTxnResponse>;
type Transaction = Request['transactions'][number];
type Asked = Transaction['topics'];
type TopicResult = NonNullable<Response['resultsByTopicV3AndBelow']>[number];

const FIRST_OF_BROKERS = 4;
const FIRST_WITH_FENCED = 2;

function transactionsOf(context: RequestContext, request: Request): Transaction[] {
  if (context.apiVersion >= FIRST_OF_BROKERS) return request.transactions;
  return [
    {
      transactionalId: request.v3AndBelowTransactionalId,
      producerId: request.v3AndBelowProducerId,
      producerEpoch: request.v3AndBelowProducerEpoch,
      verifyOnly: false,
      topics: request.v3AndBelowTopics,
    },
  ];
}

function partitionsOf(topics: Asked): TopicPartition[] {
  return topics.flatMap(({ name, partitions }) =>
    partitions.map((partition) => ({ topic: name, partition })),
  );
}

/** The answer, with the errors in the order of the partitions. */
function results(topics: Asked, errors: readonly ErrorName[]): TopicResult[] {
  let at = 0;
  return topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map((partitionIndex) => ({
      partitionIndex,
      partitionErrorCode: ErrorCode[errors[at++]!],
    })),
  }));
}

async function errorsOf(context: RequestContext, transaction: Transaction): Promise<ErrorName[]> {
  const { transactions, topics } = context.services;
  const partitions = partitionsOf(transaction.topics);
  const isOfClient = context.apiVersion < FIRST_OF_BROKERS;
  const faultOf = ({ topic, partition }: TopicPartition): ErrorName | undefined => {
    // Offsets have a request of their own; the coordinator's topic is nobody's.
    if (isOfClient && isInternalTopic(topic)) return 'TOPIC_AUTHORIZATION_FAILED';
    const isThere = topics.partition(topic, partition) !== undefined;
    return isThere ? undefined : 'UNKNOWN_TOPIC_OR_PARTITION';
  };
  const faults = partitions.map(faultOf);
  if (faults.some((fault) => fault !== undefined)) {
    return faults.map((fault) => fault ?? 'OPERATION_NOT_ATTEMPTED');
  }
  const { transactionalId: id, producerId, producerEpoch, verifyOnly } = transaction;
  const client = { producerId, producerEpoch };
  if (verifyOnly) return transactions.verifyPartitions(id, client, partitions);
  const clientVersion = isOfClient ? 0 : 2;
  const error = await transactions.addPartitions(id, client, partitions, clientVersion);
  const isTold = error !== 'PRODUCER_FENCED' || context.apiVersion >= FIRST_WITH_FENCED;
  return partitions.map(() => (isTold ? error : 'INVALID_PRODUCER_EPOCH'));
}

function responseOf(
  context: RequestContext,
  transactions: readonly Transaction[],
  errors: readonly ErrorName[][],
): Response {
  const topicResults = transactions.map(({ topics }, index) => results(topics, errors[index]!));
  if (context.apiVersion < FIRST_OF_BROKERS) return { resultsByTopicV3AndBelow: topicResults[0]! };
  return {
    resultsByTransaction: transactions.map(({ transactionalId }, index) => ({
      transactionalId,
      topicResults: topicResults[index]!,
    })),
  };
}

export const addPartitionsToTxn = api({
  name: 'AddPartitionsToTxn',
  versions: '0-5',
  request: AddPartitionsToTxnRequest,
  response: AddPartitionsToTxnResponse,
  async handle(context, request) {
    const transactions = transactionsOf(context, request);
    const asked = transactions.map((transaction) => errorsOf(context, transaction));
    return responseOf(context, transactions, await Promise.all(asked));
  },
  onError(context, request, errorCode) {
    if (context.apiVersion >= FIRST_OF_BROKERS) return { errorCode };
    return {
      resultsByTopicV3AndBelow: request.v3AndBelowTopics.map(({ name, partitions }) => ({
        name,
        resultsByPartition: partitions.map((partitionIndex) => ({
          partitionIndex,
          partitionErrorCode: errorCode,
        })),
      })),
    };
  },
});

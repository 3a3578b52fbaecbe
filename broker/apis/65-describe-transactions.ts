/**
 * DescribeTransactions, API key 65, version 0: the states of transactional ids (KIP-664).
 * Source: Kafka's TransactionCoordinator.handleDescribeTransactions.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  DescribeTransactionsRequest,
  DescribeTransactionsResponse,
} from '../../protocol/messages/describe-transactions.ts';
import type { Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';

type Described = Input<typeof DescribeTransactionsResponse>['transactionStates'][number];

function refused(transactionalId: string, errorCode: number): Described {
  return {
    errorCode,
    transactionalId,
    transactionState: '',
    transactionTimeoutMs: 0,
    transactionStartTimeMs: 0,
    producerId: 0,
    producerEpoch: 0,
    topics: [],
  };
}

function describe({ services }: RequestContext, transactionalId: string): Described {
  const state = services.transactions.describe(transactionalId);
  if (typeof state === 'string') return refused(transactionalId, ErrorCode[state]);
  return {
    errorCode: ErrorCode.NONE,
    transactionalId,
    transactionState: state.name,
    transactionTimeoutMs: state.timeoutMs,
    transactionStartTimeMs: state.startMs,
    producerId: state.producerId,
    producerEpoch: state.producerEpoch,
    topics: [...state.partitions].map(([topic, partitions]) => ({
      topic,
      partitions: [...partitions],
    })),
  };
}

export const describeTransactions = api({
  name: 'DescribeTransactions',
  versions: '0',
  request: DescribeTransactionsRequest,
  response: DescribeTransactionsResponse,
  handle: (context, request) => ({
    transactionStates: request.transactionalIds.map((id) => describe(context, id)),
  }),
  onError: (_context, request, errorCode) => ({
    transactionStates: request.transactionalIds.map((id) => refused(id, errorCode)),
  }),
});

/** The requests of transactions by hand, for tests that send what no client would. */

import type { WireConnection } from '../../benchmarks/client/connection.ts';
import { type ErrorName, errorName } from '../../protocol/errors.ts';
import {
  AddPartitionsToTxnRequest,
  AddPartitionsToTxnResponse,
} from '../../protocol/messages/add-partitions-to-txn.ts';
import { EndTxnRequest, EndTxnResponse } from '../../protocol/messages/end-txn.ts';
import {
  FindCoordinatorRequest,
  FindCoordinatorResponse,
} from '../../protocol/messages/find-coordinator.ts';
import {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/init-producer-id.ts';
import { OffsetFetchRequest, OffsetFetchResponse } from '../../protocol/messages/offset-fetch.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../protocol/messages/txn-offset-commit.ts';
import { buildBatch } from '../../protocol/records.ts';
import type { Decoded } from '../../protocol/schema.ts';
import { uniqueName } from './test-broker.ts';

export interface Client {
  readonly id: string;
  readonly producerId: number;
  readonly producerEpoch: number;
}

const EARLY: ReadonlySet<ErrorName> = new Set([
  'COORDINATOR_NOT_AVAILABLE',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'NOT_COORDINATOR',
  'NOT_ENOUGH_REPLICAS',
  'CONCURRENT_TRANSACTIONS',
]);

/** Repeats a call while the coordinator is not ready, or still completes what was before. */
export async function soon<A>(ask: () => Promise<A>, errorOf: (answer: A) => number): Promise<A> {
  for (;;) {
    const answer = await ask();
    const error = errorName(errorOf(answer));
    if (!EARLY.has(error)) return answer;
  }
}

type AddedPartitions = Decoded<typeof AddPartitionsToTxnResponse>;

/** One connection that speaks the requests of transactions. */
export class TransactionWire {
  readonly #connection: WireConnection;

  constructor(connection: WireConnection) {
    this.#connection = connection;
  }

  /** Apache Kafka makes the topics of its coordinators when it is first asked for them. */
  async findCoordinator(keyType: number, id: string): Promise<void> {
    const key = { keyType, coordinatorKeys: [id] };
    await soon(
      () => this.#connection.call(FindCoordinatorRequest, FindCoordinatorResponse, 4, key),
      ({ coordinators }) => coordinators[0]!.errorCode,
    );
  }

  async init(id: string, version = 5, more = {}): Promise<Client & { error: ErrorName }> {
    await this.findCoordinator(1, id);
    const request = { transactionalId: id, transactionTimeoutMs: 60_000, ...more };
    const answer = await soon(
      () => this.#connection.call(InitProducerIdRequest, InitProducerIdResponse, version, request),
      ({ errorCode }) => errorCode,
    );
    const { producerId, producerEpoch, errorCode } = answer;
    return { id, producerId, producerEpoch, error: errorName(errorCode) };
  }

  newClient() {
    return this.init(uniqueName('transactional'));
  }

  async addPartitions(
    version: number,
    { id, producerId, producerEpoch }: Client,
    topics: Record<string, number[]>,
    verifyOnly = false,
  ): Promise<ErrorName[]> {
    const asked = Object.entries(topics).map(([name, partitions]) => ({ name, partitions }));
    const request =
      version < 4
        ? {
            v3AndBelowTransactionalId: id,
            v3AndBelowProducerId: producerId,
            v3AndBelowProducerEpoch: producerEpoch,
            v3AndBelowTopics: asked,
          }
        : {
            transactions: [
              { transactionalId: id, producerId, producerEpoch, verifyOnly, topics: asked },
            ],
          };
    const resultsOf = ({ resultsByTransaction, resultsByTopicV3AndBelow }: AddedPartitions) =>
      version < 4 ? resultsByTopicV3AndBelow : (resultsByTransaction[0]?.topicResults ?? []);
    const pair = [AddPartitionsToTxnRequest, AddPartitionsToTxnResponse] as const;
    const answer = await soon(
      () => this.#connection.call(...pair, version, request),
      (one) => resultsOf(one)[0]?.resultsByPartition[0]?.partitionErrorCode ?? 0,
    );
    return resultsOf(answer)
      .flatMap(({ resultsByPartition }) => resultsByPartition)
      .sort((a, b) => a.partitionIndex - b.partitionIndex)
      .map(({ partitionErrorCode }) => errorName(partitionErrorCode));
  }

  async end(version: number, client: Client, committed: boolean) {
    const { id: transactionalId, producerId, producerEpoch } = client;
    const request = { transactionalId, producerId, producerEpoch, committed };
    const answer = await soon(
      () => this.#connection.call(EndTxnRequest, EndTxnResponse, version, request),
      ({ errorCode }) => errorCode,
    );
    return { ...answer, error: errorName(answer.errorCode) };
  }

  async produce(
    version: number,
    { id, producerId, producerEpoch }: Client,
    topic: string,
    baseSequence = 0,
  ): Promise<ErrorName> {
    const records = () =>
      buildBatch({
        producerId,
        producerEpoch,
        baseSequence,
        transactional: true,
        records: [{ key: null, value: Buffer.from('x'), timestamp: Date.now() }],
      });
    const { responses } = await soon(
      () =>
        this.#connection.call(ProduceRequest, ProduceResponse, version, {
          transactionalId: id,
          acks: -1,
          timeoutMs: 10_000,
          topicData: [{ name: topic, partitionData: [{ index: 0, records: records() }] }],
        }),
      (answer) => answer.responses[0]!.partitionResponses[0]!.errorCode,
    );
    return errorName(responses[0]!.partitionResponses[0]!.errorCode);
  }

  async commitOffset(
    version: number,
    { id, producerId, producerEpoch }: Client,
    groupId: string,
    topic: string,
    more = {},
  ): Promise<ErrorName> {
    await this.findCoordinator(0, groupId);
    const line = { partitionIndex: 0, committedOffset: 5, committedMetadata: '' };
    const { topics } = await soon(
      () =>
        this.#connection.call(TxnOffsetCommitRequest, TxnOffsetCommitResponse, version, {
          transactionalId: id,
          groupId,
          producerId,
          producerEpoch,
          topics: [{ name: topic, partitions: [line] }],
          ...more,
        }),
      (answer) => answer.topics[0]!.partitions[0]!.errorCode,
    );
    return errorName(topics[0]!.partitions[0]!.errorCode);
  }

  async fetchOffset(
    groupId: string,
    topic: string,
    requireStable: boolean,
  ): Promise<[error: ErrorName, offset: number]> {
    const topics = [{ name: topic, partitionIndexes: [0] }];
    const request = { groups: [{ groupId, topics }], requireStable };
    const { groups } = await this.#connection.call(
      OffsetFetchRequest,
      OffsetFetchResponse,
      9,
      request,
    );
    const found = groups[0]!.topics[0]!.partitions[0]!;
    return [errorName(found.errorCode), found.committedOffset];
  }
}

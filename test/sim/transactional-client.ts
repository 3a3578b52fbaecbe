/** A simulated client that speaks of transactions, in the first or the second version of them. */

import { ErrorCode, errorName } from '../../protocol/errors.ts';
import {
  AddOffsetsToTxnRequest,
  AddOffsetsToTxnResponse,
} from '../../protocol/messages/add-offsets-to-txn.ts';
import {
  AddPartitionsToTxnRequest,
  AddPartitionsToTxnResponse,
} from '../../protocol/messages/add-partitions-to-txn.ts';
import { EndTxnRequest, EndTxnResponse } from '../../protocol/messages/end-txn.ts';
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
import { Disconnected } from './client.ts';
import { nameOf, type Place } from './history.ts';
import type { Run } from './run.ts';
import { Worker } from './worker.ts';

/** Errors after which a producer begins anew; whatever else it is told is against the law. */
const BEGIN_ANEW: ReadonlySet<number> = new Set([
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.NOT_ENOUGH_REPLICAS,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.CONCURRENT_TRANSACTIONS,
  ErrorCode.UNSTABLE_OFFSET_COMMIT,
]);
/** What a producer is told after another one came with its transactional id. */
const FENCED: ReadonlySet<number> = new Set([
  ErrorCode.INVALID_PRODUCER_EPOCH,
  ErrorCode.PRODUCER_FENCED,
  ErrorCode.INVALID_TXN_STATE,
]);

const initProducerId = {
  request: InitProducerIdRequest,
  response: InitProducerIdResponse,
  version: 5,
};
const addPartitions = {
  request: AddPartitionsToTxnRequest,
  response: AddPartitionsToTxnResponse,
  version: 3,
};
const addOffsets = {
  request: AddOffsetsToTxnRequest,
  response: AddOffsetsToTxnResponse,
  version: 3,
};
const offsetFetch = { request: OffsetFetchRequest, response: OffsetFetchResponse, version: 7 };

/** The requests that differ between the two versions of the protocol. */
const SPOKEN = {
  0: {
    produce: { request: ProduceRequest, response: ProduceResponse, version: 9 },
    commit: { request: TxnOffsetCommitRequest, response: TxnOffsetCommitResponse, version: 3 },
    end: { request: EndTxnRequest, response: EndTxnResponse, version: 3 },
  },
  2: {
    produce: { request: ProduceRequest, response: ProduceResponse, version: 12 },
    commit: { request: TxnOffsetCommitRequest, response: TxnOffsetCommitResponse, version: 5 },
    end: { request: EndTxnRequest, response: EndTxnResponse, version: 5 },
  },
} as const;

export type TransactionVersion = keyof typeof SPOKEN;

/** The broker has refused what may be tried again. */
export class Refused extends Error {}
/** Another producer came with the same transactional id. */
export class Fenced extends Error {}

export abstract class TransactionalClient extends Worker {
  protected readonly transactionalId: string;
  protected readonly version: TransactionVersion;
  protected readonly timeoutMs: number = 60_000;
  /** Whether others come with the same transactional id. */
  protected readonly hasRivals: boolean = false;
  #producerId = -1;
  #epoch = -1;
  readonly #sequences = new Map<Place, number>();

  constructor(
    run: Run,
    name: string,
    place: Place,
    version: TransactionVersion,
    transactionalId = name,
  ) {
    super(run, name, place);
    this.version = version;
    this.transactionalId = transactionalId;
  }

  protected get isInitialised(): boolean {
    return this.#producerId >= 0;
  }

  /** False when the connection was lost, or an error came that may come. */
  protected async attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof Disconnected || error instanceof Refused) return false;
      throw error;
    }
  }

  protected async init(): Promise<void> {
    this.#producerId = -1;
    const answer = await this.client.call(initProducerId, {
      transactionalId: this.transactionalId,
      transactionTimeoutMs: this.timeoutMs,
    });
    this.#refuse('InitProducerId', answer.errorCode);
    this.#producerId = answer.producerId;
    this.#epoch = answer.producerEpoch;
    this.#sequences.clear();
  }

  /** The offset that a group has committed in a partition. */
  protected async offset(groupId: string, place: Place): Promise<number> {
    const { topic, partition } = place;
    const told = this.shared.commits.asked(groupId, nameOf(place));
    const { topics, errorCode } = await this.client.call(offsetFetch, {
      groupId,
      topics: [{ name: topic, partitionIndexes: [partition] }],
      requireStable: true,
    });
    const found = topics[0]?.partitions[0];
    this.#refuse('OffsetFetch', errorCode || (found?.errorCode ?? 0));
    told(found!.committedOffset);
    return found!.committedOffset;
  }

  get #identity() {
    return { producerId: this.#producerId, producerEpoch: this.#epoch };
  }

  /** What the first version wants before records are sent; nothing in the second. */
  protected async addPartitions(places: readonly Place[]): Promise<void> {
    if (this.version !== 0) return;
    const answer = await this.client.call(addPartitions, {
      v3AndBelowTransactionalId: this.transactionalId,
      v3AndBelowProducerId: this.#producerId,
      v3AndBelowProducerEpoch: this.#epoch,
      v3AndBelowTopics: places.map(({ topic, partition }) => ({
        name: topic,
        partitions: [partition],
      })),
    });
    for (const { resultsByPartition } of answer.resultsByTopicV3AndBelow) {
      for (const { partitionErrorCode } of resultsByPartition) {
        this.#refuse('AddPartitionsToTxn', partitionErrorCode);
      }
    }
  }

  /** Sends one batch; gives its base offset. */
  protected async produce(place: Place, values: readonly string[]): Promise<number> {
    const baseSequence = this.#sequences.get(place) ?? 0;
    this.#sequences.set(place, baseSequence + values.length);
    const timestamp = this.world.clock.now();
    const records = buildBatch({
      ...this.#identity,
      baseSequence,
      transactional: true,
      records: values.map((value) => ({ key: null, value: Buffer.from(value), timestamp })),
    });
    const { responses } = await this.client.call(SPOKEN[this.version].produce, {
      transactionalId: this.transactionalId,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name: place.topic, partitionData: [{ index: place.partition, records }] }],
    });
    const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
    this.#refuse('Produce', errorCode);
    return baseOffset;
  }

  /** What the first version wants before offsets are committed; nothing in the second. */
  protected async addOffsets(groupId: string): Promise<void> {
    if (this.version !== 0) return;
    const asked = { transactionalId: this.transactionalId, ...this.#identity, groupId };
    const answer = await this.client.call(addOffsets, asked);
    this.#refuse('AddOffsetsToTxn', answer.errorCode);
  }

  protected async commitOffset(groupId: string, place: Place, committedOffset: number) {
    const { topic: name, partition: partitionIndex } = place;
    const line = { partitionIndex, committedOffset, committedMetadata: null };
    const { topics } = await this.client.call(SPOKEN[this.version].commit, {
      transactionalId: this.transactionalId,
      groupId,
      ...this.#identity,
      topics: [{ name, partitions: [line] }],
    });
    this.#refuse('TxnOffsetCommit', topics[0]!.partitions[0]!.errorCode);
  }

  protected async end(committed: boolean): Promise<void> {
    const answer = await this.client.call(SPOKEN[this.version].end, {
      transactionalId: this.transactionalId,
      ...this.#identity,
      committed,
    });
    this.#refuse('EndTxn', answer.errorCode);
    if (this.version === 0) return;
    this.#producerId = answer.producerId;
    this.#epoch = answer.producerEpoch;
    this.#sequences.clear();
  }

  #refuse(what: string, code: number): void {
    if (code === 0) return;
    this.note(`${what} was answered ${errorName(code)}`);
    if (this.hasRivals && FENCED.has(code)) throw new Fenced(what);
    if (!BEGIN_ANEW.has(code)) this.violate('error', `${what} was answered ${errorName(code)}`);
    throw new Refused(what);
  }
}

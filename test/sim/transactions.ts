/**
 * Simulated transactions and the laws they must obey: all records of a transaction come to be read in
 * all its partitions, and its offset counts, or nothing of it; what was aborted is never read, also
 * where it cannot be known at first how a transaction ended; what a reader of committed data was
 * given stays, whatever the machine does, since a commit shows only when its marker is durable.
 */

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
import type { Place } from './history.ts';
import { type Run, Worker } from './workload.ts';

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

class Refused extends Error {}

/** Begins transactions over many partitions, commits some, aborts others, and remembers which. */
export class Transactor extends Worker {
  /** Values of the records that must come to be read, in order. */
  readonly committed: string[] = [];
  readonly places: readonly Place[];
  readonly #version: 0 | 2;
  #producerId = -1;
  #epoch = -1;
  readonly #sequences = new Map<Place, number>();

  constructor(run: Run, name: string, places: readonly Place[], version: 0 | 2) {
    super(run, name, places[0]!);
    this.places = places;
    this.#version = version;
  }

  async run(transactions: number): Promise<void> {
    for (let number = 0; number < transactions; ) {
      const isCommit = this.random.chance(0.7);
      const values = Array.from(
        { length: 1 + this.random.below(3) },
        (_, index) => `${this.name}:${number}.${index}${isCommit ? '' : ' aborted'}`,
      );
      let isDone = await this.#attempt(() => this.#transaction(values, number, isCommit));
      if (!isDone) {
        this.note(`lost sight of transaction ${number}`);
        // Whoever began anew knows by the offset how the last one ended.
        isDone = (await this.#beginAnew()) === number;
        if (isDone && !isCommit) this.violate(`transaction ${number} was committed by nobody`);
      }
      if (isDone) {
        if (isCommit) this.committed.push(...values);
        this.note(`transaction ${number} ${isCommit ? 'committed' : 'aborted'}`);
        number++;
      }
      await this.pause(100);
    }
  }

  /** Fences what was before, and gives the offset that counts; tries until it works. */
  async #beginAnew(): Promise<number> {
    for (;;) {
      let offset: number | undefined;
      const isDone = await this.#attempt(async () => {
        await this.#init();
        offset = await this.#offset();
      });
      if (isDone) return offset!;
      await this.pause(400);
    }
  }

  /** False when the connection was lost, or an error came that may come. */
  async #attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof Disconnected || error instanceof Refused) return false;
      throw error;
    }
  }

  async #transaction(values: readonly string[], number: number, isCommit: boolean): Promise<void> {
    if (this.#producerId < 0) await this.#init();
    const { random } = this;
    const own = this.places.filter(() => random.chance(0.8));
    const places = isCommit || own.length === 0 ? this.places : own;
    if (this.#version === 0) await this.#addPartitions(places);
    const sent = places.map((place) => this.#produce(place, values));
    const outcomes = await Promise.allSettled(sent);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    if (this.#version === 0) await this.#addOffsets();
    await this.#commitOffset(isCommit ? number : number + 1_000_000);
    await this.pause(30);
    await this.#end(isCommit);
  }

  async #init(): Promise<void> {
    this.#producerId = -1;
    const answer = await this.client.call(initProducerId, {
      transactionalId: this.name,
      transactionTimeoutMs: 60_000,
    });
    this.#refuse('InitProducerId', answer.errorCode);
    this.#producerId = answer.producerId;
    this.#epoch = answer.producerEpoch;
    this.#sequences.clear();
  }

  async #offset(): Promise<number> {
    const { topic, partition } = this.place;
    const { topics, errorCode } = await this.client.call(offsetFetch, {
      groupId: this.name,
      topics: [{ name: topic, partitionIndexes: [partition] }],
      requireStable: true,
    });
    const found = topics[0]?.partitions[0];
    this.#refuse('OffsetFetch', errorCode || (found?.errorCode ?? 0));
    return found!.committedOffset;
  }

  get #identity() {
    return { producerId: this.#producerId, producerEpoch: this.#epoch };
  }

  async #addPartitions(places: readonly Place[]): Promise<void> {
    const answer = await this.client.call(addPartitions, {
      v3AndBelowTransactionalId: this.name,
      v3AndBelowProducerId: this.#producerId,
      v3AndBelowProducerEpoch: this.#epoch,
      v3AndBelowTopics: places.map(({ topic, partition }) => ({
        name: topic,
        partitions: [partition],
      })),
    });
    const [result] = answer.resultsByTopicV3AndBelow[0]!.resultsByPartition;
    this.#refuse('AddPartitionsToTxn', result!.partitionErrorCode);
  }

  async #produce(place: Place, values: readonly string[]): Promise<void> {
    const baseSequence = this.#sequences.get(place) ?? 0;
    this.#sequences.set(place, baseSequence + values.length);
    const timestamp = this.world.clock.now();
    const records = buildBatch({
      ...this.#identity,
      baseSequence,
      transactional: true,
      records: values.map((value) => ({ key: null, value: Buffer.from(value), timestamp })),
    });
    const { responses } = await this.client.call(SPOKEN[this.#version].produce, {
      transactionalId: this.name,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name: place.topic, partitionData: [{ index: place.partition, records }] }],
    });
    this.#refuse('Produce', responses[0]!.partitionResponses[0]!.errorCode);
  }

  async #addOffsets(): Promise<void> {
    const answer = await this.client.call(addOffsets, {
      transactionalId: this.name,
      ...this.#identity,
      groupId: this.name,
    });
    this.#refuse('AddOffsetsToTxn', answer.errorCode);
  }

  async #commitOffset(committedOffset: number): Promise<void> {
    const { topic: name, partition: partitionIndex } = this.place;
    const line = { partitionIndex, committedOffset, committedMetadata: null };
    const { topics } = await this.client.call(SPOKEN[this.#version].commit, {
      transactionalId: this.name,
      groupId: this.name,
      ...this.#identity,
      topics: [{ name, partitions: [line] }],
    });
    this.#refuse('TxnOffsetCommit', topics[0]!.partitions[0]!.errorCode);
  }

  async #end(committed: boolean): Promise<void> {
    const answer = await this.client.call(SPOKEN[this.#version].end, {
      transactionalId: this.name,
      ...this.#identity,
      committed,
    });
    this.#refuse('EndTxn', answer.errorCode);
    if (this.#version === 0) return;
    this.#producerId = answer.producerId;
    this.#epoch = answer.producerEpoch;
    this.#sequences.clear();
  }

  #refuse(what: string, code: number): void {
    if (code === 0) return;
    this.note(`${what} was answered ${errorName(code)}`);
    if (!BEGIN_ANEW.has(code)) this.violate(`${what} was answered ${errorName(code)}`);
    throw new Refused(what);
  }
}

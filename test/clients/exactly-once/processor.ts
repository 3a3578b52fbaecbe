/**
 * Consumes, transforms, produces, exactly once: reads a partition of the input from where its group
 * has committed, writes a record of each into two outputs, and commits the offset in the same
 * transaction. Whatever fails, it begins anew, as a process that was started again would do.
 *
 * It speaks either version of the protocol: 0, where partitions and offsets are added beforehand,
 * or 2, where the broker adds them and each end raises the epoch.
 */

import { WireConnection } from '../../../benchmarks/client/connection.ts';
import { type ErrorName, errorName } from '../../../protocol/errors.ts';
import {
  AddOffsetsToTxnRequest,
  AddOffsetsToTxnResponse,
} from '../../../protocol/messages/add-offsets-to-txn.ts';
import {
  AddPartitionsToTxnRequest,
  AddPartitionsToTxnResponse,
} from '../../../protocol/messages/add-partitions-to-txn.ts';
import { EndTxnRequest, EndTxnResponse } from '../../../protocol/messages/end-txn.ts';
import {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../../protocol/messages/init-producer-id.ts';
import {
  OffsetFetchRequest,
  OffsetFetchResponse,
} from '../../../protocol/messages/offset-fetch.ts';
import { ProduceRequest, ProduceResponse } from '../../../protocol/messages/produce.ts';
import {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../../protocol/messages/txn-offset-commit.ts';
import { buildBatch } from '../../../protocol/records.ts';
import { type ReadRecord, readCommitted } from './committed-reader.ts';

/** What the broker answered where nothing else will do than to begin anew. */
class Refused extends Error {
  readonly errorName: ErrorName;

  constructor(what: string, name: ErrorName) {
    super(`${what}: ${name}`);
    this.errorName = name;
  }
}

/** Answers after which the same request is sent again, as clients do it. */
const RETRIED: ReadonlySet<ErrorName> = new Set([
  'CONCURRENT_TRANSACTIONS',
  'COORDINATOR_NOT_AVAILABLE',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'NOT_ENOUGH_REPLICAS',
  'UNSTABLE_OFFSET_COMMIT',
]);

export interface ProcessorOptions {
  readonly name: string;
  readonly version: 0 | 2;
  readonly input: string;
  readonly partition: number;
  readonly outputs: readonly string[];
  /** Records of the input that it is to process. */
  readonly count: number;
  readonly transactionTimeoutMs: number;
  readonly random: () => number;
}

export class Processor {
  readonly #options: ProcessorOptions;
  readonly #where: { readonly host: string; readonly port: number };
  /** Errors after which it began anew. */
  readonly failures = new Map<string, number>();
  transactions = 0;
  #producerId = -1;
  #epoch = -1;
  readonly #sequences = new Map<string, number>();

  constructor(where: { readonly host: string; readonly port: number }, options: ProcessorOptions) {
    this.#where = where;
    this.#options = options;
  }

  /** Resolves when all of the input has been processed. */
  async run(): Promise<void> {
    for (;;) {
      let connection: WireConnection | undefined;
      try {
        connection = await WireConnection.open(this.#where.host, this.#where.port);
        await this.#session(connection);
        return;
      } catch (error) {
        const text = error instanceof Refused ? error.message : 'the connection was lost';
        this.failures.set(text, (this.failures.get(text) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 5));
      } finally {
        connection?.close();
      }
    }
  }

  async #session(connection: WireConnection): Promise<void> {
    const { count, input, partition, random } = this.#options;
    await this.#init(connection);
    let position = await this.#committed(connection);
    while (position < count) {
      const { records, nextOffset } = await readCommitted(connection, input, partition, position);
      const some = records.slice(0, 1 + Math.floor(random() * 10));
      const next = some.length === records.length ? nextOffset : some.at(-1)!.offset + 1;
      const isCommit = random() > 0.2;
      await this.#transaction(connection, some, next, isCommit);
      if (isCommit) position = next;
    }
  }

  async #transaction(
    connection: WireConnection,
    records: readonly ReadRecord[],
    next: number,
    isCommit: boolean,
  ): Promise<void> {
    const { version } = this.#options;
    if (version === 0) await this.#addPartitions(connection);
    const mark = isCommit ? '' : 'aborted ';
    const sent = this.#options.outputs.map((topic) =>
      this.#produce(
        connection,
        topic,
        records.map(({ value }) => `${mark}${value}`),
      ),
    );
    for (const result of await Promise.allSettled(sent)) {
      if (result.status === 'rejected') throw result.reason;
    }
    if (version === 0) await this.#addOffsets(connection);
    await this.#commitOffset(connection, isCommit ? next : next + 1_000_000);
    await this.#end(connection, isCommit);
    this.transactions += 1;
  }

  async #init(connection: WireConnection): Promise<void> {
    const { name, transactionTimeoutMs } = this.#options;
    const answer = await this.#untilTaken('InitProducerId', () =>
      connection.call(InitProducerIdRequest, InitProducerIdResponse, 5, {
        transactionalId: name,
        transactionTimeoutMs,
      }),
    );
    this.#producerId = answer.producerId;
    this.#epoch = answer.producerEpoch;
    this.#sequences.clear();
  }

  async #committed(connection: WireConnection): Promise<number> {
    const { name, input, partition } = this.#options;
    for (;;) {
      const topics = [{ name: input, partitionIndexes: [partition] }];
      const { groups } = await connection.call(OffsetFetchRequest, OffsetFetchResponse, 9, {
        groups: [{ groupId: name, topics }],
        requireStable: true,
      });
      const found = groups[0]!.topics[0]!.partitions[0]!;
      const error = errorName(found.errorCode);
      if (error === 'NONE') return Math.max(0, found.committedOffset);
      if (!RETRIED.has(error)) throw new Refused('OffsetFetch', error);
    }
  }

  async #produce(
    connection: WireConnection,
    topic: string,
    values: readonly string[],
  ): Promise<void> {
    const { name, version } = this.#options;
    const baseSequence = this.#sequences.get(topic) ?? 0;
    this.#sequences.set(topic, baseSequence + values.length);
    const timestamp = Date.now();
    const producer = { producerId: this.#producerId, producerEpoch: this.#epoch };
    await this.#untilTaken('Produce', async () => {
      const records = buildBatch({
        ...producer,
        baseSequence,
        transactional: true,
        records: values.map((value) => ({ key: null, value: Buffer.from(value), timestamp })),
      });
      const topicData = [{ name: topic, partitionData: [{ index: 0, records }] }];
      const request = { transactionalId: name, acks: -1, timeoutMs: 10_000, topicData };
      const apiVersion = version === 2 ? 12 : 9;
      const answer = await connection.call(ProduceRequest, ProduceResponse, apiVersion, request);
      return answer.responses[0]!.partitionResponses[0]!;
    });
  }

  async #addPartitions(connection: WireConnection): Promise<void> {
    await this.#untilTaken('AddPartitionsToTxn', async () => {
      const answer = await connection.call(
        AddPartitionsToTxnRequest,
        AddPartitionsToTxnResponse,
        3,
        {
          v3AndBelowTransactionalId: this.#options.name,
          v3AndBelowProducerId: this.#producerId,
          v3AndBelowProducerEpoch: this.#epoch,
          v3AndBelowTopics: this.#options.outputs.map((name) => ({ name, partitions: [0] })),
        },
      );
      const result = answer.resultsByTopicV3AndBelow[0]!.resultsByPartition[0]!;
      return { errorCode: result.partitionErrorCode };
    });
  }

  async #addOffsets(connection: WireConnection): Promise<void> {
    const { name } = this.#options;
    await this.#untilTaken('AddOffsetsToTxn', () =>
      connection.call(AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, 3, {
        transactionalId: name,
        producerId: this.#producerId,
        producerEpoch: this.#epoch,
        groupId: name,
      }),
    );
  }

  async #commitOffset(connection: WireConnection, offset: number): Promise<void> {
    const { name, version, input, partition } = this.#options;
    await this.#untilTaken('TxnOffsetCommit', async () => {
      const line = { partitionIndex: partition, committedOffset: offset, committedMetadata: '' };
      const apiVersion = version === 2 ? 5 : 3;
      const pair = [TxnOffsetCommitRequest, TxnOffsetCommitResponse] as const;
      const { topics } = await connection.call(...pair, apiVersion, {
        transactionalId: name,
        groupId: name,
        producerId: this.#producerId,
        producerEpoch: this.#epoch,
        topics: [{ name: input, partitions: [line] }],
      });
      return topics[0]!.partitions[0]!;
    });
  }

  async #end(connection: WireConnection, committed: boolean): Promise<void> {
    const { name, version } = this.#options;
    const answer = await this.#untilTaken('EndTxn', () =>
      connection.call(EndTxnRequest, EndTxnResponse, version === 2 ? 5 : 3, {
        transactionalId: name,
        producerId: this.#producerId,
        producerEpoch: this.#epoch,
        committed,
      }),
    );
    if (version === 0) return;
    this.#producerId = answer.producerId;
    this.#epoch = answer.producerEpoch;
    this.#sequences.clear();
  }

  async #untilTaken<A extends { readonly errorCode: number }>(
    what: string,
    ask: () => Promise<A>,
  ): Promise<A> {
    for (;;) {
      const answer = await ask();
      const error = errorName(answer.errorCode);
      if (error === 'NONE') return answer;
      if (!RETRIED.has(error)) throw new Refused(what, error);
    }
  }
}

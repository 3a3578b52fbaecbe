/**
 * The transaction of a Produce: its partitions join it, where the version of the request leaves
 * that to the broker, and each batch is checked against it in the turn of its append.
 * Source: Kafka's ReplicaManager.handleProduceAppend.
 */

import { type ErrorName, ProtocolError } from '../protocol/errors.ts';
import { BATCH_HEADER_BYTES, type BatchHeader, readBatchHeader } from '../protocol/record-batch.ts';
import { OutOfOrderSequence } from '../storage/errors.ts';
import type { RequestContext } from './api.ts';
import type { ProducePart } from './produce-part.ts';
import { Participant, type Participation, participation } from './transactions/participation.ts';

const FIRST_VERSIONS = { knowsAbortable: 11, adds: 12 } as const;

/** What is told of a coordinator's errors to who may not know them: the batch is sent again. */
const RETRIED: ReadonlySet<ErrorName> = new Set([
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
]);

export class ProduceTransaction {
  readonly #way: Participation;
  readonly #participant: Participant;
  readonly #parts: readonly ProducePart[];

  private constructor(way: Participation, participant: Participant, parts: readonly ProducePart[]) {
    this.#way = way;
    this.#participant = participant;
    this.#parts = parts;
  }

  /** Undefined for a request that is no part of one. Throws INVALID_PRODUCER_ID_MAPPING. */
  static of(
    context: RequestContext,
    transactionalId: string | null,
    parts: readonly ProducePart[],
  ): ProduceTransaction | undefined {
    if (transactionalId === null) return undefined;
    const own = parts.filter(
      (part) => part.isOpen && part.isTransactional && part.sizeBytes >= BATCH_HEADER_BYTES,
    );
    const [client, ...others] = own.map(({ records }) => readBatchHeader(records!, 0));
    if (client === undefined) return undefined;
    const { producerId, producerEpoch } = client;
    for (const other of others) {
      if (other.producerId === producerId && other.producerEpoch === producerEpoch) continue;
      throw new ProtocolError(
        'INVALID_PRODUCER_ID_MAPPING',
        'Transactional records contained more than one producer ID',
      );
    }
    const { transactions, config } = context.services;
    const way = participation(context.apiVersion, FIRST_VERSIONS);
    const verifies = config.get('transaction.partition.verification.enable');
    const identity = { producerId, producerEpoch };
    const participant = new Participant(transactions, transactionalId, identity, way, verifies);
    return new ProduceTransaction(way, participant, own);
  }

  /** All partitions are in the transaction when it resolves; gives why not. */
  join(): Promise<ProtocolError | undefined> | undefined {
    const partitions = this.#parts.map(({ topicName, index }) => ({
      topic: topicName,
      partition: index,
    }));
    const joining = this.#participant.join(partitions);
    return joining?.then((error) => (error === 'NONE' ? undefined : this.#refusal(error)));
  }

  /** The parts that take part in it. */
  get parts(): readonly ProducePart[] {
    return this.#parts;
  }

  /** Throws where a batch may not be appended; to be asked in the turn of the append. */
  check(part: ProducePart, header: BatchHeader): void {
    const { client } = this.#participant;
    if (header.producerId !== client.producerId || header.producerEpoch !== client.producerEpoch) {
      throw new ProtocolError('INVALID_PRODUCER_ID_MAPPING');
    }
    const { topicName: topic, index: partition } = part;
    const fault = this.#participant.fault({ topic, partition });
    if (fault !== undefined) throw this.#refusal(fault);
    // A transaction of such a client begins a new epoch, and with it a new sequence.
    const isKnown = part.partition!.log.producers.get(header.producerId) !== undefined;
    if (this.#way.adds && !isKnown && header.baseSequence !== 0) {
      throw new OutOfOrderSequence(
        `producer ${header.producerId} begins its transaction with sequence ${header.baseSequence}`,
      );
    }
  }

  #refusal(error: ErrorName): ProtocolError {
    if (error === 'INVALID_TXN_STATE') {
      return new ProtocolError(error, 'The partition was not added to the transaction.');
    }
    const isRetried =
      RETRIED.has(error) || (error === 'CONCURRENT_TRANSACTIONS' && !this.#way.adds);
    if (!isRetried) return new ProtocolError(error);
    const text = `Unable to verify that the partition is in the transaction: ${error}`;
    return new ProtocolError('NOT_ENOUGH_REPLICAS', text);
  }
}

/**
 * How the requests that write into a transaction take part in it, by their version. Old clients add
 * partitions beforehand, and what they write is verified; new ones leave it to the request itself
 * (KIP-890). Errors are told as each of them knows them.
 * Source: Kafka's TransactionSupportedOperation, AddPartitionsToTxnManager.
 */

import type { ErrorName } from '../../protocol/errors.ts';
import type { ProducerIdAndEpoch, TopicPartition, TransactionCoordinator } from './coordinator.ts';

export interface Participation {
  /** The request adds its partitions to the transaction. */
  readonly adds: boolean;
  /** The client knows TRANSACTION_ABORTABLE. */
  readonly knowsAbortable: boolean;
}

/** The participation of a request, by the first versions that know each. */
export function participation(
  apiVersion: number,
  first: { readonly knowsAbortable: number; readonly adds: number },
): Participation {
  return { adds: apiVersion >= first.adds, knowsAbortable: apiVersion >= first.knowsAbortable };
}

/** One producer's writes under its transactional id. */
export class Participant {
  readonly client: ProducerIdAndEpoch;
  readonly #coordinator: TransactionCoordinator;
  readonly #transactionalId: string;
  readonly #way: Participation;
  readonly #verifies: boolean;

  /** `verifies`: whether partitions that the client should have added are looked for. */
  constructor(
    coordinator: TransactionCoordinator,
    transactionalId: string,
    client: ProducerIdAndEpoch,
    way: Participation,
    verifies: boolean,
  ) {
    this.#coordinator = coordinator;
    this.#transactionalId = transactionalId;
    this.client = client;
    this.#way = way;
    this.#verifies = verifies;
  }

  /** Adds partitions where the request does so; undefined when nothing is to be waited for. */
  join(partitions: readonly TopicPartition[]): Promise<ErrorName> | undefined {
    if (!this.#way.adds) return undefined;
    const joining = this.#coordinator.join(this.#transactionalId, this.client, partitions);
    return joining?.then((error) => this.#told(error));
  }

  /** Why nothing may be appended to a partition; to be asked in the turn of the append. */
  fault(partition: TopicPartition): ErrorName | undefined {
    if (!this.#way.adds && !this.#verifies) return undefined;
    const error = this.#coordinator.appendFault(this.#transactionalId, this.client, partition);
    return error === undefined ? undefined : this.#told(error);
  }

  #told(error: ErrorName): ErrorName {
    if (error === 'PRODUCER_FENCED') return 'INVALID_PRODUCER_EPOCH';
    const isKnown = error !== 'TRANSACTION_ABORTABLE' || this.#way.knowsAbortable;
    return isKnown ? error : 'INVALID_TXN_STATE';
  }
}

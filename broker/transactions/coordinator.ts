/**
 * The transaction coordinator: the door to all transactional ids. It sends each request to the
 * shard that keeps the id, by the partition of __transaction_state that Kafka would choose. Every
 * broker of this kind is the coordinator of every id, and the leader of every partition, so that
 * whether a partition is in a transaction is asked right before the append, without a wait between.
 *
 * Errors are values here (Kafka's names); only a broken invariant throws.
 * Counterpart of Kafka's TransactionCoordinator and TransactionStateManager.
 */

import type { ErrorName } from '../../protocol/errors.ts';
import { NO_PRODUCER_EPOCH, NO_PRODUCER_ID } from '../../protocol/record-batch.ts';
import type { Env } from '../../storage/env.ts';
import { Deadlines } from '../deadlines.ts';
import { partitionFor } from '../groups/partition-for.ts';
import { StateBudget } from '../groups/state-budget.ts';
import { Timeout } from '../groups/timeout.ts';
import { LimitedLog, shown } from '../limited-log.ts';
import type { Metrics } from '../metrics.ts';
import { Completion, type MarkerTarget } from './completion.ts';
import {
  decideAdd,
  decideEnd,
  decideFence,
  decideInit,
  type EndRequest,
  type InitRequest,
  type ProducerIdAndEpoch,
  verifyPartition,
} from './decisions.ts';
import { Housekeeping } from './housekeeping.ts';
import type { TransactionOptions } from './options.ts';
import type { TopicPartition } from './partition-set.ts';
import { Performer } from './performer.ts';
import { type ShardServices, TransactionShard } from './shard.ts';
import { loadTransactions } from './shard-loader.ts';
import {
  openStatePartition,
  type StatePartition,
  TRANSACTION_TOPIC,
  type TransactionTopics,
} from './state-topic.ts';
import type { Transaction } from './transaction.ts';
import {
  type ClientVersion,
  completed,
  isPreparing,
  newState,
  type TransactionState,
} from './transaction-state.ts';

export { transactionOptions } from './options.ts';
export { TRANSACTION_TOPIC } from './state-topic.ts';
export type {
  ClientVersion,
  EndRequest,
  InitRequest,
  MarkerTarget,
  ProducerIdAndEpoch,
  TopicPartition,
  TransactionState,
};

export interface CoordinatorServices {
  readonly env: Env;
  readonly topics: TransactionTopics;
  readonly options: TransactionOptions;
  readonly metrics: Metrics;
  readonly producerIds: { next(): Promise<number> };
  readonly markers: MarkerTarget;
}

/** What InitProducerId and EndTxn are answered with. */
export interface ProducerResult extends ProducerIdAndEpoch {
  readonly error: ErrorName;
}

/** Ids are texts of the log's records, whose lengths have 16 bits. */
const MAX_ID_BYTES = 0x7fff;

function failed(error: ErrorName): ProducerResult {
  return { error, producerId: NO_PRODUCER_ID, producerEpoch: NO_PRODUCER_EPOCH };
}

export class TransactionCoordinator {
  readonly #services: CoordinatorServices;
  readonly #deadlines: Deadlines;
  readonly #budget: StateBudget;
  readonly #log: LimitedLog;
  readonly #shards: readonly TransactionShard[];
  readonly #completion: Completion;
  readonly #performer: Performer;
  readonly #housekeeping: Housekeeping;
  #isClosed = false;

  /** The topics must be known; transactions are there once `load` has resolved. */
  constructor(services: CoordinatorServices) {
    const { env, topics, options, metrics, markers } = services;
    this.#services = services;
    this.#deadlines = new Deadlines(env.clock);
    this.#budget = new StateBudget(options.stateLimitBytes);
    this.#log = new LimitedLog(env.clock, env.log);
    this.#completion = new Completion(env, this.#log, markers);
    this.#performer = new Performer(services.producerIds, this.#log);
    const shardServices: ShardServices = {
      env,
      log: this.#log,
      options,
      deadlines: this.#deadlines,
      budget: this.#budget,
      open: (partition) => openStatePartition(topics, partition, this.#shards.length, options),
      moved: (shard, transaction) => this.#moved(shard, transaction),
    };
    // How many there are is fixed with the topic: another number would lose every transaction.
    const count = topics.get(TRANSACTION_TOPIC)?.partitions.length ?? options.topicPartitions;
    this.#shards = Array.from({ length: count }, (_, index) => {
      const shard = new TransactionShard(index, shardServices);
      shard.unavailable = 'COORDINATOR_LOAD_IN_PROGRESS';
      return shard;
    });
    const timedOut = metrics.counter('transactions_timed_out_total');
    this.#housekeeping = new Housekeeping(env, options, this.#shards, (shard, transaction) => {
      timedOut.add();
      void this.#performer.perform(shard, transaction, (freshId) =>
        decideFence(transaction.state, transaction.isBusy, env.clock.now(), freshId),
      );
    });
    metrics.gauge('transactional_ids').from(() => this.size);
    metrics.gauge('transactions_open').from(() => this.#housekeeping.openCount);
    metrics.gauge('transactions_completing').from(() => this.#completion.size);
  }

  /** Transactional ids that are known. */
  get size(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.size, 0);
  }

  /** Reads what was recorded, and takes up completing what was decided. */
  async load(): Promise<void> {
    const partitions = this.#services.topics.get(TRANSACTION_TOPIC)?.partitions ?? [];
    for (const shard of this.#shards) {
      if (this.#isClosed) return;
      const partition = partitions[shard.partition];
      const isFilled = partition && partition.log.endOffset > partition.log.logStartOffset;
      if (isFilled) await this.#loadShard(shard, partition);
      else shard.unavailable = undefined;
    }
    if (!this.#isClosed) this.#housekeeping.start();
  }

  /** Refuses whatever comes later; resolves when no marker is on its way any more. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#housekeeping.close();
    for (const shard of this.#shards) shard.unavailable = 'COORDINATOR_NOT_AVAILABLE';
    await this.#completion.close();
    this.#deadlines.close();
  }

  /** InitProducerId of a client with a transactional id. */
  async initProducerId(id: string, request: InitRequest): Promise<ProducerResult> {
    if (id === '') return failed('INVALID_REQUEST');
    const { timeoutMs } = request;
    const { env, options } = this.#services;
    if (timeoutMs <= 0 || timeoutMs > options.maxTimeoutMs) {
      return failed('INVALID_TRANSACTION_TIMEOUT');
    }
    const shard = this.#shardOf(id);
    const transaction = await this.#ensure(shard, id, timeoutMs);
    if (typeof transaction === 'string') return failed(transaction);
    const outcome = await this.#performer.perform(shard, transaction, (freshId) =>
      decideInit(transaction.state, transaction.isBusy, request, env.clock.now(), freshId),
    );
    if (typeof outcome === 'string') {
      // Nothing was ever recorded of it, nor will be.
      const isVoid = transaction.state.producerEpoch === NO_PRODUCER_EPOCH && !transaction.isBusy;
      if (isVoid) shard.forget(transaction);
      return failed(outcome);
    }
    // An open transaction is being aborted: the client is to come again when that is done.
    if (outcome.name !== 'Empty') return failed('CONCURRENT_TRANSACTIONS');
    const { producerId, producerEpoch } = outcome;
    return { error: 'NONE', producerId, producerEpoch };
  }

  /**
   * AddPartitionsToTxn and AddOffsetsToTxn: durable when it resolves. The producer's last transaction
   * is waited for a while when it is just being completed: not every client comes again.
   */
  async addPartitions(
    id: string,
    client: ProducerIdAndEpoch,
    partitions: readonly TopicPartition[],
    clientVersion: ClientVersion,
  ): Promise<ErrorName> {
    const { clock } = this.#services.env;
    const endMs = clock.monotonic() + this.#services.options.addWaitMs;
    for (;;) {
      const error = await this.#add(id, client, partitions, clientVersion);
      if (error !== 'CONCURRENT_TRANSACTIONS') return error;
      const leftMs = endMs - clock.monotonic();
      const transaction = this.#find(id);
      if (leftMs <= 0 || typeof transaction === 'string') return error;
      await this.#nextChange(transaction, leftMs);
    }
  }

  async #add(
    id: string,
    client: ProducerIdAndEpoch,
    partitions: readonly TopicPartition[],
    clientVersion: ClientVersion,
  ): Promise<ErrorName> {
    const transaction = this.#find(id);
    if (typeof transaction === 'string') return transaction;
    const { clock } = this.#services.env;
    const outcome = await this.#performer.perform(this.#shardOf(id), transaction, () => {
      const { state, isBusy } = transaction;
      return decideAdd(state, isBusy, client, partitions, clientVersion, clock.now());
    });
    return typeof outcome === 'string' ? outcome : 'NONE';
  }

  /**
   * Adds partitions for a client that leaves it to Produce and TxnOffsetCommit (KIP-890): undefined
   * when all are in its transaction.
   */
  join(
    id: string,
    client: ProducerIdAndEpoch,
    partitions: readonly TopicPartition[],
  ): Promise<ErrorName> | undefined {
    const isIn = partitions.every((one) => this.appendFault(id, client, one) === undefined);
    return isIn ? undefined : this.addPartitions(id, client, partitions, 2);
  }

  /**
   * Why nothing may be appended to a partition for a transaction, asked in the turn of the append:
   * what is appended while this gives undefined comes before the marker.
   */
  appendFault(
    id: string,
    client: ProducerIdAndEpoch,
    partition: TopicPartition,
  ): ErrorName | undefined {
    const transaction = this.#find(id);
    if (typeof transaction === 'string') return transaction;
    const fault = verifyPartition(transaction.state, client, partition);
    if (fault !== 'NONE') return fault;
    return transaction.isEnding ? 'CONCURRENT_TRANSACTIONS' : undefined;
  }

  /** Whether each partition is in the transaction, as brokers ask each other; or one error for all. */
  verifyPartitions(
    id: string,
    client: ProducerIdAndEpoch,
    partitions: readonly TopicPartition[],
  ): ErrorName[] {
    const transaction = this.#find(id);
    if (typeof transaction === 'string') return partitions.map(() => transaction);
    return partitions.map((partition) => verifyPartition(transaction.state, client, partition));
  }

  /** EndTxn: the outcome is durable when it resolves; the markers follow. */
  async endTransaction(id: string, request: EndRequest): Promise<ProducerResult> {
    const transaction = this.#find(id);
    if (typeof transaction === 'string') return failed(transaction);
    const { clock } = this.#services.env;
    const outcome = await this.#performer.perform(this.#shardOf(id), transaction, (freshId) =>
      decideEnd(transaction.state, transaction.isBusy, request, clock.now(), freshId),
    );
    if (typeof outcome === 'string') return failed(outcome);
    // What the producer goes on with: after its last epoch that is another id.
    const { producerId, producerEpoch } = isPreparing(outcome)
      ? completed(outcome, clock.now())
      : outcome;
    return { error: 'NONE', producerId, producerEpoch };
  }

  /** TRANSACTIONAL_ID_NOT_FOUND when there is no such id. */
  describe(id: string): TransactionState | ErrorName {
    const transaction = this.#find(id);
    if (transaction === 'INVALID_PRODUCER_ID_MAPPING') return 'TRANSACTIONAL_ID_NOT_FOUND';
    if (typeof transaction === 'string') return transaction;
    return transaction.isDying ? 'TRANSACTIONAL_ID_NOT_FOUND' : transaction.state;
  }

  /** All transactional ids with their states. */
  list(): { id: string; state: TransactionState }[] | ErrorName {
    const listed: { id: string; state: TransactionState }[] = [];
    for (const shard of this.#shards) {
      if (shard.unavailable !== undefined) return shard.unavailable;
      for (const { id, state, isDying } of shard.transactions) {
        if (!isDying) listed.push({ id, state });
      }
    }
    return listed;
  }

  #shardOf(id: string): TransactionShard {
    return this.#shards[partitionFor(id, this.#shards.length)]!;
  }

  #find(id: string): Transaction | ErrorName {
    if (id === '') return 'INVALID_REQUEST';
    const shard = this.#shardOf(id);
    return shard.unavailable ?? shard.get(id) ?? 'INVALID_PRODUCER_ID_MAPPING';
  }

  /** The transaction of an id, which may be new. */
  async #ensure(
    shard: TransactionShard,
    id: string,
    timeoutMs: number,
  ): Promise<Transaction | ErrorName> {
    if (Buffer.byteLength(id) > MAX_ID_BYTES) return 'INVALID_REQUEST';
    const known = shard.unavailable ?? shard.get(id);
    if (known !== undefined) return known;
    if (this.#budget.isFull) {
      const { limitBytes } = this.#budget;
      const values = { transactionalId: shown(id), limitBytes };
      this.#log.warn(
        values,
        'a transactional id was refused: they take as much memory as they may',
      );
      return 'COORDINATOR_NOT_AVAILABLE';
    }
    const producerId = await this.#performer.freshProducerId();
    if (typeof producerId === 'string') return producerId;
    const nowMs = this.#services.env.clock.now();
    return (
      shard.unavailable ?? shard.get(id) ?? shard.adopt(id, newState(producerId, timeoutMs, nowMs))
    );
  }

  /** Resolves when a record of the transaction has come to its end, or after so long. */
  #nextChange(transaction: Transaction, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timeout = new Timeout(this.#deadlines, () => {
        takeBack();
        resolve();
      });
      const takeBack = transaction.onSettled(() => {
        timeout.stop();
        resolve();
      });
      timeout.restart(waitMs);
    });
  }

  /** A state of a transaction has come to count. */
  #moved(shard: TransactionShard, transaction: Transaction): void {
    const { metrics } = this.#services;
    this.#housekeeping.follow(shard, transaction);
    const { name } = transaction.state;
    if (name === 'CompleteCommit') metrics.counter('transactions_total', 'commit').add();
    else if (name === 'CompleteAbort') metrics.counter('transactions_total', 'abort').add();
    else if (isPreparing(transaction.state)) this.#complete(shard, transaction);
  }

  #complete(shard: TransactionShard, transaction: Transaction): void {
    const topic = this.#services.topics.get(TRANSACTION_TOPIC);
    // Markers of a coordinator that came before are known by its epoch.
    const epoch = topic?.partitions[shard.partition]?.log.leaderEpoch ?? 0;
    this.#completion.start(shard, transaction, epoch);
  }

  async #loadShard(shard: TransactionShard, partition: StatePartition): Promise<void> {
    const { env } = this.#services;
    const startMs = env.clock.monotonic();
    try {
      await loadTransactions(shard, partition);
    } catch (error) {
      // The disk does not give its transactions; those of the other partitions can be served.
      env.log.error({ partition: shard.partition, error }, 'transactions could not be loaded');
      shard.unavailable = 'COORDINATOR_NOT_AVAILABLE';
      return;
    }
    if (this.#isClosed) return;
    shard.unavailable = undefined;
    for (const transaction of shard.transactions) {
      this.#housekeeping.follow(shard, transaction);
      if (isPreparing(transaction.state)) this.#complete(shard, transaction);
    }
    const tookMs = Math.round(env.clock.monotonic() - startMs);
    const { partition: index, size } = shard;
    env.log.info({ partition: index, transactionalIds: size, tookMs }, 'transactions were loaded');
  }
}

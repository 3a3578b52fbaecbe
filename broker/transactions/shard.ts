/**
 * The transactional ids whose state lies in one partition of __transaction_state, and the way of
 * their records into it. A state counts once its record is durable.
 */

import type { ErrorName } from '../../protocol/errors.ts';
import type { Env } from '../../storage/env.ts';
import type { Deadlines } from '../deadlines.ts';
import { blameOf } from '../error-map.ts';
import { LogWriter, type WritablePartition } from '../groups/log-writer.ts';
import { type StateBudget, stateBytes } from '../groups/state-budget.ts';
import { writeErrorOf } from '../groups/write-error.ts';
import type { LimitedLog } from '../limited-log.ts';
import type { TransactionOptions } from './options.ts';
import { Transaction } from './transaction.ts';
import { transactionKey, transactionValue } from './transaction-records.ts';
import type { TransactionState } from './transaction-state.ts';

export interface ShardServices {
  readonly env: Env;
  readonly log: LimitedLog;
  readonly options: TransactionOptions;
  readonly deadlines: Deadlines;
  readonly budget: StateBudget;
  /** The partition, made with its topic when there is none. */
  readonly open: (partition: number) => Promise<WritablePartition>;
  /** A state has come to count. */
  readonly moved: (shard: TransactionShard, transaction: Transaction) => void;
}

export class TransactionShard {
  readonly partition: number;
  readonly services: ShardServices;
  /** Why its ids cannot be asked for now; undefined when they can. */
  unavailable: ErrorName | undefined;
  readonly #writer: LogWriter;
  readonly #transactions = new Map<string, Transaction>();

  constructor(partition: number, services: ShardServices) {
    const { deadlines, options, open } = services;
    this.partition = partition;
    this.services = services;
    this.#writer = new LogWriter(() => open(partition), deadlines, options.writeTimeoutMs);
  }

  get size(): number {
    return this.#transactions.size;
  }

  get transactions(): IterableIterator<Transaction> {
    return this.#transactions.values();
  }

  get(id: string): Transaction | undefined {
    return this.#transactions.get(id);
  }

  /** Takes in an id that was not known; the caller has looked at the budget. */
  adopt(id: string, state: TransactionState): Transaction {
    const transaction = new Transaction(id, state);
    this.#transactions.set(id, transaction);
    this.services.budget.take(stateBytes(id));
    return transaction;
  }

  forget(transaction: Transaction): void {
    if (!this.#transactions.delete(transaction.id)) return;
    this.services.budget.give(stateBytes(transaction.id));
  }

  /**
   * Records the next state; gives what to answer when that failed. After COORDINATOR_NOT_AVAILABLE
   * the record may still become durable: until that is sure, the transaction stays busy.
   */
  move(transaction: Transaction, next: TransactionState): Promise<ErrorName | undefined> {
    transaction.pending = next;
    return this.#write({
      records: [{ key: transactionKey(transaction.id), value: transactionValue(next) }],
      apply: () => {
        transaction.state = next;
        transaction.settled();
        this.services.moved(this, transaction);
      },
      settled: () => {
        if (transaction.pending === next) transaction.settled();
      },
    });
  }

  /** Forgets ids that nobody uses, durably. */
  async expire(transactions: readonly Transaction[]): Promise<void> {
    for (const transaction of transactions) transaction.isDying = true;
    await this.#write({
      records: transactions.map(({ id }) => ({ key: transactionKey(id), value: null })),
      apply: () => {
        for (const transaction of transactions) this.forget(transaction);
      },
      settled: () => {
        for (const transaction of transactions) {
          transaction.isDying = false;
          transaction.settled();
        }
      },
    });
  }

  async #write(write: Parameters<LogWriter['write']>[0]): Promise<ErrorName | undefined> {
    try {
      await this.#writer.write(write);
      return undefined;
    } catch (error) {
      const values = { partition: this.partition, error };
      if (blameOf(error) === 'broker') {
        this.services.log.error(values, 'an unexpected error writing the state of a transaction');
      } else this.services.log.warn(values, 'the state of a transaction could not be written');
      return writeErrorOf(error);
    }
  }
}

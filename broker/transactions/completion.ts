/**
 * Completes transactions whose outcome is recorded: the marker goes to every partition, and only
 * when all of them are durable is the end recorded. Whatever fails is tried again until the broker
 * stops, and after a start it begins anew: a partition that is not ready is waited for, never left
 * out; one that was deleted has nothing to be marked.
 */

import { ErrorCode, errorName } from '../../protocol/errors.ts';
import type { Env, Timer } from '../../storage/env.ts';
import { LogDeleted } from '../../storage/errors.ts';
import { errorCodeOf } from '../error-map.ts';
import type { LimitedLog } from '../limited-log.ts';
import { shown } from '../limited-log.ts';
import type { TransactionMarker } from '../partition.ts';
import { eachPartition, type TopicPartition } from './partition-set.ts';
import type { TransactionShard } from './shard.ts';
import type { Transaction } from './transaction.ts';
import { completed } from './transaction-state.ts';

/** Writes markers: what a completion needs of the partitions. */
export interface MarkerTarget {
  /** Durable when it resolves. Rejects with LogDeleted where there is no such partition. */
  writeMarker(partition: TopicPartition, marker: TransactionMarker): Promise<void>;
}

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 5000;

export class Completion {
  readonly #env: Env;
  readonly #log: LimitedLog;
  readonly #target: MarkerTarget;
  readonly #running = new Set<Promise<void>>();
  readonly #pauses = new Map<Timer, () => void>();
  #isClosed = false;

  constructor(env: Env, log: LimitedLog, target: MarkerTarget) {
    this.#env = env;
    this.#log = log;
    this.#target = target;
  }

  /** Transactions whose markers are being written. */
  get size(): number {
    return this.#running.size;
  }

  /** Completes a transaction that is prepared; `epoch` is that of the coordinator. */
  start(shard: TransactionShard, transaction: Transaction, epoch: number): void {
    if (this.#isClosed) return;
    const run = this.#complete(shard, transaction, epoch).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Ends all tries; resolves when nothing is written any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const [timer, resume] of this.#pauses) {
      timer.cancel();
      resume();
    }
    this.#pauses.clear();
    await Promise.all(this.#running);
  }

  async #complete(shard: TransactionShard, transaction: Transaction, epoch: number): Promise<void> {
    const { name, partitions, producerId, producerEpoch, clientVersion } = transaction.state;
    const isCommit = name === 'PrepareCommit';
    const marker: TransactionMarker = {
      producerId,
      producerEpoch,
      coordinatorEpoch: epoch,
      isCommit,
      transactionVersion: clientVersion,
    };
    const markers = [...eachPartition(partitions)].map((partition) =>
      this.#mark(transaction.id, partition, marker),
    );
    await Promise.all(markers);
    for (let delayMs = FIRST_RETRY_MS; !this.#isClosed; delayMs = longer(delayMs)) {
      const next = completed(transaction.state, this.#env.clock.now());
      if ((await shard.move(transaction, next)) === undefined) return;
      await this.#pause(delayMs);
      // A write that took too long to be waited for may have been done meanwhile.
      if (transaction.pending !== undefined) await settled(transaction);
      if (transaction.state.name !== name) return;
    }
  }

  async #mark(id: string, partition: TopicPartition, marker: TransactionMarker): Promise<void> {
    for (let delayMs = FIRST_RETRY_MS; !this.#isClosed; delayMs = longer(delayMs)) {
      try {
        await this.#target.writeMarker(partition, marker);
        return;
      } catch (error) {
        const values = { transactionalId: shown(id), ...partition, ...marker };
        if (error instanceof LogDeleted) {
          this.#env.log.info(values, 'a transaction ends without a partition that was deleted');
          return;
        }
        const code = errorCodeOf(error);
        if (code === ErrorCode.INVALID_PRODUCER_EPOCH) {
          // The partition has a marker of a later epoch: what this one would end is ended.
          this.#log.warn(values, 'a later epoch has ended the transaction in a partition');
          return;
        }
        this.#log.warn(
          { ...values, error: errorName(code), reason: String(error) },
          'the marker of a transaction could not be written yet',
        );
        await this.#pause(delayMs);
      }
    }
  }

  #pause(delayMs: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#env.clock.setTimer(delayMs, () => {
        this.#pauses.delete(timer);
        resolve();
      });
      this.#pauses.set(timer, resolve);
    });
  }
}

function settled(transaction: Transaction): Promise<void> {
  return new Promise((resolve) => {
    transaction.onSettled(resolve);
  });
}

function longer(delayMs: number): number {
  return Math.min(delayMs * 2, LONGEST_RETRY_MS);
}

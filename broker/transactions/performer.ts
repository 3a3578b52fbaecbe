/** Does what a decision says: takes a producer id for it where it needs one, and records the state. */

import type { ErrorName } from '../../protocol/errors.ts';
import { writeErrorOf } from '../groups/write-error.ts';
import type { LimitedLog } from '../limited-log.ts';
import type { Decision } from './decisions.ts';
import type { TransactionShard } from './shard.ts';
import type { Transaction } from './transaction.ts';
import type { TransactionState } from './transaction-state.ts';

export interface ProducerIdSource {
  next(): Promise<number>;
}

export class Performer {
  readonly #producerIds: ProducerIdSource;
  readonly #log: LimitedLog;

  constructor(producerIds: ProducerIdSource, log: LimitedLog) {
    this.#producerIds = producerIds;
    this.#log = log;
  }

  /** A producer id that nobody had, or what to answer where none can be taken. */
  async freshProducerId(): Promise<number | ErrorName> {
    try {
      return await this.#producerIds.next();
    } catch (error) {
      this.#log.warn({ error }, 'no producer id could be taken');
      return writeErrorOf(error);
    }
  }

  /** Gives the state that counts when it is done, or the error. */
  async perform(
    shard: TransactionShard,
    transaction: Transaction,
    decide: (freshProducerId?: number) => Decision,
  ): Promise<TransactionState | ErrorName> {
    let decision = decide();
    if (decision.kind === 'needs producer id') {
      const fresh = await this.freshProducerId();
      if (typeof fresh === 'string') return fresh;
      if (shard.unavailable !== undefined) return shard.unavailable;
      decision = decide(fresh);
    }
    switch (decision.kind) {
      case 'refuse':
        return decision.error;
      case 'move':
        return (await shard.move(transaction, decision.next)) ?? decision.next;
      default:
        return transaction.state;
    }
  }
}

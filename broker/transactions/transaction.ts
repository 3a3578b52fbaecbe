/** One transactional id: its recorded state, the one on its way, and who waits for its end. */

import { isPreparing, type TransactionState } from './transaction-state.ts';

export class Transaction {
  readonly id: string;
  /** What is recorded. */
  state: TransactionState;
  /** The state whose record is on its way; only one at a time. */
  pending: TransactionState | undefined;
  /** When an open transaction is to be aborted, on the monotonic clock. */
  deadlineMs = Number.POSITIVE_INFINITY;
  /** The id is being forgotten. */
  isDying = false;
  #waiting: (() => void)[] = [];

  constructor(id: string, state: TransactionState) {
    this.id = id;
    this.state = state;
  }

  get isBusy(): boolean {
    return this.pending !== undefined || this.isDying;
  }

  /** Whether the outcome of a transaction is decided, recorded or not, and its end not yet. */
  get isEnding(): boolean {
    return isPreparing(this.state) || (this.pending !== undefined && isPreparing(this.pending));
  }

  /** Calls back when a record was written, or was not; gives how to take that back. */
  onSettled(done: () => void): () => void {
    this.#waiting.push(done);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== done);
    };
  }

  /** The record on its way has come to its end. */
  settled(): void {
    this.pending = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done();
  }
}

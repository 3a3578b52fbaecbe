/**
 * Transactions in a partition, through flushes and ends of the process of all kinds: where readers of
 * committed data stop, and which aborted transactions they are told of.
 */

import t from 'tap';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { buildBatch, controlBatch, MarkerType } from '../../protocol/records.ts';
import { SeededRandom } from '../sim/random.ts';
import { StoreWorld } from './store-world.ts';

interface Transaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Offset of its marker; undefined while it is open. */
  lastOffset?: number;
  isAborted: boolean;
}

class TransactionWorld {
  readonly world = new StoreWorld();
  readonly transactions: Transaction[] = [];
  readonly #sequences = new Map<number, number>();

  get log() {
    return this.world.log;
  }

  get open(): Transaction[] {
    return this.transactions.filter(({ lastOffset }) => lastOffset === undefined);
  }

  #append(batch: Buffer): number {
    const header = readBatchHeader(batch, 0);
    return this.log.append(batch, header, this.world.clock.now()).baseOffset;
  }

  async #durable(): Promise<void> {
    await this.world.reached('durable', this.log.endOffset);
  }

  async data(producerId: number, bytes: number): Promise<void> {
    const baseSequence = this.#sequences.get(producerId) ?? 0;
    this.#sequences.set(producerId, baseSequence + 1);
    const record = { key: null, value: Buffer.alloc(bytes), timestamp: this.world.clock.now() };
    const firstOffset = this.#append(
      buildBatch({
        producerId,
        producerEpoch: 0,
        baseSequence,
        transactional: true,
        records: [record],
      }),
    );
    if (!this.open.some((one) => one.producerId === producerId)) {
      this.transactions.push({ producerId, firstOffset, isAborted: false });
    }
    await this.#durable();
  }

  async end(transaction: Transaction, isAborted: boolean): Promise<void> {
    const { producerId } = transaction;
    transaction.isAborted = isAborted;
    transaction.lastOffset = this.#append(
      controlBatch({
        type: isAborted ? MarkerType.abort : MarkerType.commit,
        producerId,
        producerEpoch: 0,
        coordinatorEpoch: 0,
        timestamp: this.world.clock.now(),
      }),
    );
    this.#sequences.delete(producerId);
    await this.#durable();
  }

  /** What must be told of a range: by first offset. */
  expected(from: number, to: number): number[] {
    return this.transactions
      .filter(({ isAborted, lastOffset = 0, firstOffset }) => {
        return isAborted && lastOffset >= from && firstOffset < to;
      })
      .map(({ firstOffset }) => firstOffset)
      .sort((a, b) => a - b);
  }

  async told(from: number, to: number): Promise<number[]> {
    const found = await this.world.clock.run(
      Promise.resolve(this.log.abortedTransactions(from, to)),
    );
    return found.map(({ firstOffset }) => firstOffset).sort((a, b) => a - b);
  }

  get stableEnd(): number {
    return Math.min(this.log.endOffset, ...this.open.map(({ firstOffset }) => firstOffset));
  }
}

t.test('what has ended holds nobody back after a restart', async (t) => {
  for (const isFlushed of [false, true]) {
    const own = new TransactionWorld();
    await own.world.start();
    await own.data(1, 10);
    await own.end(own.open[0]!, false);
    if (isFlushed) await own.world.clock.run(own.log.flush());
    await own.world.kill();
    await own.world.start();
    t.equal(own.log.lastStableOffset, 2, isFlushed ? 'from a segment' : 'from the journal');
    await own.world.stop();
  }
});

t.test('the stable end and the aborted transactions are right whatever happens', async (t) => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = new SeededRandom(seed);
    const own = new TransactionWorld();
    await own.world.start();
    for (let step = 0; step < 60; step++) {
      const { open } = own;
      const draw = random.fraction();
      if (draw < 0.5) await own.data(random.below(4), random.pick([10, 10, 40_000]));
      else if (draw < 0.8 && open.length > 0) await own.end(random.pick(open), random.chance(0.6));
      else if (draw < 0.88) await own.world.clock.run(own.log.flush());
      else if (draw < 0.96) {
        await random.pick([
          () => own.world.kill(),
          () => own.world.stop(),
          () => own.world.powerCut(),
        ])();
        await own.world.start();
      }
      const stable = own.log.lastStableOffset;
      if (stable !== own.stableEnd) t.equal(stable, own.stableEnd, `seed ${seed}, step ${step}`);
      const from = random.below(stable + 1);
      const to = from + random.below(stable - from + 1);
      const told = await own.told(from, to);
      const missing = own.expected(from, to).filter((first) => !told.includes(first));
      const wrong = told.filter((first) => !own.expected(0, own.log.endOffset).includes(first));
      if (missing.length + wrong.length > 0) t.same([missing, wrong], [[], []], `seed ${seed}`);
    }
    t.ok(own.transactions.length > 5, `seed ${seed}: ${own.transactions.length} transactions`);
    await own.world.stop();
  }
});

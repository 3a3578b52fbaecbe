/**
 * Simulated producers of transactions: one that ends each of its transactions, also where it cannot
 * know at first how it ended; one that goes away and leaves its transaction open; and two with one
 * transactional id, the first of which must come to nothing.
 */

import type { TransactionChecker } from './checkers/transactions.ts';
import { nameOf, type Place } from './history.ts';
import type { Run } from './run.ts';
import {
  Fenced,
  Refused,
  TransactionalClient,
  type TransactionVersion,
} from './transactional-client.ts';

/** Begins transactions over many partitions, commits some, aborts others, and remembers which. */
export class Transactor extends TransactionalClient {
  readonly #places: readonly Place[];
  readonly #checker: TransactionChecker;

  constructor(
    run: Run,
    name: string,
    places: readonly Place[],
    version: TransactionVersion,
    checker: TransactionChecker,
  ) {
    super(run, name, places[0]!, version);
    this.#places = places;
    this.#checker = checker;
  }

  async run(transactions: number): Promise<void> {
    for (let number = 0; number < transactions; ) {
      const isCommit = this.random.chance(0.7);
      const values = Array.from(
        { length: 1 + this.random.below(3) },
        (_, index) => `${this.name}:${number}.${index}${isCommit ? '' : ' aborted'}`,
      );
      let isDone = await this.attempt(() => this.#transaction(values, number, isCommit));
      if (!isDone) {
        this.note(`lost sight of transaction ${number}`);
        // Whoever began anew knows by the offset how the last one ended.
        isDone = (await this.#beginAnew()) === number;
        if (isDone && !isCommit) {
          this.violate('transaction', `transaction ${number} was committed by nobody`);
        }
      }
      if (isDone) {
        if (isCommit) this.#checker.committed(this.name, values);
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
      const isDone = await this.attempt(async () => {
        await this.init();
        offset = await this.offset(this.name, this.place);
      });
      if (isDone) return offset!;
      await this.pause(400);
    }
  }

  async #transaction(values: readonly string[], number: number, isCommit: boolean): Promise<void> {
    if (!this.isInitialised) await this.init();
    const { random, name } = this;
    const own = this.#places.filter(() => random.chance(0.8));
    const places = isCommit || own.length === 0 ? this.#places : own;
    await this.addPartitions(places);
    const sent = places.map((place) => this.produce(place, values));
    const outcomes = await Promise.allSettled(sent);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    await this.addOffsets(name);
    const offset = isCommit ? number : number + 1_000_000;
    const commit = this.shared.commits.begun(name, nameOf(this.place), offset);
    await this.commitOffset(name, this.place, offset);
    await this.pause(30);
    if (isCommit) this.#checker.commitAsked(values);
    await this.end(isCommit);
    if (isCommit) commit.done();
    else commit.refused();
  }
}

/** Leaves a transaction open, some records in it, and never comes back. */
export class Deserter extends TransactionalClient {
  protected override readonly timeoutMs = 5000;

  async run(): Promise<void> {
    await this.pause(1000);
    for (let tries = 3; tries > 0; tries--) {
      const isLeft = await this.attempt(async () => {
        await this.init();
        await this.addPartitions([this.place]);
        await this.produce(this.place, [`${this.name}:${tries} left open`]);
      });
      if (isLeft) this.note('left a transaction open');
      await this.pause(1000);
    }
    this.leave();
  }
}

/** One of two producers with one transactional id. */
class Rival extends TransactionalClient {
  protected override readonly timeoutMs = 5000;
  protected override readonly hasRivals = true;

  /** Begins a transaction. */
  begin(value: string): Promise<boolean> {
    return this.attempt(async () => {
      await this.init();
      await this.addPartitions([this.place]);
      await this.produce(this.place, [value]);
    });
  }

  /** Takes the place of the other one, whose transaction is aborted first. */
  async follow(): Promise<boolean> {
    for (let tries = 20; tries > 0; tries--) {
      if (await this.attempt(() => this.init())) return true;
      await this.pause(100);
    }
    return false;
  }

  /** Whether what it does is taken; undefined when nobody knows. */
  async tryOn(value: string): Promise<'taken' | 'refused' | 'unknown'> {
    try {
      if (this.random.chance(0.5)) await this.produce(this.place, [`${value} again`]);
      else await this.end(true);
      return 'taken';
    } catch (error) {
      if (error instanceof Fenced || error instanceof Refused) return 'refused';
      return 'unknown';
    }
  }
}

/** Lets a producer go on that another one has followed. */
export class Duel {
  readonly #run: Run;
  readonly #place: Place;
  readonly #version: TransactionVersion;
  readonly #checker: TransactionChecker;

  constructor(run: Run, place: Place, version: TransactionVersion, checker: TransactionChecker) {
    this.#run = run;
    this.#place = place;
    this.#version = version;
    this.#checker = checker;
  }

  async fight(rounds: number): Promise<void> {
    const id = `rival-${this.#version}`;
    const first = new Rival(this.#run, `${id}-first`, this.#place, this.#version, id);
    const second = new Rival(this.#run, `${id}-second`, this.#place, this.#version, id);
    for (let round = 0; round < rounds; round++) {
      await this.#run.world.sleep(300);
      const value = `${id}:${round}`;
      if (!(await first.begin(value)) || !(await second.follow())) continue;
      this.#checker.fenced([value, `${value} again`]);
      const outcome = await first.tryOn(value);
      this.#run.history.note(id, `round ${round}: the first one is ${outcome}`);
      if (outcome === 'taken') {
        this.#run.history.violate('zombie', id, `${value} went on after it was followed`);
      }
    }
    first.leave();
    second.leave();
  }
}

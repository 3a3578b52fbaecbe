/**
 * Transactions over several partitions, in both versions, and readers of committed data. All of a
 * transaction comes to be read, and its offset counts, or nothing of it; what such a reader was
 * given stays, whatever the machine does, since a commit shows only when its marker is durable.
 */

import type { Administrator } from '../administration.ts';
import { TransactionChecker } from '../checkers/transactions.ts';
import { CommittedReader } from '../committed-reader.ts';
import { nameOf, type Place } from '../history.ts';
import type { Run } from '../run.ts';
import { Deserter, Duel, Transactor } from '../transactions.ts';
import type { Part } from './part.ts';

const PLACES: readonly Place[] = [
  { topic: 'ledger', partition: 0, visibility: 'written' },
  { topic: 'ledger', partition: 1, visibility: 'written' },
  { topic: 'strict', partition: 0, visibility: 'durable' },
];
const DUELS = 3;
/** Time-out of who deserts, the interval at which that is looked for, and time to write markers. */
const HANGING_MS = 5000 + 10_000 + 5000;

export class LedgerPart implements Part {
  readonly #run: Run;
  readonly #checker: TransactionChecker;
  readonly #transactors: readonly Transactor[];
  readonly #deserter: Deserter | undefined;
  readonly #duels: readonly Duel[];
  readonly #readers: readonly CommittedReader[];
  #reading: Promise<unknown> = Promise.resolve();

  constructor(run: Run) {
    const random = run.world.random.fork();
    const versions = random.pick([[0], [2], [0, 2]] as const);
    this.#run = run;
    const checker = new TransactionChecker(run.history);
    this.#checker = checker;
    this.#transactors = versions.map(
      (version) => new Transactor(run, `transactor-${version}`, PLACES, version, checker),
    );
    const isLeft = random.chance(0.3);
    this.#deserter = isLeft ? new Deserter(run, 'deserter', PLACES[0]!, versions[0]) : undefined;
    this.#duels = random.chance(0.5) ? [new Duel(run, PLACES[1]!, versions[0], checker)] : [];
    this.#readers = this.#makeReaders('committed');
  }

  async create(admin: Administrator): Promise<void> {
    await admin.create('ledger', 2, {});
    await admin.create('strict', 1, { 'fetch.visibility': 'durable' });
  }

  async work(): Promise<void> {
    this.#reading = Promise.all(this.#readers.map((reader) => reader.run()));
    await Promise.all([
      ...this.#transactors.map((transactor) => transactor.run(this.#run.size)),
      ...this.#duels.map((duel) => duel.fight(DUELS)),
      this.#deserter?.run(),
    ]);
  }

  async finish(): Promise<void> {
    for (const reader of this.#readers) reader.finish(HANGING_MS);
    await this.#reading;
    for (const { name, place, taken } of this.#readers) this.#checker.checkAll(name, place, taken);
  }

  /** Reads everything anew. */
  async check(): Promise<void> {
    for (const [index, auditor] of this.#makeReaders('ledger-auditor').entries()) {
      auditor.finish(HANGING_MS);
      await auditor.run();
      auditor.leave();
      const { name, place, taken } = auditor;
      this.#checker.checkAll(name, place, taken);
      this.#checker.checkKept(name, place, this.#readers[index]!.taken, taken);
    }
  }

  #makeReaders(name: string): CommittedReader[] {
    return PLACES.map((place) => {
      const reader = new CommittedReader(this.#run, `${name}-${nameOf(place)}`, place);
      reader.onRead = (record) => this.#checker.read(reader.name, place, record);
      return reader;
    });
  }
}

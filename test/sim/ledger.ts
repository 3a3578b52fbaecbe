/** The transactional part of a scenario: producers in both versions, readers, and their check. */

import type { Administrator } from './administration.ts';
import { CommittedReader } from './committed-reader.ts';
import { nameOf, type Place } from './history.ts';
import { Transactor } from './transactions.ts';
import type { Run } from './workload.ts';

const PLACES: readonly Place[] = [
  { topic: 'ledger', partition: 0, visibility: 'written' },
  { topic: 'ledger', partition: 1, visibility: 'written' },
  { topic: 'strict', partition: 0, visibility: 'durable' },
];

export class Ledger {
  readonly #run: Run;
  readonly #transactors: readonly Transactor[];
  readonly #readers: readonly CommittedReader[];
  #reading: Promise<unknown> = Promise.resolve();

  constructor(run: Run) {
    this.#run = run;
    this.#transactors = ([0, 2] as const).map(
      (version) => new Transactor(run, `transactor-${version}`, PLACES, version),
    );
    this.#readers = this.#makeReaders('committed');
  }

  async create(admin: Administrator): Promise<void> {
    await admin.create('ledger', 2, {});
    await admin.create('strict', 1, { 'fetch.visibility': 'durable' });
  }

  /** Resolves when all transactions have ended; the readers go on. */
  async run(transactions: number): Promise<void> {
    this.#reading = Promise.all(this.#readers.map((reader) => reader.run()));
    await Promise.all(this.#transactors.map((transactor) => transactor.run(transactions)));
  }

  async finish(): Promise<void> {
    for (const reader of this.#readers) reader.finish();
    await this.#reading;
    for (const reader of this.#readers) reader.check(this.#transactors);
  }

  /** Reads everything anew. */
  async check(): Promise<void> {
    const auditors = this.#makeReaders('ledger-auditor');
    for (const [index, auditor] of auditors.entries()) {
      auditor.finish();
      await auditor.run();
      auditor.check(this.#transactors);
      auditor.checkAgainst(this.#readers[index]!);
    }
  }

  #makeReaders(name: string): CommittedReader[] {
    return PLACES.map((place) => new CommittedReader(this.#run, `${name}-${nameOf(place)}`, place));
  }
}

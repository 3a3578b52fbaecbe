/**
 * The checker of transactions, by the values of their records: none is read by a reader of committed
 * data before its commit was asked for, none of what was aborted or of a producer that was followed
 * by another one; in the end all that was committed is there, once, in its producer's order, in
 * every partition, and with nothing between that is not.
 */

import { type History, nameOf, type Place } from '../history.ts';

/** A record that a reader of committed data was given. */
export interface Committed {
  readonly offset: number;
  readonly value: string;
}

export class TransactionChecker {
  readonly #history: History;
  readonly #isAsked = new Set<string>();
  readonly #isZombies = new Set<string>();
  /** By producer, what must come to be read, in order. */
  readonly #committed = new Map<string, string[]>();

  constructor(history: History) {
    this.#history = history;
  }

  /** The end of a transaction with these records is about to be asked for. */
  commitAsked(values: readonly string[]): void {
    for (const value of values) this.#isAsked.add(value);
  }

  /** The producer of these records was followed by another one before they were committed. */
  fenced(values: readonly string[]): void {
    for (const value of values) this.#isZombies.add(value);
  }

  committed(producer: string, values: readonly string[]): void {
    const all = this.#committed.get(producer) ?? [];
    this.#committed.set(producer, all);
    all.push(...values);
  }

  read(reader: string, place: Place, { offset, value }: Committed): void {
    const where = `${nameOf(place)}@${offset}`;
    if (this.#isZombies.has(value)) {
      this.#history.violate('zombie', reader, `${value} at ${where}, of a producer fenced before`);
    } else if (!this.#isAsked.has(value)) {
      this.#history.violate('transaction', reader, `${value} at ${where}, before its commit`);
    }
  }

  /** Holds a whole partition, which is part of every transaction that is committed, to it. */
  checkAll(reader: string, place: Place, read: readonly Committed[]): void {
    const values = read.map(({ value }) => value);
    for (const [producer, committed] of this.#committed) {
      const own = values.filter((value) => value.startsWith(`${producer}:`));
      if (own.join() === committed.join()) continue;
      const lost = committed.filter((value) => !own.includes(value));
      const wrong = own.filter(
        (value, at) => !committed.includes(value) || own.indexOf(value) < at,
      );
      const what = `lost ${lost}, wrong ${wrong}, or out of order`;
      this.#history.violate('transaction', reader, `${nameOf(place)} of ${producer}: ${what}`);
    }
  }

  /** What a reader was given before is what another one read now. */
  checkKept(reader: string, place: Place, before: readonly Committed[], now: readonly Committed[]) {
    const offsets = new Map(now.map(({ offset, value }) => [offset, value]));
    for (const { offset, value } of before) {
      const found = offsets.get(offset);
      if (found === value) continue;
      const what = found === undefined ? 'is not there any more' : `is ${found}`;
      const checker = found === undefined ? 'ghost' : 'offset';
      this.#history.violate(checker, reader, `${nameOf(place)}@${offset} was ${value}, ${what}`);
    }
  }
}

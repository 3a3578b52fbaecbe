/**
 * The two readings: record by record and batch by batch, over one `Feeding`. Where the next is there
 * already, it is given without waiting.
 */

import { type ReadBatch, type ReadRecord, RecordsOf } from './batch.ts';
import { Feeding } from './feeding.ts';
import type { Settings } from './options.ts';
import type { Reading } from './reading.ts';
import type { ReadStats } from './stats.ts';

type Next<T> = IteratorResult<T, undefined>;

const END: Next<never> = { done: true, value: undefined };

abstract class Iterating<T> implements Reading<T> {
  protected readonly feeding: Feeding;
  /** The last call; a call before it is settled waits for it. */
  #last: Promise<Next<T>> | undefined;

  constructor(settings: Settings) {
    this.feeding = new Feeding(settings);
  }

  protected abstract take(): T | undefined | Promise<T | undefined>;
  abstract token(): string | undefined;

  get stats(): Readonly<ReadStats> {
    return this.feeding.stats;
  }

  next(): Promise<Next<T>> {
    return this.#last === undefined ? this.#next() : this.#last.then(() => this.next());
  }

  #next(): Promise<Next<T>> {
    let taken: T | undefined | Promise<T | undefined>;
    try {
      taken = this.take();
    } catch (error) {
      this.close();
      return Promise.reject(error);
    }
    if (!(taken instanceof Promise)) return Promise.resolve(this.#result(taken));
    const next = taken
      .then((value) => this.#result(value))
      .finally(() => {
        this.#last = undefined;
      });
    this.#last = next;
    return next;
  }

  #result(value: T | undefined): Next<T> {
    return value === undefined ? END : { done: false, value };
  }

  return(): Promise<Next<T>> {
    this.close();
    return Promise.resolve(END);
  }

  close(): void {
    this.feeding.close();
  }

  [Symbol.asyncIterator](): Reading<T> {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

export class BatchReading extends Iterating<ReadBatch> {
  protected override take(): ReadBatch | undefined | Promise<ReadBatch | undefined> {
    const batch = this.feeding.next();
    if (batch instanceof Promise) return batch.then((ready) => this.#count(ready));
    return this.#count(batch);
  }

  override token(): string | undefined {
    return this.feeding.token();
  }

  #count(batch: ReadBatch | undefined): ReadBatch | undefined {
    const { stats } = this.feeding;
    if (batch !== undefined) {
      stats.batches++;
      stats.records += batch.recordCount;
    }
    return batch;
  }
}

export class RecordReading extends Iterating<ReadRecord> {
  #records: RecordsOf | undefined;
  /** The last record given; undefined when its batch is at its end. */
  #given: ReadRecord | undefined;
  #epoch = -1;

  protected override take(): ReadRecord | undefined | Promise<ReadRecord | undefined> {
    this.feeding.settings.signal?.throwIfAborted();
    return this.#fromBatch() ?? this.#fromNextBatch();
  }

  /** What was read and not given is for nobody any more; the token stays where it was. */
  override close(): void {
    this.#records = undefined;
    super.close();
  }

  override token(): string | undefined {
    const given = this.#given;
    const places = this.feeding.places();
    if (given === undefined || places === undefined) return this.feeding.token();
    const { partition } = given;
    const here = { partition, offset: given.offset + 1, epoch: this.#epoch };
    return this.feeding.token(
      places.map((place) => (place.partition === partition ? here : place)),
    );
  }

  #fromBatch(): ReadRecord | undefined {
    if (this.#records === undefined) return undefined;
    const record = this.#records.next();
    this.#given = record;
    if (record === undefined) this.#records = undefined;
    else this.feeding.stats.records++;
    return record;
  }

  #fromNextBatch(): ReadRecord | undefined | Promise<ReadRecord | undefined> {
    for (;;) {
      const batch = this.feeding.next();
      if (batch instanceof Promise) return this.#fromAwaited(batch);
      if (batch === undefined) return undefined;
      const record = this.#enter(batch);
      if (record !== undefined) return record;
    }
  }

  async #fromAwaited(waiting: Promise<ReadBatch | undefined>): Promise<ReadRecord | undefined> {
    const batch = await waiting;
    if (batch === undefined) return undefined;
    try {
      return this.#enter(batch) ?? (await this.#fromNextBatch());
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #enter(batch: ReadBatch): ReadRecord | undefined {
    this.feeding.stats.batches++;
    this.#epoch = batch.leaderEpoch;
    this.#records = new RecordsOf(batch);
    return this.#fromBatch();
  }
}

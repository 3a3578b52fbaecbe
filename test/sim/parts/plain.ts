/** Ordinary topics: producers that repeat and those that do not, and consumers that commit. */

import { type Administrator, LATEST } from '../administration.ts';
import { nameOf, type Place } from '../history.ts';
import { LocatedConsumer } from '../located-reader.ts';
import { IdempotentProducer, PlainProducer } from '../producers.ts';
import { Consumer } from '../readers.ts';
import type { Run } from '../run.ts';
import type { Part } from './part.ts';

const PLACES: readonly Place[] = [
  { topic: 'plain', partition: 0, visibility: 'written' },
  { topic: 'plain', partition: 1, visibility: 'written' },
  { topic: 'safe', partition: 0, visibility: 'durable' },
];

export class PlainPart implements Part {
  readonly #run: Run;
  readonly places: readonly Place[];
  readonly #consumers: readonly Consumer[];
  #reading: Promise<unknown> = Promise.resolve();

  constructor(run: Run) {
    const random = run.world.random.fork();
    const chosen = PLACES.filter(() => random.chance(0.6));
    this.#run = run;
    this.places = chosen.length > 0 ? chosen : [random.pick(PLACES)];
    this.#consumers = this.places.map((place) => {
      const Kind = random.chance(0.5) ? LocatedConsumer : Consumer;
      return new Kind(run, `reader-${nameOf(place)}`, place);
    });
  }

  async create(admin: Administrator): Promise<void> {
    await admin.create('plain', 2, {});
    await admin.create('safe', 1, { 'fetch.visibility': 'durable' });
  }

  async work(): Promise<void> {
    const run = this.#run;
    this.#reading = Promise.all(this.#consumers.map((consumer) => consumer.run()));
    await Promise.all(
      this.places.flatMap((place) => [
        new IdempotentProducer(run, `once-${nameOf(place)}`, place).run(run.size),
        new PlainProducer(run, `plain-${nameOf(place)}`, place).run(run.size),
      ]),
    );
  }

  async finish(admin: Administrator): Promise<void> {
    for (const consumer of this.#consumers) {
      consumer.stopAt(await admin.offset(consumer.place, LATEST));
    }
    await this.#reading;
  }

  async check(admin: Administrator): Promise<void> {
    for (const place of this.places) await admin.audit(place);
  }
}

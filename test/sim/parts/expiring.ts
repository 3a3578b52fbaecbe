/** A topic whose records are deleted by their age: none too early, and all in the end. */

import { type Administrator, EARLIEST, LATEST } from '../administration.ts';
import type { Place } from '../history.ts';
import { IdempotentProducer } from '../producers.ts';
import { OvertakenConsumer } from '../readers.ts';
import type { Run } from '../run.ts';
import type { Part } from './part.ts';

const PLACE: Place = { topic: 'expiring', partition: 0, visibility: 'written' };
const RETENTION_MS = 4000;
const SEGMENT_MS = 1000;
/** Retention looks once a second; what follows takes its time on a slow disk. */
const SLACK_MS = 15_000;

export class ExpiringPart implements Part {
  readonly #run: Run;
  readonly #consumer: OvertakenConsumer;
  #reading: Promise<void> = Promise.resolve();
  #start = 0;

  constructor(run: Run) {
    this.#run = run;
    this.#consumer = new OvertakenConsumer(run, 'reader-expiring', PLACE);
  }

  create(admin: Administrator): Promise<void> {
    return admin.create(PLACE.topic, 1, {
      'retention.ms': String(RETENTION_MS),
      'segment.ms': String(SEGMENT_MS),
    });
  }

  async work(): Promise<void> {
    this.#reading = this.#consumer.run();
    await new IdempotentProducer(this.#run, 'once-expiring', PLACE).run(this.#run.size);
  }

  async finish(admin: Administrator): Promise<void> {
    this.#consumer.stopAt(await admin.offset(PLACE, LATEST));
    await this.#reading;
    await this.#checkStart(admin);
    const { world, history } = this.#run;
    if (world.clock.jumps > 0) return;
    const untilMs = world.clock.monotonic() + RETENTION_MS + SLACK_MS;
    const end = await admin.offset(PLACE, LATEST);
    while ((await admin.offset(PLACE, EARLIEST)) < end) {
      if (world.clock.monotonic() > untilMs) {
        history.violate('start', PLACE.topic, `${this.#start} to ${end} do not expire`);
        return;
      }
      await world.sleep(500);
    }
  }

  async check(admin: Administrator): Promise<void> {
    await this.#checkStart(admin);
    await admin.audit(PLACE);
  }

  /** The start only rises, and only over what is old enough. */
  async #checkStart(admin: Administrator): Promise<void> {
    const { world, history } = this.#run;
    const start = await admin.offset(PLACE, EARLIEST);
    if (start < this.#start) {
      history.violate('start', PLACE.topic, `starts at ${start} again, was at ${this.#start}`);
    }
    this.#start = start;
    if (world.clock.jumps > 0) return;
    const youngestMs = world.clock.monotonic() - RETENTION_MS;
    for (const { offset, madeMs, value } of history.sentTo(PLACE)) {
      if (offset === undefined || offset >= start || madeMs <= youngestMs) continue;
      const name = value.toString('latin1', 0, 30);
      history.violate('start', PLACE.topic, `${name} at ${offset} went before its time`);
    }
  }
}

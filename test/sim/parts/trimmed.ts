/** A partition whose oldest records are deleted now and then, with readers that are overtaken. */

import {
  DeleteRecordsRequest,
  DeleteRecordsResponse,
} from '../../../protocol/messages/delete-records.ts';
import { Administrator, EARLIEST, LATEST } from '../administration.ts';
import type { Place } from '../history.ts';
import { IdempotentProducer, PlainProducer } from '../producers.ts';
import { type Consumer, OvertakenConsumer } from '../readers.ts';
import type { Run } from '../run.ts';
import type { Part } from './part.ts';

const deleteRecords = {
  request: DeleteRecordsRequest,
  response: DeleteRecordsResponse,
  version: 2,
};
const PLACE: Place = { topic: 'trimmed', partition: 0, visibility: 'written' };
const TRIMS = 3;

/** Deletes the oldest records now and then; what is gone stays gone. */
class Trimmer extends Administrator {
  /** Up to here records were deleted for certain, and up to here at most. */
  start = 0;
  most = 0;

  async run(times: number): Promise<void> {
    for (let left = times; left > 0; left--) {
      const end = await this.offset(this.place, LATEST);
      const offset = this.most + this.random.below(Math.max(end - this.most, 0) + 1);
      this.most = offset;
      await this.until(() => this.#deleteBefore(offset));
      await this.check();
      await this.pause(500);
    }
  }

  async #deleteBefore(offset: number): Promise<true | undefined> {
    const { topic: name, partition: partitionIndex } = this.place;
    const { topics } = await this.client.call(deleteRecords, {
      topics: [{ name, partitions: [{ partitionIndex, offset }] }],
      timeoutMs: 30_000,
    });
    const { errorCode, lowWatermark } = topics[0]!.partitions[0]!;
    if (errorCode !== 0) return this.isToRepeat(errorCode, `deleting before ${offset}`);
    if (lowWatermark !== offset) {
      this.violate('start', `deleted before ${offset}, told ${lowWatermark}`);
    }
    this.note(`trimmed to ${offset}`);
    this.start = offset;
    return true;
  }

  async check(): Promise<void> {
    const found = await this.offset(this.place, EARLIEST);
    if (found < this.start || found > this.most) {
      this.violate(
        'start',
        `the log starts at ${found}, trimmed to ${this.start} (at most ${this.most})`,
      );
    }
  }
}

export class TrimmedPart implements Part {
  readonly #run: Run;
  readonly #trimmer: Trimmer;
  readonly #consumer: Consumer;
  #reading: Promise<void> = Promise.resolve();

  constructor(run: Run) {
    this.#run = run;
    this.#trimmer = new Trimmer(run, 'trimmer', PLACE);
    this.#consumer = new OvertakenConsumer(run, 'reader-trimmed', PLACE);
  }

  create(admin: Administrator): Promise<void> {
    return admin.create(PLACE.topic, 1, {});
  }

  async work(): Promise<void> {
    const { size } = this.#run;
    this.#reading = this.#consumer.run();
    await Promise.all([
      new IdempotentProducer(this.#run, 'once-trimmed', PLACE).run(size),
      new PlainProducer(this.#run, 'plain-trimmed', PLACE).run(size),
      this.#trimmer.run(TRIMS),
    ]);
  }

  async finish(admin: Administrator): Promise<void> {
    this.#consumer.stopAt(await admin.offset(PLACE, LATEST));
    await this.#reading;
  }

  async check(admin: Administrator): Promise<void> {
    await this.#trimmer.check();
    await admin.audit(PLACE);
  }
}

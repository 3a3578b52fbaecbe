/** More than the disk takes: producers with large batches, many of them in flight. */

import type { Administrator } from '../administration.ts';
import { nameOf, type Place } from '../history.ts';
import { IdempotentProducer } from '../producers.ts';
import type { Run } from '../run.ts';
import type { Part } from './part.ts';

const PLACES: readonly Place[] = [0, 1, 2, 3, 4, 5].map((partition) => ({
  topic: 'flood',
  partition,
  visibility: 'written',
}));
const BATCHES = 6;

class FloodProducer extends IdempotentProducer {
  protected override readonly largestBytes = 240_000;
  protected override readonly largeShare = 0.7;
  override readonly pauseMs = 10;
}

export class OverloadPart implements Part {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  create(admin: Administrator): Promise<void> {
    return admin.create('flood', PLACES.length, {});
  }

  async work(): Promise<void> {
    await Promise.all(
      PLACES.map((place) =>
        new FloodProducer(this.#run, `once-${nameOf(place)}`, place).run(BATCHES),
      ),
    );
  }

  async finish(): Promise<void> {}

  async check(admin: Administrator): Promise<void> {
    for (const place of PLACES) await admin.audit(place);
  }
}

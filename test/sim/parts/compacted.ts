/**
 * Compacted topics: values and deletes of few keys, the log cleaner or the compaction in memory at
 * work, and readers that read all of it again and again.
 */

import { ErrorCode } from '../../../protocol/errors.ts';
import { Administrator, LATEST } from '../administration.ts';
import { CompactionChecker } from '../checkers/compaction.ts';
import { checkPhantom } from '../checkers/logs.ts';
import { nameOf, type Place, type Seen } from '../history.ts';
import { type Draft, type Identity, Producer } from '../producers.ts';
import { Reader } from '../readers.ts';
import type { Run } from '../run.ts';
import type { Part } from './part.ts';

const KEYS = 6;
const DELETES = 0.3;

interface KeyedBatch {
  readonly bytes: Buffer;
  readonly acknowledged: ((offset: number) => void)[];
}

/** Sends values and deletes, one batch after the other, each until it is acknowledged. */
class KeyedProducer extends Producer {
  readonly #checker: CompactionChecker;
  #sequence = 0;

  constructor(run: Run, place: Place, checker: CompactionChecker) {
    super(run, `keyed-${nameOf(place)}`, place);
    this.#checker = checker;
  }

  async run(batches: number): Promise<void> {
    const identity = await this.identify();
    for (let left = batches; left > 0; left--) {
      const batch = await this.#make(identity);
      const offset = await this.until(() => this.#send(batch));
      for (const [index, acknowledge] of batch.acknowledged.entries()) acknowledge(offset + index);
      this.note(`acknowledged ${batch.acknowledged.length} at ${offset}`);
      await this.pause(250);
    }
  }

  async #make(identity: Identity): Promise<KeyedBatch> {
    const count = 1 + this.random.below(6);
    const drafts: Draft[] = [];
    const acknowledged: KeyedBatch['acknowledged'] = [];
    const baseSequence = this.#sequence;
    for (let index = 0; index < count; index++) {
      const key = `k${this.random.below(KEYS)}`;
      const isDelete = this.random.chance(DELETES);
      const order = this.#sequence++;
      acknowledged.push(this.#checker.sent(key, isDelete));
      drafts.push({ key: Buffer.from(key), value: isDelete ? null : this.#value(key, order) });
    }
    return { bytes: await this.encode(drafts, baseSequence, identity), acknowledged };
  }

  #value(key: string, order: number): Buffer {
    const { place, name: producer } = this;
    const value = Buffer.from(`${producer}:${order}:${key} ${'x'.repeat(this.random.below(2000))}`);
    const madeMs = this.world.clock.monotonic();
    this.history.sent({ place, producer, order, value, acks: -1, madeMs });
    return value;
  }

  async #send({ bytes }: KeyedBatch): Promise<number | undefined> {
    const { code, offset } = await this.send(bytes, -1);
    return code === ErrorCode.NONE ? offset : this.isToRepeat(code, 'a batch with keys');
  }
}

class CompactedReader extends Reader {
  protected override readonly isCompacted = true;

  protected override given(record: Seen): void {
    if (record.value === null) return;
    checkPhantom(this.history, this.name, this.place, record);
    const isOfKey = record.value.includes(`:${record.key} `);
    if (!isOfKey) this.violate('phantom', `${record.offset} has the key ${record.key}`);
  }
}

export class CompactedPart implements Part {
  readonly #run: Run;
  readonly #place: Place;
  readonly #configs: Record<string, string>;
  readonly #deleteRetentionMs: number;
  readonly #checker: CompactionChecker;
  #readings = 0;

  constructor(run: Run, topic: string, configs: Record<string, string>) {
    const random = run.world.random.fork();
    this.#run = run;
    this.#place = { topic, partition: 0, visibility: random.pick(['written', 'durable']) };
    this.#deleteRetentionMs = random.pick([3000, 600_000]);
    this.#configs = {
      'cleanup.policy': 'compact',
      'fetch.visibility': this.#place.visibility,
      'delete.retention.ms': String(this.#deleteRetentionMs),
      'min.cleanable.dirty.ratio': '0.01',
      'segment.ms': random.pick(['700', '2500']),
      ...configs,
    };
    this.#checker = new CompactionChecker(run.history, this.#place);
  }

  create(admin: Administrator): Promise<void> {
    return admin.create(this.#place.topic, 1, this.#configs);
  }

  async work(): Promise<void> {
    const run = this.#run;
    const admin = new Administrator(run, `asks-${nameOf(this.#place)}`, this.#place);
    const producer = new KeyedProducer(run, this.#place, this.#checker);
    let isDone = false;
    const producing = producer.run(run.size * 2).finally(() => {
      isDone = true;
    });
    while (!isDone) {
      await run.world.sleep(800);
      await this.#readAll(admin);
    }
    await producing;
    admin.leave();
  }

  /** Reads from start to end, and holds what is left against the keys. */
  async #readAll(admin: Administrator): Promise<void> {
    const { world } = this.#run;
    const name = `reader-${this.#readings++}-${nameOf(this.#place)}`;
    const reader = new CompactedReader(this.#run, name, this.#place);
    const sinceMs = world.clock.monotonic();
    const check = this.#checker.reading(name);
    reader.stopAt(await admin.offset(this.#place, LATEST));
    await reader.run();
    reader.leave();
    const { taken: records, position: end } = reader;
    const keepsDeletes = world.clock.monotonic() - sinceMs < this.#deleteRetentionMs;
    check({ records, end, keepsDeletes });
  }

  async finish(): Promise<void> {}

  check(admin: Administrator): Promise<void> {
    return this.#readAll(admin);
  }
}

export const cleaned = (run: Run) => new CompactedPart(run, 'cleaned', {});
export const compactedInMemory = (run: Run) =>
  new CompactedPart(run, 'remembered', { 'tail.compaction.enable': 'true' });

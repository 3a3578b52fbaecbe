/**
 * The cleaner against a model: whatever is inserted, updated, deleted, in transactions or not,
 * whatever is rolled, cleaned and restarted in between, a reader from the start ends with the
 * model's state, a reader in the middle sees only what was written, offsets never change, and the
 * producers are known as before.
 */

import fc from 'fast-check';
import t from 'tap';
import { readBatchHeader } from '../../../protocol/record-batch.ts';
import { CleanerWorld, type PutOptions, stateOf, type Written } from './cleaner-world.ts';

const HOUR_MS = 3600_000;
const PRODUCERS = 3;

const written: fc.Arbitrary<Written> = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'a longer key that has more than one block'),
  value: fc.option(fc.string({ minLength: 1, maxLength: 30 }), { freq: 4, nil: null }),
});
const records = fc.array(written, { minLength: 1, maxLength: 6 });

type Step =
  | { readonly kind: 'put'; readonly records: Written[]; readonly gzip: boolean }
  | { readonly kind: 'produce'; readonly producer: number; readonly records: Written[] }
  | { readonly kind: 'transact'; readonly producer: number; readonly records: Written[] }
  | { readonly kind: 'end'; readonly producer: number; readonly isCommitted: boolean }
  | { readonly kind: 'roll' | 'clean' | 'stop' | 'kill' | 'cut' }
  | { readonly kind: 'wait'; readonly hours: number };

const producer = fc.nat(PRODUCERS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('put'), records, gzip: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('produce'), producer, records }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('transact'), producer, records }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('end'), producer, isCommitted: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('roll') }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('clean') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('stop', 'kill', 'cut') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), hours: fc.nat(30) }) },
) as fc.Arbitrary<Step>;

/** Plays steps, and remembers what each producer sent. */
class Play {
  readonly world: CleanerWorld;
  readonly #sequences = new Map<number, number>();
  /** The last five of each producer. */
  readonly #sent = new Map<number, Buffer[]>();

  constructor(world: CleanerWorld) {
    this.world = world;
  }

  async run(step: Step): Promise<void> {
    const { world } = this;
    if (step.kind === 'put') world.put(step.records, { gzip: step.gzip });
    else if (step.kind === 'produce') this.#send(step.producer, step.records, false);
    else if (step.kind === 'transact') this.#send(100 + step.producer, step.records, true);
    else if (step.kind === 'end') this.#end(100 + step.producer, step.isCommitted);
    else if (step.kind === 'roll') await world.roll();
    else if (step.kind === 'clean') await world.clean();
    else if (step.kind === 'wait') world.clock.jumpWall(step.hours * HOUR_MS);
    else await this.#restart(step.kind);
  }

  #send(id: number, sent: readonly Written[], transactional: boolean): void {
    const sequence = this.#sequences.get(id) ?? 0;
    const options: PutOptions = { producer: { id, sequence, transactional } };
    const batch = this.world.put(sent, options);
    this.#sequences.set(id, sequence + sent.length);
    this.#sent.set(id, [...(this.#sent.get(id) ?? []), batch].slice(-5));
  }

  #end(id: number, isCommitted: boolean): void {
    if (this.world.offsetsOf(id).length > 0) this.world.endTransaction(id, isCommitted);
  }

  async #restart(kind: 'stop' | 'kill' | 'cut'): Promise<void> {
    const { world } = this;
    // What came in is on its way before the connections go.
    await world.clock.settle();
    if (kind === 'stop') await world.stop();
    else {
      await world.clock.run(world.log.flush());
      if (kind === 'kill') await world.kill();
      else await world.powerCut();
    }
    await world.start();
  }

  /** Repeated batches are known, and what follows them is taken. */
  checkProducers(): string | undefined {
    for (const [id, batches] of this.#sent) {
      for (const batch of batches) {
        const header = readBatchHeader(batch, 0);
        const original = this.world.log.producers.check(header);
        if (original?.lastOffset !== header.lastOffset) return `a batch of ${id} is not known`;
      }
      const last = readBatchHeader(batches.at(-1)!, 0);
      const next = { ...last, baseSequence: this.#sequences.get(id)!, lastSequence: -5 };
      if (this.world.log.producers.check(next) !== undefined) return `${id} is taken for another`;
    }
    return undefined;
  }
}

/** What is wrong with what readers get; undefined when nothing is. */
async function checkReaders(
  world: CleanerWorld,
  marksExpire: boolean,
): Promise<string | undefined> {
  const limit = world.log.lastStableOffset;
  const expected = world.stateBelow(limit);
  const all = await world.readCommitted(0);
  let last = -1;
  for (const record of all) {
    const original = world.appended.get(record.offset);
    if (JSON.stringify(original) !== JSON.stringify({ ...original, ...record })) {
      return `offset ${record.offset} is ${JSON.stringify(record)}`;
    }
    if (world.aborted.has(record.offset)) return `offset ${record.offset} was aborted`;
    if (record.offset <= last) return `offset ${record.offset} after ${last}`;
    last = record.offset;
  }
  if (!isSame(stateOf(all), expected)) return 'another state from the start';
  for (const from of [1, Math.floor(limit / 3), Math.floor(limit / 2), limit - 3]) {
    if (from < 0 || from > limit) continue;
    const rest = all.filter(({ offset }) => offset >= from);
    const read = await world.readCommitted(from);
    if (JSON.stringify(read) !== JSON.stringify(rest)) return `others from ${from}`;
    // Who had read up to here goes on, as long as the marks of deleted keys are there.
    const state = stateOf(read, world.stateBelow(from));
    const isWhole = await wasWholeAt(world, from);
    if (!marksExpire && isWhole && !isSame(state, expected)) return `another state from ${from}`;
  }
  return undefined;
}

/** Whether a reader of committed data could have read up to just there: no transaction was open. */
async function wasWholeAt(world: CleanerWorld, offset: number): Promise<boolean> {
  const byProducer = new Map<number, { first: number; last: number }>();
  for (const { offset: at, producerId } of world.appended.values()) {
    if (producerId < 0) continue;
    const span = byProducer.get(producerId) ?? { first: at, last: at };
    byProducer.set(producerId, {
      first: Math.min(span.first, at),
      last: Math.max(span.last, at),
    });
  }
  return [...byProducer.values()].every(({ first, last }) => offset <= first || offset > last);
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

for (const [name, deleteRetentionMs, dedupeBufferBytes] of [
  ['marks of deleted keys stay', 1e9 * HOUR_MS, 1 << 20],
  ['marks of deleted keys go soon', HOUR_MS, 1 << 20],
  ['marks go at once, and the map holds few keys', 0, 100],
] as const) {
  t.test(`any mix of steps, ${name}`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const world = new CleanerWorld(
          { deleteRetentionMs, segmentBytes: 1500 },
          { dedupeBufferBytes },
        );
        await world.start();
        const play = new Play(world);
        const marksExpire = deleteRetentionMs < 1e9;
        for (const next of [...steps, { kind: 'roll' }, { kind: 'clean' }] as Step[]) {
          const end = world.log.endOffset;
          await play.run(next);
          if (['put', 'produce', 'transact', 'end', 'wait'].includes(next.kind)) continue;
          if (world.log.endOffset < end) throw new Error(`the end fell after ${next.kind}`);
          const fault = (await checkReaders(world, marksExpire)) ?? play.checkProducers();
          if (fault !== undefined) throw new Error(`after ${next.kind}: ${fault}`);
        }
        await world.clock.settle();
        await world.stop();
        const wrong = world.lines.find(({ level }) => level === 'error');
        if (wrong !== undefined) throw new Error(`${wrong.text}: ${JSON.stringify(wrong.values)}`);
      }),
      { numRuns: Number(process.env.TAILRACE_RUNS ?? 40) },
    );
  });
}

/** Readers that follow a partition, over files and memory, whatever the limits: a property. */

import fc from 'fast-check';
import t from 'tap';
import { fetch } from '../../broker/apis/01-fetch.ts';
import { batchBytes, readBatchHeader } from '../../protocol/record-batch.ts';
import { readRecords } from '../../protocol/records.ts';
import { batchOf, DataBroker, FakeConnection, type FakeTopic } from './data-broker.ts';

type Step =
  | { readonly kind: 'append'; readonly values: readonly string[] }
  | { readonly kind: 'empty'; readonly offsets: number }
  | { readonly kind: 'write' | 'sync' | 'persist' | 'takeBack' }
  | { readonly kind: 'wait'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('append' as const),
    values: fc.array(fc.string({ maxLength: 60 }), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('empty' as const), offsets: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constantFrom('write', 'sync', 'persist', 'takeBack') }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 300 }) }),
);

interface Limits {
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;
  readonly minBytes: number;
  readonly maxWaitMs: number;
}

const limits: fc.Arbitrary<Limits> = fc.record({
  maxBytes: fc.integer({ min: 0, max: 600 }),
  partitionMaxBytes: fc.integer({ min: 0, max: 600 }),
  minBytes: fc.integer({ min: 0, max: 400 }),
  maxWaitMs: fc.integer({ min: 0, max: 400 }),
});

/** One reader: asks again as soon as it is answered, from where the answer ended. */
class Reader {
  readonly seen: number[] = [];
  answers = 0;
  private offset = 0;
  private stopped = false;
  readonly done: Promise<void>;
  private readonly broker: DataBroker;
  private readonly topic: FakeTopic;

  constructor(broker: DataBroker, topic: FakeTopic, given: Limits) {
    this.broker = broker;
    this.topic = topic;
    this.done = this.run(given);
  }

  stop(): void {
    this.stopped = true;
  }

  private async run({ partitionMaxBytes, ...given }: Limits): Promise<void> {
    const connection = new FakeConnection();
    while (!this.stopped) {
      const partitions = [{ partition: 0, fetchOffset: this.offset, partitionMaxBytes }];
      const value = { ...given, topics: [{ topic: this.topic.name, partitions }] };
      const answer = await this.broker.call(fetch, 11, value, { connection }).answer;
      const { errorCode, records } = answer.responses[0]!.partitions[0]!;
      if (errorCode !== 0) throw new Error(`error ${errorCode}`);
      this.answers++;
      this.take(records ?? Buffer.alloc(0));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  private take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += batchBytes(bytes, at)) {
      for (const { offset } of readRecords(bytes, at)) {
        if (offset >= this.offset) this.seen.push(offset);
      }
      this.offset = readBatchHeader(bytes, at).lastOffset + 1;
    }
  }
}

/** Does one step; gives the offsets of the records it appended. */
function perform(broker: DataBroker, topic: FakeTopic, next: Step): void {
  const partition = topic.partitions[0]!;
  const log = topic.logs[0]!;
  if (next.kind === 'wait') broker.clock.advance(next.ms);
  else if (next.kind === 'takeBack') log.takeBack(new Error('not written'));
  else if (next.kind === 'append' || next.kind === 'empty') {
    const isEmpty = next.kind === 'empty';
    const batch = isEmpty
      ? batchOf([], { lastOffsetDelta: next.offsets - 1 })
      : batchOf(next.values);
    partition.append(batch, readBatchHeader(batch, 0), 0);
  } else log[next.kind]();
}

t.test('every reader sees every record once and in order, and nothing stays behind', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.array(limits, { minLength: 1, maxLength: 4 }),
      async (steps, all) => {
        const broker = new DataBroker();
        const topic = broker.topic('t');
        const log = topic.logs[0]!;
        const readers = all.map((given) => new Reader(broker, topic, given));
        for (const next of steps) {
          perform(broker, topic, next);
          await new Promise((resolve) => setImmediate(resolve));
        }
        log.sync();
        const expected: number[] = [];
        for (const { bytes } of log.batches) {
          for (const { offset } of readRecords(bytes, 0)) expected.push(offset);
        }
        while (readers.some(({ seen }) => seen.length < expected.length)) {
          broker.clock.advance(50);
          await new Promise((resolve) => setImmediate(resolve));
        }
        for (const reader of readers) reader.stop();
        broker.watchers.stop();
        await Promise.all(readers.map(({ done }) => done));
        for (const { seen } of readers) {
          if (seen.join() !== expected.join()) throw new Error(`${seen} instead of ${expected}`);
        }
        if (log.slicesHeld !== 0) throw new Error(`${log.slicesHeld} slices were kept`);
        if (broker.services.memory.usedBytes !== 0) throw new Error('memory was kept');
        if (broker.deadlines.size !== 0) throw new Error('a deadline was left');
      },
    ),
    { numRuns: 150 },
  );
  t.pass();
});

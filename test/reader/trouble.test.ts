/**
 * Readers of a broker that compacts, deletes and restarts under them: what survives is missed by
 * none, given to none twice, in order; and most of it comes by location.
 */

import t, { type Test } from 'tap';
import {
  DeleteRecordsRequest,
  DeleteRecordsResponse,
} from '../../protocol/messages/delete-records.ts';
import { type ReadEvent, type Reading, type ReadRecord, read } from '../../reader/index.ts';
import { until } from '../broker/harness.ts';
import { numberOf, Source } from './source.ts';

/** Small files, written, looked at and removed soon. */
const CONFIG = {
  'http.listeners': 'http://127.0.0.1:0',
  'log.segment.bytes': '1048576',
  'log.segment.delete.delay.ms': '20',
  'log.retention.check.interval.ms': '20',
  'log.cleaner.backoff.ms': '20',
  'tail.chunk.bytes': '65536',
  'tail.chunk.max.ms': '20',
};
const PAD_BYTES = 2000;
const IN_BATCH = 20;

/** A reader that keeps what it was given, and is held at will. */
class Follower {
  readonly reading: Reading<ReadRecord>;
  readonly numbers: number[] = [];
  readonly resets: { readonly offset: number; readonly nextOffset: number }[] = [];
  /** Reads up to here. */
  #target = 0;
  #go: (() => void) | undefined;
  readonly done: Promise<void>;

  constructor(t: Test, source: Source, more: Parameters<Source['options']>[0] = {}) {
    const onEvent = (event: ReadEvent) => {
      if (event.kind !== 'reset') return;
      const { offset, nextOffset } = event;
      this.resets.push({ offset, nextOffset });
    };
    this.reading = read(
      source.options({
        maxWaitMs: 50,
        chunkBytes: 50_000,
        maxBytes: 60_000,
        maxLocatedBytes: 300_000,
        onEvent,
        ...more,
      }),
    );
    this.done = this.#run();
    t.teardown(() => {
      this.reading.close();
      this.#go?.();
    });
  }

  get last(): number {
    return this.numbers.at(-1) ?? -1;
  }

  /** Reads until it was given a number of at least so much. */
  async to(number: number): Promise<void> {
    this.#target = number;
    this.#go?.();
    let failure: unknown;
    this.done.catch((error: unknown) => {
      failure = error;
    });
    await until(() => this.last >= number || failure !== undefined);
    if (failure !== undefined) throw failure;
  }

  async #run(): Promise<void> {
    for await (const record of this.reading) {
      if (numberOf(record) !== record.offset) throw new Error(`${record.offset} is another record`);
      this.numbers.push(record.offset);
      if (record.offset >= this.#target) {
        await new Promise<void>((resolve) => {
          this.#go = resolve;
        });
      }
    }
  }

  isInOrder(t: Test): void {
    const wrong = this.numbers.findIndex((number, i) => i > 0 && number <= this.numbers[i - 1]!);
    t.equal(wrong, -1, `in order, none twice: ${this.numbers.slice(wrong - 1, wrong + 1)}`);
  }

  /** At least half of the bytes came by location, by this way. */
  isLocated(t: Test, way: 'fileBytes' | 'urlBytes'): void {
    const { stats } = this.reading;
    const bytes = stats.fileBytes + stats.urlBytes + stats.recordBytes;
    t.ok(stats[way] * 2 >= bytes, `${stats[way]} of ${bytes} bytes by ${way}`);
    t.ok(stats.locations > 1, `${stats.locations} locations`);
  }
}

async function fill(source: Source, batches: number, keys?: number): Promise<void> {
  for (let i = 0; i < batches; i++) {
    await source.produce(IN_BATCH, 0, PAD_BYTES, keys === undefined ? {} : { keys });
  }
  await source.persist();
}

t.test('compaction', async (t) => {
  const configs = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0' };
  const source = await Source.start(t, { config: CONFIG, configs });
  const passes = () => source.broker.services.metrics.counter('cleaner_passes_total').read();
  const isCleaning = () => source.broker.services.metrics.gauge('cleaner_running').read() > 0;
  const followers = {
    file: new Follower(t, source, { ways: ['file'] }),
    url: new Follower(t, source, { ways: ['url'] }),
    none: new Follower(t, source, { ways: [] }),
  };
  const all = Object.values(followers);
  await fill(source, 40, 300);
  for (let round = 1; round <= 6; round++) {
    const before = passes();
    await fill(source, 40, 300);
    await Promise.all(all.map((each) => each.to(round * 500 - (each.last % 7))));
    await until(() => passes() > before);
  }
  await until(() => !isCleaning());
  const total = source.count();
  await Promise.all(all.map((each) => each.to(total - 1)));
  const surviving: number[] = [];
  for await (const { offset } of read(source.options({ ways: [], follow: false }))) {
    surviving.push(offset);
  }
  t.ok(surviving.length < total / 2, `${surviving.length} of ${total} survive`);
  for (const [name, follower] of Object.entries(followers)) {
    follower.isInOrder(t);
    const seen = new Set(follower.numbers);
    t.same(
      surviving.filter((number) => !seen.has(number)),
      [],
      `${name} missed none`,
    );
    t.ok(seen.size < total, `${name} was overtaken by the cleaner: ${seen.size} of ${total}`);
    t.same(follower.resets, []);
  }
  followers.file.isLocated(t, 'fileBytes');
  followers.url.isLocated(t, 'urlBytes');
});

interface Gap {
  readonly offset: number;
  readonly nextOffset: number;
}

/** Where numbers are missing, as the events tell it. */
function gaps(numbers: readonly number[]): Gap[] {
  const found: Gap[] = [];
  numbers.forEach((nextOffset, i) => {
    const offset = i === 0 ? 0 : numbers[i - 1]! + 1;
    if (nextOffset !== offset) found.push({ offset, nextOffset });
  });
  return found;
}

/** Who is overtaken again before he has read anything has one gap, told in two parts. */
function joined(resets: readonly Gap[]): Gap[] {
  const found: Gap[] = [];
  for (const { offset, nextOffset } of resets) {
    const last = found.at(-1);
    if (last?.nextOffset === offset) found.splice(-1, 1, { offset: last.offset, nextOffset });
    else found.push({ offset, nextOffset });
  }
  return found;
}

t.test('retention', async (t) => {
  const configs = { 'retention.bytes': '2500000' };
  const source = await Source.start(t, { config: CONFIG, configs });
  const followers = [
    new Follower(t, source, { ways: ['file'], reset: 'earliest' }),
    new Follower(t, source, { ways: ['url'], reset: 'earliest' }),
  ];
  const [byFile, byUrl] = followers as [Follower, Follower];
  for (let round = 0; round < 4; round++) {
    await fill(source, 60);
    await Promise.all(followers.map((each) => each.to(source.log().logStartOffset + 100)));
    const stand = Math.max(...followers.map((each) => each.last));
    while (source.log().logStartOffset < stand + 400) await fill(source, 10);
  }
  await Promise.all(followers.map((each) => each.to(source.count() - 1)));
  for (const each of followers) {
    each.isInOrder(t);
    t.ok(each.resets.length >= 3, `${each.resets.length} times it was overtaken`);
    t.same(gaps(each.numbers), joined(each.resets), 'nothing is missing but what was told');
    t.equal(each.reading.stats.resets, each.resets.length);
  }
  byFile.isLocated(t, 'fileBytes');
  byUrl.isLocated(t, 'urlBytes');
});

t.test('DeleteRecords, and what a reader that is not to be reset says of it', async (t) => {
  const source = await Source.start(t, { config: CONFIG });
  const strict = new Follower(t, source);
  const resetting = new Follower(t, source, { reset: 'earliest' });
  await fill(source, 100);
  await Promise.all([strict.to(100), resetting.to(100)]);
  const { topics } = await source.client.ask(DeleteRecordsRequest, DeleteRecordsResponse, 2, {
    topics: [{ name: source.topic, partitions: [{ partitionIndex: 0, offset: 1510 }] }],
    timeoutMs: 1000,
  });
  t.equal(topics[0]!.partitions[0]!.errorCode, 0);
  await fill(source, 10);
  await resetting.to(source.count() - 1);
  resetting.isInOrder(t);
  t.same(gaps(resetting.numbers), resetting.resets);
  t.equal(resetting.resets.length, 1);
  t.equal(resetting.resets[0]!.nextOffset, 1510);
  await t.rejects(strict.to(source.count()), { code: 'OFFSET_OUT_OF_RANGE', resumeAt: 1510 });
  strict.isInOrder(t);
  t.same(gaps(strict.numbers), [], 'what it had fetched was given before');
  strict.isLocated(t, 'fileBytes');
  resetting.isLocated(t, 'fileBytes');
});

t.test('restarts of the broker', async (t) => {
  const source = await Source.start(t, { config: CONFIG });
  const followers = [
    new Follower(t, source, { ways: ['file'], patienceMs: 20_000 }),
    new Follower(t, source, { ways: ['file'], patienceMs: 20_000, isolation: 'read_committed' }),
  ];
  for (let round = 0; round < 4; round++) {
    await fill(source, 30);
    await Promise.all(followers.map((each) => each.to(source.count() - 300)));
    await source.restart();
    await source.produce(IN_BATCH, 0, PAD_BYTES);
  }
  await Promise.all(followers.map((each) => each.to(source.count() - 1)));
  for (const each of followers) {
    t.equal(each.numbers.length, source.count());
    each.isInOrder(t);
    each.isLocated(t, 'fileBytes');
    const { disconnects, recordAnswers } = each.reading.stats;
    t.ok(disconnects >= 3, `${disconnects} connections were lost`);
    t.ok(recordAnswers > 0, 'some came from memory');
  }
});

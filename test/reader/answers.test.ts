/** What a reader makes of answers that a broker gives seldom, or never should. */

import t, { type Test } from 'tap';
import { ErrorCode } from '../../protocol/errors.ts';
import { assignOffset } from '../../protocol/record-batch.ts';
import {
  type ReadEvent,
  type Reading,
  type ReadOptions,
  type ReadRecord,
  read,
} from '../../reader/index.ts';
import { batchOf } from '../broker/data-broker.ts';
import { type FetchScript, ScriptedBroker } from './scripted-broker.ts';
import { numberOf, Source } from './source.ts';

/** A batch of so many records, at an offset. */
function batchAt(offset: number, count = 1, epoch = 0): Buffer {
  const batch = batchOf(Array.from({ length: count }, (_, i) => `${offset + i}`));
  assignOffset(batch, 0, offset, epoch);
  return batch;
}

async function start(t: Test, fetch: FetchScript) {
  const broker = await ScriptedBroker.listen(t);
  broker.fetch = fetch;
  const events: ReadEvent[] = [];
  const reader = (more: Partial<ReadOptions> = {}) => {
    const onEvent = (event: ReadEvent) => events.push(event);
    const reading = read({ bootstrap: broker.address, topic: 't', onEvent, ...more });
    t.teardown(() => reading.close());
    return reading;
  };
  return { broker, events, reader };
}

async function offsetsOf(reading: Reading<ReadRecord>, most = Number.POSITIVE_INFINITY) {
  const offsets: number[] = [];
  while (offsets.length < most) {
    const { done, value } = await reading.next();
    if (done === true) break;
    offsets.push(value.offset);
  }
  return offsets;
}

t.test('the end that was there is reached though its records were compacted away', async (t) => {
  const { broker, reader } = await start(t, ({ fetchOffset, partition }, { topics }) => {
    // Together with others a partition may get nothing for lack of room.
    const isAlone = topics[0]!.partitions.length === 1;
    if (partition === 1 && !isAlone) return {};
    return fetchOffset < 3 ? { records: batchAt(0, 3) } : {};
  });
  broker.end = 10;
  broker.partitions = 2;
  t.same((await offsetsOf(reader({ follow: false }))).toSorted(), [0, 0, 1, 1, 2, 2]);
});

t.test('errors that pass are waited for, others are told', async (t) => {
  const codes = [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR];
  const { broker, reader } = await start(t, ({ fetchOffset }) => {
    const errorCode = codes.shift() ?? 0;
    return errorCode === 0 ? { records: batchAt(fetchOffset) } : { errorCode };
  });
  broker.metadataErrors.push(ErrorCode.LEADER_NOT_AVAILABLE);
  broker.end = 10;
  const reading = reader();
  t.same(await offsetsOf(reading, 3), [0, 1, 2]);
  t.same(codes, []);
  broker.fetch = () => ({ errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER });
  await t.rejects(offsetsOf(reader({ patienceMs: 50 })), { code: 'REFUSED', partition: 0 });
  broker.fetch = () => ({ errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED });
  await t.rejects(offsetsOf(reader()), { code: 'REFUSED', message: /TOPIC_AUTHORIZATION_FAILED/ });
  broker.metadataErrors.push(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  await t.rejects(offsetsOf(reader()), { code: 'TOPIC_NOT_FOUND' });
});

t.test('as many partitions as there are may rest at once', async (t) => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  t.teardown(() => process.off('warning', onWarning));
  const refused = new Set<number>();
  const { broker, reader } = await start(t, ({ partition, fetchOffset }) => {
    if (refused.has(partition)) return fetchOffset === 0 ? { records: batchAt(0) } : {};
    refused.add(partition);
    return { errorCode: ErrorCode.KAFKA_STORAGE_ERROR };
  });
  broker.partitions = 12;
  broker.end = 1;
  t.equal((await offsetsOf(reader({ follow: false }))).length, 12);
  t.same(warnings, [], 'who waits listens for the end of it, and nothing leaks');
});

t.test('a connection that breaks is made again', async (t) => {
  const { broker, reader, events } = await start(t, ({ fetchOffset }) => ({
    records: batchAt(fetchOffset),
  }));
  broker.end = 100;
  const reading = reader();
  t.same(await offsetsOf(reading, 5), [0, 1, 2, 3, 4]);
  broker.disconnect();
  t.same(await offsetsOf(reading, 5), [5, 6, 7, 8, 9]);
  t.equal(reading.stats.disconnects, 1);
  t.ok(events.length > 5);
});

t.test(
  'a log that diverges: undelivered records are fetched again, given ones are told',
  async (t) => {
    const asked: [number, number][] = [];
    let isCut = false;
    const { broker, reader } = await start(t, ({ fetchOffset, lastFetchedEpoch }) => {
      asked.push([fetchOffset, lastFetchedEpoch]);
      const diverges = isCut && lastFetchedEpoch === 0 && fetchOffset > 2;
      if (diverges) return { divergingEpoch: { epoch: 0, endOffset: 2 } };
      if (fetchOffset >= 6) return {};
      const epoch = isCut && fetchOffset >= 2 ? 1 : 0;
      return { records: batchAt(fetchOffset, 1, epoch) };
    });
    broker.end = 6;
    const behind = reader();
    t.same(await offsetsOf(behind, 1), [0]);
    isCut = true;
    // Two answers stand in the queue, the next one is asked for from 3 on and is refused.
    t.same(await offsetsOf(behind, 5), [1, 2, 3, 4, 5]);
    t.equal(behind.stats.truncations, 0);
    isCut = false;
    const ahead = reader({ reset: 'earliest' });
    t.same(await offsetsOf(ahead, 6), [0, 1, 2, 3, 4, 5]);
    const strict = reader();
    t.same(await offsetsOf(strict, 6), [0, 1, 2, 3, 4, 5]);
    isCut = true;
    t.same(await offsetsOf(ahead, 4), [2, 3, 4, 5], "another log's records from where they part");
    t.equal(ahead.stats.truncations, 1);
    await t.rejects(strict.next(), { code: 'LOG_TRUNCATED', resumeAt: 2 });
    t.ok(asked.some(([offset, epoch]) => offset === 2 && epoch === 0));
  },
);

t.test('an epoch that the broker does not know', async (t) => {
  const { broker, reader } = await start(t, ({ fetchOffset, lastFetchedEpoch }) => {
    if (fetchOffset < 3) return { records: batchAt(fetchOffset, 1, 7) };
    if (lastFetchedEpoch === 7) return { errorCode: ErrorCode.OFFSET_OUT_OF_RANGE };
    return fetchOffset < 6 ? { records: batchAt(fetchOffset, 1, 0) } : {};
  });
  broker.end = 6;
  const reading = reader({ reset: 'latest' });
  t.same(await offsetsOf(reading, 6), [0, 1, 2, 3, 4, 5]);
  t.equal(reading.stats.truncations, 1);
  const strict = reader();
  t.same(await offsetsOf(strict, 3), [0, 1, 2]);
  await t.rejects(strict.next(), { code: 'LOG_TRUNCATED', resumeAt: 3 });
});

t.test('answers that no broker should give end the reading, and give nothing wrong', async (t) => {
  const damaged = batchAt(0, 5);
  damaged[70] = 0xff;
  const disordered = Buffer.concat([batchAt(5), batchAt(3), batchAt(6)]);
  for (const records of [damaged, batchAt(0).subarray(0, 40), Buffer.alloc(100), disordered]) {
    const { broker, reader } = await start(t, () => ({ records }));
    broker.end = 100;
    const reading = reader();
    const seen: number[] = [];
    const all = async () => {
      for await (const { offset } of reading) seen.push(offset);
    };
    await t.rejects(all(), { code: 'CORRUPT' });
    t.ok(seen.length <= 1, `${seen}`);
  }
  const { reader } = await start(t, () => ({
    location: { hostId: 'x', path: '/x', length: 10, position: 0, nextOffset: 0, generation: 'g' },
  }));
  await t.rejects(offsetsOf(reader()), { code: 'CORRUPT' });
});

t.test('a partition that was emptied does not wait for those that wait', async (t) => {
  const source = await Source.start(t, { partitions: 3 });
  for (let i = 0; i < 60; i++) await source.produce(1, 1, 5000);
  const reading = read(source.options({ maxBytes: 10_000, maxWaitMs: 60_000 }));
  t.teardown(() => reading.close());
  const numbers: number[] = [];
  while (numbers.length < 60) {
    const { value } = await reading.next();
    numbers.push(numberOf(value!));
    // Long enough for the others' request to be parked while this one's queue is full.
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  }
  t.same(
    numbers,
    Array.from({ length: 60 }, (_, i) => i),
  );
  await source.produce(1, 2);
  t.equal((await reading.next()).value!.partition, 2);
});

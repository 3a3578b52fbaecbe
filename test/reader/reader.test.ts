/** A reader against a real broker: the three cases, where it begins, and what it gives. */

import t from 'tap';
import { loadCodec } from '../../protocol/compression.ts';
import { Codec, type CodecNumber } from '../../protocol/record-batch.ts';
import { buildBatch, controlBatch, MarkerType } from '../../protocol/records.ts';
import { ReadError, type Reading, type ReadRecord, read, readBatches } from '../../reader/index.ts';
import { numberOf, Source } from './source.ts';

/** The next so many records. */
async function take(reading: Reading<ReadRecord>, count: number): Promise<ReadRecord[]> {
  const records: ReadRecord[] = [];
  while (records.length < count) {
    const { done, value } = await reading.next();
    if (done === true) throw new Error(`the end after ${records.length} records`);
    records.push(value);
  }
  return records;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

t.test('one loop reads from files, then from memory, then what comes', async (t) => {
  const source = await Source.start(t);
  for (let i = 0; i < 40; i++) await source.produce(10, 0, 1000);
  await source.persist();
  for (let i = 0; i < 5; i++) await source.produce(10);
  const reading = read(source.options({ maxWaitMs: 50 }));
  t.teardown(() => reading.close());
  t.same((await take(reading, 400)).map(numberOf), range(0, 400));
  const { fileBytes } = reading.stats;
  t.ok(fileBytes > 400_000, `${fileBytes} bytes from the file`);
  t.equal(reading.stats.recordBytes > 0 && reading.stats.recordBytes < 20_000, true);
  t.same((await take(reading, 50)).map(numberOf), range(400, 450));
  const coming = take(reading, 3);
  while (reading.stats.waits === 0) await new Promise((resolve) => setImmediate(resolve));
  await source.produce(3);
  t.same((await coming).map(numberOf), range(450, 453));
  t.equal(reading.stats.fileBytes, fileBytes, 'what is in memory is not read from the file');
  t.equal(reading.stats.locations, 1);
  t.equal(reading.stats.records, 453);
});

t.test('back to files when memory has gone before the reader', async (t) => {
  const source = await Source.start(t);
  const reading = read(source.options({ maxBytes: 5000 }));
  t.teardown(() => reading.close());
  await source.produce(10, 0, 100);
  await take(reading, 10);
  for (let i = 0; i < 50; i++) await source.produce(10, 0, 1000);
  await source.persist();
  t.same((await take(reading, 500)).map(numberOf), range(10, 510));
  t.ok(reading.stats.fileBytes > 400_000);
});

t.test('many partitions, each in its order; the end where the topic ended', async (t) => {
  const source = await Source.start(t, { partitions: 5 });
  for (let i = 0; i < 100; i++) await source.produce(7, i % 5, 500);
  await source.persist();
  for (let i = 0; i < 10; i++) await source.produce(3, i % 5);
  const next = [0, 0, 0, 0, 0];
  const reading = read(source.options({ follow: false, chunkBytes: 4096 }));
  for await (const record of reading) {
    t.equal(numberOf(record), next[record.partition]!++, `partition ${record.partition}`);
  }
  t.same(next, [146, 146, 146, 146, 146]);
  t.equal(reading.stats.locations, 5);
});

t.test('it begins at an offset, offsets, a time, the end', async (t) => {
  const source = await Source.start(t, { partitions: 2 });
  for (const partition of [0, 1]) await source.produce(20, partition);
  await new Promise<void>((resolve) => {
    const before = Date.now();
    const look = () => (Date.now() > before ? resolve() : setImmediate(look));
    look();
  });
  const time = new Date();
  for (const partition of [0, 1]) await source.produce(5, partition);
  const firsts = async (more: Parameters<Source['options']>[0]) => {
    const found = new Map<number, number>();
    for await (const record of read(source.options({ follow: false, ...more }))) {
      if (!found.has(record.partition)) found.set(record.partition, numberOf(record));
    }
    return [...found].toSorted(([a], [b]) => a - b);
  };
  t.same(await firsts({ from: 7 }), [
    [0, 7],
    [1, 7],
  ]);
  t.same(await firsts({ from: { 0: 3, 1: 24 } }), [
    [0, 3],
    [1, 24],
  ]);
  t.same(await firsts({ from: new Map([[1, 24]]) }), [[1, 24]]);
  t.same(await firsts({ from: time }), [
    [0, 20],
    [1, 20],
  ]);
  t.same(await firsts({ from: new Date(Date.now() + 1e6) }), []);
  t.same(await firsts({ from: 'latest' }), []);
  t.same(await firsts({ partitions: [1] }), [[1, 0]]);
});

t.test('a token goes on where it was taken, within a batch too', async (t) => {
  const source = await Source.start(t, { partitions: 2 });
  for (let i = 0; i < 20; i++) await source.produce(10, i % 2, 100);
  await source.persist();
  let from: string | undefined;
  const seen: number[][] = [[], []];
  for (let round = 0; round < 20; round++) {
    const reading: Reading<ReadRecord> = read(source.options(from === undefined ? {} : { from }));
    t.equal(reading.token(), undefined, 'nothing was asked for yet');
    for (const record of await take(reading, 10)) seen[record.partition]!.push(numberOf(record));
    from = reading.token();
    reading.close();
  }
  t.same(seen, [range(0, 100), range(0, 100)]);
  const end = read(source.options({ from: from!, follow: false }));
  t.equal((await end.next()).done, true);
});

t.test('partitions that a topic gets are read from their start', async (t) => {
  const source = await Source.start(t);
  const seenOf = (records: readonly ReadRecord[]) =>
    records.map((record) => `${record.partition}:${numberOf(record)}`).sort();
  await source.produce(2);
  const added: number[] = [];
  const reading = read(
    source.options({
      metadataMaxAgeMs: 0,
      maxWaitMs: 10,
      onEvent: (event) => {
        if (event.kind === 'added') added.push(event.partition);
      },
    }),
  );
  const named = read(source.options({ partitions: [0], metadataMaxAgeMs: 0, maxWaitMs: 10 }));
  t.teardown(() => {
    reading.close();
    named.close();
  });
  t.same(seenOf(await take(reading, 2)), ['0:0', '0:1']);
  await source.grow(3);
  await source.produce(2, 2);
  t.same(seenOf(await take(reading, 2)), ['2:0', '2:1']);
  t.same(added, [1, 2]);
  await source.produce(1, 1);
  await source.produce(1);
  t.same(seenOf(await take(reading, 2)), ['0:2', '1:0']);
  t.same(seenOf(await take(named, 3)), ['0:0', '0:1', '0:2'], 'named ones, and no others');

  const [token, namedToken] = [reading.token()!, named.token()!];
  await source.grow(4);
  await source.produce(1, 3);
  await source.produce(1);
  const rest = read(source.options({ from: token, follow: false }));
  t.same(seenOf(await take(rest, 2)), ['0:3', '3:0'], 'a token of all reads what is new');
  t.equal((await rest.next()).done, true);
  const namedRest = read(source.options({ from: namedToken, follow: false }));
  t.same(seenOf(await take(namedRest, 1)), ['0:3']);
  t.equal((await namedRest.next()).done, true);
});

t.test('every codec, from files and from memory', async (t) => {
  const source = await Source.start(t);
  const send = async () => {
    for (const codec of Object.values(Codec) as CodecNumber[]) {
      const { compress } = await loadCodec(codec);
      await source.produce(100, 0, 200, { compression: { codec, compress } });
    }
  };
  await send();
  await source.persist();
  await send();
  const reading = read(source.options({ follow: false }));
  const numbers: number[] = [];
  for await (const record of reading) numbers.push(numberOf(record));
  t.same(numbers, range(0, 1000));
  t.ok(reading.stats.fileBytes > 0 && reading.stats.recordBytes > 0);
});

t.test('a batch that would become too large is an error, not memory', async (t) => {
  const source = await Source.start(t);
  const { compress } = await loadCodec(Codec.gzip);
  await source.produce(100, 0, 2000, { compression: { codec: Codec.gzip, compress } });
  const reading = read(source.options({ maxBatchBytes: 100_000 }));
  await t.rejects(reading.next(), { code: 'CORRUPT', partition: 0, offset: 0 });
  t.same(await reading.next(), { done: true, value: undefined });
});

t.test('batches are the bytes as they are stored', async (t) => {
  const source = await Source.start(t);
  for (let i = 0; i < 10; i++) await source.produce(10, 0, 100);
  await source.persist();
  const numbers: number[] = [];
  const reading = readBatches(source.options({ from: 15, follow: false }));
  for await (const batch of reading) {
    t.equal(batch.bytes.length, batch.sizeBytes);
    t.equal(batch.recordCount, 10);
    const cursor = batch.cursor();
    let walked = 0;
    while (cursor.next()) walked++;
    t.equal(walked, 10);
    for (const record of batch.records()) numbers.push(numberOf(record));
  }
  t.same(numbers, range(15, 100), 'records below what was asked for are passed over');
  t.equal(reading.stats.batches, 9);
});

t.test('read_committed passes over what was aborted, and ends before what is open', async (t) => {
  const source = await Source.start(t);
  const partition = source.broker.services.topics.get(source.topic)!.partitions[0]!;
  const timestamp = Date.now();
  const sequences = new Map<number, number>();
  const data = (producerId: number, text: string) => {
    const baseSequence = sequences.get(producerId) ?? 0;
    sequences.set(producerId, baseSequence + 1);
    const records = [{ key: null, value: Buffer.from(text), timestamp }];
    const identity = { producerId, producerEpoch: 0, baseSequence, transactional: true };
    return partition.appendOwnBatch(buildBatch({ ...identity, records }));
  };
  const end = (producerId: number, type: (typeof MarkerType)['abort' | 'commit']) => {
    const marker = { type, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestamp };
    return partition.appendOwnBatch(controlBatch(marker));
  };
  const write = async () => {
    await data(1, 'a1');
    await data(2, 'c1');
    await data(1, 'a2');
    await end(1, MarkerType.abort);
    await data(1, 'c2');
    await end(2, MarkerType.commit);
    await end(1, MarkerType.commit);
  };
  await write();
  await source.persist();
  await write();
  await data(3, 'open');
  await source.persist();
  await data(2, 'later');
  const texts = async (isolation: 'read_committed' | 'read_uncommitted', from = 0) => {
    const reading = read(source.options({ isolation, from, follow: false }));
    const found: string[] = [];
    for await (const { value } of reading) found.push(value!.toString());
    t.ok(reading.stats.fileBytes > 0);
    return found;
  };
  t.same(await texts('read_committed'), ['c1', 'c2', 'c1', 'c2']);
  t.same(await texts('read_committed', 2), ['c2', 'c1', 'c2'], 'from within an aborted one');
  const all = ['a1', 'c1', 'a2', 'c2', 'a1', 'c1', 'a2', 'c2', 'open', 'later'];
  t.same(await texts('read_uncommitted'), all);
});

t.test('who does not take is not sent more', async (t) => {
  const source = await Source.start(t);
  for (let i = 0; i < 100; i++) await source.produce(1, 0, 9000);
  const reading = read(source.options({ maxBytes: 10_000 }));
  t.teardown(() => reading.close());
  await reading.next();
  await new Promise((resolve) => setImmediate(resolve));
  await source.produce(1);
  const { requests } = reading.stats;
  for (let i = 0; i < 5; i++) await source.produce(1);
  t.ok(requests <= 3, `${requests} requests`);
  t.equal(reading.stats.requests, requests);
  t.same((await take(reading, 105)).map(numberOf), range(1, 106));
});

t.test('the end by close, by leaving the loop, by a signal', async (t) => {
  const source = await Source.start(t);
  await source.produce(5);
  const closed = read(source.options());
  await take(closed, 5);
  const waiting = closed.next();
  closed.close();
  t.same(await waiting, { done: true, value: undefined });
  const left = read(source.options());
  for await (const record of left) if (numberOf(record) === 2) break;
  const rest = read(source.options({ from: left.token()!, follow: false }));
  t.same((await take(rest, 2)).map(numberOf), [3, 4], 'its token is where it was left');
  t.same(await left.next(), { done: true, value: undefined });
  const control = new AbortController();
  const stopped = read(source.options({ signal: control.signal }));
  await take(stopped, 5);
  const never = stopped.next();
  const reason = new Error('enough');
  control.abort(reason);
  await t.rejects(never, reason);
  await t.rejects(read(source.options({ signal: control.signal })).next(), reason);
});

t.test('what cannot be is said', async (t) => {
  const source = await Source.start(t, { partitions: 2 });
  await source.produce(1);
  const failure = (more: Parameters<Source['options']>[0]) =>
    read(source.options(more))
      .next()
      .then(
        () => 'none',
        (error: ReadError) => error.code,
      );
  t.equal(await failure({ topic: 'nothing' }), 'TOPIC_NOT_FOUND');
  t.equal(await failure({ partitions: [2] }), 'TOPIC_NOT_FOUND');
  t.equal(await failure({ from: { 0: 0 }, partitions: [1] }), 'INVALID_OPTIONS');
  t.equal(await failure({ bootstrap: '127.0.0.1:1', patienceMs: 50 }), 'UNREACHABLE');
  t.equal(await failure({ from: 100 }), 'OFFSET_OUT_OF_RANGE', 'the log has not come so far');
  const reset = read(source.options({ from: { 0: 100 }, reset: 'earliest' }));
  t.same((await take(reset, 1)).map(numberOf), [0]);
  reset.close();
  for (const bad of [
    { from: 'yesterday' },
    { from: -1 },
    { from: new Date('x') },
    { topic: '' },
    { bootstrap: 'a:b:c' },
    { partitions: [-1] },
    { maxBytes: 0 },
    { ways: ['post' as 'file'] },
  ]) {
    t.throws(() => read(source.options(bad)), { code: 'INVALID_OPTIONS' }, JSON.stringify(bad));
  }
  t.ok(new ReadError('REFUSED', 'x') instanceof Error);
});

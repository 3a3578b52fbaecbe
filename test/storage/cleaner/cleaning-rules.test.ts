/** What the cleaner takes away and what it leaves, rule by rule. Source: KAFKA.md point 60, KIP-534. */

import t from 'tap';
import { readBatchHeader } from '../../../protocol/record-batch.ts';
import { baseTimestamp } from '../../../protocol/records.ts';
import { CleanerWorld, recordsOf } from './cleaner-world.ts';

const HOUR_MS = 3600_000;
const FOLDER = '/data/orders-0';

async function worldOf(...options: ConstructorParameters<typeof CleanerWorld>) {
  const world = new CleanerWorld(...options);
  await world.start();
  return world;
}

/** Offsets of the records that are left. */
async function offsets(world: CleanerWorld): Promise<number[]> {
  const batches = await world.readBatches(0);
  return batches.flatMap((batch) =>
    readBatchHeader(batch, 0).control ? [] : recordsOf(batch).map(({ offset }) => offset),
  );
}

t.test('of each key the newest record stays, at its offset and with its time', async (t) => {
  const world = await worldOf();
  world.put([
    { key: 'a', value: '1' },
    { key: 'b', value: '1' },
    { key: 'a', value: '2' },
  ]);
  world.clock.jumpWall(5);
  world.put([
    { key: 'b', value: '2' },
    { key: 'c', value: '1' },
  ]);
  await world.roll();
  world.put([{ key: 'c', value: 'in the active segment' }]);
  await world.clock.run(world.log.flush());
  await world.clean();
  t.same(await offsets(world), [2, 3, 4, 5], 'what the active segment has is not looked at');
  for (const record of await world.readCommitted(0)) {
    t.same(record, world.appended.get(record.offset));
  }
  t.equal(world.log.endOffset, 6);
  await world.stop();
});

t.test('the mark of a deleted key goes when its time has come', async (t) => {
  const world = await worldOf({ deleteRetentionMs: HOUR_MS });
  world.put([{ key: 'a', value: '1' }]);
  world.put([
    { key: 'a', value: null },
    { key: 'b', value: '1' },
  ]);
  await world.roll();
  const cleanedAt = world.clock.now();
  await world.clean();
  t.same(await offsets(world), [1, 2]);
  const [batch] = await world.readBatches(0);
  t.ok(readBatchHeader(batch!, 0).hasDeleteHorizon);
  t.equal(baseTimestamp(batch!, 0), cleanedAt + HOUR_MS, 'the horizon is in the batch');
  t.same(
    recordsOf(batch!).map(({ timestamp }) => timestamp),
    [cleanedAt, cleanedAt],
  );
  const more = async () => {
    world.put([{ key: 'c', value: 'more' }]);
    await world.roll();
    await world.clean();
  };
  world.clock.jumpWall(HOUR_MS - 1);
  await more();
  t.same(await offsets(world), [1, 2, 3], 'a moment too early');
  world.clock.jumpWall(1);
  await more();
  t.same(await offsets(world), [2, 4]);
  await world.stop();
});

t.test(
  'aborted records go at once, markers when nothing is left and their time has come',
  async (t) => {
    const world = await worldOf({ deleteRetentionMs: HOUR_MS });
    const send = (id: number, sequence: number, key: string) =>
      world.put([{ key, value: `${id}` }], { producer: { id, sequence, transactional: true } });
    send(1, 0, 'a');
    send(2, 0, 'b');
    world.endTransaction(1, false);
    world.endTransaction(2, true);
    send(1, 1, 'c');
    world.endTransaction(1, true);
    await world.roll();
    world.put([{ key: 'z', value: 'z' }]);
    await world.clean();
    t.same(await offsets(world), [1, 4, 6]);
    const kinds = async () =>
      (await world.readBatches(0)).map((batch) => {
        const { baseOffset, control, recordCount, hasDeleteHorizon } = readBatchHeader(batch, 0);
        return `${baseOffset}${control ? ' marker' : ''} ${recordCount}${hasDeleteHorizon ? ' horizon' : ''}`;
      });
    // Of the aborted transaction a batch was met in this pass, so that its marker stays as it is.
    const afterFirst = ['1 1', '2 marker 1', '3 marker 1', '4 1', '5 marker 1', '6 1'];
    t.same(await kinds(), afterFirst);
    t.same(await world.log.abortedTransactions(0, 10), [{ producerId: 1, firstOffset: 0 }]);
    const again = async () => {
      await world.roll();
      world.put([{ key: 'y', value: 'y' }]);
      await world.clean();
    };
    await again();
    t.equal((await kinds())[1], '2 marker 1 horizon', 'nothing of it is left: its time runs');
    t.same(await world.log.abortedTransactions(0, 10), []);
    world.clock.jumpWall(HOUR_MS);
    await again();
    t.notOk(
      (await kinds()).some((kind) => kind.startsWith('2 ')),
      'it has gone',
    );
    t.ok((await kinds()).includes('3 marker 1'), 'a committed one stays while its records do');
    await world.stop();
  },
);

t.test('the last batch of a producer stays, emptied', async (t) => {
  const world = await worldOf();
  world.put([{ key: 'a', value: '1' }], { producer: { id: 9, sequence: 0 } });
  const last = world.put([{ key: 'a', value: '2' }], { producer: { id: 9, sequence: 1 } });
  world.put([{ key: 'a', value: '3' }]);
  await world.roll();
  world.put([{ key: 'b', value: '1' }]);
  await world.clean();
  const headers = (await world.readBatches(0)).map((batch) => readBatchHeader(batch, 0));
  t.match(headers[0], { baseOffset: 1, recordCount: 0, producerId: 9, baseSequence: 1 });
  t.equal(headers[0]!.maxTimestamp, readBatchHeader(last, 0).maxTimestamp);
  t.same(await offsets(world), [2, 3]);
  await world.stop();
});

t.test('a compressed batch is compressed again with its own codec', async (t) => {
  const world = await worldOf();
  const key = (index: number) => `key ${index % 3}`;
  const records = Array.from({ length: 9 }, (_, index) => ({ key: key(index), value: `${index}` }));
  world.put(records, { gzip: true });
  world.put([{ key: key(1), value: 'new' }], { gzip: true });
  await world.roll();
  await world.clean();
  const [first] = await world.readBatches(0);
  t.match(readBatchHeader(first!, 0), { codec: 1, recordCount: 2, baseOffset: 0, lastOffset: 8 });
  t.same(
    recordsOf(first!).map(({ offset, value }) => [offset, value]),
    [
      [6, '6'],
      [8, '8'],
    ],
  );
  await world.stop();
});

t.test('records without a key go, and that is said', async (t) => {
  const world = await worldOf();
  world.put([
    { key: null, value: 'lost' },
    { key: 'a', value: '1' },
  ]);
  await world.roll();
  await world.clean();
  t.same(await offsets(world), [1]);
  t.ok(world.lines.some(({ level, text }) => level === 'warn' && text.includes('without a key')));
  await world.stop();
});

t.test('nothing is cleaned that is too young, or may yet be aborted', async (t) => {
  const world = await worldOf({ minCompactionLagMs: HOUR_MS });
  const put = (value: string) => world.put([{ key: 'a', value }]);
  put('1');
  put('2');
  await world.roll();
  await world.clean();
  t.same(await offsets(world), [0, 1], 'too young');
  world.clock.jumpWall(HOUR_MS + 1);
  world.put([{ key: 'b', value: '1' }], { producer: { id: 1, sequence: 0, transactional: true } });
  put('3');
  await world.roll();
  world.clock.jumpWall(HOUR_MS + 1);
  await world.clean();
  t.same(world.segments().length, 3);
  t.same((await world.readBatches(0)).length, 1, 'the first segment is clean');
  world.endTransaction(1, true);
  await world.roll();
  world.clock.jumpWall(HOUR_MS + 1);
  await world.clean();
  t.same(await offsets(world), [2, 3], 'the transaction has ended');
  await world.stop();
});

t.test('a clean log is left alone until it is dirty enough, or has waited too long', async (t) => {
  const world = await worldOf({ minCleanableDirtyRatio: 0.5, maxCompactionLagMs: HOUR_MS });
  for (let key = 0; key < 20; key++) world.put([{ key: `${key}`, value: 'x'.repeat(50) }]);
  await world.roll();
  await world.clean();
  const { passes } = world.store.cleaner!.record;
  t.equal(passes, 1);
  world.put([{ key: '1', value: 'new' }]);
  await world.roll();
  await world.clean();
  t.equal(world.store.cleaner!.record.passes, 1, 'a small part of it is dirty');
  world.clock.jumpWall(HOUR_MS + 1);
  await world.clean();
  t.equal(world.store.cleaner!.record.passes, 2, 'max.compaction.lag.ms is over');
  t.notOk((await offsets(world)).includes(1));
  await world.stop();
});

t.test(
  'a damaged segment is left alone, reported, counted, and cleaned once it is whole',
  async (t) => {
    const world = await worldOf();
    world.put([{ key: 'a', value: '1' }]);
    world.put([{ key: 'a', value: '2' }]);
    await world.roll();
    const log = world.disk.file(`${FOLDER}/00000000000000000000.log`);
    log.flip(63, 0xff);
    await world.clean();
    const { record } = world.store.cleaner!;
    t.match(record, { passes: 0, failures: 1, uncleanable: 1 });
    t.ok(record.uncleanableBytes > 0);
    const line = world.lines.find(({ text }) => text.includes('could not be cleaned'));
    t.match(line?.values, { topic: 'orders', partition: 0, err: /log at 0: wrong checksum/ });
    t.equal(world.disk.files().filter((file) => file.endsWith('.cleaned')).length, 0);
    await world.clean();
    t.equal(record.failures, 1, 'it is not tried again at once');
    log.flip(63, 0xff);
    await world.clock.advance(600_000);
    await world.clean();
    t.match(record, { passes: 1, uncleanable: 0 });
    await world.stop();
  },
);

t.test(
  'how far a log is clean is recorded in Kafka’s file, and forgotten with the topic',
  async (t) => {
    const world = await worldOf();
    world.put([
      { key: 'a', value: '1' },
      { key: 'a', value: '2' },
    ]);
    await world.roll();
    world.put([{ key: 'b', value: '1' }]);
    await world.clean();
    const file = () => world.disk.file('/data/cleaner-offset-checkpoint').contents.toString();
    t.equal(file(), '0\n1\norders 0 2\n');
    await world.clock.run(world.store.remove(world.log.topicId, 0));
    t.equal(file(), '0\n0\n');
    await world.stop();
  },
);

t.test('a topic is deleted while it is cleaned', async (t) => {
  const world = await worldOf({}, { maxBytesPerSecond: 1000 });
  for (let index = 0; index < 100; index++) world.put([{ key: 'a', value: 'x'.repeat(100) }]);
  await world.roll();
  const cleaning = world.store.cleaner!.cleanAll();
  await world.clock.advance(1000);
  t.equal(world.store.cleaner!.running, 1);
  await world.clock.run(world.store.remove(world.log.topicId, 0));
  await world.clock.run(cleaning);
  t.equal(world.store.cleaner!.running, 0);
  t.notOk(
    world.lines.some(({ level }) => level === 'error'),
    'nothing went wrong',
  );
  await world.stop();
});

t.test('the pace is kept, and a stop does not wait for it', async (t) => {
  const world = await worldOf({}, { maxBytesPerSecond: 10_000, ioBufferBytes: 8192 });
  for (let index = 0; index < 300; index++) {
    world.put([{ key: `${index}`, value: 'x'.repeat(100) }]);
  }
  await world.roll();
  const { sizeBytes } = world.segments()[0]!;
  const started = world.clock.monotonic();
  await world.clean();
  const seconds = (world.clock.monotonic() - started) / 1000;
  // Read once for the map and once to be cleaned; what did not change is not put in place.
  const least = (2 * sizeBytes) / 10_000;
  t.ok(seconds > least * 0.9 && seconds < least * 1.5, `${seconds} s for ${least} s of bytes`);
  for (let index = 0; index < 300; index++) {
    world.put([{ key: `${index}`, value: 'y'.repeat(100) }]);
  }
  await world.roll();
  const cleaning = world.store.cleaner!.cleanAll();
  await world.clock.advance(1000);
  const stopping = world.clock.monotonic();
  await world.stop();
  await world.clock.run(cleaning);
  t.ok(world.clock.monotonic() - stopping < 5000);
});

t.test('who reads while segments are replaced reads on', async (t) => {
  const world = await worldOf({ segmentBytes: 100_000 });
  for (let index = 0; index < 200; index++) {
    world.put([{ key: `${index % 20}`, value: `${index}`.padEnd(50, '.') }]);
  }
  await world.roll();
  world.put([{ key: 'last', value: '1' }]);
  await world.clock.run(world.log.flush());
  const read: number[] = [];
  const reading = (async () => {
    for (let next = 0; next < world.log.endOffset; ) {
      const slice = await world.log.read(next, 200, world.log.endOffset, true);
      for (const buffer of slice.buffers) {
        for (const { offset } of recordsOf(buffer)) read.push(offset);
      }
      next = slice.nextOffset;
      slice.release();
    }
  })();
  await world.clean();
  await world.clock.run(reading);
  const sorted = [...read].sort((a, b) => a - b);
  t.same(read, sorted, 'in order, none twice');
  for (let offset = 180; offset <= 200; offset++) t.ok(read.includes(offset), `offset ${offset}`);
  await world.stop();
});

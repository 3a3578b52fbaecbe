import { gunzipSync, gzipSync } from 'node:zlib';
import t from 'tap';
import {
  type BatchHeader,
  isCrcRight,
  readBatchHeader,
  recordCount,
} from '../../protocol/record-batch.ts';
import { type BatchFields, buildBatch, payloadOf, readRecords } from '../../protocol/records.ts';
import { CorruptLog } from '../../storage/errors.ts';
import type { LogOptions, PartitionLogView } from '../../storage/types.ts';
import { StoreWorld } from './store-world.ts';

const SEGMENT = '/data/orders-0/00000000000000000000';

type Entry = readonly [key: string, value: string | null];

interface BatchMore extends BatchFields {
  readonly isCompressed?: boolean;
  readonly timestamp?: number;
}

async function startWorld(topic: Partial<LogOptions> = {}): Promise<StoreWorld> {
  const world = new StoreWorld({
    topic: { deletes: false, compacts: true, compactsTail: true, ...topic },
    parts: {
      inflate: async (_codec, payload) => {
        try {
          return gunzipSync(payload);
        } catch (error) {
          throw new CorruptLog('no gzip', { cause: error });
        }
      },
      deflate: async (_codec, payload) => gzipSync(payload),
    },
  });
  await world.start();
  return world;
}

/** Appends one batch and gives its header. */
function put(world: StoreWorld, entries: readonly Entry[], more: BatchMore = {}): BatchHeader {
  const { isCompressed, timestamp = world.clock.now(), ...fields } = more;
  const batch = buildBatch({
    ...fields,
    records: entries.map(([key, value]) => ({
      key: Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      timestamp,
    })),
    ...(isCompressed === true && { compression: { codec: 1, compress: gzipSync } }),
  });
  world.log.append(batch, readBatchHeader(batch, 0), world.clock.now());
  return readBatchHeader(batch, 0);
}

/** Makes all durable, then writes it to the segments. */
async function flush(world: StoreWorld): Promise<void> {
  await world.reached('durable', world.log.endOffset);
  await world.clock.run(world.log.flush());
}

/** Batches of the segments, one behind the other. */
function storedBatches(world: StoreWorld): { header: BatchHeader; bytes: Buffer }[] {
  const { contents } = world.disk.file(`${SEGMENT}.log`);
  const batches: { header: BatchHeader; bytes: Buffer }[] = [];
  for (let at = 0; at < contents.length; ) {
    const header = readBatchHeader(contents, at);
    batches.push({ header, bytes: contents.subarray(at, at + header.sizeBytes) });
    at += header.sizeBytes;
  }
  return batches;
}

/** Offset, key and value of all records in the first segment. */
function stored(world: StoreWorld): [number, string, string | null][] {
  return storedBatches(world).flatMap(({ header, bytes }) => {
    const payload = payloadOf(bytes, 0);
    const plain = header.codec === 0 ? payload : gunzipSync(payload);
    return [...readRecords(bytes, 0, plain)].map(
      ({ offset, key, value }) =>
        [offset, String(key), value && String(value)] as [number, string, string | null],
    );
  });
}

async function serve(world: StoreWorld, log: PartitionLogView = world.log): Promise<void> {
  await world.reached('durable', log.endOffset);
  const slice = await log.read(log.persistedOffset, 1 << 20, log.highWatermark, true);
  t.ok(slice.buffers.length > 0, 'it was given out');
  slice.release();
}

t.test('an insert and its delete go entirely, and leave offsets without a gap', async (t) => {
  const world = await startWorld();
  put(world, [['a', '1']]);
  put(world, [
    ['b', '1'],
    ['c', '1'],
  ]);
  put(world, [['a', null]]);
  put(world, [['b', null]]);
  await flush(world);
  t.same(stored(world), [[2, 'c', '1']]);
  const headers = storedBatches(world).map(({ header }) => header);
  t.same(
    headers.map(({ baseOffset, lastOffset }) => [baseOffset, lastOffset]),
    [
      [0, 0],
      [1, 2],
      [3, 4],
    ],
    'what is left of neighbours without records is one batch',
  );
  for (const { bytes } of storedBatches(world)) t.ok(isCrcRight(bytes, 0));
  t.match(world.store.gauges(), { compactedRecords: 4, vanishedPairs: 2 });
  t.equal((await world.batches()).flat().at(-1), 4, 'a reader steps over them');
  t.equal(world.log.endOffset, 5);
});

t.test('where the insert is persisted the delete stays', async (t) => {
  const world = await startWorld();
  put(world, [['a', '1']]);
  await flush(world);
  put(world, [
    ['a', '2'],
    ['x', '1'],
  ]);
  put(world, [
    ['a', null],
    ['x', null],
  ]);
  await flush(world);
  t.same(stored(world), [
    [0, 'a', '1'],
    [3, 'a', null],
  ]);
  t.equal(world.store.gauges().vanishedPairs, 1);
});

t.test('what somebody saw is taken back before their eyes', async (t) => {
  const world = await startWorld();
  put(world, [['a', '1']]);
  await serve(world);
  put(world, [['b', '1']]);
  put(world, [
    ['a', null],
    ['b', null],
  ]);
  await flush(world);
  t.same(stored(world), [[2, 'a', null]]);
});

t.test('a slice counts as served while it is held, and when its bytes were taken', async (t) => {
  for (const becomes of ['given back', 'held', 'taken'] as const) {
    const world = await startWorld();
    put(world, [['a', '1']]);
    await world.reached('durable', 1);
    const slice = await world.log.read(0, 1 << 20, 1, true);
    if (becomes === 'taken') t.equal(slice.buffers.length, 1);
    if (becomes !== 'held') slice.release();
    put(world, [['a', null]]);
    await flush(world);
    t.same(stored(world), becomes === 'given back' ? [] : [[1, 'a', null]], becomes);
    if (becomes === 'held') slice.release();
  }
});

t.test('a delete in a later chunk meets its insert in memory, or knows of it', async (t) => {
  for (const wasServed of [false, true]) {
    const world = await startWorld();
    put(world, [['a', '1']]);
    if (wasServed) await serve(world);
    else await world.reached('durable', 1);
    const flushing = world.log.flush();
    put(world, [['a', null]]);
    await world.reached('durable', 2);
    await world.clock.run(flushing);
    await flush(world);
    // The first chunk may have gone before the delete was there: then it is in a segment.
    const isInsertGone = stored(world).every(([, , value]) => value === null);
    const expected = isInsertGone && !wasServed ? [] : [[1, 'a', null]];
    t.same(
      stored(world).filter(([, , value]) => value === null),
      expected,
    );
  }
});

t.test('nothing goes for what is not durable, not stable, or too young', async (t) => {
  const unsynced = await startWorld({ flushMessages: 1000, visibility: 'written' });
  // The first group has the lease, which is synced.
  put(unsynced, [['first', '1']]);
  await unsynced.reached('durable', 1);
  put(unsynced, [['a', '1']]);
  put(unsynced, [['a', '2']]);
  await unsynced.reached('written', 3);
  t.equal(unsynced.log.durableOffset, 1);
  await unsynced.clock.run(unsynced.log.flush());
  t.equal(stored(unsynced).length, 3, 'not durable');

  const unstable = await startWorld();
  put(unstable, [['t', '1']], {
    producerId: 7,
    producerEpoch: 0,
    baseSequence: 0,
    transactional: true,
  });
  put(unstable, [['a', '1']]);
  put(unstable, [['a', '2']]);
  await flush(unstable);
  t.equal(stored(unstable).length, 3, 'behind an open transaction');

  const lagging = await startWorld({ minCompactionLagMs: 60_000 });
  const timestamp = lagging.clock.now() - 70_000;
  put(lagging, [['a', '1']], { timestamp });
  put(lagging, [['a', '2']], { timestamp });
  put(lagging, [['a', '3']]);
  await flush(lagging);
  t.same(
    stored(lagging).map(([, , value]) => value),
    ['2', '3'],
  );
});

t.test('the last five batches of a producer are known after a kill', async (t) => {
  const world = await startWorld();
  const sent: BatchHeader[] = [];
  for (let sequence = 0; sequence < 8; sequence++) {
    const more = { producerId: 5, producerEpoch: 0, baseSequence: sequence };
    sent.push(put(world, [['a', String(sequence)]], more));
  }
  await flush(world);
  t.same(stored(world), [[7, 'a', '7']]);
  const headers = storedBatches(world).map(({ header }) => header);
  t.same(headers.map(({ baseOffset, lastOffset }) => [baseOffset, lastOffset]).slice(0, 2), [
    [0, 2],
    [3, 3],
  ]);
  t.match(headers[1], { producerId: 5, baseSequence: 3, lastSequence: 3, recordCount: 0 });
  await world.kill();
  await world.start();
  for (const [offset, header] of sent.entries()) {
    if (offset >= 3) t.match(world.log.producers.check(header), { baseOffset: offset });
  }
});

t.test('of a compressed batch the rest is compressed anew', async (t) => {
  const world = await startWorld();
  put(
    world,
    [
      ['a', '1'],
      ['b', '1'],
      ['c', '1'],
    ],
    { isCompressed: true },
  );
  put(world, [['b', '2']], { isCompressed: true });
  await flush(world);
  t.same(stored(world), [
    [0, 'a', '1'],
    [2, 'c', '1'],
    [3, 'b', '2'],
  ]);
  const [first] = storedBatches(world);
  t.match(first?.header, { codec: 1, recordCount: 2, lastOffset: 2 });
  t.ok(isCrcRight(first!.bytes, 0));
});

t.test('bulk for which an acknowledgement waits is written as it is', async (t) => {
  const world = await startWorld();
  const large = 'x'.repeat(60 * 1024);
  put(world, [
    ['a', large],
    ['a', large],
  ]);
  await world.reached('durable', 2);
  t.equal(stored(world).length, 2);
});

t.test('a filter of no use is made anew in the background', async (t) => {
  for (const damage of ['kept', 'removed', 'changed'] as const) {
    const world = await startWorld();
    put(world, [['a', '1']]);
    await flush(world);
    await world.stop();
    const filter = world.disk.file(`${SEGMENT}.tailrace-filter`);
    if (damage === 'changed') filter.contents[50]! ^= 1;
    if (damage === 'removed') await world.disk.mount().remove(`${SEGMENT}.tailrace-filter`);
    await world.start();
    put(world, [
      ['x', '1'],
      ['x', null],
    ]);
    await flush(world);
    t.equal(world.store.gauges().vanishedPairs, damage === 'kept' ? 1 : 0, damage);
    await world.clock.advance(1000);
    put(world, [
      ['y', '1'],
      ['a', '2'],
    ]);
    put(world, [
      ['y', null],
      ['a', null],
    ]);
    await flush(world);
    t.equal(world.store.gauges().vanishedPairs, damage === 'kept' ? 2 : 1, damage);
    t.same(stored(world).at(-1)?.slice(1), ['a', null]);
  }
});

t.test(
  'a filter is made of compressed batches too, and of those that nobody can read',
  async (t) => {
    for (const isReadable of [true, false]) {
      const world = await startWorld();
      put(world, [['a', '1']], { isCompressed: true });
      if (!isReadable) {
        const garbage = buildBatch({
          records: [{ key: Buffer.from('b'), value: null, timestamp: world.clock.now() }],
          compression: { codec: 1, compress: () => Buffer.from('no gzip') },
        });
        world.log.append(garbage, readBatchHeader(garbage, 0), world.clock.now());
      }
      await flush(world);
      await world.kill();
      await world.start();
      for (const key of ['x', 'y', 'a']) {
        put(world, [[key, '1']]);
        put(world, [[key, null]]);
        await flush(world);
        await world.clock.advance(1000);
      }
      const warnings = world.lines.filter(({ level }) => level === 'warn').map(({ text }) => text);
      t.equal(world.store.gauges().vanishedPairs, isReadable ? 1 : 0, 'only y, once there is one');
      t.equal(warnings.filter((text) => text.includes('could not be made')).length, 0);
    }
  },
);

t.test('filters go with their segments, and where records were deleted no pair goes', async (t) => {
  const world = await startWorld({ segmentBytes: 300 });
  for (let index = 0; index < 10; index++) {
    put(world, [[`key ${index}`, 'x'.repeat(100)]]);
    await flush(world);
  }
  const filters = () => world.disk.files().filter((file) => file.includes('.tailrace-filter'));
  t.ok(filters().length > 2, `${filters().length}`);
  await world.clock.run(world.log.deleteRecordsBefore(9));
  await world.clock.advance(world.topic.fileDeleteDelayMs + 1000);
  t.ok(filters().length <= 1, `${filters().length}`);
  put(world, [
    ['new', '1'],
    ['new', null],
  ]);
  await flush(world);
  t.equal(world.store.gauges().vanishedPairs, 0);
});

t.test('a write that fails is repeated with what was compacted, and nothing else', async (t) => {
  const world = await startWorld();
  put(world, [['a', '1']]);
  put(world, [
    ['a', '2'],
    ['b', '1'],
  ]);
  await world.reached('durable', 3);
  let failures = 2;
  world.disk.onCall = ({ name, path }) => {
    if (name !== 'write' || !path.endsWith('.log') || failures-- <= 0) return undefined;
    return { code: 'ENOSPC', writtenBytes: 70 };
  };
  const flushing = world.log.flush();
  await world.clock.advance(100);
  put(world, [['b', '2']]);
  await world.clock.run(flushing);
  await flush(world);
  t.equal(failures < 0, true, 'it did fail');
  t.same(stored(world).slice(0, 2), [
    [1, 'a', '2'],
    [2, 'b', '1'],
  ]);
  await world.kill();
  await world.start();
  t.equal(world.log.endOffset, 4);
});

t.test('nothing goes where the topic does not say so', async (t) => {
  const world = await startWorld({ compactsTail: false });
  put(world, [['a', '1']]);
  put(world, [['a', null]]);
  await flush(world);
  t.equal(stored(world).length, 2);
  t.same(
    world.disk.files().filter((file) => file.includes('filter')),
    [],
  );
  t.equal(recordCount(storedBatches(world)[0]!.bytes, 0), 1);
});

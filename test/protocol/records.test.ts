import fc from 'fast-check';
import t from 'tap';
import {
  assignOffset,
  BATCH_HEADER_BYTES,
  batchFault,
  readBatchHeader,
} from '../../protocol/record-batch.ts';
import {
  buildBatch,
  controlBatch,
  encodeRecords,
  findMaxTimestamp,
  findTimestamp,
  GAP_PRODUCER_ID,
  gapBatch,
  InvalidRecords,
  MarkerType,
  payloadOf,
  RecordCursor,
  readEndTxnMarker,
  readRecords,
} from '../../protocol/records.ts';
import {
  arbitraryRecords,
  kafkajsBatch,
  plain,
  platformaticBatch,
  readByKafkajs,
  readByPlatformatic,
  sampleRecords,
} from './batches.ts';

function readPlain(batch: Buffer) {
  const { baseOffset } = readBatchHeader(batch, 0);
  const records = [...readRecords(batch, 0)];
  return plain(
    records.map((record) => ({ ...record, offsetDelta: record.offset - baseOffset })),
    baseOffset,
  );
}

t.test('a batch that was built gives its records back', async () => {
  fc.assert(
    fc.property(arbitraryRecords, fc.nat(2 ** 40), (records, baseOffset) => {
      const batch = buildBatch({ baseOffset, leaderEpoch: 7, records });
      if (batchFault(batch, 0) !== undefined) throw new Error(batchFault(batch, 0));
      const header = readBatchHeader(batch, 0);
      const largest = Math.max(...records.map(({ timestamp }) => timestamp));
      return (
        header.recordCount === records.length &&
        header.lastOffset === baseOffset + records.length - 1 &&
        header.leaderEpoch === 7 &&
        header.maxTimestamp === largest &&
        header.baseTimestamp === records[0]!.timestamp &&
        fc.stringify(readPlain(batch)) === fc.stringify(plain(records, baseOffset))
      );
    }),
    { numRuns: 200 },
  );
});

t.test('the header says what the batch was built with', async (t) => {
  const records = sampleRecords(3);
  const batch = buildBatch({
    records,
    producerId: 2 ** 45,
    producerEpoch: 9,
    baseSequence: 0x7fff_fffe,
    transactional: true,
    logAppendTime: 1_800_000_000_000,
  });
  t.match(readBatchHeader(batch, 0), {
    producerId: 2 ** 45,
    producerEpoch: 9,
    baseSequence: 0x7fff_fffe,
    lastSequence: 0,
    transactional: true,
    control: false,
    logAppendTime: true,
    maxTimestamp: 1_800_000_000_000,
    baseTimestamp: records[0]!.timestamp,
    lastOffset: 2,
  });
  const times = [...readRecords(batch, 0)].map(({ timestamp }) => timestamp);
  t.strictSame(times, [1_800_000_000_000, 1_800_000_000_000, 1_800_000_000_000]);
});

t.test('a batch whose last records are gone keeps its last offset', async (t) => {
  const emptied = buildBatch({ baseOffset: 50, records: [], lastOffsetDelta: 9 });
  t.match(readBatchHeader(emptied, 0), { lastOffset: 59, recordCount: 0, maxTimestamp: -1 });
  t.strictSame([...readRecords(emptied, 0)], []);
  const sparse = buildBatch({
    baseOffset: 50,
    records: [{ key: null, value: null, timestamp: 1, offsetDelta: 4 }],
    lastOffsetDelta: 9,
  });
  t.equal([...readRecords(sparse, 0)][0]!.offset, 54);
  t.equal(readBatchHeader(sparse, 0).lastOffset, 59);
});

t.test('both clients read our batches, and we read theirs', async () => {
  const unique = (key: string, index: number, all: string[]) => all.indexOf(key) === index;
  await fc.assert(
    fc.asyncProperty(arbitraryRecords, async (drawn) => {
      // kafkajs keeps headers in an object: of equal names one is left, and numbers come first.
      const records = drawn.map((record) => {
        const keys = record.headers!.map(({ key }) => key).filter(unique);
        return {
          ...record,
          headers: keys.map((key) => ({ key: `h${key}`, value: Buffer.from(key) })),
        };
      });
      const expected = fc.stringify(plain(records));
      const ours = buildBatch({ records });
      const readings = [
        await readByKafkajs(ours),
        readByPlatformatic(ours),
        readPlain(await kafkajsBatch(records)),
      ];
      // @platformatic/kafka 1.35 encodes times wrongly that lie more than 2^31 ms from the first.
      const first = records[0]!.timestamp;
      if (records.every(({ timestamp }) => Math.abs(timestamp - first) < 2 ** 31)) {
        readings.push(readPlain(platformaticBatch(records)));
      }
      for (const reading of readings) {
        if (fc.stringify(reading) !== expected) throw new Error(fc.stringify(reading));
      }
    }),
    { numRuns: 60 },
  );
});

t.test('the batches of both clients have the checksum and the size that they say', async (t) => {
  for (const batch of [await kafkajsBatch(sampleRecords(5)), platformaticBatch(sampleRecords(5))]) {
    t.equal(batchFault(batch, 0), undefined);
    t.match(readBatchHeader(batch, 0), { baseOffset: 0, lastOffset: 4, producerId: -1 });
  }
});

t.test('records cut or changed at any byte are refused or harmless', async (t) => {
  const payload = encodeRecords(sampleRecords(3), 1_700_000_000_000);
  const walk = (bytes: Buffer) => {
    const cursor = new RecordCursor(bytes);
    while (cursor.next()) {
      const ends = [cursor.keyAt + cursor.keyBytes, cursor.valueAt + cursor.valueBytes];
      if (Math.max(...ends, cursor.recordEnd) > bytes.length) throw new Error('read past the end');
      cursor.headers();
    }
    return cursor.index + 1;
  };
  const outcome = (bytes: Buffer) => {
    try {
      return walk(bytes);
    } catch (error) {
      if (error instanceof InvalidRecords) return 'refused';
      throw error;
    }
  };
  t.equal(outcome(payload), 3);
  const ends = [0];
  const cursor = new RecordCursor(payload);
  while (cursor.next()) ends.push(cursor.recordEnd);
  for (let length = 0; length < payload.length; length++) {
    const expected = ends.includes(length) ? ends.indexOf(length) : 'refused';
    t.equal(outcome(payload.subarray(0, length)), expected, `cut at ${length}`);
  }
  let refused = 0;
  for (let at = 0; at < payload.length; at++) {
    for (const value of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
      const changed = Buffer.from(payload);
      changed[at] = value;
      if (outcome(changed) === 'refused') refused++;
    }
  }
  t.ok(refused > 50, `${refused} changes were refused`);
});

t.test('arbitrary bytes are never read past their end', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      // The same bytes within larger memory: nothing of what lies behind may be seen.
      const memory = Buffer.alloc(bytes.length + 64, 0);
      memory.set(bytes);
      const cursor = new RecordCursor(memory, 0, bytes.length);
      try {
        while (cursor.next()) if (cursor.recordEnd > bytes.length) return false;
      } catch (error) {
        return error instanceof InvalidRecords;
      }
      return true;
    }),
    { numRuns: 3000 },
  );
});

t.test('a record says at which index and why it is refused', async (t) => {
  const payload = encodeRecords(sampleRecords(2), 1_700_000_000_000);
  const cursor = new RecordCursor(payload, 0, payload.length - 1);
  t.ok(cursor.next());
  t.throws(() => cursor.next(), { name: 'InvalidRecords', recordIndex: 1, message: /^record 1: / });
  const endless = Buffer.from('8080808080808080808080', 'hex');
  t.throws(() => new RecordCursor(endless).next(), { message: /more than 5 bytes/ });
  const endlessTime = Buffer.concat([Buffer.from([60, 0]), Buffer.alloc(30, 0x80)]);
  t.throws(() => new RecordCursor(endlessTime).next(), { message: /more than 10 bytes/ });
});

t.test('times of the whole range of int64 are read', async (t) => {
  // Zigzag varlongs of 2^62 and of -2^63, as Java writes them.
  for (const [hex, value] of [
    ['80808080808080808001', 2 ** 62],
    ['ffffffffffffffffff01', -(2 ** 63)],
    ['feffffffffffff1f', 2 ** 53 - 1],
    ['ffffffffffffff1f', -(2 ** 53)],
    ['ffffffff0f', -(2 ** 31)],
    ['feffffff0f', 2 ** 31 - 1],
  ] as const) {
    const bytes = Buffer.from(hex, 'hex');
    const body = Buffer.concat([Buffer.from([0]), bytes, Buffer.from([0, 1, 1, 0])]);
    const cursor = new RecordCursor(Buffer.concat([Buffer.from([body.length * 2]), body]));
    t.ok(cursor.next());
    t.equal(cursor.timestampDelta, value, hex);
  }
});

t.test('a batch with more or fewer records than it counts is refused', async (t) => {
  for (const count of [2, 4]) {
    const batch = buildBatch({ records: sampleRecords(3) });
    batch.writeInt32BE(count, 57);
    t.throws(() => [...readRecords(batch, 0)], InvalidRecords);
  }
});

t.test('look-ups by time find what a walk over all records finds', async () => {
  fc.assert(
    fc.property(arbitraryRecords, fc.nat(4_000_000_000_000), (records, target) => {
      const batch = buildBatch({ baseOffset: 1000, records });
      const found = findTimestamp(batch, 0, target);
      const index = records.findIndex(({ timestamp }) => timestamp >= target);
      const times = records.map(({ timestamp }) => timestamp);
      const largest = Math.max(...times);
      const max = findMaxTimestamp(batch, 0);
      return (
        (index < 0
          ? found === undefined
          : found?.offset === 1000 + index && found.timestamp === times[index]) &&
        max?.timestamp === largest &&
        max.offset === 1000 + times.indexOf(largest)
      );
    }),
  );
});

t.test('look-ups take the time of the log where it set one', async (t) => {
  const batch = buildBatch({ baseOffset: 5, records: sampleRecords(3), logAppendTime: 2e12 });
  t.strictSame(findTimestamp(batch, 0, 2e12), { offset: 5, timestamp: 2e12 });
  t.equal(findTimestamp(batch, 0, 2e12 + 1), undefined);
  t.strictSame(findMaxTimestamp(batch, 0), { offset: 5, timestamp: 2e12 });
  t.equal(findMaxTimestamp(buildBatch({ records: [] }), 0), undefined);
});

t.test('a marker takes one offset and says how the transaction ended', async (t) => {
  for (const type of [MarkerType.abort, MarkerType.commit]) {
    const batch = controlBatch({
      type,
      producerId: 12,
      producerEpoch: 3,
      coordinatorEpoch: 8,
      timestamp: 1_700_000_000_000,
      baseOffset: 77,
    });
    t.equal(batchFault(batch, 0), undefined);
    t.match(readBatchHeader(batch, 0), {
      baseOffset: 77,
      lastOffset: 77,
      control: true,
      transactional: true,
      producerId: 12,
      producerEpoch: 3,
      baseSequence: -1,
      recordCount: 1,
    });
    const marker = readEndTxnMarker(payloadOf(batch, 0));
    t.strictSame(marker, { type, coordinatorEpoch: 8, timestampDelta: 0 });
    const [record] = [...readRecords(batch, 0)];
    t.equal(record!.key!.toString('hex'), `0000000${type}`);
    t.equal(record!.value!.toString('hex'), '000000000008');
  }
});

t.test('other control records and emptied batches are no markers', async (t) => {
  const leaderChange = Buffer.from('00000002', 'hex');
  const records = [{ key: leaderChange, value: Buffer.alloc(20), timestamp: 1 }];
  const other = buildBatch({ control: true, records });
  t.equal(readEndTxnMarker(payloadOf(other, 0)), undefined);
  t.equal(readEndTxnMarker(Buffer.alloc(0)), undefined);
});

t.test('the batch that closes a gap ends where the gap does, clients step over it', async (t) => {
  for (const [from, to] of [
    [100, 101],
    [0, 262_144],
    [7, 7 + 2 ** 30],
    [5, 5 + 2 ** 31],
  ] as const) {
    const batch = gapBatch({ from, to, leaderEpoch: 4, timestamp: 1_700_000_000_000 });
    t.equal(batchFault(batch, 0), undefined);
    t.match(readBatchHeader(batch, 0), {
      baseOffset: from,
      lastOffset: to - 1,
      leaderEpoch: 4,
      control: true,
      recordCount: 1,
      producerId: GAP_PRODUCER_ID,
    });
    t.equal([...readRecords(batch, 0)][0]!.offset, to - 1);
    t.match(readEndTxnMarker(payloadOf(batch, 0)), { type: MarkerType.commit });
    t.equal((await readByKafkajs(batch))[0]!.offset, to - 1);
    // @platformatic/kafka 1.35 reads deltas above 2^30 as negative numbers.
    if (to - from <= 2 ** 30) t.equal(readByPlatformatic(batch)[0]!.offset, to - 1);
  }
  const gap = { leaderEpoch: 0, timestamp: 0 };
  t.throws(() => gapBatch({ from: 5, to: 5, ...gap }), RangeError);
  t.throws(() => gapBatch({ from: 0, to: 2 ** 31 + 1, ...gap }), RangeError);
});

t.test('a batch in the middle of a buffer is read in its place', async (t) => {
  const one = buildBatch({ records: sampleRecords(2) });
  const two = buildBatch({ records: sampleRecords(4) });
  assignOffset(two, 0, 2, 1);
  const both = Buffer.concat([one, two]);
  const offsets = [...readRecords(both, one.length)].map(({ offset }) => offset);
  t.strictSame(offsets, [2, 3, 4, 5]);
  t.equal(payloadOf(both, one.length).length, two.length - BATCH_HEADER_BYTES);
});

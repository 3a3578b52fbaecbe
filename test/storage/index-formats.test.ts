import t from 'tap';
import { EntryTable } from '../../storage/entry-table.ts';
import { IndexCache } from '../../storage/index-cache.ts';
import { OffsetIndex } from '../../storage/offset-index.ts';
import { SegmentIndexes } from '../../storage/segment-indexes.ts';
import { TimeIndex } from '../../storage/time-index.ts';
import { type AbortedTxn, TxnIndex } from '../../storage/txn-index.ts';

function stored(table: EntryTable): string {
  return table.bytes.subarray(0, table.sizeBytes).toString('hex');
}

t.test('an offset index entry is a relative offset and a position', async (t) => {
  const index = new OffsetIndex(1000);
  index.append(1005, 4097);
  index.append(0x7fff_ffff + 1000, 0x7fff_fff0);
  t.equal(stored(index.table), '0000000500001001' + '7fffffff7ffffff0');
  t.throws(() => index.append(0x8000_0000 + 1000, 0x7fff_fff1), RangeError);
  t.throws(() => index.append(999, 1), RangeError);
});

t.test('offset index entries rise', async (t) => {
  const index = new OffsetIndex(0);
  index.append(10, 100);
  t.throws(() => index.append(10, 200), RangeError);
  t.throws(() => index.append(11, 100), RangeError);
  index.append(11, 101);
  t.same(index.last, { offset: 11, position: 101 });
});

t.test('the offset index finds the last entry at or below, like a plain search', async (t) => {
  const index = new OffsetIndex(50);
  const entries: { offset: number; position: number }[] = [];
  for (let at = 0; at < 40; at++) {
    const entry = { offset: 50 + at * 3 + (at % 2), position: (at + 1) * 17 };
    entries.push(entry);
    index.append(entry.offset, entry.position);
  }
  for (let offset = 48; offset < 180; offset++) {
    const below = entries.filter((entry) => entry.offset <= offset).at(-1);
    t.same(index.lookup(offset), below ?? { offset: 50, position: 0 });
  }
  for (let position = 0; position < 700; position += 5) {
    const below = entries.filter((entry) => entry.position <= position).at(-1);
    t.equal(index.positionAtOrBelow(position), below?.position ?? 0);
  }
});

t.test('an offset index file that cannot be right is found out', async (t) => {
  const index = new OffsetIndex(0);
  for (let at = 1; at <= 5; at++) index.append(at * 10, at * 100);
  const bytes = Buffer.from(index.table.bytes.subarray(0, index.table.sizeBytes));
  t.equal(OffsetIndex.fault(bytes, 501), undefined);
  t.equal(OffsetIndex.fault(Buffer.alloc(0), 0), undefined);
  t.match(OffsetIndex.fault(bytes, 500), /points to 500/);
  t.match(OffsetIndex.fault(bytes.subarray(0, 39), 501), /multiple/);
  t.match(OffsetIndex.fault(Buffer.concat([bytes, Buffer.alloc(8)]), 5000), /does not rise/);
  const swapped = Buffer.concat([bytes.subarray(8, 16), bytes.subarray(0, 8)]);
  t.match(OffsetIndex.fault(swapped, 5000), /does not rise/);
});

t.test('a time index entry is a timestamp and a relative offset', async (t) => {
  const index = new TimeIndex(7);
  index.maybeAppend(0x18c_0000_0001, 9);
  index.maybeAppend(0x18c_0000_0001, 12);
  index.maybeAppend(5, 13);
  index.maybeAppend(0x18c_0000_0002, 14);
  t.equal(stored(index.table), '0000018c0000000100000002' + '0000018c0000000200000007');
  t.same(index.lookup(4), { timestamp: -1, offset: 7 });
  t.same(index.lookup(0x18c_0000_0001), { timestamp: 0x18c_0000_0001, offset: 9 });
  t.same(index.lookup(Number.MAX_SAFE_INTEGER), { timestamp: 0x18c_0000_0002, offset: 14 });
  t.same(index.lastBelowOffset(14), { timestamp: 0x18c_0000_0001, offset: 9 });
  t.same(index.lastBelowOffset(9), { timestamp: -1, offset: 7 });
});

t.test('a time index file that cannot be right is found out', async (t) => {
  const index = new TimeIndex(0);
  for (let at = 1; at <= 3; at++) index.maybeAppend(at * 10, at);
  const bytes = Buffer.from(index.table.bytes.subarray(0, index.table.sizeBytes));
  t.equal(TimeIndex.fault(bytes), undefined);
  t.match(TimeIndex.fault(bytes.subarray(1)), /multiple/);
  t.match(TimeIndex.fault(Buffer.concat([bytes, Buffer.alloc(12)])), /does not rise/);
});

t.test('an aborted transaction is 34 bytes', async (t) => {
  const index = new TxnIndex();
  index.append({ producerId: 0x1234, firstOffset: 10, lastOffset: 20, lastStableOffset: 21 });
  const fields = [
    '0000',
    '0000000000001234',
    '000000000000000a',
    '0000000000000014',
    '0000000000000015',
  ];
  t.equal(stored(index.table), fields.join(''));
  t.throws(
    () => index.append({ producerId: 1, firstOffset: 5, lastOffset: 20, lastStableOffset: 30 }),
    RangeError,
  );
});

t.test('aborted transactions are found by overlap, and the search knows its end', async (t) => {
  const index = new TxnIndex();
  const txns: AbortedTxn[] = [
    { producerId: 1, firstOffset: 0, lastOffset: 10, lastStableOffset: 5 },
    { producerId: 2, firstOffset: 5, lastOffset: 15, lastStableOffset: 16 },
    { producerId: 3, firstOffset: 18, lastOffset: 30, lastStableOffset: 31 },
  ];
  for (const txn of txns) index.append(txn);
  const collect = (from: number, to: number) => {
    const found: AbortedTxn[] = [];
    const isComplete = index.collect(from, to, found);
    return { ids: found.map(({ producerId }) => producerId), isComplete };
  };
  t.same(collect(0, 5), { ids: [1], isComplete: true });
  t.same(collect(0, 16), { ids: [1, 2], isComplete: true });
  t.same(collect(11, 17), { ids: [2], isComplete: true });
  t.same(collect(16, 18), { ids: [], isComplete: true });
  t.same(collect(16, 40), { ids: [3], isComplete: false });
  t.same(collect(31, 40), { ids: [], isComplete: false });
  index.truncateFrom(15);
  t.same(collect(0, 40), { ids: [1], isComplete: false });
});

t.test('a transaction index file that cannot be right is found out', async (t) => {
  const index = new TxnIndex();
  index.append({ producerId: 1, firstOffset: 100, lastOffset: 110, lastStableOffset: 111 });
  index.append({ producerId: 1, firstOffset: 112, lastOffset: 120, lastStableOffset: 121 });
  const bytes = Buffer.from(index.table.bytes.subarray(0, index.table.sizeBytes));
  t.equal(TxnIndex.fault(bytes, 105), undefined);
  t.match(TxnIndex.fault(bytes, 111), /out of order/);
  t.match(TxnIndex.fault(bytes.subarray(0, 67), 100), /multiple/);
  bytes[35] = 1;
  t.match(TxnIndex.fault(bytes, 100), /version/);
});

t.test('a table knows what its file does not have yet', async (t) => {
  const table = new EntryTable(4, Buffer.from('0000000100000002', 'hex'));
  t.equal(table.pendingBytes, 0);
  for (let value = 3; value < 30; value++) {
    const at = table.add();
    table.bytes.writeInt32BE(value, at);
  }
  const { bytes, position, count } = table.pending();
  t.equal(position, 8);
  t.equal(bytes.length, 27 * 4);
  t.equal(bytes.readInt32BE(0), 3);
  table.add();
  table.markStored(count);
  t.equal(table.pendingBytes, 4, 'what came meanwhile is still to be written');
  table.truncate(1);
  t.equal(table.pendingBytes, 0);
  t.equal(table.pending().position, 4);
});

t.test('an entry is made for each interval and for nothing else', async (t) => {
  const indexes = new SegmentIndexes(0);
  for (let batch = 0; batch < 10; batch++) {
    indexes.note(batch, batch === 4 ? 900 : 500 + batch, batch * 100, 250);
  }
  const offsets = [0, 1, 2].map((at) => indexes.offsets.entry(at));
  t.same(offsets, [
    { offset: 3, position: 300 },
    { offset: 6, position: 600 },
    { offset: 9, position: 900 },
  ]);
  t.equal(indexes.offsets.table.count, 3);
  t.equal(indexes.times.table.count, 2);
  t.same(indexes.times.entry(0), { timestamp: 503, offset: 3 });
  t.same(indexes.times.entry(1), { timestamp: 900, offset: 4 });
  indexes.truncateAfter(300);
  t.equal(indexes.offsets.table.count, 1);
  t.same(indexes.largest, { timestamp: 503, offset: 3 });
});

t.test('the cache of indexes drops the longest unused', async (t) => {
  const cache = new IndexCache(100);
  const dropped: string[] = [];
  const entry = (name: string) => ({ heldBytes: 40, dropIndexes: () => dropped.push(name) });
  const [a, b, c] = [entry('a'), entry('b'), entry('c')];
  cache.touch(a);
  cache.touch(b);
  cache.touch(a);
  cache.touch(c);
  t.same(dropped, ['b']);
  t.equal(cache.heldBytes, 80);
  cache.forget(a);
  t.equal(cache.heldBytes, 40);
});

import t from 'tap';
import { KeyFilter } from '../../storage/key-filter.ts';
import { HashCollector } from '../../storage/key-hash.ts';

const RANGE = { baseOffset: 42, endOffset: 9_000_000_000, sizeBytes: 123_456 };

function hashesOf(prefix: string, count: number) {
  const hashes = new HashCollector();
  for (let index = 0; index < count; index++) {
    const key = Buffer.from(`${prefix}-${index}`);
    hashes.add(key, 0, key.length);
  }
  return hashes.take();
}

function countOf(filter: KeyFilter, hashes: Uint32Array): number {
  let count = 0;
  for (let at = 0; at < hashes.length; at += 2) {
    if (filter.mayHave(hashes[at]!, hashes[at + 1]!)) count++;
  }
  return count;
}

t.test('it has every key that was added, and few others', async (t) => {
  for (const count of [0, 1, 100, 5000, 100_000]) {
    const filter = new KeyFilter();
    const own = hashesOf('order', count);
    filter.addAll(own);
    t.equal(countOf(filter, own), count);
    const others = countOf(filter, hashesOf('other', 20_000));
    t.ok(others < 600, `${others} of 20 000 others with ${count} keys`);
    t.ok(filter.heldBytes <= Math.max(4096, count * 8), `${filter.heldBytes} bytes`);
  }
});

t.test('at its largest it says maybe of everything, and takes no memory', async (t) => {
  const filter = new KeyFilter(12 * 1024);
  filter.addAll(hashesOf('order', 20_000));
  t.ok(filter.isFull);
  t.equal(filter.heldBytes, 0);
  t.equal(countOf(filter, hashesOf('other', 100)), 100);
  const stored = KeyFilter.decode(filter.encode(RANGE), RANGE);
  t.ok(stored instanceof KeyFilter && stored.isFull);
});

t.test('what was stored is the same filter, and of no other bytes', async (t) => {
  const filter = new KeyFilter();
  const own = hashesOf('order', 10_000);
  filter.addAll(own);
  const bytes = filter.encode(RANGE);
  const stored = KeyFilter.decode(bytes, RANGE);
  if (typeof stored === 'string') throw new Error(stored);
  t.equal(countOf(stored, own), 10_000);
  t.equal(stored.heldBytes, filter.heldBytes);
  t.match(KeyFilter.decode(bytes, { ...RANGE, sizeBytes: 1 }), /does not speak/);
  t.match(KeyFilter.decode(bytes, { ...RANGE, endOffset: 1 }), /does not speak/);
  t.match(KeyFilter.decode(bytes, { ...RANGE, baseOffset: 1 }), /does not speak/);
});

t.test('a file that was cut or changed anywhere is no filter', async (t) => {
  const filter = new KeyFilter();
  filter.addAll(hashesOf('order', 50));
  const bytes = filter.encode(RANGE);
  for (let cut = 0; cut < bytes.length; cut += cut < 64 ? 1 : 97) {
    t.type(KeyFilter.decode(bytes.subarray(0, cut), RANGE), 'string', `cut at ${cut}`);
  }
  for (let at = 0; at < bytes.length; at += at < 64 ? 1 : 97) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 0x10;
    t.type(KeyFilter.decode(changed, RANGE), 'string', `changed at ${at}`);
  }
});

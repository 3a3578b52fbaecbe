/** The hash of keys against its published values, and the map against one of JavaScript's own. */

import fc from 'fast-check';
import t from 'tap';
import { KeyHash } from '../../../storage/cleaner/key-hash.ts';
import { ENTRY_BYTES, OffsetMap } from '../../../storage/cleaner/offset-map.ts';

const SECRET = Buffer.alloc(16);
[0x833d3433, 0x009f389f, 0x2398e64f, 0x417acf39].forEach((word, index) => {
  SECRET.writeUInt32LE(word, index * 4);
});

t.test('the hash is Chaskey, as its authors have it', async (t) => {
  const message = Buffer.from(Array.from({ length: 64 }, (_, index) => index));
  const hash = new KeyHash(SECRET);
  const words = (length: number) => {
    hash.hash(message, 0, length);
    return [hash.h0, hash.h1, hash.h2, hash.h3].map((word) => word >>> 0);
  };
  t.same(words(0), [0x792e8fe5, 0x75ce87aa, 0x2d1450b5, 0x1191970b]);
  t.same(words(1), [0x13a9307b, 0x50e62c89, 0x4577bd88, 0xc0bbdc18]);
  t.same(words(2), [0x55df8922, 0x2c7ff577, 0x73809ef4, 0x4e5084c0]);
});

t.test('keys of all lengths have hashes of their own, wherever they lie', async (t) => {
  const hash = new KeyHash(SECRET);
  const seen = new Set<string>();
  const bytes = Buffer.alloc(200);
  for (let length = 0; length <= 100; length++) {
    hash.hash(bytes, 0, length);
    const here = [hash.h0, hash.h1, hash.h2, hash.h3].join();
    hash.hash(bytes, 77, length);
    t.equal([hash.h0, hash.h1, hash.h2, hash.h3].join(), here);
    seen.add(here);
  }
  t.equal(seen.size, 101);
});

function put(map: OffsetMap, key: Buffer, offset: number): boolean {
  map.hash(3, key, 0, key.length);
  return map.note(3, offset);
}

function get(map: OffsetMap, key: Buffer): number {
  map.hash(5, key, 0, key.length);
  return map.find(5);
}

t.test('it knows the last offset of each key', async () => {
  const puts = fc.array(fc.tuple(fc.string({ maxLength: 40 }), fc.nat(3)), { maxLength: 400 });
  fc.assert(
    fc.property(puts, fc.nat(2 ** 40), (keys, baseOffset) => {
      const map = new OffsetMap({ maxBytes: 1 << 20, loadFactor: 0.9, baseOffset, secret: SECRET });
      const model = new Map<string, number>();
      let offset = baseOffset;
      for (const [key, gap] of keys) {
        offset += gap;
        const bytes = Buffer.from(key);
        if (!put(map, bytes, offset)) return false;
        model.set(key, offset);
        offset++;
      }
      if (map.size !== model.size) return false;
      const other = Buffer.from('a key that is not there, and longer than all');
      if (get(map, other) !== -1) return false;
      return [...model].every(([key, last]) => {
        const bytes = Buffer.from(`..${key}`);
        map.hash(0, bytes, 2, bytes.length - 2);
        return map.find(0) === last;
      });
    }),
  );
});

t.test('its memory is bounded, and what it holds it knows', async (t) => {
  const maxBytes = 300_000;
  const map = new OffsetMap({ maxBytes, loadFactor: 0.9, baseOffset: 7, secret: SECRET });
  const keyOf = (index: number) => Buffer.from(`key ${index}`);
  let count = 0;
  while (put(map, keyOf(count), 7 + count)) count++;
  t.equal(map.size, count);
  t.ok(map.heldBytes <= maxBytes, `${map.heldBytes} bytes`);
  t.ok(count > (maxBytes / ENTRY_BYTES) * 0.8, `${count} keys`);
  for (let index = 0; index < count; index++) {
    const key = keyOf(index);
    if (get(map, key) !== 7 + index) t.fail(`key ${index}`);
  }
  t.ok(put(map, keyOf(3), 1_000_000), 'a key that is there has its place');
  t.equal(get(map, keyOf(3)), 1_000_000);
});

t.test('a map of hardly any memory takes a key all the same', async (t) => {
  const map = new OffsetMap({ maxBytes: 1, loadFactor: 0.1, baseOffset: 0, secret: SECRET });
  t.ok(put(map, Buffer.from('a'), 0));
  t.notOk(put(map, Buffer.from('b'), 1));
  t.ok(put(map, Buffer.from('a'), 2));
  t.equal(get(map, Buffer.from('a')), 2);
});

t.test('offsets too far from the first end the pass', async (t) => {
  const map = new OffsetMap({ maxBytes: 1000, loadFactor: 0.9, baseOffset: 10, secret: SECRET });
  t.ok(put(map, Buffer.from('a'), 10 + 0xffff_fffe));
  t.equal(get(map, Buffer.from('a')), 10 + 0xffff_fffe);
  t.notOk(put(map, Buffer.from('a'), 10 + 0xffff_ffff));
});

import { createRequire } from 'node:module';
import fc from 'fast-check';
import t from 'tap';
import { crc32c, crc32cPortable } from '../../protocol/crc32c.ts';

function isNativeInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve('@node-rs/crc32');
    return true;
  } catch {
    return false;
  }
}

/** RFC 3720, B.4, and the check value of the CRC catalogue. */
const VECTORS: [Buffer, number][] = [
  [Buffer.alloc(0), 0],
  [Buffer.from('123456789'), 0xe3069283],
  [Buffer.alloc(32), 0x8a9136aa],
  [Buffer.alloc(32, 0xff), 0x62a8ab43],
  [Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
  [Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c],
];

t.test('both implementations give the published sums', async (t) => {
  for (const [data, sum] of VECTORS) {
    t.equal(crc32c(data), sum);
    t.equal(crc32cPortable(data), sum);
  }
});

t.test('the native module is what runs where it is installed', async (t) => {
  t.equal(crc32c !== crc32cPortable, isNativeInstalled());
});

t.test('both agree on any bytes at any place of a buffer', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (bytes, from) => {
      const data = Buffer.from(bytes).subarray(from);
      return crc32c(data) === crc32cPortable(data);
    }),
    { numRuns: 1000 },
  );
  t.pass();
});

t.test('a sum goes on where another ended', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
      const data = Buffer.from(bytes);
      const [head, tail] = [data.subarray(0, cut), data.subarray(cut)];
      const whole = crc32c(data);
      return (
        crc32c(tail, crc32c(head)) === whole && crc32cPortable(tail, crc32cPortable(head)) === whole
      );
    }),
  );
  t.pass();
});

import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import {
  lz4Compress,
  lz4Decompress,
  snappyCompress,
  snappyDecompress,
} from '@platformatic/wasm-utils';
import fc from 'fast-check';
import { decompress as fzstdDecompress } from 'fzstd';
import t from 'tap';
import { xxhash32 } from '../../protocol/compression/xxhash32.ts';
import { wasmZstd } from '../../protocol/compression/zstd.ts';
import { zstdFrames } from '../../protocol/compression/zstd-frames.ts';
import {
  type BatchCodec,
  CorruptCompression,
  codecNames,
  DecompressionLimit,
  decompressionLimit,
  loadCodec,
} from '../../protocol/compression.ts';
import { Codec } from '../../protocol/record-batch.ts';

const require = createRequire(import.meta.url);
const MIB = 1024 * 1024;

/** Every codec, and zstd by WebAssembly also where the process has another. */
async function everyCodec(): Promise<[string, BatchCodec][]> {
  const numbers = [Codec.none, Codec.gzip, Codec.snappy, Codec.lz4, Codec.zstd];
  const codecs = await Promise.all(
    numbers.map(
      async (codec): Promise<[string, BatchCodec]> => [codecNames[codec], await loadCodec(codec)],
    ),
  );
  return [...codecs, ['zstd by WebAssembly', await wasmZstd()]];
}

/** Bytes that repeat themselves at all distances, so that matches of all kinds come about. */
const repetitive = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => ({ bytes, back: 0, length: 0 })),
      fc.record({
        bytes: fc.constant(new Uint8Array()),
        back: fc.oneof(fc.nat(20), fc.nat(5000), fc.nat(100_000)),
        length: fc.oneof(fc.nat(70), fc.nat(3000), fc.nat(80_000)),
      }),
    ),
    { maxLength: 30 },
  )
  .map((steps) => {
    const out: number[] = [];
    for (const { bytes, back, length } of steps) {
      out.push(...bytes);
      for (let count = 0; count < length && out.length > 0; count++) {
        out.push(out[Math.max(out.length - 1 - back, 0)]!);
      }
    }
    return Buffer.from(out);
  });

const text = Buffer.from(
  JSON.stringify(
    Array.from({ length: 2000 }, (_, id) => ({ id, name: `user ${(id * id) % 977}`, odd: id % 2 })),
  ),
);

t.test('what was compressed comes back', async () => {
  for (const [name, codec] of await everyCodec()) {
    fc.assert(
      fc.property(repetitive, (data) => {
        const back = codec.decompress(codec.compress(data), Math.max(data.length, 1));
        if (!back.equals(data)) throw new Error(`${name}: ${data.length} bytes`);
      }),
      { numRuns: 60 },
    );
  }
});

t.test('text becomes smaller, noise hardly larger', async (t) => {
  const noise = Buffer.from(
    fc.sample(fc.uint8Array({ minLength: 100_000, maxLength: 100_000 }), 1)[0]!,
  );
  for (const [name, codec] of await everyCodec()) {
    if (name === 'none') continue;
    t.ok(codec.compress(text).length < text.length / 2, name);
    t.ok(codec.compress(noise).length < noise.length * 1.01, name);
  }
});

t.test('snappy and lz4 are read by other programs, and read theirs', async () => {
  const snappy = await loadCodec(Codec.snappy);
  const lz4 = await loadCodec(Codec.lz4);
  const snappyjs = require('snappyjs');
  fc.assert(
    fc.property(repetitive, (data) => {
      if (data.length === 0) return true;
      const asSnappy = snappy.compress(data);
      const asLz4 = lz4.compress(data);
      return (
        snappyDecompress(asSnappy).equals(data) &&
        Buffer.from(snappyjs.uncompress(asSnappy)).equals(data) &&
        snappy.decompress(snappyCompress(data), data.length).equals(data) &&
        lz4Decompress(asLz4).equals(data) &&
        lz4.decompress(lz4Compress(data), data.length).equals(data)
      );
    }),
    { numRuns: 60 },
  );
});

t.test('zstd is read by other programs', async (t) => {
  for (const codec of [await loadCodec(Codec.zstd), await wasmZstd()]) {
    t.ok(Buffer.from(fzstdDecompress(codec.compress(text))).equals(text));
    t.ok(codec.compress(text, 19).length < codec.compress(text, 1).length, 'levels are heeded');
  }
});

t.test('gzip heeds its level', async (t) => {
  const gzip = await loadCodec(Codec.gzip);
  t.ok(gzip.compress(text, 9).length < gzip.compress(text, 1).length);
});

t.test('snappy in the framing of Java clients is read', async (t) => {
  const snappy = await loadCodec(Codec.snappy);
  const head = Buffer.from('82534e41505059000000000100000001', 'hex');
  const parts = [text.subarray(0, 32_768), text.subarray(32_768)];
  const blocks = parts.flatMap((part) => {
    const block = snappy.compress(part);
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    return [length, block];
  });
  const framed = Buffer.concat([head, ...blocks]);
  t.ok(snappy.decompress(framed, text.length).equals(text));
  t.throws(() => snappy.decompress(framed, text.length - 1), DecompressionLimit);
  t.throws(() => snappy.decompress(framed.subarray(0, -1), text.length), CorruptCompression);
  t.throws(() => snappy.decompress(framed.subarray(0, 18), text.length), CorruptCompression);
  const negative = Buffer.concat([head, Buffer.from('ffffffff', 'hex')]);
  t.throws(() => snappy.decompress(negative, text.length), CorruptCompression);
});

t.test('a bomb is refused at the limit, in every codec', async (t) => {
  const bomb = Buffer.alloc(32 * MIB, 'a');
  for (const [name, codec] of await everyCodec()) {
    const bytes = codec.compress(bomb);
    if (name !== 'none') t.ok(bytes.length < bomb.length / 15, `${name}: ${bytes.length} bytes`);
    t.throws(() => codec.decompress(bytes, MIB), DecompressionLimit, name);
    t.throws(() => codec.decompress(bytes, bomb.length - 1), DecompressionLimit, name);
    t.ok(codec.decompress(bytes, bomb.length).equals(bomb), name);
  }
});

t.test('a bomb in several frames is refused by the sum of them', async (t) => {
  const part = Buffer.alloc(MIB, 'b');
  for (const [name, codec] of await everyCodec()) {
    // Snappy has no frames to put one behind the other.
    if (name === 'none' || name === 'snappy') continue;
    const bytes = Buffer.concat(Array.from({ length: 4 }, () => codec.compress(part)));
    t.equal(codec.decompress(bytes, 4 * MIB).length, 4 * MIB, name);
    t.throws(() => codec.decompress(bytes, 4 * MIB - 1), DecompressionLimit, name);
  }
});

t.test('sizes that lie are refused before memory is taken for them', async (t) => {
  const gib = 1024 * MIB;
  const snappy = await loadCodec(Codec.snappy);
  // A length of nearly 4 GiB, and one literal.
  const promise = Buffer.from('ffffffff0f00610000', 'hex');
  t.throws(() => snappy.decompress(promise, 64 * MIB), DecompressionLimit);
  t.throws(() => snappy.decompress(promise, 8 * gib), CorruptCompression);
  const lz4 = await loadCodec(Codec.lz4);
  const frame = Buffer.alloc(19);
  frame.writeUInt32LE(0x184d2204, 0);
  frame[4] = 0x68;
  frame[5] = 0x70;
  frame.writeBigUInt64LE(BigInt(4 * gib), 6);
  frame[14] = (xxhash32(frame, 4, 14) >>> 8) & 0xff;
  t.throws(() => lz4.decompress(frame, 64 * MIB), DecompressionLimit);
  for (const zstd of [await loadCodec(Codec.zstd), await wasmZstd()]) {
    // One segment of 4 GiB, in a raw block of one byte.
    const single = Buffer.from('28b52ffde0000000000100000009000061', 'hex');
    t.throws(() => zstd.decompress(single, 64 * MIB), CorruptCompression);
    // The same with a window of 64 GiB instead.
    const window = Buffer.from('28b52ffd00d0090000', 'hex');
    t.throws(() => zstd.decompress(window, 64 * MIB), { message: /a window of/ });
    // A second frame that promises more than its blocks can hold.
    const lying = Buffer.concat([
      zstd.compress(text),
      Buffer.from('28b52ffda000000010090000', 'hex'),
    ]);
    t.throws(() => zstd.decompress(lying, 64 * MIB), CorruptCompression);
  }
});

t.test('bytes cut at any place are refused', async (t) => {
  const data = text.subarray(0, 400);
  for (const [name, codec] of await everyCodec()) {
    if (name === 'none') continue;
    const bytes = codec.compress(data);
    for (let length = 0; length < bytes.length; length++) {
      try {
        codec.decompress(bytes.subarray(0, length), MIB);
        t.fail(`${name} took ${length} of ${bytes.length} bytes`);
      } catch (error) {
        if (!(error instanceof CorruptCompression)) throw error;
      }
    }
    t.pass(name);
  }
});

t.test('changed bytes give an error or bounded bytes, never anything else', async (t) => {
  for (const [name, codec] of await everyCodec()) {
    if (name === 'none') continue;
    const bytes = codec.compress(text.subarray(0, 3000));
    const most = 10_000;
    fc.assert(
      fc.property(
        fc.nat(bytes.length - 1),
        fc.nat(255),
        fc.nat(bytes.length),
        (at, value, from) => {
          const changed = Buffer.from(bytes);
          changed[at] = value;
          changed[(at + from) % bytes.length] = value ^ 0x55;
          try {
            return codec.decompress(changed, most).length <= most;
          } catch (error) {
            return error instanceof CorruptCompression || error instanceof DecompressionLimit;
          }
        },
      ),
      { numRuns: 400 },
    );
    t.pass(name);
  }
});

/** A frame of one block, with the flags and the checksums that the flags ask for. */
function lz4Frame(flags: number, block: Buffer, content: Buffer): Buffer {
  const head = Buffer.from([0x04, 0x22, 0x4d, 0x18, flags, 0x40, 0]);
  head[6] = (xxhash32(head, 4, 6) >>> 8) & 0xff;
  const word = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value >>> 0);
    return bytes;
  };
  const parts = [head, word(block.length), block];
  if (flags & 0x10) parts.push(word(xxhash32(block)));
  parts.push(word(0));
  if (flags & 0x04) parts.push(word(xxhash32(content)));
  return Buffer.concat(parts);
}

t.test('the checksums of lz4 frames are checked', async (t) => {
  const lz4 = await loadCodec(Codec.lz4);
  const content = Buffer.from('hello');
  const block = Buffer.concat([Buffer.from([0x50]), content]);
  for (const flags of [0x60, 0x70, 0x64, 0x74, 0x54]) {
    const frame = lz4Frame(flags, block, content);
    t.ok(lz4.decompress(frame, 100).equals(content), flags.toString(16));
    const header = Buffer.from(frame);
    header[6]! ^= 1;
    t.throws(() => lz4.decompress(header, 100), { message: /header checksum/ });
    if (flags & 0x04) {
      const last = Buffer.from(frame);
      last[last.length - 1]! ^= 1;
      t.throws(() => lz4.decompress(last, 100), { message: /content checksum/ });
    }
    if (flags & 0x10) {
      const changed = Buffer.from(frame);
      changed[12]! ^= 1;
      t.throws(() => lz4.decompress(changed, 100), { message: /block checksum/ });
    }
  }
});

t.test('linked lz4 blocks reach back, independent ones may not', async (t) => {
  const lz4 = await loadCodec(Codec.lz4);
  // "abcd" as literals; then a match of eight bytes, four back, and five literals.
  const blocks = Buffer.from('050000004061626364' + '09000000' + '04040050' + '3132333435', 'hex');
  const frame = (flags: number) => {
    const head = Buffer.from([0x04, 0x22, 0x4d, 0x18, flags, 0x40, 0]);
    head[6] = (xxhash32(head, 4, 6) >>> 8) & 0xff;
    return Buffer.concat([head, blocks, Buffer.alloc(4)]);
  };
  t.equal(lz4.decompress(frame(0x40), 100).toString(), 'abcdabcdabcd12345');
  t.throws(() => lz4.decompress(frame(0x60), 100), { message: /leads nowhere/ });
});

t.test('skippable frames are passed over', async (t) => {
  const skipped = Buffer.from('502a4d1803000000616263', 'hex');
  for (const codec of [Codec.lz4, Codec.zstd]) {
    const { compress, decompress } = await loadCodec(codec);
    const bytes = Buffer.concat([skipped, compress(text), skipped]);
    t.ok(decompress(bytes, text.length).equals(text), codecNames[codec]);
    const cut = Buffer.concat([compress(text), skipped.subarray(0, -1)]);
    t.throws(() => decompress(cut, text.length), CorruptCompression);
  }
});

t.test('xxHash gives the reference values', async (t) => {
  t.equal(xxhash32(Buffer.alloc(0)), 0x02cc5d05);
  t.equal(xxhash32(Buffer.from('a')), 0x550d7456);
  t.equal(xxhash32(Buffer.from('Nobody inspects the spammish repetition')), 0xe2293b2f);
});

t.test('how large a zstd frame can become is known before', async (t) => {
  const zstd = await loadCodec(Codec.zstd);
  const data = Buffer.alloc(300_000, 'z');
  const [frame] = zstdFrames(zstd.compress(data));
  t.ok(frame!.mostBytes >= data.length);
  t.ok(frame!.mostBytes <= 3 * 131_072);
});

t.test('the limit is the callers, but small bytes may not become enormous ones', async (t) => {
  t.equal(decompressionLimit(100, 64 * MIB), 16 * MIB);
  t.equal(decompressionLimit(100_000, 64 * MIB), 25_600_000);
  t.equal(decompressionLimit(MIB, 64 * MIB), 64 * MIB);
  t.equal(decompressionLimit(100, MIB), MIB);
});

t.test('numbers that are no codec are refused', async (t) => {
  for (const number of [-1, 5, 7]) await t.rejects(loadCodec(number), RangeError);
});

t.test('gzip in several members is read whole', async (t) => {
  const gzip = await loadCodec(Codec.gzip);
  const bytes = Buffer.concat([gzipSync(text), gzipSync(text)]);
  t.equal(gzip.decompress(bytes, 2 * text.length).length, 2 * text.length);
});

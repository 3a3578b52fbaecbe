import fc from 'fast-check';
import t from 'tap';
import { MalformedFrame, Reader } from '../../protocol/reader.ts';
import { Writer } from '../../protocol/writer.ts';

function written(write: (writer: Writer) => void): Buffer {
  const writer = new Writer();
  write(writer);
  return Buffer.concat(writer.finish());
}

function reader(hex: string): Reader {
  return new Reader(Buffer.from(hex, 'hex'));
}

/** The bytes that the protocol guide gives each value. */
const VECTORS: [
  kind: 'int8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'int64',
  number,
  string,
][] = [
  ['int8', -128, '80'],
  ['int8', 127, '7f'],
  ['int16', -2, 'fffe'],
  ['int16', 0x1234, '1234'],
  ['uint16', 0xffff, 'ffff'],
  ['int32', -1, 'ffffffff'],
  ['int32', 0x12345678, '12345678'],
  ['uint32', 0xfedcba98, 'fedcba98'],
  ['int64', -1, 'ffffffffffffffff'],
  ['int64', 2 ** 40 + 3, '0000010000000003'],
  ['int64', -(2 ** 40) - 3, 'fffffefffffffffd'],
  ['int64', Number.MAX_SAFE_INTEGER, '001fffffffffffff'],
  ['int64', Number.MIN_SAFE_INTEGER, 'ffe0000000000001'],
];

t.test('integers are big endian', async (t) => {
  for (const [kind, value, hex] of VECTORS) {
    t.equal(written((w) => w[kind](value)).toString('hex'), hex, `${kind} ${value}`);
    t.equal(reader(hex)[kind](), value, `${kind} ${hex}`);
  }
});

t.test('an int64 beyond the safe integers saturates', async (t) => {
  t.equal(reader('0020000000000000').int64(), Number.MAX_SAFE_INTEGER);
  t.equal(reader('7fffffffffffffff').int64(), Number.MAX_SAFE_INTEGER);
  t.equal(reader('ffe0000000000000').int64(), Number.MIN_SAFE_INTEGER);
  t.equal(reader('8000000000000000').int64(), Number.MIN_SAFE_INTEGER);
});

t.test('a number outside its kind is not written', async (t) => {
  const w = new Writer();
  const bad: [() => void, string][] = [
    [() => w.int8(128), 'int8'],
    [() => w.int16(-32_769), 'int16'],
    [() => w.uint16(-1), 'uint16'],
    [() => w.int32(2 ** 31), 'int32'],
    [() => w.int32(1.5), 'int32 with a fraction'],
    [() => w.int32(Number.NaN), 'int32 of NaN'],
    [() => w.uint32(-1), 'uint32'],
    [() => w.int64(2 ** 53), 'int64'],
    [() => w.int64(undefined as never), 'int64 of nothing'],
    [() => w.float64('1' as never), 'float64'],
    [() => w.unsignedVarint(-1), 'unsigned varint'],
    [() => w.varint(2 ** 31), 'varint'],
  ];
  for (const [write, name] of bad) t.throws(write, RangeError, name);
  t.equal(w.sizeBytes, 0);
});

t.test('varints are those of protocol buffers', async (t) => {
  const vectors: [number, string][] = [
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [2 ** 28 - 1, 'ffffff7f'],
    [2 ** 28, '8080808001'],
    [0xffff_ffff, 'ffffffff0f'],
  ];
  for (const [value, hex] of vectors) {
    t.equal(written((w) => w.unsignedVarint(value)).toString('hex'), hex, `${value}`);
    t.equal(reader(hex).unsignedVarint(), value, hex);
  }
});

t.test('signed varints are zigzag coded', async (t) => {
  const vectors: [number, string][] = [
    [0, '00'],
    [-1, '01'],
    [1, '02'],
    [-2, '03'],
    [2 ** 31 - 1, 'feffffff0f'],
    [-(2 ** 31), 'ffffffff0f'],
  ];
  for (const [value, hex] of vectors) {
    t.equal(written((w) => w.varint(value)).toString('hex'), hex, `${value}`);
    t.equal(reader(hex).varint(), value, hex);
    t.equal(reader(hex).varlong(), value, hex);
  }
});

/** Any int64 as a varint of 1 to 10 bytes. */
function varlongBytes(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

t.test('a varlong is exact within the safe integers and saturates beyond', async (t) => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      return new Reader(varlongBytes(BigInt(value))).varlong() === value;
    }),
  );
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  for (const value of [most, most + 1n, 2n ** 63n - 1n]) {
    t.equal(new Reader(varlongBytes(value)).varlong(), Number.MAX_SAFE_INTEGER, `${value}`);
    t.equal(new Reader(varlongBytes(-value)).varlong(), Number.MIN_SAFE_INTEGER, `${-value}`);
  }
  t.equal(new Reader(varlongBytes(-(2n ** 63n))).varlong(), Number.MIN_SAFE_INTEGER);
});

t.test('a varint with too many bytes is malformed', async (t) => {
  t.throws(() => reader('ffffffff1f').unsignedVarint(), MalformedFrame, 'bits above the 32nd');
  t.throws(() => reader('808080808000').unsignedVarint(), MalformedFrame, 'a sixth byte');
  t.throws(() => reader(`${'80'.repeat(9)}02`).varlong(), MalformedFrame, 'bits above the 64th');
  t.throws(() => reader(`${'80'.repeat(10)}00`).varlong(), MalformedFrame, 'an eleventh byte');
});

const TEXTS = ['', 'a', 'orders.eu-1', 'grüße', '\u{1f980}', 'x'.repeat(32_767), 'é'.repeat(500)];

t.test('strings of all forms come back', async (t) => {
  for (const text of TEXTS) {
    const bytes = written((w) => {
      w.string(text);
      w.nullableString(text);
      w.compactString(text);
      w.compactNullableString(text);
      w.nullableString(null);
      w.compactNullableString(null);
    });
    const r = new Reader(bytes);
    t.equal(r.string(), text);
    t.equal(r.nullableString(), text);
    t.equal(r.compactString(), text);
    t.equal(r.compactNullableString(), text);
    t.equal(r.nullableString(), null);
    t.equal(r.compactNullableString(), null);
    t.equal(r.bytesLeft, 0);
  }
});

t.test('any text is read as Node reads it, again and again', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      const buffer = Buffer.concat([Buffer.of(0, bytes.length), bytes]);
      const text = Buffer.from(bytes).toString('utf8');
      return new Reader(buffer).string() === text && new Reader(buffer).string() === text;
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

t.test('texts that differ in one byte are told apart', async (t) => {
  const base = Buffer.from('a-topic-of-some-length-0000');
  for (let at = 0; at < base.length; at++) {
    for (const byte of [0x21, 0x7e]) {
      const other = Buffer.from(base);
      other[at] = byte;
      const frame = Buffer.concat([Buffer.of(0, other.length), other]);
      t.equal(new Reader(frame).string(), other.toString());
    }
  }
});

t.test('lone surrogates are written as Node writes them', async (t) => {
  const bytes = written((w) => w.string('a\ud800b'));
  t.strictSame(bytes, Buffer.concat([Buffer.of(0, 5), Buffer.from('a\ud800b')]));
});

t.test('a string beyond 32767 bytes is neither written nor read', async (t) => {
  const w = new Writer();
  t.throws(() => w.string('x'.repeat(32_768)), RangeError);
  t.throws(() => w.compactString('é'.repeat(16_384)), RangeError);
  const long = written((w) => {
    w.unsignedVarint(32_769);
    w.raw(Buffer.alloc(32_768));
  });
  t.throws(() => new Reader(long).compactString(), MalformedFrame);
});

t.test('null is malformed where it may not stand', async (t) => {
  t.throws(() => reader('ffff').string(), MalformedFrame);
  t.throws(() => reader('00').compactString(), MalformedFrame);
  t.throws(() => reader('ffffffff').bytes(), MalformedFrame);
  t.throws(() => reader('00').compactBytes(), MalformedFrame);
});

t.test('a negative length other than -1 is malformed', async (t) => {
  t.throws(() => reader('fffe0000').nullableString(), MalformedFrame);
  t.throws(() => reader('fffffffe0000').nullableBytes(), MalformedFrame);
  t.throws(() => reader('fffffffe0000').arrayCount(1), MalformedFrame);
});

t.test('uuids are the base64url text of their 16 bytes', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (raw) => {
      const text = Buffer.from(raw).toString('base64url');
      const bytes = written((w) => w.uuid(text));
      return bytes.equals(raw) && new Reader(bytes).uuid() === text;
    }),
    { numRuns: 500 },
  );
  t.equal(new Reader(Buffer.alloc(16)).uuid(), 'AAAAAAAAAAAAAAAAAAAAAA');
  for (const text of ['', 'AAAAAAAAAAAAAAAAAAAAA', 'AAAAAAAAAAAAAAAAAAAAA+', 'é'.repeat(22)]) {
    t.throws(() => new Writer().uuid(text), RangeError, `refuses "${text}"`);
  }
});

t.test('an array count is held against the bytes its elements need', async (t) => {
  const frame = Buffer.concat([Buffer.of(0, 0, 0, 3), Buffer.alloc(12)]);
  t.equal(new Reader(frame).arrayCount(4), 3);
  t.throws(() => new Reader(frame).arrayCount(5), MalformedFrame);
});

t.test('bytes that are read are copied, records are not', async (t) => {
  const frame = Buffer.from([0, 0, 0, 2, 7, 8, 9]);
  const copy = new Reader(frame).bytes();
  const r = new Reader(frame);
  const slice = r.records();
  frame[4] = 1;
  t.strictSame(copy, Buffer.of(7, 8));
  t.strictSame(slice, Buffer.of(1, 8));
  t.equal(r.bytesLeft, 1);
});

t.test('a reader of a part keeps to the part', async (t) => {
  const r = new Reader(Buffer.from([1, 2, 3, 4, 5]), 1, 3);
  t.equal(r.int16(), 0x0203);
  t.throws(() => r.int8(), MalformedFrame);
});

t.test('the writer grows at every edge without losing a byte', async (t) => {
  for (let before = 0; before <= 40; before++) {
    const writer = new Writer(32);
    writer.raw(Buffer.alloc(before, 0xaa));
    writer.bool(true);
    writer.int8(-1);
    writer.int16(2);
    writer.int32(3);
    writer.int64(4);
    writer.unsignedVarint(300);
    writer.string('grüße');
    writer.uuid('AAAAAAAAAAAAAAAAAAAAAA');
    writer.float64(1.5);
    const { sizeBytes } = writer;
    const bytes = Buffer.concat(writer.finish());
    t.equal(bytes.length, sizeBytes);
    const r = new Reader(bytes, before);
    t.strictSame(
      [r.bool(), r.int8(), r.int16(), r.int32(), r.int64(), r.unsignedVarint()],
      [true, -1, 2, 3, 4, 300],
    );
    t.strictSame([r.string(), r.uuid(), r.float64()], ['grüße', 'AAAAAAAAAAAAAAAAAAAAAA', 1.5]);
  }
});

t.test('tagged fields of every size are written with their size before them', async (t) => {
  for (const size of [0, 1, 127, 128, 16_383, 16_384, 20_000]) {
    const writer = new Writer(32);
    writer.int8(9);
    const mark = writer.beginTag(300);
    writer.raw(Buffer.alloc(size, 5));
    writer.endTag(mark);
    writer.int8(8);
    const r = new Reader(Buffer.concat(writer.finish()));
    t.equal(r.int8(), 9);
    t.equal(r.unsignedVarint(), 300);
    const end = r.tagEnd();
    t.equal(end - r.at, size);
    t.ok(r.buffer.subarray(r.at, end).every((byte) => byte === 5));
    r.at = end;
    t.equal(r.int8(), 8);
    t.equal(r.bytesLeft, 0);
  }
});

t.test('records are given as one buffer or several, small ones are copied', async (t) => {
  for (const sizes of [[], [10], [3000], [10, 3000, 10], [3000, 3000]]) {
    const slices = sizes.map((size, i) => Buffer.alloc(size, i + 1));
    const writer = new Writer();
    writer.records(slices);
    writer.compactRecords(slices);
    writer.records(Buffer.concat(slices));
    const { sizeBytes } = writer;
    const bytes = Buffer.concat(writer.finish());
    t.equal(bytes.length, sizeBytes);
    const r = new Reader(bytes);
    t.strictSame(r.records(), Buffer.concat(slices));
    t.strictSame(r.compactRecords(), Buffer.concat(slices));
    t.strictSame(r.records(), Buffer.concat(slices));
    t.equal(r.bytesLeft, 0);
  }
});

t.test('a large slice in a tagged field is refused, before one it may stand', async (t) => {
  const writer = new Writer();
  writer.records(Buffer.alloc(5000, 3));
  let mark = writer.beginTag(1);
  writer.int32(7);
  writer.endTag(mark);
  const bytes = Buffer.concat(writer.finish());
  t.strictSame(bytes.subarray(5004), Buffer.of(1, 4, 0, 0, 0, 7));
  const other = new Writer();
  mark = other.beginTag(1);
  other.records(Buffer.alloc(5000));
  t.throws(() => other.endTag(mark), RangeError);
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { codec } from '../../protocol/compile.ts';
import { FetchRequest } from '../../protocol/messages/fetch.ts';
import { MetadataRequest } from '../../protocol/messages/metadata.ts';
import { ProduceRequest } from '../../protocol/messages/produce.ts';
import { MalformedFrame, Reader } from '../../protocol/reader.ts';
import type { Message } from '../../protocol/schema.ts';
import { walkCodec } from '../../protocol/walk.ts';
import { Writer } from '../../protocol/writer.ts';
import { arbitraryValues, countValues, encoded, messageVersions } from './declared.ts';

/** More values than this for each byte of a frame would be an allocation that nobody sent. */
const VALUES_PER_BYTE = 24;

/** Whole, sound bytes of a version, of a size worth attacking. */
function soundBytes(message: Message, version: number): Buffer {
  const seed = message.key + version;
  const values = fc.sample(arbitraryValues(message.fields, version), { numRuns: 10, seed });
  const all = values.map((value) => encoded(codec(message, version), value));
  return all.sort((a, b) => b.length - a.length).find((bytes) => bytes.length < 250) ?? all[9]!;
}

/** Decodes what may be no message at all: a value of bounded size, or MalformedFrame. */
function decodeHostile(message: Message, version: number, bytes: Buffer): unknown {
  try {
    const value = codec(message, version).decode(new Reader(bytes));
    assert.ok(countValues(value) <= (bytes.length + 2) * VALUES_PER_BYTE, 'too many values');
    return value;
  } catch (error) {
    if (error instanceof MalformedFrame) return undefined;
    throw error;
  }
}

t.test('a message cut at any byte is malformed', async (t) => {
  for (const { message, version } of messageVersions) {
    const bytes = soundBytes(message, version);
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      assert.throws(() => codec(message, version).decode(new Reader(cut)), MalformedFrame);
      assert.throws(() => walkCodec(message, version).decode(new Reader(cut)), MalformedFrame);
    }
    t.pass(`${message.name} ${version}`);
  }
});

const hex = (text: string) => Buffer.from(text, 'hex');
/** Lengths and counts as an int32 holds them, written over what is there. */
const EVIL_WORDS = ['ffffffff', '7fffffff', '80000000', 'fffffffe'].map(hex);
/** And as varints, put in the place of one byte. */
const EVIL_VARINTS = ['ffffffff0f', 'ffffffffff', '8080808000', '8080808008'].map(hex);

t.test('an evil length or count in any place is malformed or harmless', async (t) => {
  for (const { message, version } of messageVersions) {
    const bytes = soundBytes(message, version);
    for (let at = 0; at < bytes.length; at++) {
      for (const word of EVIL_WORDS) {
        const overwritten = Buffer.from(bytes);
        word.copy(overwritten, at);
        decodeHostile(message, version, overwritten);
      }
      for (const varint of EVIL_VARINTS) {
        const inserted = Buffer.concat([bytes.subarray(0, at), varint, bytes.subarray(at + 1)]);
        decodeHostile(message, version, inserted);
      }
    }
    t.pass(`${message.name} ${version}`);
  }
});

t.test('random bytes are malformed or a value that can be sent again', async (t) => {
  for (const { message, version } of messageVersions) {
    const made = codec(message, version);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (raw) => {
        const value = decodeHostile(message, version, Buffer.from(raw));
        if (value === undefined) return;
        const again = new Reader(encoded(made, value));
        assert.deepEqual(made.decode(again), value);
      }),
      { numRuns: 50, endOnFailure: true },
    );
    t.pass(`${message.name} ${version}`);
  }
});

t.test('a mutated message reads alike through text and walk', async (t) => {
  const changes = fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { minLength: 1, maxLength: 4 });
  for (const { message, version } of messageVersions) {
    const bytes = soundBytes(message, version);
    if (bytes.length === 0) continue;
    fc.assert(
      fc.property(changes, (changes) => {
        const mutated = Buffer.from(bytes);
        for (const [at, byte] of changes) mutated[at % mutated.length] = byte;
        const value = decodeHostile(message, version, mutated);
        if (value === undefined) {
          const read = () => walkCodec(message, version).decode(new Reader(mutated));
          assert.throws(read, MalformedFrame);
        } else {
          assert.deepEqual(walkCodec(message, version).decode(new Reader(mutated)), value);
        }
      }),
      { numRuns: 30, endOnFailure: true },
    );
    t.pass(`${message.name} ${version}`);
  }
});

/** A Fetch request of version 12, its tags written by hand. */
function fetchWithTags(writeTags: (writer: Writer) => void): Buffer {
  const writer = new Writer();
  for (const value of [500, 1, 1000]) writer.int32(value);
  writer.int8(0);
  writer.int32(0);
  writer.int32(-1);
  writer.compactArrayCount(0);
  writer.compactArrayCount(0);
  writer.compactString('');
  writeTags(writer);
  return Buffer.concat([Buffer.from('ffffffff', 'hex'), ...writer.finish()]);
}

t.test('unknown tags are stepped over, wherever and however many', async (t) => {
  const bytes = fetchWithTags((writer) => {
    writer.unsignedVarint(4);
    for (const tag of [0, 7, 20_000, 0xffff_ffff]) {
      const mark = writer.beginTag(tag);
      if (tag === 0) writer.compactString('cluster');
      else writer.raw(Buffer.alloc(tag % 1000));
      writer.endTag(mark);
    }
  });
  const reader = new Reader(bytes);
  t.equal(codec(FetchRequest, 12).decode(reader).clusterId, 'cluster');
  t.equal(reader.bytesLeft, 0);
});

t.test('a tag that says another size than its value has is malformed', async (t) => {
  for (const size of [0, 7, 9]) {
    const bytes = fetchWithTags((writer) => {
      writer.unsignedVarint(1);
      writer.unsignedVarint(0);
      writer.unsignedVarint(size);
      writer.compactString('cluster');
      writer.raw(Buffer.alloc(10));
    });
    t.throws(() => codec(FetchRequest, 12).decode(new Reader(bytes)), MalformedFrame);
  }
});

t.test('a count of tags far beyond the bytes ends at the last byte', async (t) => {
  const bytes = fetchWithTags((writer) => writer.unsignedVarint(0xffff_ffff));
  t.throws(() => codec(FetchRequest, 12).decode(new Reader(bytes)), MalformedFrame);
});

t.test('a hundred million elements in a small frame are refused at their count', async (t) => {
  const count = 100_000_000;
  const writer = new Writer();
  writer.unsignedVarint(count + 1);
  writer.raw(Buffer.alloc(64));
  const compact = Buffer.concat(writer.finish());
  const plain = Buffer.alloc(68);
  plain.writeInt32BE(count);
  const expected = { name: 'MalformedFrame', message: /array of 100000000 elements/ };
  for (const [version, bytes] of [
    [9, compact],
    [8, plain],
  ] as const) {
    const read = () => codec(MetadataRequest, version).decode(new Reader(bytes));
    assert.throws(read, expected);
    t.throws(read, MalformedFrame);
  }
});

t.test('records that are said to be longer than their frame are refused', async (t) => {
  const value = {
    acks: 1,
    timeoutMs: 1,
    topicData: [{ name: 'a', partitionData: [{ index: 0, records: Buffer.from('0123456789') }] }],
  };
  const bytes = encoded(codec(ProduceRequest, 7), value);
  const at = bytes.indexOf('0123456789') - 4;
  t.equal(bytes.readInt32BE(at), 10);
  for (const length of [11, 1000, 0x7fff_ffff, -2, -0x8000_0000]) {
    bytes.writeInt32BE(length, at);
    t.throws(() => codec(ProduceRequest, 7).decode(new Reader(bytes)), MalformedFrame);
  }
  bytes.writeInt32BE(-1, at);
  const { topicData } = codec(ProduceRequest, 7).decode(new Reader(bytes));
  t.equal(topicData[0]?.partitionData[0]?.records, null);
});

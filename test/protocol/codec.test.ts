import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { codec, compileCodec } from '../../protocol/compile.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { MetadataResponse } from '../../protocol/messages/metadata.ts';
import { PartitionRecord } from '../../protocol/messages/metadata-records.ts';
import { ProduceResponse } from '../../protocol/messages/produce.ts';
import { Reader } from '../../protocol/reader.ts';
import { array, int32, message, string, struct, ZERO_UUID } from '../../protocol/schema.ts';
import { walkCodec } from '../../protocol/walk.ts';
import { Writer } from '../../protocol/writer.ts';
import { arbitraryValues, encoded, expectedValues, messageVersions } from './declared.ts';

t.test('compiled text agrees with the walk, and decodes what was encoded', async (t) => {
  for (const { message, version } of messageVersions) {
    const compiled = compileCodec(message, version);
    const walk = walkCodec(message, version);
    fc.assert(
      fc.property(arbitraryValues(message.fields, version), (values) => {
        const bytes = encoded(compiled, values);
        assert.deepEqual(bytes, encoded(walk, values));
        const reader = new Reader(bytes);
        const decoded = compiled.decode(reader);
        assert.equal(reader.bytesLeft, 0);
        assert.deepEqual(decoded, walk.decode(new Reader(bytes)));
        assert.deepEqual(decoded, expectedValues(message.fields, version, values));
        assert.deepEqual(Object.keys(decoded), Object.keys(message.fields));
      }),
      { numRuns: 40, endOnFailure: true },
    );
    t.pass(`${message.name} ${version}`);
  }
});

t.test('where text may not become code, the walk does its work', async (t) => {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const imported = (file: string) =>
    JSON.stringify(new URL(`../../protocol/${file}.${ending}`, import.meta.url).href);
  const program = `
    import { codec } from ${imported('compile')};
    import { HeartbeatRequest } from ${imported('messages/heartbeat')};
    import { Reader } from ${imported('reader')};
    import { Writer } from ${imported('writer')};
    const writer = new Writer();
    const made = codec(HeartbeatRequest, 4);
    made.encode(writer, { groupId: 'g', generationId: 6, memberId: 'm' });
    const value = made.decode(new Reader(Buffer.concat(writer.finish())));
    process.stdout.write(JSON.stringify(value));
  `;
  const flags = ['--disallow-code-generation-from-strings', '--input-type=module'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--eval', program]);
  t.strictSame(JSON.parse(stdout), {
    groupId: 'g',
    generationId: 6,
    memberId: 'm',
    groupInstanceId: null,
  });
});

t.test('a codec is made once for each version', async (t) => {
  t.equal(codec(FetchRequest, 11), codec(FetchRequest, 11));
  t.not(codec(FetchRequest, 11), codec(FetchRequest, 12));
});

t.test('a version outside the declaration is refused by name', async (t) => {
  for (const version of [3, 19, -1]) {
    const error = new ProtocolError(
      'UNSUPPORTED_VERSION',
      `FetchRequest has no version ${version}, only 4-18`,
    );
    t.throws(() => codec(FetchRequest, version), error);
  }
});

t.test('what a version lacks is decoded to its default', async (t) => {
  const value = { maxWaitMs: 1, minBytes: 2, topics: [] };
  const bytes = encoded(codec(FetchRequest, 4), value);
  t.strictSame(codec(FetchRequest, 4).decode(new Reader(bytes)), {
    clusterId: null,
    replicaId: -1,
    replicaState: { replicaId: -1, replicaEpoch: -1 },
    maxWaitMs: 1,
    minBytes: 2,
    maxBytes: 2147483647,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [],
    forgottenTopicsData: [],
    rackId: '',
    locate: { maxBytes: -1, partitionMaxBytes: -1, hostId: '', urls: false },
  });
});

t.test('two decoded values share no default that can be changed', async (t) => {
  const bytes = encoded(codec(FetchRequest, 4), { maxWaitMs: 1, minBytes: 2, topics: [] });
  const first = codec(FetchRequest, 4).decode(new Reader(bytes));
  const second = codec(FetchRequest, 4).decode(new Reader(bytes));
  t.not(first.forgottenTopicsData, second.forgottenTopicsData);
  t.not(first.replicaState, second.replicaState);
});

t.test('a tagged field at its default is not sent', async (t) => {
  const partition = { index: 0, errorCode: 0, baseOffset: 5 };
  const responses = (currentLeader?: { leaderId?: number; leaderEpoch?: number }) => ({
    responses: [{ name: 'a', partitionResponses: [{ ...partition, currentLeader }] }],
  });
  const none = encoded(codec(ProduceResponse, 10), responses());
  t.strictSame(encoded(codec(ProduceResponse, 10), responses({})), none);
  t.strictSame(encoded(codec(ProduceResponse, 10), responses({ leaderId: -1 })), none);
  const some = encoded(codec(ProduceResponse, 10), responses({ leaderEpoch: 3 }));
  // Tag and size, then the struct: two int32 and its own empty tags.
  t.equal(some.length, none.length + 2 + 9);
});

t.test('a nullable tagged field is told from an empty one', async (t) => {
  const record = {
    topicId: ZERO_UUID,
    replicas: [1],
    isr: [1],
    removingReplicas: [],
    addingReplicas: [],
  };
  const decode = (elr: number[] | null | undefined) =>
    codec(PartitionRecord, 2).decode(
      new Reader(encoded(codec(PartitionRecord, 2), { ...record, eligibleLeaderReplicas: elr })),
    ).eligibleLeaderReplicas;
  t.equal(decode(undefined), null);
  t.equal(decode(null), null);
  t.strictSame(decode([]), []);
  t.strictSame(decode([7]), [7]);
});

t.test('a tagged field longer than 127 bytes gets a size of two bytes', async (t) => {
  const host = 'h'.repeat(300);
  const value = { throttleTimeMs: 0, responses: [], nodeEndpoints: [{ nodeId: 1, host }] };
  const bytes = encoded(codec(FetchResponse, 16), value);
  const decoded = codec(FetchResponse, 16).decode(new Reader(bytes));
  t.strictSame(decoded.nodeEndpoints, [{ nodeId: 1, host, port: 0, rack: null }]);
});

t.test('nullable structs are led by a sign, in their place and tagged', async (t) => {
  const declared = message(
    'Test',
    { key: 0, type: 'record', versions: '0-1', flexible: '1+' },
    {
      plain: struct('0+', { a: int32('0+', { default: 4 }) }, { nullable: '0+', default: null }),
      tagged: struct(
        '0+',
        { b: string('0+') },
        { nullable: '0+', default: null, tag: 0, tagged: '1+' },
      ),
    },
  );
  for (const version of [0, 1]) {
    for (const value of [
      { plain: null, tagged: null },
      { plain: { a: 1 }, tagged: null },
      { plain: { a: 4 }, tagged: { b: '' } },
    ]) {
      const bytes = encoded(compileCodec(declared, version), value);
      t.strictSame(bytes, encoded(walkCodec(declared, version), value));
      t.strictSame(compileCodec(declared, version).decode(new Reader(bytes)), value);
      t.strictSame(walkCodec(declared, version).decode(new Reader(bytes)), value);
    }
  }
});

t.test('a name that is no identifier never becomes code', async (t) => {
  const fields = { 'a; process.exit()': int32('0+') };
  const declared = message('Test', { key: 0, type: 'record', versions: '0' }, fields);
  t.throws(() => compileCodec(declared, 0), RangeError);
});

t.test('a field may be called like a word of the language', async (t) => {
  const declared = message(
    'Test',
    { key: 0, type: 'record', versions: '0' },
    { default: int32('0+'), r: int32('0+'), tags: array('0+', { i: int32('0+') }) },
  );
  const value = { default: 1, r: 2, tags: [{ i: 3 }, { i: 4 }] };
  const bytes = encoded(compileCodec(declared, 0), value);
  t.strictSame(compileCodec(declared, 0).decode(new Reader(bytes)), value);
});

t.test('what does not fit its kind is not written', async (t) => {
  const topic = { errorCode: 0, name: 'a', partitions: [] };
  const encode = (given: object) => () =>
    encoded(codec(MetadataResponse, 12), { brokers: [], topics: [{ ...topic, ...given }] });
  t.doesNotThrow(encode({}));
  t.throws(encode({ errorCode: 40_000 }), RangeError);
  t.throws(encode({ errorCode: undefined }), RangeError, 'a field without default left out');
  t.throws(encode({ topicId: 'short' }), RangeError);
  t.throws(encode({ name: 'x'.repeat(40_000) }), RangeError);
});

t.test('records leave as the very buffers they came as, when they are large', async (t) => {
  const large = [Buffer.alloc(5000, 1), Buffer.alloc(9000, 2)];
  const writer = new Writer();
  codec(FetchResponse, 12).encode(writer, {
    throttleTimeMs: 0,
    responses: [
      {
        topic: 'a',
        partitions: [
          {
            partitionIndex: 0,
            errorCode: 0,
            highWatermark: 1,
            abortedTransactions: null,
            records: large,
          },
        ],
      },
    ],
  });
  const { sizeBytes } = writer;
  const buffers = writer.finish();
  t.equal(buffers[1], large[0]);
  t.equal(buffers[2], large[1]);
  t.equal(sizeBytes, Buffer.concat(buffers).length);
  const reader = new Reader(Buffer.concat(buffers));
  const { responses } = codec(FetchResponse, 12).decode(reader);
  t.strictSame(responses[0]?.partitions[0]?.records, Buffer.concat(large));
});

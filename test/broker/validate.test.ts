import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type Codecs, InlineCodecs } from '../../broker/codec-pool.ts';
import { TopicConfig } from '../../broker/config/topic-config.ts';
import { Config } from '../../broker/config.ts';
import {
  RejectedBatch,
  type ValidationRules,
  type ValidBatch,
  validateBatch,
} from '../../broker/validate.ts';
import { validationRules } from '../../broker/validation-rules.ts';
import { codecNames, loadCodec } from '../../protocol/compression.ts';
import type { ErrorName } from '../../protocol/errors.ts';
import {
  batchFault,
  Codec,
  type CodecNumber,
  computeCrc,
  readBatchHeader,
  writeInt64,
} from '../../protocol/record-batch.ts';
import {
  type BatchOptions,
  buildBatch,
  controlBatch,
  payloadOf,
  type RecordInput,
  readRecords,
} from '../../protocol/records.ts';
import {
  arbitraryRecords,
  kafkajsBatch,
  plain,
  platformaticBatch,
  sampleRecords,
} from '../protocol/batches.ts';

const NOW = 1_700_000_000_000;
const codecs = new InlineCodecs();

/** The rules of a topic with some settings of its own. */
function rulesOf(settings: Record<string, string> = {}): ValidationRules {
  const config = new TopicConfig(new Config(), new Map(Object.entries(settings)), false);
  return config.derived(validationRules);
}

const context = { codecs, produceVersion: 13 };

/** Validates as a handler does that waits for the answer. */
async function validate(
  records: Buffer | null,
  settings: Record<string, string> = {},
  nowMs = NOW,
): Promise<ValidBatch> {
  return validateBatch(records, rulesOf(settings), nowMs, context);
}

async function refused(
  t: Test,
  records: Buffer | null,
  error: ErrorName,
  settings: Record<string, string> = {},
): Promise<RejectedBatch> {
  try {
    await validate(records, settings);
  } catch (thrown) {
    if (!(thrown instanceof RejectedBatch)) throw thrown;
    t.equal(thrown.errorName, error, thrown.message);
    return thrown;
  }
  throw new Error(`taken, where ${error} was expected`);
}

/** A batch with one thing changed, and its checksum right again. */
function changed(change: (batch: Buffer) => void, options: Partial<BatchOptions> = {}): Buffer {
  const batch = buildBatch({ records: sampleRecords(3, NOW), ...options });
  change(batch);
  batch.writeUInt32BE(computeCrc(batch, 0), 17);
  return batch;
}

async function compressed(codec: CodecNumber, records: readonly RecordInput[]): Promise<Buffer> {
  const { compress } = await loadCodec(codec);
  return buildBatch({ records, compression: { codec, compress } });
}

t.test('a sound batch is taken in the turn, as it is', async (t) => {
  const batch = buildBatch({ records: sampleRecords(20, NOW) });
  const before = Buffer.from(batch);
  const valid = validateBatch(batch, rulesOf(), NOW, context);
  if (valid instanceof Promise) throw new Error('a promise for an uncompressed batch');
  t.equal(valid.batch, batch);
  t.ok(batch.equals(before));
  t.match(valid, { logAppendTime: -1, header: { recordCount: 20, lastOffset: 19, codec: 0 } });
});

t.test(
  'compressed batches are taken in the turn where nothing asks for their records',
  async (t) => {
    const idle: Codecs = {
      run: () => Promise.reject(new Error('asked for a worker')),
      close: () => Promise.resolve(),
    };
    for (const codec of [Codec.gzip, Codec.snappy, Codec.lz4, Codec.zstd]) {
      const batch = await compressed(codec, sampleRecords(20, NOW));
      for (const settings of [{}, { 'compression.type': codecNames[codec] }]) {
        const rules = rulesOf(settings);
        const valid = validateBatch(batch, rules, NOW, { codecs: idle, produceVersion: 13 });
        t.notOk(valid instanceof Promise, codecNames[codec]);
      }
    }
  },
);

t.test('the batches of both clients are taken', async (t) => {
  const records = sampleRecords(10, NOW);
  t.match(await validate(await kafkajsBatch(records)), { header: { recordCount: 10 } });
  t.match(await validate(await kafkajsBatch(records, Codec.gzip)), { header: { codec: 1 } });
  for (const compression of ['none', 'gzip', 'snappy', 'lz4'] as const) {
    const batch = platformaticBatch(records, compression);
    const valid = await validate(batch, { 'record.validation': 'full' });
    t.equal(codecNames[valid.header.codec], compression);
  }
});

t.test('what is not one whole batch of magic 2 is refused', async (t) => {
  const batch = buildBatch({ records: sampleRecords(2, NOW) });
  await refused(t, null, 'INVALID_RECORD');
  await refused(t, Buffer.alloc(0), 'INVALID_RECORD');
  await refused(t, Buffer.concat([batch, batch]), 'INVALID_RECORD');
  await refused(t, Buffer.concat([batch, Buffer.from([0])]), 'INVALID_RECORD');
  for (let length = 0; length < batch.length; length++) {
    await refused(t, batch.subarray(0, length), 'INVALID_RECORD');
  }
  for (const magic of [0, 1]) {
    await refused(
      t,
      changed((bytes) => bytes.writeInt8(magic, 16)),
      'INVALID_RECORD',
    );
  }
  for (const magic of [-1, 3, 127]) {
    await refused(
      t,
      changed((bytes) => bytes.writeInt8(magic, 16)),
      'CORRUPT_MESSAGE',
    );
  }
});

t.test('a message set of the first format is refused', async (t) => {
  // Offset 0, size 14 + 5, CRC, magic 0, no codec, null key, value "hello".
  const message = Buffer.from(
    '0000000000000000' + '00000013' + '12345678' + '0000' + 'ffffffff' + '0000000568656c6c6f',
    'hex',
  );
  await refused(t, message, 'INVALID_RECORD');
});

t.test('every field of the header that is wrong has its error', async (t) => {
  const cases: [string, ErrorName, (batch: Buffer) => void][] = [
    ['base offset', 'INVALID_RECORD', (b) => writeInt64(b, 1, 0)],
    ['last offset delta too large', 'INVALID_RECORD', (b) => b.writeInt32BE(3, 23)],
    ['last offset delta too small', 'INVALID_RECORD', (b) => b.writeInt32BE(1, 23)],
    ['last offset delta negative', 'INVALID_RECORD', (b) => b.writeInt32BE(-1, 23)],
    ['no records counted', 'INVALID_RECORD', (b) => b.writeInt32BE(0, 57)],
    ['records counted below 0', 'INVALID_RECORD', (b) => b.writeInt32BE(-5, 57)],
    ['control bit', 'INVALID_RECORD', (b) => b.writeInt16BE(0x20, 21)],
    ['delete horizon bit', 'INVALID_RECORD', (b) => b.writeInt16BE(0x40, 21)],
    ['LogAppendTime bit', 'INVALID_TIMESTAMP', (b) => b.writeInt16BE(0x08, 21)],
    ['codec 5', 'UNSUPPORTED_COMPRESSION_TYPE', (b) => b.writeInt16BE(5, 21)],
    ['codec 7', 'UNSUPPORTED_COMPRESSION_TYPE', (b) => b.writeInt16BE(7, 21)],
    ['timestamp far ahead', 'INVALID_TIMESTAMP', (b) => writeInt64(b, NOW * 2, 27)],
    ['one record more than there are', 'INVALID_RECORD', (b) => setCount(b, 4)],
    ['one record less than there are', 'INVALID_RECORD', (b) => setCount(b, 2)],
    ['no sequence with a producer id', 'INVALID_RECORD', (b) => setProducer(b, 5, 0, -1)],
    ['no epoch with a producer id', 'INVALID_RECORD', (b) => setProducer(b, 5, -1, 0)],
    ['the id of gap batches', 'INVALID_RECORD', (b) => setProducer(b, 2 ** 53 - 1, 0, 0)],
    ['an id beyond all blocks', 'INVALID_RECORD', (b) => setProducer(b, 2 ** 60, 0, 0)],
  ];
  for (const [what, error, change] of cases) {
    t.comment(what);
    const batch = changed(change);
    await refused(t, batch, error);
  }
  const cut = changed(() => undefined);
  cut.writeInt32BE(cut.length - 13, 8);
  await refused(t, cut, 'INVALID_RECORD');
  cut.writeInt32BE(13, 8);
  await refused(t, cut, 'CORRUPT_MESSAGE');
  cut.writeInt32BE(40, 8);
  await refused(t, cut.subarray(0, 52), 'CORRUPT_MESSAGE');
  cut.writeInt32BE(-1, 8);
  await refused(t, cut, 'CORRUPT_MESSAGE');
  cut.writeInt32BE(0x7fff_ffff, 8);
  await refused(t, cut, 'INVALID_RECORD');
});

function setCount(batch: Buffer, count: number): void {
  batch.writeInt32BE(count, 57);
  batch.writeInt32BE(count - 1, 23);
}

function setProducer(batch: Buffer, id: number, epoch: number, sequence: number): void {
  writeInt64(batch, id, 43);
  batch.writeInt16BE(epoch, 51);
  batch.writeInt32BE(sequence, 53);
}

t.test('a batch of which any byte was changed on the way is refused', async (t) => {
  const batch = buildBatch({ records: sampleRecords(2, NOW) });
  for (let at = 17; at < batch.length; at++) {
    const flipped = Buffer.from(batch);
    flipped[at]! ^= 0x04;
    await refused(t, flipped, 'CORRUPT_MESSAGE');
  }
});

t.test('what lies before the checksum and is the brokers to set is not looked at', async (t) => {
  const batch = changed((bytes) => bytes.writeInt32BE(77, 12));
  t.match(await validate(batch), { header: { leaderEpoch: 77 } });
});

t.test('records whose lengths, deltas or counts are wrong are refused', async (t) => {
  const batch = buildBatch({ records: sampleRecords(3, NOW) });
  let refusals = 0;
  for (let at = 61; at < batch.length; at++) {
    const broken = Buffer.from(batch);
    broken[at] = 0x7f;
    broken.writeUInt32BE(computeCrc(broken, 0), 17);
    try {
      await validate(broken);
    } catch (error) {
      if (!(error instanceof RejectedBatch)) throw error;
      refusals++;
    }
  }
  t.ok(refusals > 20, `${refusals} refused`);
  const sparse = buildBatch({
    records: [0, 2].map((offsetDelta) => ({ key: null, value: null, timestamp: NOW, offsetDelta })),
    lastOffsetDelta: 1,
  });
  await refused(t, sparse, 'INVALID_RECORD');
  const trailing = buildBatch({ records: sampleRecords(1, NOW) });
  const longer = Buffer.concat([trailing, Buffer.from([0])]);
  longer.writeInt32BE(longer.length - 12, 8);
  longer.writeUInt32BE(computeCrc(longer, 0), 17);
  await refused(t, longer, 'INVALID_RECORD');
});

t.test('batches above the limits are refused', async (t) => {
  const batch = buildBatch({ records: sampleRecords(10, NOW) });
  const size = batch.length;
  await validate(batch, { 'max.message.bytes': String(size) });
  await refused(t, batch, 'MESSAGE_TOO_LARGE', { 'max.message.bytes': String(size - 1) });
  const large = buildBatch({
    records: [{ key: null, value: Buffer.alloc(2 ** 20), timestamp: NOW }],
  });
  const settings = { 'max.message.bytes': String(2 ** 22), 'segment.bytes': String(2 ** 20) };
  await refused(t, large, 'RECORD_LIST_TOO_LARGE', settings);
});

t.test('zstd is for Produce 7 and later', async (t) => {
  const batch = await compressed(Codec.zstd, sampleRecords(2, NOW));
  const rules = rulesOf();
  t.throws(() => validateBatch(batch, rules, NOW, { codecs, produceVersion: 6 }), {
    message: /Produce 6 may not use zstd/,
  });
  t.match(validateBatch(batch, rules, NOW, { codecs, produceVersion: 7 }), {
    header: { codec: Codec.zstd },
  });
});

t.test('markers are not for clients to write', async (t) => {
  const marker = controlBatch({
    type: 1,
    producerId: 4,
    producerEpoch: 0,
    coordinatorEpoch: 0,
    timestamp: NOW,
  });
  await refused(t, marker, 'INVALID_RECORD');
});

t.test('times out of bounds are refused, record by record', async (t) => {
  const times = [NOW, NOW - 1001, NOW + 2001, -1, NOW + 2000, NOW - 1000];
  const records = times.map((timestamp) => ({ key: null, value: null, timestamp }));
  const settings = {
    'message.timestamp.before.max.ms': '1000',
    'message.timestamp.after.max.ms': '2000',
  };
  const error = await refused(t, buildBatch({ records }), 'INVALID_TIMESTAMP', settings);
  t.strictSame(
    error.recordErrors.map(({ index }) => index),
    [1, 2],
  );
  t.match(error.recordErrors[0]!.message, /Timestamp 1699999998999 is not within/);
  // By default the past has no bound, the future one of an hour.
  await validate(buildBatch({ records: [{ key: null, value: null, timestamp: 1 }] }));
  const ahead = [{ key: null, value: null, timestamp: NOW + 3_600_001 }];
  await refused(t, buildBatch({ records: ahead }), 'INVALID_TIMESTAMP');
});

t.test('of compressed batches the times in the header are looked at', async (t) => {
  const late = sampleRecords(2, NOW + 3_600_001);
  await refused(t, await compressed(Codec.gzip, late), 'INVALID_TIMESTAMP');
  await validate(await compressed(Codec.gzip, late), { 'message.timestamp.type': 'LogAppendTime' });
});

t.test('with LogAppendTime the batch gets the time of its arrival', async (t) => {
  const settings = { 'message.timestamp.type': 'LogAppendTime' };
  for (const codec of [Codec.none, Codec.lz4] as const) {
    const batch = await compressed(codec, sampleRecords(3, 5));
    const valid = await validate(batch, settings);
    t.equal(valid.logAppendTime, NOW);
    t.match(valid.header, { logAppendTime: true, maxTimestamp: NOW });
    t.equal(batchFault(valid.batch, 0), undefined);
  }
});

t.test('a largest timestamp that the header has wrong is corrected', async (t) => {
  const batch = changed((bytes) => writeInt64(bytes, 5, 35));
  const valid = await validate(batch);
  t.equal(valid.header.maxTimestamp, NOW + 2);
  t.equal(batchFault(valid.batch, 0), undefined);
  t.equal(readBatchHeader(valid.batch, 0).maxTimestamp, NOW + 2);
});

t.test('compacted topics refuse a batch with a record without key', async (t) => {
  const records = sampleRecords(6, NOW).map((record, index) => ({
    ...record,
    key: index % 3 === 1 ? null : record.key,
  }));
  const settings = { 'cleanup.policy': 'compact,delete' };
  for (const codec of Object.values(Codec)) {
    const batch = await compressed(codec, records);
    const error = await refused(t, batch, 'INVALID_RECORD', settings);
    t.strictSame(
      error.recordErrors.map(({ index }) => index),
      [1, 4],
    );
    await validate(await compressed(codec, sampleRecords(6, NOW)), settings);
  }
  const empty = [{ key: Buffer.alloc(0), value: null, timestamp: NOW }];
  t.ok(await validate(buildBatch({ records: empty }), settings), 'an empty key is a key');
});

t.test('an answer never lists more than a thousand records', async (t) => {
  const records = Array.from({ length: 5000 }, () => ({ key: null, value: null, timestamp: NOW }));
  const error = await refused(t, buildBatch({ records }), 'INVALID_RECORD', {
    'cleanup.policy': 'compact',
  });
  t.equal(error.recordErrors.length, 1000);
});

t.test('full validation finds in compressed batches what is found in others', async (t) => {
  const full = { 'record.validation': 'full' };
  for (const codec of [Codec.gzip, Codec.snappy, Codec.lz4, Codec.zstd]) {
    const sound = await compressed(codec, sampleRecords(8, NOW));
    t.equal((await validate(sound, full)).batch, sound, codecNames[codec]);
    const miscounted = Buffer.from(sound);
    setCount(miscounted, 9);
    miscounted.writeUInt32BE(computeCrc(miscounted, 0), 17);
    await validate(miscounted);
    await refused(t, miscounted, 'INVALID_RECORD', full);
    const noise = changed((bytes) => bytes.writeInt16BE(codec, 21));
    await validate(noise);
    await refused(t, noise, 'INVALID_RECORD', full);
    const wrongTime = Buffer.from(sound);
    writeInt64(wrongTime, 5, 35);
    wrongTime.writeUInt32BE(computeCrc(wrongTime, 0), 17);
    t.equal((await validate(wrongTime, full)).header.maxTimestamp, NOW + 7);
  }
});

t.test('a bomb is refused, whatever the codec', async (t) => {
  const bomb = [{ key: null, value: Buffer.alloc(80 * 2 ** 20), timestamp: NOW }];
  for (const codec of [Codec.gzip, Codec.snappy, Codec.lz4, Codec.zstd]) {
    const settings = { 'record.validation': 'full', 'max.message.bytes': String(2 ** 23) };
    await refused(t, await compressed(codec, bomb), 'MESSAGE_TOO_LARGE', settings);
  }
});

t.test('a record that is too large once decompressed is refused', async (t) => {
  const settings = { 'record.validation': 'full', 'max.decompressed.message.bytes': '1000' };
  const records = [
    ...sampleRecords(1, NOW),
    { key: null, value: Buffer.alloc(1000), timestamp: NOW },
  ];
  const batch = await compressed(Codec.gzip, records);
  const error = await refused(t, batch, 'INVALID_RECORD', settings);
  t.equal(error.recordErrors[0]!.index, 1);
  await validate(buildBatch({ records }), settings);
});

t.test('a topic with a codec of its own gets its batches in that codec', async () => {
  await fc.assert(
    fc.asyncProperty(
      arbitraryRecords,
      fc.constantFrom(...Object.values(Codec)),
      fc.constantFrom(...Object.values(Codec)),
      async (records, from, to) => {
        const { compress } = await loadCodec(from);
        const batch = buildBatch({
          records,
          producerId: 7,
          producerEpoch: 2,
          baseSequence: 40,
          transactional: true,
          compression: { codec: from, compress },
        });
        const valid = await validate(
          batch,
          {
            'compression.type': to === Codec.none ? 'uncompressed' : codecNames[to],
            'max.message.bytes': String(2 ** 26),
          },
          5e12,
        );
        const { decompress } = await loadCodec(to);
        const payload = decompress(payloadOf(valid.batch, 0), 2 ** 26);
        const header = readBatchHeader(valid.batch, 0);
        const got = [...readRecords(valid.batch, 0, payload)];
        const same =
          batchFault(valid.batch, 0) === undefined &&
          header.codec === to &&
          header.producerId === 7 &&
          header.producerEpoch === 2 &&
          header.baseSequence === 40 &&
          header.transactional &&
          fc.stringify(plain(got)) === fc.stringify(plain(records));
        if (!same) throw new Error(`${codecNames[from]} to ${codecNames[to]}`);
      },
    ),
    { numRuns: 60 },
  );
});

t.test('a batch that becomes too large in the topics codec is refused', async (t) => {
  const records = [{ key: null, value: Buffer.alloc(100_000), timestamp: NOW }];
  const batch = await compressed(Codec.gzip, records);
  const settings = { 'compression.type': 'uncompressed', 'max.message.bytes': '50000' };
  await refused(t, batch, 'MESSAGE_TOO_LARGE', settings);
});

t.test('recompression sets the time of arrival where the topic asks for it', async (t) => {
  const valid = await validate(await compressed(Codec.gzip, sampleRecords(3, 5)), {
    'compression.type': 'lz4',
    'message.timestamp.type': 'LogAppendTime',
  });
  t.match(valid.header, { codec: Codec.lz4, logAppendTime: true, maxTimestamp: NOW });
  t.equal(batchFault(valid.batch, 0), undefined);
});

t.test('arbitrary bytes are refused with one of the errors for batches', async () => {
  const settings = { 'record.validation': 'full' };
  const sound = await compressed(Codec.lz4, sampleRecords(4, NOW));
  await fc.assert(
    fc.asyncProperty(
      fc.nat(sound.length - 1),
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      fc.boolean(),
      async (at, bytes, sums) => {
        const batch = Buffer.from(sound);
        batch.set(bytes.subarray(0, batch.length - at), at);
        if (sums && batch.readInt32BE(8) === batch.length - 12) {
          batch.writeUInt32BE(computeCrc(batch, 0), 17);
        }
        try {
          await validate(batch, settings);
        } catch (error) {
          if (!(error instanceof RejectedBatch)) throw error;
        }
      },
    ),
    { numRuns: 1000 },
  );
});

t.test('the rules of a topic are made anew when its settings change', async (t) => {
  const config = new TopicConfig(new Config(), new Map(), false);
  const rules = config.derived(validationRules);
  t.equal(config.derived(validationRules), rules, 'and are kept until then');
  t.match(rules, { keyRequired: false, target: undefined, maxMessageBytes: 1_048_588 });
  config.setOverrides(
    new Map([
      ['cleanup.policy', 'compact'],
      ['compression.type', 'gzip'],
      ['compression.gzip.level', '4'],
    ]),
  );
  t.match(config.derived(validationRules), {
    keyRequired: true,
    target: { codec: Codec.gzip, level: 4 },
  });
});

import { randomBytes } from 'node:crypto';
import t from 'tap';
import type { CheckJob, DecompressJob } from '../../broker/codec-job.ts';
import { InlineCodecs, type JobMemory, WorkerCodecs } from '../../broker/codec-pool.ts';
import { loadCodec } from '../../protocol/compression.ts';
import { Codec } from '../../protocol/record-batch.ts';
import { encodeRecords } from '../../protocol/records.ts';
import { sampleRecords } from '../protocol/batches.ts';
import { until } from './harness.ts';
import { ManualClock } from './manual-clock.ts';

const MIB = 1024 * 1024;

class CountedMemory implements JobMemory {
  bytes = 0;
  most = 0;
  take(_user: 'decompression', sizeBytes: number): void {
    this.bytes += sizeBytes;
    this.most = Math.max(this.most, this.bytes);
  }
  give(_user: 'decompression', sizeBytes: number): void {
    this.bytes -= sizeBytes;
  }
}

async function decompressJob(codec: number, data: Buffer): Promise<DecompressJob> {
  const { compress } = await loadCodec(codec);
  return { kind: 'decompress', codec, payload: compress(data), maxBytes: 64 * MIB };
}

async function checkJob(changes: Partial<CheckJob> = {}): Promise<CheckJob> {
  const records = sampleRecords(50);
  const baseTimestamp = records[0]!.timestamp;
  const { compress } = await loadCodec(Codec.gzip);
  return {
    kind: 'check',
    codec: Codec.gzip,
    payload: compress(encodeRecords(records, baseTimestamp)),
    maxBytes: 64 * MIB,
    claims: { recordCount: 50, baseTimestamp },
    rules: {
      keyRequired: true,
      checksTimestamps: true,
      timestampBeforeMaxMs: 1000,
      timestampAfterMaxMs: 1000,
    },
    maxRecordBytes: MIB,
    nowMs: baseTimestamp,
    target: undefined,
    ...changes,
  };
}

t.test('all codecs decompress in a thread, and the payload stays the callers', async (t) => {
  const codecs = new WorkerCodecs({ clock: new ManualClock() });
  t.teardown(() => codecs.close());
  const data = Buffer.from('something to compress, something to compress'.repeat(100));
  for (const codec of Object.values(Codec)) {
    const job = await decompressJob(codec, data);
    const result = await codecs.run(job);
    t.ok('payload' in result && Buffer.from(result.payload).equals(data), `codec ${codec}`);
    t.ok(job.payload.length > 0, 'the payload was copied, not handed over');
  }
  t.equal(codecs.threadCount, 1, 'one after the other need one thread');
});

t.test('a thread checks and compresses as is done inline', async (t) => {
  const codecs = new WorkerCodecs({ clock: new ManualClock() });
  t.teardown(() => codecs.close());
  const inline = new InlineCodecs();
  const cases: Partial<CheckJob>[] = [
    {},
    { target: { codec: Codec.zstd, level: 5 } },
    { target: { codec: Codec.none, level: undefined } },
    { claims: { recordCount: 51, baseTimestamp: 0 } },
    { claims: { recordCount: 50, baseTimestamp: 5 } },
    { maxBytes: 100 },
    { maxRecordBytes: 10 },
    { payload: Buffer.from('no gzip at all') },
  ];
  for (const changes of cases) {
    const job = await checkJob(changes);
    const [threaded, direct] = await Promise.all([codecs.run(job), inline.run(job)]);
    const payloadOf = (result: object) =>
      'payload' in result && result.payload !== undefined
        ? Buffer.from(result.payload as Uint8Array).toString('hex')
        : undefined;
    t.equal(payloadOf(threaded), payloadOf(direct));
    t.strictSame({ ...threaded, payload: 0 }, { ...direct, payload: 0 });
  }
});

t.test('faults of the bytes are answers', async (t) => {
  const inline = new InlineCodecs();
  t.match(await inline.run(await checkJob({ payload: Buffer.from('no gzip') })), {
    fault: 'corrupt',
    message: /^gzip/,
  });
  t.match(await inline.run(await checkJob({ maxBytes: 100 })), {
    fault: 'too large',
    message: /more than 100 bytes/,
  });
  t.match(await inline.run(await checkJob({ claims: { recordCount: 3, baseTimestamp: 0 } })), {
    fault: 'corrupt',
    message: /^record /,
  });
});

t.test('many jobs share two threads, each gets its own answer', async (t) => {
  const memory = new CountedMemory();
  const codecs = new WorkerCodecs({ clock: new ManualClock(), memory });
  t.teardown(() => codecs.close());
  const texts = Array.from({ length: 20 }, (_, index) => Buffer.from(`text ${index} `.repeat(500)));
  const results = await Promise.all(
    texts.map(async (text, index) => codecs.run(await decompressJob((index % 4) + 1, text))),
  );
  for (const [index, result] of results.entries()) {
    t.ok('payload' in result && Buffer.from(result.payload).equals(texts[index]!));
  }
  t.equal(codecs.threadCount, 2);
  t.equal(memory.bytes, 0, 'all memory was given back');
  t.ok(memory.most > 0);
});

t.test('what becomes large is made one at a time, in a thread that ends with it', async (t) => {
  let cut = 0;
  const onTooLarge = () => {
    cut += 1;
  };
  const codecs = new WorkerCodecs({ clock: new ManualClock(), onTooLarge });
  t.teardown(() => codecs.close());
  // So much of it does not compress that the rest may.
  const data = Buffer.concat([randomBytes(300_000), Buffer.alloc(17 * MIB)]);
  const [first, second] = [await decompressJob(1, data), await decompressJob(4, data)];
  const results = await Promise.all([codecs.run(first), codecs.run(second), codecs.run(first)]);
  for (const result of results) {
    t.equal('payload' in result && result.payload.length, data.length);
  }
  t.equal(cut, 0, 'larger than usual is not too large');
  const bomb = await decompressJob(1, Buffer.alloc(65 * MIB));
  t.match(await codecs.run(bomb), { fault: 'too large' });
  t.equal(cut, 1);
  await until(() => codecs.threadCount <= 1);
  const small = await codecs.run(await decompressJob(2, Buffer.from('small')));
  t.equal('payload' in small && small.payload.length, 5);
});

t.test('a thread without work ends, the next job starts another', async (t) => {
  const clock = new ManualClock();
  const codecs = new WorkerCodecs({ clock, idleMs: 5 });
  t.teardown(() => codecs.close());
  const job = await decompressJob(Codec.gzip, Buffer.from('x'));
  await codecs.run(job);
  t.equal(codecs.threadCount, 1);
  clock.advance(4);
  t.equal(codecs.threadCount, 1);
  clock.advance(1);
  await until(() => codecs.threadCount === 0);
  t.ok('payload' in (await codecs.run(job)));
});

t.test('a bug within a job rejects that job, and the thread goes on', async (t) => {
  const codecs = new WorkerCodecs({ clock: new ManualClock(), workers: 1 });
  t.teardown(() => codecs.close());
  const job = await decompressJob(Codec.gzip, Buffer.from('x'));
  // A number that validation never lets through.
  await t.rejects(codecs.run({ ...job, codec: 7 }), { message: /no codec has the number 7/ });
  t.ok('payload' in (await codecs.run(job)));
});

t.test('closing fails what waits and takes nothing more', async (t) => {
  const memory = new CountedMemory();
  const codecs = new WorkerCodecs({ clock: new ManualClock(), memory, workers: 1 });
  const job = await decompressJob(Codec.gzip, Buffer.alloc(8 * MIB));
  const waiting = Array.from({ length: 3 }, () => codecs.run(job));
  const outcomes = Promise.allSettled(waiting);
  await codecs.close();
  const ended = (await outcomes).filter(({ status }) => status === 'rejected');
  t.ok(ended.length >= 2, `${ended.length} of 3 jobs were ended`);
  await t.rejects(codecs.run(job), { message: /have been stopped/ });
  t.equal(memory.bytes, 0);
  t.equal(codecs.threadCount, 0);
});

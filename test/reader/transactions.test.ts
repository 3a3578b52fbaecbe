/**
 * Readers of committed records beside real transactions, of which every third is aborted, while what
 * they write is persisted and, in the second half, compacted: no aborted record is ever given, no
 * committed one that survives is missed, whichever way the bytes come.
 */

import { Kafka, logLevel, Partitioners } from 'kafkajs';
import t, { type Test } from 'tap';
import { type LocationWay, type Reading, type ReadRecord, read } from '../../reader/index.ts';
import { until } from '../broker/harness.ts';
import { Source } from './source.ts';

const CONFIG = {
  'http.listeners': 'http://127.0.0.1:0',
  'log.segment.bytes': '1048576',
  'log.segment.delete.delay.ms': '20',
  'log.cleaner.backoff.ms': '20',
  'tail.chunk.bytes': '65536',
};
const WAYS: Readonly<Record<string, readonly LocationWay[]>> = {
  file: ['file'],
  url: ['url'],
  none: [],
};
const IN_TRANSACTION = 10;
const KEYS = 40;
const PADDING = '.'.repeat(3000);

/** Two producers whose transactions overlap. */
async function startProducers(t: Test, source: Source) {
  const kafka = new Kafka({ brokers: [source.address], logLevel: logLevel.NOTHING });
  const producers = ['one', 'two'].map((transactionalId) =>
    kafka.producer({
      transactionalId,
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner,
    }),
  );
  for (const producer of producers) {
    await producer.connect();
    t.teardown(() => producer.disconnect());
  }
  let number = 0;
  const committed: string[] = [];
  /** Both write in turn and end in turn; the texts of those that commit are kept. */
  const write = async (round: number) => {
    const [one, two] = await Promise.all(producers.map((producer) => producer.transaction()));
    for (const [index, transaction] of [one!, two!].entries()) {
      const isAborted = (round + index) % 3 === 0;
      const messages = Array.from({ length: IN_TRANSACTION }, () => {
        const text = `${isAborted ? 'aborted' : 'committed'} ${number++}`;
        if (!isAborted) committed.push(text);
        return { key: `k${number % KEYS}`, value: `${text} ${PADDING}` };
      });
      await transaction.send({ topic: source.topic, messages });
    }
    for (const [index, transaction] of [one!, two!].entries()) {
      await ((round + index) % 3 === 0 ? transaction.abort() : transaction.commit());
    }
  };
  return { write, committed };
}

class Committed {
  readonly reading: Reading<ReadRecord>;
  readonly texts: string[] = [];
  readonly offsets: number[] = [];

  constructor(t: Test, source: Source, ways: readonly LocationWay[]) {
    this.reading = read(
      source.options({
        ways,
        isolation: 'read_committed',
        maxWaitMs: 50,
        maxBytes: 60_000,
        maxLocatedBytes: 300_000,
        chunkBytes: 50_000,
      }),
    );
    t.teardown(() => this.reading.close());
  }

  async until(text: string): Promise<void> {
    while (this.texts.at(-1) !== text) {
      const { value } = await this.reading.next();
      this.texts.push(value!.value!.toString('latin1').split(' ').slice(0, 2).join(' '));
      this.offsets.push(value!.offset);
    }
  }
}

function isLocated(t: Test, name: string, { stats }: Reading<ReadRecord>): void {
  const bytes = stats.fileBytes + stats.urlBytes + stats.recordBytes;
  if (name === 'file') t.ok(stats.fileBytes * 2 > bytes, `${stats.fileBytes} of ${bytes} bytes`);
  if (name === 'url') t.ok(stats.urlBytes * 2 > bytes, `${stats.urlBytes} of ${bytes} bytes`);
}

t.test('exactly what was committed', async (t) => {
  const source = await Source.start(t, { config: CONFIG });
  const { write, committed } = await startProducers(t, source);
  const readers = Object.entries(WAYS).map(([name, ways]) => {
    return [name, new Committed(t, source, ways)] as const;
  });
  for (let round = 0; round < 24; round++) {
    await write(round);
    if (round % 4 !== 3) continue;
    if (round % 8 === 7) await source.persist();
    const last = committed.at(round % 8 === 7 ? -1 : -15)!;
    if (round > 8) await Promise.all(readers.map(([, reader]) => reader.until(last)));
  }
  for (const [name, { texts, reading }] of readers) {
    t.same(texts, committed, name);
    isLocated(t, name, reading);
  }
});

t.test('compacted under the readers: nothing aborted, nothing missed that survives', async (t) => {
  const configs = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0' };
  const source = await Source.start(t, { config: CONFIG, configs });
  const passes = () => source.broker.services.metrics.counter('cleaner_passes_total').read();
  const { write, committed } = await startProducers(t, source);
  const readers = Object.entries(WAYS).map(([name, ways]) => {
    return [name, new Committed(t, source, ways)] as const;
  });
  for (let round = 0; round < 60; round++) {
    await write(round);
    if (round % 20 !== 19) continue;
    const before = passes();
    await source.persist();
    // Half of what is there, so that the cleaner works before and behind the readers.
    await until(() => passes() > before || source.log().sizeBytes < 1_000_000);
    await Promise.all(readers.map(([, reader]) => reader.until(committed.at(-1)!)));
  }
  const end = new Committed(t, source, []);
  await end.until(committed.at(-1)!);
  t.ok(end.texts.length < committed.length, `${end.texts.length} of ${committed.length} survive`);
  for (const [name, { texts, offsets, reading }] of readers) {
    t.same(
      texts.filter((text) => !text.startsWith('committed')),
      [],
      `${name}: nothing aborted`,
    );
    t.ok(
      offsets.every((offset, i) => i === 0 || offset > offsets[i - 1]!),
      `${name}: in order`,
    );
    const seen = new Set(offsets);
    t.same(
      end.offsets.filter((offset) => !seen.has(offset)),
      [],
      `${name}: none missed`,
    );
    isLocated(t, name, reading);
  }
});

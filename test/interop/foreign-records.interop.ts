/**
 * Records of clients of other languages: written on every codec by each, read by each of the others
 * and by kafkajs; and streams of idempotent producers over a restart of the broker.
 *
 * With TAILRACE_TEST_PEER=kafka the broker is Apache Kafka, where this was proved.
 */

import t from 'tap';
import { newTopic, producerOf, readAll } from '../clients/kafkajs-client.ts';
import { codecs } from '../clients/kafkajs-codecs.ts';
import { kafkaFor, startTestBroker, uniqueName } from '../clients/test-broker.ts';
import { CLIENTS, doJob, type ForeignRecord, Program, type ReadRecord } from './foreign/driver.ts';
import { consumeWithKcat, produceWithKcat, runKcat } from './foreign/kcat.ts';
import { readServed } from './served.ts';

t.setTimeout(300_000);

const RECORDS = 60;
const NO_CODEC = 0;
const STREAM_RECORDS = 6000;
const STREAM_BEFORE_RESTART = 1000;
const WRITERS = ['kafkajs', 'kcat', ...CLIENTS.map(({ name }) => name)];

const broker = await startTestBroker(t);
const kafka = kafkaFor(broker);
const bootstrap = broker.address;

/** What one writer wrote with one codec. */
interface Written {
  readonly name: string;
  readonly writer: string;
  readonly codec: string;
  readonly topic: string;
  readonly records: readonly ForeignRecord[];
}

/** Texts in many scripts, missing keys, tombstones, and one that is larger than a block. */
function recordsOf(writer: string, codec: string): ForeignRecord[] {
  const headers = [
    { key: 'writer', value: writer },
    { key: 'snowman', value: '☃' },
  ];
  return Array.from({ length: RECORDS }, (_, number) => ({
    // kafka-python takes no record without both.
    key: number % 3 === 0 && number % 7 !== 6 ? null : `key ${number} ключ`,
    value: textOf(number, codec),
    headers,
  }));
}

function textOf(number: number, codec: string): string | null {
  if (number % 7 === 6) return null;
  return number === 20 ? `${codec} `.repeat(60_000) : `${number} 値 ${codec} `.repeat(20);
}

/** What was written, as a reader is to see it. */
function asRead({ topic, records }: Written): ReadRecord[] {
  return records.map((record, offset) => ({
    ...record,
    topic,
    partition: 0,
    offset,
    timestamp: 0,
  }));
}

/** In the order of offsets; when they were written is the writer's own affair. */
function sorted(records: readonly ReadRecord[]): ReadRecord[] {
  return records
    .map((record) => ({ ...record, timestamp: 0 }))
    .sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.offset - b.offset));
}

const all: Written[] = [];
for (const writer of WRITERS) {
  for (const { name: codec } of codecs) {
    const topic = await newTopic(broker);
    all.push({
      name: `${writer}, ${codec}`,
      writer,
      codec,
      topic,
      records: recordsOf(writer, codec),
    });
  }
}
const by = (writer: string): Written[] => all.filter((one) => one.writer === writer);

for (const client of CLIENTS) {
  t.test(`${client.name} writes with every codec`, async (t) => {
    const { told } = await doJob(client, 'produce', { bootstrap, loads: by(client.name) });
    const offsets = Array.from({ length: RECORDS }, (_, offset) => offset);
    t.same(
      told,
      by(client.name).map(({ topic }) => ({ topic, offsets })),
    );
  });
}

t.test('kcat writes with every codec', async () => {
  for (const { topic, codec, records } of by('kcat')) {
    await produceWithKcat(bootstrap, topic, codec, records);
  }
});

t.test('kafkajs writes with every codec', async (t) => {
  const producer = await producerOf(t, kafka);
  for (const { topic, codec, records } of by('kafkajs')) {
    const { type } = codecs.find(({ name }) => name === codec)!;
    const messages = records.map(({ key, value, headers }) => ({
      key,
      value,
      headers: Object.fromEntries(headers.map(({ key, value }) => [key, value ?? ''])),
    }));
    await producer.send({ topic, compression: type, messages });
  }
});

t.test('the batches are in the codecs that were asked for', async (t) => {
  for (const { name, topic, codec } of all) {
    const { codecs: numbers, records } = await readServed(broker, topic);
    const { type } = codecs.find(({ name }) => name === codec)!;
    t.ok(numbers.has(type), `${name}: ${[...numbers]}`);
    // A batch that does not shrink, one record say, is sent as it is by librdkafka and others.
    const others = [...numbers].filter((number) => number !== type && number !== NO_CODEC);
    t.same(others, [], name);
    t.equal(records.length, RECORDS, name);
  }
});

for (const client of CLIENTS) {
  t.test(`${client.name} reads what all have written`, async (t) => {
    const topics = all.map(({ topic }) => topic);
    const count = all.length * RECORDS;
    const { records } = await doJob(client, 'consume', { bootstrap, topics, count });
    for (const written of all) {
      const read = records.filter(({ topic }) => topic === written.topic);
      t.same(sorted(read), asRead(written), written.name);
    }
  });
}

t.test('kcat reads what all have written, in a group', async (t) => {
  const topics = all.map(({ topic }) => topic);
  const records = await consumeWithKcat(bootstrap, uniqueName('kcat'), topics);
  for (const written of all) {
    const read = records.filter(({ topic }) => topic === written.topic);
    t.same(sorted(read), asRead(written), written.name);
  }
});

t.test('kafkajs reads what all have written', async (t) => {
  for (const { name, topic, records } of all) {
    const read = await readAll(t, kafka, topic, RECORDS);
    const texts = read.map(({ key, value, headers }) => [key, value, String(headers?.snowman)]);
    t.same(
      texts,
      records.map(({ key, value }) => [key, value, '☃']),
      name,
    );
  }
});

t.test('kcat asks for metadata and offsets', async (t) => {
  const { topic } = all[0]!;
  const listed = JSON.parse(await runKcat(['-L', '-J', '-b', bootstrap, '-t', topic]));
  t.match(listed.topics, [{ topic, partitions: [{ partition: 0, replicas: [{}], isrs: [{}] }] }]);
  for (const [time, offset] of [
    [-2, 0],
    [-1, RECORDS],
  ] as const) {
    const out = await runKcat(['-Q', '-b', bootstrap, '-t', `${topic}:0:${time}`]);
    t.match(out, new RegExp(`\\[0\\] offset ${offset}\\s`));
  }
});

t.test('idempotent producers write all once and in order over a restart', async (t) => {
  const streams = await Promise.all(
    CLIENTS.map(async (client) => {
      const topic = await newTopic(broker);
      const job = { bootstrap, topic, count: STREAM_RECORDS };
      return { client, topic, program: new Program(client, 'stream', job, false) };
    }),
  );
  for (const { program } of streams) {
    const acked = ({ count }: { count?: number }): boolean => (count ?? 0) >= STREAM_BEFORE_RESTART;
    await program.until('the restart', ({ told }) => told.some(acked));
  }
  await broker.restart();
  const expected = Array.from({ length: STREAM_RECORDS }, (_, number) => String(number));
  for (const { client, topic, program } of streams) {
    await program.ended;
    const { records } = await readServed(broker, topic);
    t.same(
      records.map(({ value }) => value),
      expected,
      client.name,
    );
    t.ok(
      records.every(({ producerId }) => producerId >= 0),
      `${client.name} is idempotent`,
    );
  }
});

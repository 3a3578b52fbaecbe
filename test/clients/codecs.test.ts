/**
 * Compressed batches go through unchanged between clients that compress with different code:
 * kafkajs with its plug-ins, and @platformatic/kafka, each reading what the other wrote.
 */

import t, { type Test } from 'tap';
import { newTopic, producerOf, readAll } from './kafkajs-client.ts';
import { codecs } from './kafkajs-codecs.ts';
import { take, textConsumer, textProducer } from './platformatic-client.ts';
import { compressionsAlgorithms } from './platformatic-release.ts';
import { kafkaFor, startTestBroker } from './test-broker.ts';

const broker = await startTestBroker(t);
const kafka = kafkaFor(broker);

/** More than one block of each codec, with parts that repeat and parts that do not. */
const texts = Array.from({ length: 200 }, (_, index) =>
  JSON.stringify({
    index,
    name: `order ${index % 7}`,
    filling: 'abc'.repeat(index),
    pi: Math.PI * index,
  }),
);

/** @platformatic/kafka takes zstd from Node, which Node 20 does not have. */
const missing = (name: keyof typeof compressionsAlgorithms) =>
  compressionsAlgorithms[name].available ? false : 'this Node has no zstd';

for (const { name, type } of codecs) {
  t.test(`${name}: kafkajs writes, kafkajs reads`, async (t) => {
    const topic = await newTopic(broker);
    await writeWithKafkajs(t, topic, type);
    const records = await readAll(t, kafka, topic, texts.length);
    t.same(
      records.map(({ value }) => value),
      texts,
    );
  });

  t.test(
    `${name}: kafkajs writes, @platformatic/kafka reads`,
    { skip: missing(name) },
    async (t) => {
      const topic = await newTopic(broker);
      await writeWithKafkajs(t, topic, type);
      const consumer = textConsumer(t, broker);
      const messages = await take(consumer, { topics: [topic], mode: 'earliest' }, texts.length);
      t.same(
        messages.map(({ value }) => value),
        texts,
      );
      t.equal(messages[3]?.headers.get('codec'), name);
    },
  );

  t.test(
    `${name}: @platformatic/kafka writes, kafkajs reads`,
    { skip: missing(name) },
    async (t) => {
      const topic = await newTopic(broker);
      const producer = textProducer(t, broker);
      const messages = texts.map((value, index) => ({
        topic,
        key: `key ${index}`,
        value,
        partition: 0,
      }));
      await producer.send({ messages, compression: name, acks: -1 });
      const records = await readAll(t, kafka, topic, texts.length);
      t.same(
        records.map(({ key, value }) => [key, value]),
        messages.map(({ key, value }) => [key, value]),
      );
    },
  );
}

t.test('batches of all codecs lie in one partition', async (t) => {
  const topic = await newTopic(broker);
  for (const { type } of codecs) await writeWithKafkajs(t, topic, type);
  const records = await readAll(t, kafka, topic, texts.length * codecs.length);
  t.same(
    records.map(({ value }) => value),
    codecs.flatMap(() => texts),
  );
  t.same(
    records.map(({ offset }) => Number(offset)),
    records.map((_, index) => index),
  );
});

for (const { name } of codecs.slice(1)) {
  t.test(`a topic with compression.type=${name} compresses anew, unnoticed`, async (t) => {
    const topic = await newTopic(broker, 1, { 'compression.type': name });
    for (const { type } of codecs) await writeWithKafkajs(t, topic, type);
    const records = await readAll(t, kafka, topic, texts.length * codecs.length);
    t.same(
      records.map(({ value }) => value),
      codecs.flatMap(() => texts),
    );
  });
}

async function writeWithKafkajs(test: Test, topic: string, type: number): Promise<void> {
  const producer = await producerOf(test, kafka);
  const [name] = codecs.filter((codec) => codec.type === type).map((codec) => codec.name);
  const headers = { codec: name ?? '' };
  await producer.send({
    topic,
    compression: type,
    messages: texts.map((value) => ({ value, headers })),
  });
}

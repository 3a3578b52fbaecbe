/** Consumers that wait: a record reaches them when it is written, not when their time is over. */

import t from 'tap';
import { newTopic, producerOf } from './kafkajs-client.ts';
import { textConsumer, textProducer } from './platformatic-client.ts';
import { kafkaFor, Signal, startTestBroker, uniqueName } from './test-broker.ts';

/** How long the consumers are ready to wait; a record that took so long was not waited for. */
const MAX_WAIT_MS = 10_000;
const RECORDS = 20;

const broker = await startTestBroker(t);
const kafka = kafkaFor(broker);

/** What the middle one of some delays is. */
function median(delays: readonly number[]): number {
  return delays.toSorted((one, other) => one - other)[Math.floor(delays.length / 2)] ?? 0;
}

t.test('kafkajs gets each record long before its fetch would end', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  const groupId = uniqueName('group');
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: MAX_WAIT_MS });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  let arrived = new Signal<string>();
  await consumer.run({
    eachMessage: async ({ message }) => arrived.resolve(String(message.value)),
  });
  const delays: number[] = [];
  for (let record = 0; record < RECORDS; record += 1) {
    arrived = new Signal();
    const sent = performance.now();
    await producer.send({ topic, messages: [{ value: String(record) }] });
    t.equal(await arrived.promise, String(record));
    delays.push(performance.now() - sent);
  }
  t.ok(median(delays) < MAX_WAIT_MS / 10, `half of them within ${median(delays)} ms`);
  // A last one ends the wait that the consumer is in, or it would stay for all of it.
  const stopped = consumer.disconnect();
  await producer.send({ topic, messages: [{ value: 'end' }] });
  await stopped;
});

t.test('@platformatic/kafka gets each record long before its fetch would end', async (t) => {
  const topic = await newTopic(broker);
  const producer = textProducer(t, broker);
  const consumer = textConsumer(t, broker, { maxWaitTime: MAX_WAIT_MS });
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest' });
  let arrived = new Signal<string>();
  stream.on('data', ({ value }) => arrived.resolve(value));
  const delays: number[] = [];
  for (let record = 0; record < RECORDS; record += 1) {
    arrived = new Signal();
    const sent = performance.now();
    await producer.send({ messages: [{ topic, value: String(record) }] });
    t.equal(await arrived.promise, String(record));
    delays.push(performance.now() - sent);
  }
  t.ok(median(delays) < MAX_WAIT_MS / 10, `half of them within ${median(delays)} ms`);
  const stopped = stream.close();
  await producer.send({ messages: [{ topic, value: 'end' }] });
  await stopped;
});

t.test('a consumer of two topics wakes for either', async (t) => {
  const topics = [await newTopic(broker), await newTopic(broker)];
  const producer = await producerOf(t, kafka);
  const groupId = uniqueName('group');
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: MAX_WAIT_MS });
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  let arrived = new Signal<string>();
  await consumer.run({ eachMessage: async ({ topic }) => arrived.resolve(topic) });
  const began = performance.now();
  for (const topic of [...topics, ...topics.toReversed()]) {
    arrived = new Signal();
    await producer.send({ topic, messages: [{ value: 'v' }] });
    t.equal(await arrived.promise, topic);
  }
  t.ok(performance.now() - began < MAX_WAIT_MS / 2, 'no fetch was waited out');
  const stopped = consumer.disconnect();
  await producer.send({ topic: topics[0]!, messages: [{ value: 'end' }] });
  await stopped;
});

/** The broker is restarted under its clients: they come back and nothing is lost or doubled. */

import t from 'tap';
import {
  MAX_WAIT_MS,
  newTopic,
  numbered,
  numbersOf,
  producerOf,
  readAll,
} from './kafkajs-client.ts';
import { textConsumer, textProducer } from './platformatic-client.ts';
import { isApacheKafka, kafkaFor, Signal, startTestBroker, uniqueName } from './test-broker.ts';

const broker = await startTestBroker(t);
/** Patient, and quick to try again. */
const retry = { initialRetryTime: 30, maxRetryTime: 300, retries: 100 };

t.test('kafkajs: producer and consumer go on after a restart in the stream', async (t) => {
  const kafka = kafkaFor(broker, { retry });
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka, { idempotent: true, maxInFlightRequests: 1 });
  const consumer = kafka.consumer({ groupId: uniqueName('group'), maxWaitTimeInMs: MAX_WAIT_MS });
  t.teardown(() => consumer.disconnect());
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const seen = new Set<number>();
  const order: number[] = [];
  const halfway = new Signal();
  const complete = new Signal();
  await consumer.run({
    eachMessage: async ({ message }) => {
      const number = Number(message.value);
      // What was not committed before the restart comes again; what is new comes in order.
      if (!seen.has(number)) order.push(number);
      seen.add(number);
      if (seen.size === 20) halfway.resolve();
      if (seen.size === 60) complete.resolve();
    },
  });
  for (let first = 0; first < 20; first += 5) {
    await producer.send({ topic, messages: numbered(5, first) });
  }
  await halfway.promise;
  const restarted = broker.restart();
  for (let first = 20; first < 60; first += 5) {
    await producer.send({ topic, messages: numbered(5, first) });
  }
  await restarted;
  await complete.promise;
  const numbers = Array.from({ length: 60 }, (_, index) => index);
  t.same(order, numbers, 'the consumer saw everything in order');
  t.same(numbersOf(await readAll(t, kafka, topic, 60)), numbers, 'the log has everything once');
});

t.test('@platformatic/kafka: a stream goes on after a restart', async (t) => {
  const kafka = kafkaFor(broker, { retry });
  const topic = await newTopic(broker);
  // A JVM takes its time.
  const patience = { retries: isApacheKafka ? 2000 : 200, retryDelay: 30 };
  const producer = textProducer(t, broker, { ...patience, idempotent: true });
  const consumer = textConsumer(t, broker, { ...patience, autocommit: true });
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest' });
  const numbers: number[] = [];
  const halfway = new Signal();
  const complete = new Signal();
  stream.on('error', (error) => complete.reject(error));
  stream.on('data', ({ value }) => {
    numbers.push(Number(value));
    if (numbers.length === 10) halfway.resolve();
    if (numbers.at(-1) === 29) complete.resolve();
  });
  const send = (number: number) =>
    producer.send({ acks: -1, messages: [{ topic, partition: 0, value: String(number) }] });
  for (let number = 0; number < 10; number += 1) await send(number);
  await halfway.promise;
  const restarted = broker.restart();
  for (let number = 10; number < 30; number += 1) await send(number);
  await restarted;
  await complete.promise;
  const expected = Array.from({ length: 30 }, (_, index) => index);
  t.same([...new Set(numbers)], expected, 'everything came, in order');
  t.same(numbersOf(await readAll(t, kafka, topic, 30)), expected, 'the log has everything once');
  await stream.close();
});

t.test('topics, records, configurations and offsets are there after a restart', async (t) => {
  const kafka = kafkaFor(broker, { retry });
  const topic = await newTopic(broker, 3, { 'retention.ms': '7654321' });
  const groupId = uniqueName('group');
  const producer = await producerOf(t, kafka);
  const messages = [0, 1, 2].map((partition) => ({ partition, value: String(partition) }));
  await producer.send({ topic, messages });
  const before = kafka.admin();
  await before.connect();
  await before.setOffsets({ groupId, topic, partitions: [{ partition: 1, offset: '1' }] });
  await before.disconnect();
  await broker.restart();
  const after = kafka.admin();
  t.teardown(() => after.disconnect());
  await after.connect();
  const { topics } = await after.fetchTopicMetadata({ topics: [topic] });
  t.equal(topics[0]?.partitions.length, 3);
  const { resources } = await after.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }],
  });
  t.equal(resources[0]?.configEntries[0]?.configValue, '7654321');
  const [offsets] = await after.fetchOffsets({ groupId, topics: [topic] });
  t.match(
    offsets?.partitions.find(({ partition }) => partition === 1),
    { offset: '1' },
  );
  t.same(numbersOf(await readAll(t, kafka, topic, 3)).toSorted(), [0, 1, 2]);
});

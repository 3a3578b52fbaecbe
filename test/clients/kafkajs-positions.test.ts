/** Where a consumer reads: kafkajs's seek, pause, resets, and offsets by time. */

import t, { type Test } from 'tap';
import {
  consumerOf,
  deleteRecords,
  newTopic,
  numbered,
  numbersOf,
  producerOf,
  type SeenRecord,
  seen,
} from './kafkajs-client.ts';
import { kafkaFor, Signal, startTestBroker, uniqueName } from './test-broker.ts';

const broker = await startTestBroker(t);
const kafka = kafkaFor(broker);
const admin = kafka.admin();
await admin.connect();
t.teardown(() => admin.disconnect());

/** Runs a consumer from a place and gives the first records it sees. */
async function firstFrom(
  test: Test,
  topic: string,
  offset: string,
  count: number,
  fromBeginning = true,
): Promise<SeenRecord[]> {
  const consumer = await consumerOf(test, kafka);
  await consumer.subscribe({ topics: [topic], fromBeginning });
  const records: SeenRecord[] = [];
  const complete = new Signal();
  await consumer.run({
    eachMessage: async (payload) => {
      if (records.length === count) return;
      records.push(seen(payload));
      if (records.length === count) complete.resolve();
    },
  });
  consumer.seek({ topic, partition: 0, offset });
  await complete.promise;
  await consumer.disconnect();
  return records;
}

t.test('seek goes to an offset, within a batch too', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  await producer.send({ topic, messages: numbered(10) });
  await producer.send({ topic, messages: numbered(10, 10) });
  t.same(numbersOf(await firstFrom(t, topic, '7', 5)), [7, 8, 9, 10, 11]);
  t.same(numbersOf(await firstFrom(t, topic, '19', 1)), [19]);
});

t.test('seek goes back and forth while the consumer runs', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  await producer.send({ topic, messages: numbered(20) });
  const consumer = await consumerOf(t, kafka);
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const numbers: number[] = [];
  const complete = new Signal();
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      const number = Number(message.value);
      numbers.push(number);
      if (numbers.length === 3) consumer.seek({ topic, partition, offset: '15' });
      if (number === 19 && numbers.length < 10) consumer.seek({ topic, partition, offset: '5' });
      if (numbers.length === 10) complete.resolve();
    },
  });
  await complete.promise;
  t.same(numbers.slice(0, 10), [0, 1, 2, 15, 16, 17, 18, 19, 5, 6]);
});

t.test('an offset by time is that of the first record at or after it', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  const start = Date.now() - 100_000;
  for (let minute = 0; minute < 10; minute += 1) {
    const messages = numbered(3, minute * 3).map((message, index) => ({
      ...message,
      timestamp: String(start + minute * 1000 + index * 100),
    }));
    await producer.send({ topic, messages });
  }
  const offsetAt = async (timestamp: number) => {
    const [found] = await admin.fetchTopicOffsetsByTimestamp(topic, timestamp);
    return found?.offset;
  };
  t.equal(await offsetAt(start - 1), '0');
  t.equal(await offsetAt(start), '0');
  t.equal(await offsetAt(start + 1), '1', 'inside the first batch');
  t.equal(await offsetAt(start + 201), '3', 'between two batches');
  t.equal(await offsetAt(start + 5000), '15');
  t.equal(await offsetAt(start + 5150), '17');
  t.equal(await offsetAt(start + 9200), '29', 'the last record');
  t.equal(await offsetAt(start + 9201), '30', 'later than all: kafkajs asks for the end');
  const offset = (await offsetAt(start + 5000)) ?? '';
  t.same(numbersOf(await firstFrom(t, topic, offset, 2)), [15, 16]);
});

t.test('out of range, a consumer starts where its reset says', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  await producer.send({ topic, messages: numbered(5) });
  t.same(numbersOf(await firstFrom(t, topic, '1000', 2)), [0, 1], 'from the beginning');

  const consumer = await consumerOf(t, kafka);
  await consumer.subscribe({ topics: [topic], fromBeginning: false });
  const numbers: number[] = [];
  await consumer.run({
    eachMessage: async ({ message }) => {
      numbers.push(Number(message.value));
    },
  });
  consumer.seek({ topic, partition: 0, offset: '1000' });
  // When the consumer takes up its new place is not told, so it is written to until it does.
  while (numbers.length === 0) await producer.send({ topic, messages: numbered(1, 77) });
  t.equal(numbers[0], 77, 'from the end');
});

t.test('below a log start that was raised, a consumer starts at the log start', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  await producer.send({ topic, messages: numbered(10) });
  await deleteRecords(admin, topic, '6');
  t.match(await admin.fetchTopicOffsets(topic), [{ partition: 0, low: '6', high: '10' }]);
  t.same(numbersOf(await firstFrom(t, topic, '2', 3)), [6, 7, 8]);
});

t.test('a paused partition gives nothing until it is resumed', async (t) => {
  const topic = await newTopic(broker, 2);
  const producer = await producerOf(t, kafka);
  const to = (partition: number, value: string) =>
    producer.send({ topic, messages: [{ partition, value }] });
  const consumer = await consumerOf(t, kafka);
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const values: string[] = [];
  let waiting = new Signal();
  let wanted = '';
  const until = (value: string) => {
    wanted = value;
    waiting = new Signal();
    return waiting.promise;
  };
  const joined = new Signal();
  consumer.on(consumer.events.GROUP_JOIN, () => joined.resolve());
  await consumer.run({
    eachMessage: async ({ message }) => {
      values.push(String(message.value));
      if (String(message.value) === wanted) waiting.resolve();
    },
  });
  await joined.promise;
  consumer.pause([{ topic, partitions: [0] }]);
  await to(0, 'held');
  let arrived = until('flowing');
  await to(1, 'flowing');
  await arrived;
  arrived = until('flowing on');
  await to(1, 'flowing on');
  await arrived;
  t.same(values, ['flowing', 'flowing on']);
  arrived = until('held');
  consumer.resume([{ topic, partitions: [0] }]);
  await arrived;
  t.same(values, ['flowing', 'flowing on', 'held']);
});

t.test('without a committed offset a group starts at the end or the beginning', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  await producer.send({ topic, messages: numbered(3) });
  const groupId = uniqueName('group');
  const consumer = await consumerOf(t, kafka, { groupId });
  await consumer.subscribe({ topics: [topic], fromBeginning: false });
  const first = new Signal<number>();
  const fetched = new Signal();
  consumer.on(consumer.events.FETCH, () => fetched.resolve());
  await consumer.run({ eachMessage: async ({ message }) => first.resolve(Number(message.value)) });
  await fetched.promise;
  await producer.send({ topic, messages: numbered(1, 3) });
  t.equal(await first.promise, 3);
  await consumer.disconnect();
  t.match(await admin.fetchOffsets({ groupId, topics: [topic] }), [
    { topic, partitions: [{ partition: 0, offset: '4' }] },
  ]);
});

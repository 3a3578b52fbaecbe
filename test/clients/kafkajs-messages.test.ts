/** Records go through the broker unchanged: kafkajs 2.2.4, producer and consumer. */

import { CompressionTypes } from 'kafkajs';
import t from 'tap';
import {
  consumerOf,
  errorTypeOf,
  newTopic,
  numbered,
  numbersOf,
  producerOf,
  readAll,
  type SeenRecord,
  seen,
} from './kafkajs-client.ts';
import { kafkaFor, Signal, startTestBroker, uniqueName } from './test-broker.ts';

const broker = await startTestBroker(t);
const kafka = kafkaFor(broker);

t.test('a record comes back with key, value, headers and timestamp', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  const timestamp = String(Date.now() - 60_000);
  const [metadata] = await producer.send({
    topic,
    messages: [
      {
        key: 'key',
        value: 'värde',
        timestamp,
        headers: { plain: 'text', many: ['one', 'two'], bytes: Buffer.from([0, 255]) },
      },
    ],
  });
  t.equal(metadata?.errorCode, 0);
  t.equal(metadata?.baseOffset, '0');
  t.equal(metadata?.partition, 0);
  const [record] = await readAll(t, kafka, topic, 1);
  t.match(record, { partition: 0, offset: '0', timestamp, key: 'key', value: 'värde' });
  t.same(record?.headers, {
    plain: Buffer.from('text'),
    many: [Buffer.from('one'), Buffer.from('two')],
    bytes: Buffer.from([0, 255]),
  });
});

t.test('null and empty stay different, in keys, values and headers', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  await producer.send({
    topic,
    messages: [
      { key: null, value: null },
      { key: '', value: '' },
      { key: 'tombstone', value: null },
      { value: 'no key', headers: {} },
    ],
  });
  const records = await readAll(t, kafka, topic, 4);
  t.same(
    records.map(({ key, value }) => [key, value]),
    [
      [null, null],
      ['', ''],
      ['tombstone', null],
      [null, 'no key'],
    ],
  );
});

t.test('with acks 0, 1 and all each record arrives once and in order', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  for (const [index, acks] of [0, 1, -1, 0, -1, 1].entries()) {
    const answer = await producer.send({ topic, acks, messages: numbered(1, index) });
    if (acks === 0) t.notOk(answer?.length, 'acks=0 is not answered');
    else t.equal(answer[0]?.errorCode, 0);
  }
  t.same(numbersOf(await readAll(t, kafka, topic, 6)), [0, 1, 2, 3, 4, 5]);
});

t.test('a record of nearly a megabyte passes, one above the limit is refused', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  const large = Buffer.alloc(1_000_000, 'abcdefghij');
  await producer.send({ topic, messages: [{ value: large }] });
  const tooLarge = producer.send({ topic, messages: [{ value: Buffer.alloc(1_100_000) }] });
  t.equal(await errorTypeOf(tooLarge), 'MESSAGE_TOO_LARGE');
  await producer.send({ topic, messages: [{ value: 'after' }] });
  const records = await readAll(t, kafka, topic, 2);
  t.equal(records[0]?.value, large.toString());
  t.match(records[1], { value: 'after', offset: '1' });
});

t.test('a topic with a larger max.message.bytes takes what others refuse', async (t) => {
  const topic = await newTopic(broker, 1, { 'max.message.bytes': '6000000' });
  const producer = await producerOf(t, kafka);
  const value = Buffer.alloc(5_000_000, 'x');
  await producer.send({ topic, messages: [{ value }] });
  const [record] = await readAll(t, kafka, topic, 1);
  t.equal(record?.value?.length, value.length);
});

t.test('records of one key keep their order over many batches and partitions', async (t) => {
  const topic = await newTopic(broker, 3);
  const producer = await producerOf(t, kafka);
  const keys = ['red', 'green', 'blue', 'grey', 'black'];
  for (let round = 0; round < 20; round += 1) {
    await producer.send({
      topic,
      messages: keys.map((key) => ({ key, value: String(round) })),
      compression: round % 2 === 0 ? CompressionTypes.None : CompressionTypes.GZIP,
    });
  }
  const records = await readAll(t, kafka, topic, 20 * keys.length);
  const rounds = Array.from({ length: 20 }, (_, index) => index);
  for (const key of keys) {
    const own = records.filter((record) => record.key === key);
    t.same(numbersOf(own), rounds, `${key} is in order`);
    t.equal(new Set(own.map(({ partition }) => partition)).size, 1, `${key} is in one partition`);
  }
});

t.test('one sendBatch writes to several topics', async (t) => {
  const topics = [await newTopic(broker), await newTopic(broker, 2)];
  const producer = await producerOf(t, kafka);
  await producer.sendBatch({
    topicMessages: topics.map((topic) => ({ topic, messages: numbered(4) })),
  });
  for (const topic of topics) {
    const values = numbersOf(await readAll(t, kafka, topic, 4));
    t.same(values.toSorted(), [0, 1, 2, 3]);
  }
});

t.test('sends that are under way at once all arrive', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka, { maxInFlightRequests: 5 });
  const numbers = Array.from({ length: 100 }, (_, index) => index);
  const answers = await Promise.all(
    numbers.map((number) => producer.send({ topic, messages: numbered(1, number) })),
  );
  const offsets = answers.map(([answer]) => Number(answer?.baseOffset));
  t.same(
    offsets.toSorted((one, other) => one - other),
    numbers,
    'each got an offset of its own',
  );
  const records = await readAll(t, kafka, topic, numbers.length);
  t.same(
    offsets.map((offset) => Number(records[offset]?.value)),
    numbers,
    'each lies where its answer said',
  );
});

t.test('eachBatch sees every record once, with the high watermark', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka);
  for (let first = 0; first < 500; first += 100) {
    await producer.send({ topic, messages: numbered(100, first) });
  }
  const consumer = await consumerOf(t, kafka);
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const numbers: number[] = [];
  const complete = new Signal();
  await consumer.run({
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat }) => {
      t.equal(batch.highWatermark, '500');
      for (const message of batch.messages) {
        numbers.push(Number(message.value));
        resolveOffset(message.offset);
      }
      await heartbeat();
      if (numbers.length === 500) complete.resolve();
    },
  });
  await complete.promise;
  t.same(
    numbers,
    Array.from({ length: 500 }, (_, index) => index),
  );
});

t.test('eachMessage works on several partitions at a time', async (t) => {
  const partitions = 4;
  const topic = await newTopic(broker, partitions);
  const producer = await producerOf(t, kafka);
  const messages = Array.from({ length: partitions }, (_, partition) => ({
    partition,
    value: String(partition),
  }));
  await producer.send({ topic, messages });
  const consumer = await consumerOf(t, kafka);
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const atWork = new Set<number>();
  const all = new Signal();
  await consumer.run({
    partitionsConsumedConcurrently: partitions,
    eachMessage: async ({ partition }) => {
      atWork.add(partition);
      if (atWork.size === partitions) all.resolve();
      // Nobody ends before all have begun.
      await all.promise;
    },
  });
  await all.promise;
  t.equal(atWork.size, partitions);
});

t.test('a group goes on where it committed', async (t) => {
  const topic = await newTopic(broker);
  const groupId = uniqueName('group');
  const producer = await producerOf(t, kafka);
  const consume = async (count: number): Promise<SeenRecord[]> => {
    const consumer = await consumerOf(t, kafka, { groupId });
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    const records: SeenRecord[] = [];
    const complete = new Signal();
    await consumer.run({
      autoCommit: false,
      eachMessage: async (payload) => {
        if (records.length === count) return;
        records.push(seen(payload));
        if (records.length < count) return;
        const offset = String(Number(payload.message.offset) + 1);
        await consumer.commitOffsets([{ topic, partition: 0, offset }]);
        complete.resolve();
      },
    });
    await complete.promise;
    await consumer.disconnect();
    return records;
  };
  await producer.send({ topic, messages: numbered(10) });
  t.same(numbersOf(await consume(4)), [0, 1, 2, 3]);
  t.same(numbersOf(await consume(3)), [4, 5, 6]);
});

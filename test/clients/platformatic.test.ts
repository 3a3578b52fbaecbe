/** @platformatic/kafka: producing, streams in all their modes, and offsets. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ConsumeOptions } from '@platformatic/kafka';
import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { createTopic } from '../../benchmarks/client/topics.ts';
import {
  type TextConsumer,
  type TextMessage,
  take,
  textConsumer,
  textProducer,
} from './platformatic-client.ts';
import { startTestBroker, uniqueName } from './test-broker.ts';

const broker = await startTestBroker(t);
const connection = await WireConnection.open(broker.host, broker.port);
t.teardown(() => connection.close());

async function newTopic(partitions = 1): Promise<string> {
  const topic = uniqueName('topic');
  await createTopic(connection, topic, partitions);
  return topic;
}

function valuesOf(messages: readonly TextMessage[]): string[] {
  return messages.map(({ value }) => value);
}

function numbered(topic: string, count: number, first = 0) {
  return Array.from({ length: count }, (_, index) => ({
    topic,
    partition: 0,
    value: String(first + index),
  }));
}

t.test('a record comes back with key, value, headers and timestamp', async (t) => {
  const topic = await newTopic();
  const timestamp = BigInt(Date.now() - 60_000);
  const headers = { plain: 'text', empty: '' };
  const { offsets } = await textProducer(t, broker).send({
    acks: -1,
    messages: [{ topic, key: 'key', value: 'värde', headers, timestamp }],
  });
  t.same(offsets, [{ topic, partition: 0, offset: 0n }]);
  const consumer = textConsumer(t, broker);
  const [message] = await take(consumer, { topics: [topic], mode: 'earliest' }, 1);
  t.match(message, { key: 'key', value: 'värde', timestamp, offset: 0n, partition: 0 });
  t.same(Object.fromEntries(message?.headers ?? []), headers);
});

t.test('with acks 0, 1 and all each record arrives once and in order', async (t) => {
  const topic = await newTopic();
  const producer = textProducer(t, broker);
  for (const [index, acks] of [1, 0, -1, 0, 1].entries()) {
    const { offsets } = await producer.send({ acks, messages: numbered(topic, 1, index) });
    if (acks !== 0) t.equal(offsets?.[0]?.offset, BigInt(index));
  }
  const consumer = textConsumer(t, broker);
  const messages = await take(consumer, { topics: [topic], mode: 'earliest' }, 5);
  t.same(valuesOf(messages), ['0', '1', '2', '3', '4']);
});

t.test('a record of nearly a megabyte passes, one above the limit is refused', async (t) => {
  const topic = await newTopic();
  const producer = textProducer(t, broker, { retries: 0 });
  await producer.send({ messages: [{ topic, value: 'x'.repeat(1_000_000) }] });
  const error = await producer
    .send({ messages: [{ topic, value: 'x'.repeat(1_100_000) }] })
    .catch((error) => error);
  t.ok(error.findBy?.('apiId', 'MESSAGE_TOO_LARGE'));
  const consumer = textConsumer(t, broker);
  const [message] = await take(consumer, { topics: [topic], mode: 'earliest' }, 1);
  t.equal(message?.value.length, 1_000_000);
});

t.test('a producer stream writes everything in order', async (t) => {
  const topic = await newTopic();
  const stream = textProducer(t, broker).asStream({ batchSize: 10, batchTime: 5 });
  for (const message of numbered(topic, 95)) stream.write(message);
  await new Promise<void>((resolve) => stream.end(resolve));
  const consumer = textConsumer(t, broker);
  const messages = await take(consumer, { topics: [topic], mode: 'earliest' }, 95);
  t.same(
    messages.map(({ value }) => Number(value)),
    Array.from({ length: 95 }, (_, at) => at),
  );
});

t.test('earliest begins at the beginning, latest at what comes next', async (t) => {
  const topic = await newTopic();
  const producer = textProducer(t, broker);
  await producer.send({ messages: numbered(topic, 3) });
  const stream = await textConsumer(t, broker).consume({ topics: [topic], mode: 'latest' });
  const first = new Promise<TextMessage>((resolve) => stream.once('data', resolve));
  await new Promise<void>((resolve) => stream.once('fetch', resolve));
  await producer.send({ messages: numbered(topic, 1, 3) });
  t.equal((await first).value, '3');
  await stream.close();
  const consumer = textConsumer(t, broker);
  const messages = await take(consumer, { topics: [topic], mode: 'earliest' }, 4);
  t.same(valuesOf(messages), ['0', '1', '2', '3']);
});

t.test('manual begins where it is told, within a batch too', async (t) => {
  const topic = await newTopic();
  await textProducer(t, broker).send({ messages: numbered(topic, 10) });
  const offsets = [{ topic, partition: 0, offset: 6n }];
  const consumer = textConsumer(t, broker);
  const messages = await take(consumer, { topics: [topic], mode: 'manual', offsets }, 4);
  t.same(valuesOf(messages), ['6', '7', '8', '9']);
});

t.test('committed goes on behind what was committed, else where its fall-back says', async (t) => {
  const topic = await newTopic();
  const groupId = uniqueName('group');
  await textProducer(t, broker).send({ messages: numbered(topic, 6) });
  const options: ConsumeOptions<string, string, string, string> = {
    topics: [topic],
    mode: 'committed',
    fallbackMode: 'earliest',
  };
  const first = textConsumer(t, broker, { groupId, autocommit: false });
  t.same(valuesOf(await take(first, options, 4)), ['0', '1', '2', '3']);
  await first.close(true);
  const again = textConsumer(t, broker, { groupId, autocommit: false });
  const messages = await take(again, options, 3);
  t.same(valuesOf(messages), ['0', '1', '2'], 'nothing was committed');
  await messages[1]?.commit();
  await again.close(true);
  const last = textConsumer(t, broker, { groupId, autocommit: false });
  t.same(valuesOf(await take(last, options, 2)), ['2', '3']);
  t.same(
    await last.listCommittedOffsets({ topics: [{ topic, partitions: [0] }] }),
    new Map([[topic, [2n]]]),
  );
});

t.test('autocommit commits what was read', async (t) => {
  const topic = await newTopic();
  const groupId = uniqueName('group');
  await textProducer(t, broker).send({ messages: numbered(topic, 5) });
  const consumer = textConsumer(t, broker, { groupId, autocommit: true });
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest' });
  const committed = new Promise<void>((resolve, reject) => {
    stream.on('autocommit', (error, offsets) => {
      if (error) reject(error);
      else if (offsets.some(({ offset }) => offset === 5n)) resolve();
    });
  });
  stream.resume();
  await committed;
  t.same(await committedOffset(consumer, topic), 5n);
  await stream.close();
});

t.test('a reader that is slow gets everything all the same', async (t) => {
  const topic = await newTopic(2);
  const count = 400;
  const value = 'x'.repeat(1000);
  const messages = Array.from({ length: count }, (_, index) => ({
    topic,
    partition: index % 2,
    key: String(index),
    value,
  }));
  await textProducer(t, broker).send({ messages });
  const consumer = textConsumer(t, broker, { maxBytes: 50_000, highWaterMark: 5 });
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest' });
  const keys = new Set<string>();
  for await (const message of stream) {
    keys.add(message.key);
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    if (keys.size === count) break;
  }
  await stream.close();
  t.equal(keys.size, count);
});

t.test('offsets are told by place and by time', async (t) => {
  const topic = await newTopic(2);
  const start = BigInt(Date.now() - 100_000);
  const messages = numbered(topic, 5).map((message, index) => ({
    ...message,
    timestamp: start + BigInt(index) * 1000n,
  }));
  await textProducer(t, broker).send({ messages });
  const consumer = textConsumer(t, broker);
  const at = async (timestamp: bigint) =>
    (await consumer.listOffsets({ topics: [topic], timestamp })).get(topic);
  t.same(await at(-1n), [5n, 0n], 'the ends');
  t.same(await at(-2n), [0n, 0n], 'the beginnings');
  t.same(await at(start + 2500n), [3n, -1n], 'the first at or after a time');
  const timed = await consumer.listOffsetsWithTimestamps({
    topics: [topic],
    timestamp: start + 2500n,
  });
  t.same(timed.get(topic)?.get(0), { offset: 3n, timestamp: start + 3000n });
});

async function committedOffset(consumer: TextConsumer, topic: string): Promise<bigint | undefined> {
  const offsets = await consumer.listCommittedOffsets({ topics: [{ topic, partitions: [0] }] });
  return offsets.get(topic)?.[0];
}

/** Transactions of @platformatic/kafka, which speaks the protocol of old as well. */

import t, { type Test } from 'tap';
import { newTopic } from './kafkajs-client.ts';
import { adminOf, take, textConsumer, textProducer } from './platformatic-client.ts';
import { startTestBroker, uniqueName } from './test-broker.ts';

const broker = await startTestBroker(t, { 'group.initial.rebalance.delay.ms': '0' });

function transactional(test: Test) {
  return textProducer(test, broker, {
    idempotent: true,
    transactionalId: uniqueName('transactional'),
  });
}

t.test('what was committed is read, what was aborted is not', async (t) => {
  const topic = await newTopic(broker);
  const producer = transactional(t);
  const send = (value: string) => ({ messages: [{ topic, partition: 0, value }] });
  for (const [value, isCommit] of [
    ['one', true],
    ['aborted', false],
    ['two', true],
  ] as const) {
    const transaction = await producer.beginTransaction();
    await transaction.send(send(value));
    await transaction.send(send(`${value} again`));
    if (isCommit) await transaction.commit();
    else await transaction.abort();
  }
  const consumer = textConsumer(t, broker, { isolationLevel: 1 });
  const messages = await take(consumer, { topics: [topic], mode: 'earliest' }, 4);
  const values = messages.map(({ value }) => value);
  t.same(values, ['one', 'one again', 'two', 'two again']);
});

t.test('offsets of a consumer count with the transaction', async (t) => {
  const [input, output] = [await newTopic(broker), await newTopic(broker)];
  const plain = textProducer(t, broker);
  await plain.send({ messages: [{ topic: input, partition: 0, value: 'in' }] });
  const groupId = uniqueName('group');
  const consumer = textConsumer(t, broker, { groupId, autocommit: false });
  const stream = await consumer.consume({ topics: [input], mode: 'earliest' });
  const producer = transactional(t);
  for await (const message of stream) {
    const transaction = await producer.beginTransaction();
    await transaction.addConsumer(consumer);
    await transaction.send({ messages: [{ topic: output, partition: 0, value: 'out' }] });
    await transaction.addOffset(message);
    await transaction.commit();
    break;
  }
  await stream.close();
  const admin = adminOf(t, broker);
  // Named, since of all offsets those that were never committed before are left out while the marker
  // of the transaction is on its way; of named ones it is said that they are not stable.
  const [group] = await admin.listConsumerGroupOffsets({
    groups: [{ groupId, topics: [{ name: input, partitionIndexes: [0] }] }],
    requireStable: true,
  });
  t.equal(group?.topics[0]?.partitions[0]?.committedOffset, 1n);
});

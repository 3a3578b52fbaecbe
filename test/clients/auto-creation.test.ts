/** Topics that nobody made: with auto.create.topics.enable on, and off. */

import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts';
import { errorTypeOf, numbered, numbersOf, producerOf, readAll } from './kafkajs-client.ts';
import { take, textConsumer, textProducer } from './platformatic-client.ts';
import {
  isApacheKafka,
  kafkaFor,
  startTestBroker,
  type TestBroker,
  uniqueName,
} from './test-broker.ts';

const creating = await startTestBroker(t, { 'num.partitions': '2' });
const refusing = await startTestBroker(t, { 'auto.create.topics.enable': 'false' });

/** What one Metadata request is told about one topic. */
async function lookUp(broker: TestBroker, name: string, allowAutoTopicCreation: boolean) {
  const connection = await WireConnection.open(broker.host, broker.port);
  const { topics } = await connection.call(MetadataRequest, MetadataResponse, 9, {
    topics: [{ name }],
    allowAutoTopicCreation,
  });
  connection.close();
  return { errorCode: topics[0]?.errorCode, partitions: topics[0]?.partitions.length };
}

t.test('on: the answer that makes a topic has the topic', { skip: isApacheKafka }, async (t) => {
  const made = await lookUp(creating, uniqueName('made'), true);
  t.same(made, { errorCode: ErrorCode.NONE, partitions: 2 });
});

t.test('on: kafkajs sends to a topic that is not there', { skip: isApacheKafka }, async (t) => {
  const kafka = kafkaFor(creating, { retry: { retries: 0 } });
  const topic = uniqueName('made');
  await (await producerOf(t, kafka)).send({ topic, messages: numbered(4) });
  t.same(numbersOf(await readAll(t, kafka, topic, 4)).toSorted(), [0, 1, 2, 3]);
});

t.test('on: @platformatic/kafka sends to a topic that is not there', async (t) => {
  const topic = uniqueName('made');
  const producer = textProducer(t, creating, { autocreateTopics: true });
  await producer.send({ messages: [{ topic, value: 'v' }] });
  const consumer = textConsumer(t, creating);
  const [message] = await take(consumer, { topics: [topic], mode: 'earliest' }, 1);
  t.equal(message?.value, 'v');
});

t.test('on: nothing is made when the client does not want it, or cannot be', async (t) => {
  t.same(await lookUp(creating, uniqueName('unmade'), false), {
    errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    partitions: 0,
  });
  t.same(await lookUp(creating, 'not a name', true), {
    errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION,
    partitions: 0,
  });
});

t.test('off: the topic stays unknown, to both clients', async (t) => {
  const topic = uniqueName('unmade');
  t.same(await lookUp(refusing, topic, true), {
    errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    partitions: 0,
  });
  const producer = await producerOf(t, kafkaFor(refusing, { retry: { retries: 0 } }));
  t.equal(
    await errorTypeOf(producer.send({ topic, messages: numbered(1) })),
    'UNKNOWN_TOPIC_OR_PARTITION',
  );
  const other = textProducer(t, refusing, { autocreateTopics: true, retries: 0 });
  await t.rejects(other.send({ messages: [{ topic, value: 'v' }] }));
  t.equal((await lookUp(refusing, topic, false)).partitions, 0);
});

/** What the tests with @platformatic/kafka do again and again. */

import type {
  Admin as AdminType,
  BaseOptions,
  ConsumeOptions,
  ConsumerOptions,
  Consumer as ConsumerType,
  Message,
  ProducerOptions,
  Producer as ProducerType,
} from '@platformatic/kafka';
import type { Test } from 'tap';
import {
  Admin,
  Consumer,
  Producer,
  stringDeserializers,
  stringSerializers,
} from './platformatic-release.ts';
import { isApacheKafka, type TestBroker, uniqueName } from './test-broker.ts';

export type TextProducer = ProducerType<string, string, string, string>;
export type TextConsumer = ConsumerType<string, string, string, string>;
export type TextMessage = Message<string, string, string, string>;

/** Short, so that a stream that is closed has not long to wait for its last answer. */
const MAX_WAIT_MS = 100;

function base(broker: TestBroker): BaseOptions {
  return {
    clientId: uniqueName('client'),
    bootstrapBrokers: [broker.address],
    // Apache Kafka makes the topic of the groups when the first one comes.
    retries: isApacheKafka ? 60 : 5,
    retryDelay: 50,
  };
}

/** A producer of texts that ends with the test. */
export function textProducer(
  t: Test,
  broker: TestBroker,
  options: Partial<ProducerOptions<string, string, string, string>> = {},
): TextProducer {
  const producer: TextProducer = new Producer({
    ...base(broker),
    serializers: stringSerializers,
    ...options,
  });
  t.teardown(() => producer.close(true));
  return producer;
}

/** A consumer of texts, in a group of its own, that ends with the test. */
export function textConsumer(
  t: Test,
  broker: TestBroker,
  options: Partial<ConsumerOptions<string, string, string, string>> = {},
): TextConsumer {
  const consumer: TextConsumer = new Consumer({
    ...base(broker),
    groupId: uniqueName('group'),
    deserializers: stringDeserializers,
    maxWaitTime: MAX_WAIT_MS,
    ...options,
  } as ConsumerOptions<string, string, string, string>);
  t.teardown(() => consumer.close(true));
  return consumer;
}

export function adminOf(t: Test, broker: TestBroker): AdminType {
  const admin = new Admin(base(broker));
  t.teardown(() => admin.close());
  return admin;
}

/** Reads with a consumer until so many records have come, and closes the stream. */
export async function take(
  consumer: TextConsumer,
  options: ConsumeOptions<string, string, string, string>,
  count: number,
): Promise<TextMessage[]> {
  const stream = await consumer.consume(options);
  const messages: TextMessage[] = [];
  for await (const message of stream) {
    messages.push(message);
    if (messages.length === count) break;
  }
  await stream.close();
  return messages;
}

/** What the kafkajs tests do again and again: make topics, write, and read until all is there. */

import type {
  Admin,
  Consumer,
  EachMessagePayload,
  IHeaders,
  Kafka,
  Message,
  Producer,
} from 'kafkajs';
import kafkajs from 'kafkajs';
import type { Test } from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { createTopic } from '../../benchmarks/client/topics.ts';
import { Signal, type TestBroker, uniqueName } from './test-broker.ts';

// Node finds only some of the names that this CommonJS package exports.
const { KafkaJSProtocolError, Partitioners } = kafkajs;

/** Short, so that a consumer that is stopped has not long to wait for its last answer. */
export const MAX_WAIT_MS = 100;

/** A record as a consumer saw it. */
export interface SeenRecord {
  readonly partition: number;
  readonly offset: string;
  readonly timestamp: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: IHeaders | undefined;
}

export function seen({ partition, message }: EachMessagePayload): SeenRecord {
  return {
    partition,
    offset: message.offset,
    timestamp: message.timestamp,
    key: message.key?.toString() ?? null,
    value: message.value?.toString() ?? null,
    headers: message.headers,
  };
}

/** A connected producer that ends with the test. */
export async function producerOf(
  t: Test,
  kafka: Kafka,
  options: Parameters<Kafka['producer']>[0] = {},
): Promise<Producer> {
  const producer = kafka.producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    ...options,
  });
  t.teardown(() => producer.disconnect());
  await producer.connect();
  return producer;
}

/** A connected consumer in a group of its own that ends with the test. */
export async function consumerOf(
  t: Test,
  kafka: Kafka,
  options: Partial<Parameters<Kafka['consumer']>[0]> = {},
): Promise<Consumer> {
  const consumer = kafka.consumer({
    groupId: uniqueName('group'),
    maxWaitTimeInMs: MAX_WAIT_MS,
    ...options,
  });
  t.teardown(() => consumer.disconnect());
  await consumer.connect();
  return consumer;
}

/** Makes a topic with a name of its own, which can be used when this resolves. */
export async function newTopic(
  broker: TestBroker,
  partitions = 1,
  configs: Readonly<Record<string, string>> = {},
): Promise<string> {
  const topic = uniqueName('topic');
  const connection = await WireConnection.open(broker.host, broker.port);
  await createTopic(connection, topic, partitions, configs);
  connection.close();
  return topic;
}

/** Reads a topic from its start until so many records have come. */
export async function readAll(
  t: Test,
  kafka: Kafka,
  topic: string,
  count: number,
): Promise<SeenRecord[]> {
  const consumer = await consumerOf(t, kafka);
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const records: SeenRecord[] = [];
  const complete = new Signal();
  await consumer.run({
    eachMessage: async (payload) => {
      records.push(seen(payload));
      if (records.length === count) complete.resolve();
    },
  });
  await complete.promise;
  await consumer.disconnect();
  return records;
}

/** Records with values `first`, `first + 1`, ... as kafkajs takes them. */
export function numbered(count: number, first = 0): Message[] {
  return Array.from({ length: count }, (_, index) => ({ value: String(first + index) }));
}

/** The values of records that hold numbers. */
export function numbersOf(records: readonly SeenRecord[]): number[] {
  return records.map(({ value }) => Number(value));
}

/** Kafka's name of the error that a call fails with; undefined when it does not fail. */
export async function errorTypeOf(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof KafkaJSProtocolError) return error.type;
    const cause = (error as Error).cause;
    if (cause instanceof KafkaJSProtocolError) return cause.type;
    throw error;
  }
}

/** Deletes the records of partition 0 below an offset. */
export async function deleteRecords(admin: Admin, topic: string, offset: string): Promise<void> {
  // kafkajs takes the leader from what it happens to know, so it has to learn the topic first.
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset }] });
}

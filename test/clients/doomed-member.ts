/**
 * A member of a group in a process of its own, to be killed: it says goodbye to nobody. It tells in
 * lines on stdout what it was assigned and what it saw.
 *
 * Arguments: which client, the broker's address, group, topic, session timeout in milliseconds, and
 * for a static member its group.instance.id.
 */

import { Kafka, logLevel } from 'kafkajs';
import { Consumer, stringDeserializers } from './platformatic-release.ts';

type Arguments = [string, string, string, string, string, string | undefined];
const [client, address, groupId, topic, session, groupInstanceId] = process.argv.slice(
  2,
) as Arguments;
const sessionTimeout = Number(session);
const heartbeatInterval = Math.floor(sessionTimeout / 5);

function tell(line: { readonly partitions: readonly number[] } | { readonly seen: string }): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function runKafkajs(): Promise<void> {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId, sessionTimeout, heartbeatInterval });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    tell({ partitions: payload.memberAssignment[topic] ?? [] });
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      tell({ seen: `${partition}-${message.offset}` });
    },
  });
}

async function runPlatformatic(): Promise<void> {
  const consumer = new Consumer({
    clientId: 'doomed',
    bootstrapBrokers: [address],
    groupId,
    ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
    sessionTimeout,
    heartbeatInterval,
    maxWaitTime: 100,
    deserializers: stringDeserializers,
  });
  consumer.on('consumer:group:join', ({ assignments }) => {
    const own = (assignments ?? []).find((assignment) => assignment.topic === topic);
    tell({ partitions: own?.partitions ?? [] });
  });
  const stream = await consumer.consume({
    topics: [topic],
    mode: 'committed',
    fallbackMode: 'earliest',
    autocommit: 100,
  });
  for await (const { partition, offset } of stream) tell({ seen: `${partition}-${offset}` });
}

await (client === 'kafkajs' ? runKafkajs() : runPlatformatic());

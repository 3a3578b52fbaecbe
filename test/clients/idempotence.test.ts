/**
 * Idempotent producers: both clients, and by hand what they do only when an answer gets lost, a
 * batch that is sent again.
 */

import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { buildBatch } from '../../protocol/batch-builder.ts';
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/init-producer-id.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { newTopic, numbered, numbersOf, producerOf, readAll } from './kafkajs-client.ts';
import { textProducer } from './platformatic-client.ts';
import { kafkaFor, startTestBroker } from './test-broker.ts';

const broker = await startTestBroker(t);
const kafka = kafkaFor(broker);
let connection = await WireConnection.open(broker.host, broker.port);
t.teardown(() => connection.close());

interface Producer {
  readonly producerId: number;
  readonly producerEpoch: number;
}

async function newProducer(): Promise<Producer> {
  const { errorCode, producerId, producerEpoch } = await connection.call(
    InitProducerIdRequest,
    InitProducerIdResponse,
    4,
    { transactionalId: null, transactionTimeoutMs: 0 },
  );
  t.equal(errorCode, ErrorCode.NONE);
  return { producerId, producerEpoch };
}

/** Sends one batch of so many records and gives the error's name, or the offset it got. */
async function send(
  topic: string,
  producer: Producer,
  baseSequence: number,
  recordCount: number,
): Promise<string | number> {
  const timestamp = Date.now();
  const records = Array.from({ length: recordCount }, (_, index) => ({
    key: null,
    value: Buffer.from(String(baseSequence + index)),
    timestamp,
  }));
  const { responses } = await connection.call(ProduceRequest, ProduceResponse, 9, {
    acks: -1,
    timeoutMs: 10_000,
    topicData: [
      {
        name: topic,
        partitionData: [{ index: 0, records: buildBatch({ ...producer, baseSequence, records }) }],
      },
    ],
  });
  const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
  return errorCode === 0 ? baseOffset : errorName(errorCode);
}

t.test('kafkajs: an idempotent producer writes in order', async (t) => {
  const topic = await newTopic(broker);
  const producer = await producerOf(t, kafka, { idempotent: true, maxInFlightRequests: 1 });
  for (let first = 0; first < 50; first += 10) {
    await producer.send({ topic, messages: numbered(10, first) });
  }
  const numbers = Array.from({ length: 50 }, (_, index) => index);
  t.same(numbersOf(await readAll(t, kafka, topic, 50)), numbers);
});

t.test('@platformatic/kafka: an idempotent producer writes in order', async (t) => {
  const topic = await newTopic(broker);
  const producer = textProducer(t, broker, { idempotent: true });
  const numbers = Array.from({ length: 50 }, (_, index) => index);
  for (const number of numbers) {
    await producer.send({ messages: [{ topic, partition: 0, value: String(number) }] });
  }
  t.same(numbersOf(await readAll(t, kafka, topic, 50)), numbers);
});

t.test('no producer id is given twice', async (t) => {
  const ids = new Set<number>();
  for (let count = 0; count < 20; count += 1) ids.add((await newProducer()).producerId);
  t.equal(ids.size, 20);
});

t.test(
  'a batch that is sent again is told its first offset and is not written again',
  async (t) => {
    const topic = await newTopic(broker);
    const producer = await newProducer();
    t.equal(await send(topic, producer, 0, 3), 0);
    t.equal(await send(topic, producer, 3, 2), 3);
    t.equal(await send(topic, producer, 0, 3), 0);
    t.equal(await send(topic, producer, 3, 2), 3);
    t.equal(await send(topic, producer, 5, 1), 5);
    t.same(numbersOf(await readAll(t, kafka, topic, 6)), [0, 1, 2, 3, 4, 5]);
  },
);

t.test('the last five batches are known, older ones and gaps are refused', async (t) => {
  const topic = await newTopic(broker);
  const producer = await newProducer();
  for (let sequence = 0; sequence < 6; sequence += 1) {
    t.equal(await send(topic, producer, sequence, 1), sequence);
  }
  for (let sequence = 1; sequence < 6; sequence += 1) {
    t.equal(await send(topic, producer, sequence, 1), sequence, `batch ${sequence} again`);
  }
  t.equal(await send(topic, producer, 0, 1), 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'too old');
  t.equal(await send(topic, producer, 8, 1), 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'a gap');
  t.equal(await send(topic, producer, 6, 1), 6, 'the right one is still taken');
});

t.test('producers do not know of each other', async (t) => {
  const topic = await newTopic(broker);
  const one = await newProducer();
  const other = await newProducer();
  t.equal(await send(topic, one, 0, 1), 0);
  t.equal(await send(topic, other, 0, 1), 1);
  t.equal(await send(topic, one, 1, 1), 2);
  t.equal(await send(topic, other, 0, 1), 1, 'again');
});

t.test('an older epoch is refused, a newer one begins at zero', async (t) => {
  const topic = await newTopic(broker);
  const old = await newProducer();
  const renewed = { ...old, producerEpoch: old.producerEpoch + 1 };
  t.equal(await send(topic, old, 0, 1), 0);
  t.equal(await send(topic, renewed, 4, 1), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
  t.equal(await send(topic, renewed, 0, 1), 1);
  t.equal(await send(topic, old, 1, 1), 'INVALID_PRODUCER_EPOCH');
});

t.test('what was written before a restart is known after it', async (t) => {
  const topic = await newTopic(broker);
  const producer = await newProducer();
  t.equal(await send(topic, producer, 0, 4), 0);
  t.equal(await send(topic, producer, 4, 1), 4);
  connection.close();
  await broker.restart();
  connection = await WireConnection.open(broker.host, broker.port);
  t.not((await newProducer()).producerId, producer.producerId);
  t.equal(await send(topic, producer, 4, 1), 4, 'the repeated batch is known');
  t.equal(await send(topic, producer, 5, 1), 5);
  t.equal(await send(topic, producer, 9, 1), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
});

/** Produce and Fetch over real sockets, on a real broker and its data folder. */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import t, { type Test } from 'tap';
import { Broker } from '../../broker/broker.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import {
  DeleteTopicsRequest,
  DeleteTopicsResponse,
} from '../../protocol/messages/delete-topics.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/init-producer-id.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { batchBytes, readBatchHeader } from '../../protocol/record-batch.ts';
import { type BatchShape, batchOf } from './data-broker.ts';
import { until } from './harness.ts';
import { WireClient } from './wire-client.ts';

async function start(t: Test, config: Record<string, string> = {}) {
  const dataDir = await fse.mkdtemp(join(tmpdir(), 'tailrace-data-test-'));
  let broker = await Broker.start({ port: 0, dataDir, config });
  const clients: WireClient[] = [];
  const connect = async () => {
    const client = await WireClient.connect(broker.port);
    clients.push(client);
    return client;
  };
  const restart = async () => {
    await broker.stop();
    broker = await Broker.start({ port: 0, dataDir, config });
  };
  t.teardown(async () => {
    for (const client of clients) await client.close();
    await broker.stop();
    await fse.remove(dataDir);
  });
  return { connect, restart, services: () => broker.services };
}

async function createTopic(client: WireClient, name: string, numPartitions = 1): Promise<string> {
  const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] };
  const value = { topics: [topic], timeoutMs: 5000 };
  const answer = await client.ask(CreateTopicsRequest, CreateTopicsResponse, 7, value);
  return answer.topics[0]!.topicId;
}

function produceRequest(topic: string, batch: Buffer, acks = -1, index = 0) {
  const topicData = [{ name: topic, partitionData: [{ index, records: batch }] }];
  return { acks, timeoutMs: 30_000, topicData };
}

async function produce(client: WireClient, topic: string, batch: Buffer, index = 0) {
  const value = produceRequest(topic, batch, -1, index);
  const answer = await client.ask(ProduceRequest, ProduceResponse, 9, value);
  return answer.responses[0]!.partitionResponses[0]!;
}

function batch(values: readonly string[], shape: BatchShape = {}): Buffer {
  return batchOf(values, { timestamp: Date.now(), ...shape });
}

interface Ask {
  readonly maxWaitMs?: number;
  readonly minBytes?: number;
  readonly sessionId?: number;
  readonly epoch?: number;
}

function fetch(
  client: WireClient,
  topicId: string,
  offsets: readonly (readonly [partition: number, offset: number])[],
  ask: Ask = {},
) {
  const partitions = offsets.map(([partition, fetchOffset]) => {
    return { partition, fetchOffset, partitionMaxBytes: 1_000_000 };
  });
  return client.ask(FetchRequest, FetchResponse, 17, {
    maxWaitMs: ask.maxWaitMs ?? 0,
    minBytes: ask.minBytes ?? 1,
    sessionId: ask.sessionId ?? 0,
    sessionEpoch: ask.epoch ?? -1,
    topics: partitions.length === 0 ? [] : [{ topicId, partitions }],
  });
}

/** Base offsets of the batches that an answer has, by partition. */
function batches(answer: Awaited<ReturnType<typeof fetch>>): [number, number[]][] {
  return answer.responses.flatMap((topic) =>
    topic.partitions.map(({ partitionIndex, records }): [number, number[]] => {
      const found: number[] = [];
      const bytes = records ?? Buffer.alloc(0);
      for (let at = 0; at < bytes.length; at += batchBytes(bytes, at)) {
        found.push(readBatchHeader(bytes, at).baseOffset);
      }
      return [partitionIndex, found];
    }),
  );
}

t.test('a parked fetch is answered by what another connection produces', async (t) => {
  const { connect, services } = await start(t);
  const [writer, reader] = [await connect(), await connect()];
  const id = await createTopic(writer, 'woken', 3);
  const offsets = [0, 1, 2].map((partition) => [partition, 0] as const);
  const waiting = fetch(reader, id, offsets, { maxWaitMs: 60_000 });
  await until(() => services().watchers.parked === 1);
  t.equal((await produce(writer, 'woken', batch(['a']), 2)).errorCode, 0);
  t.same(batches(await waiting), [
    [0, []],
    [1, []],
    [2, [0]],
  ]);
  t.equal(services().watchers.parked, 0);
});

t.test('a fetch that waits ends in its time, and with its connection', async (t) => {
  const { connect, services } = await start(t);
  const [client, other] = [await connect(), await connect()];
  const id = await createTopic(client, 'quiet');
  const started = performance.now();
  const answer = await fetch(client, id, [[0, 0]], { maxWaitMs: 120 });
  const tookMs = performance.now() - started;
  t.ok(tookMs >= 100, `${tookMs} ms`);
  t.same(batches(answer), [[0, []]]);
  const lost = fetch(other, id, [[0, 0]], { maxWaitMs: 60_000 });
  await until(() => services().watchers.parked === 1);
  await other.close();
  await t.rejects(lost);
  await until(() => services().watchers.parked === 0);
});

t.test('a thousand parked connections are woken by one record, and none is left', async (t) => {
  const { connect, services } = await start(t);
  const writer = await connect();
  const id = await createTopic(writer, 'crowd');
  await createTopic(writer, 'elsewhere');
  const readers = await Promise.all(Array.from({ length: 1000 }, connect));
  const answers = readers.map((reader) => fetch(reader, id, [[0, 0]], { maxWaitMs: 60_000 }));
  await until(() => services().watchers.parked === 1000);
  const { watchers } = services();
  for (let i = 0; i < 20; i++) await produce(writer, 'elsewhere', batch([`${i}`]));
  t.equal(watchers.looks, 0, 'those parked are not looked at for another topic');
  await produce(writer, 'crowd', batch(['x']));
  for (const answer of await Promise.all(answers)) {
    if (batches(answer)[0]?.[1][0] !== 0) throw new Error('woken without the record');
  }
  t.equal(watchers.looks, 1000);
  t.equal(watchers.parked, 0);
});

t.test('a session over a socket tells only what is new', async (t) => {
  const { connect } = await start(t);
  const client = await connect();
  const id = await createTopic(client, 'followed', 4);
  const all = [0, 1, 2, 3].map((partition) => [partition, 0] as const);
  const { sessionId } = await fetch(client, id, all, { epoch: 0 });
  t.ok(sessionId > 0);
  await produce(client, 'followed', batch(['a']), 1);
  const second = await fetch(client, id, [], { sessionId, epoch: 1, maxWaitMs: 5000 });
  t.same(batches(second), [[1, [0]]]);
  const third = await fetch(client, id, [[1, 1]], { sessionId, epoch: 2 });
  t.same(batches(third), []);
  const stale = await fetch(client, id, [], { sessionId, epoch: 2 });
  t.equal(stale.errorCode, ErrorCode.INVALID_FETCH_SESSION_EPOCH);
});

t.test('a topic deleted under a parked fetch ends it', async (t) => {
  const { connect, services } = await start(t);
  const [client, reader] = [await connect(), await connect()];
  const id = await createTopic(client, 'doomed');
  const waiting = fetch(reader, id, [[0, 0]], { maxWaitMs: 60_000 });
  await until(() => services().watchers.parked === 1);
  const value = { topicNames: ['doomed'], timeoutMs: 5000 };
  await client.ask(DeleteTopicsRequest, DeleteTopicsResponse, 4, value);
  const { errorCode } = (await waiting).responses[0]!.partitions[0]!;
  t.equal(errorCode, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
});

t.test('Produces sent at once are appended in their order, and answered in it', async (t) => {
  const { connect } = await start(t);
  const client = await connect();
  const id = await createTopic(client, 'ordered');
  const sent = Array.from({ length: 200 }, (_, i) => produce(client, 'ordered', batch([`${i}`])));
  const offsets = (await Promise.all(sent)).map(({ baseOffset }) => baseOffset);
  t.same(
    offsets,
    offsets.map((_, i) => i),
  );
  const [[, found]] = batches(await fetch(client, id, [[0, 0]])) as [[number, number[]]];
  t.equal(found.length, 200);
});

t.test('acks=0 gets not one byte, and a bad batch closes its connection', async (t) => {
  const { connect, services } = await start(t);
  const client = await connect();
  const id = await createTopic(client, 'silent');
  let bytes = 0;
  client.socket.on('data', (chunk) => {
    bytes += chunk.length;
  });
  const silent = client.send(ProduceRequest, 7, produceRequest('silent', batch(['a']), 0));
  silent.catch(() => {});
  const log = services().topics.byId(id)!.partitions[0]!.log;
  await until(() => log.writtenOffset === 1);
  t.equal(bytes, 0);
  const corrupt = batch(['b']);
  corrupt[50]! ^= 1;
  client.send(ProduceRequest, 7, produceRequest('silent', corrupt, 0)).catch(() => {});
  await client.closed;
  t.equal(bytes, 0);
  t.equal(log.endOffset, 1);
});

t.test('producer ids, their sequences and the records are there after a restart', async (t) => {
  const { connect, restart } = await start(t);
  let client = await connect();
  const id = await createTopic(client, 'kept');
  const ask = async () => {
    const value = { transactionalId: null, transactionTimeoutMs: 0 };
    return client.ask(InitProducerIdRequest, InitProducerIdResponse, 4, value);
  };
  const { producerId } = await ask();
  const shape = { producerId, producerEpoch: 0 };
  const first = batch(['a', 'b'], { ...shape, baseSequence: 0 });
  t.equal((await produce(client, 'kept', Buffer.from(first))).baseOffset, 0);
  await restart();
  client = await connect();
  t.not((await ask()).producerId, producerId);
  t.equal((await produce(client, 'kept', Buffer.from(first))).baseOffset, 0, 'a repeated batch');
  const next = batch(['c'], { ...shape, baseSequence: 2 });
  t.equal((await produce(client, 'kept', next)).baseOffset, 2);
  const gap = batch(['d'], { ...shape, baseSequence: 9 });
  const { errorCode } = await produce(client, 'kept', gap);
  t.equal(errorCode, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER);
  t.same(
    batches(await fetch(client, id, [[0, 0]])),
    [[0, [0, 2]]],
    'files and memory in one answer',
  );
});

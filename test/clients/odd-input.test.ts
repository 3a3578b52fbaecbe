/**
 * What no sound client sends: the broker answers with Kafka's code or closes the connection, and
 * serves everybody else as before.
 */

import net from 'node:net';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { createTopic } from '../../benchmarks/client/topics.ts';
import { buildBatch } from '../../protocol/batch-builder.ts';
import { errorName } from '../../protocol/errors.ts';
import { encodeRequest } from '../../protocol/header.ts';
import { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/api-versions.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { MetadataRequest } from '../../protocol/messages/metadata.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { Codec } from '../../protocol/record-batch.ts';
import { startTestBroker, uniqueName } from './test-broker.ts';

const broker = await startTestBroker(t, { 'socket.request.max.bytes': '2000000' });
const sound = await WireConnection.open(broker.host, broker.port);
t.teardown(() => sound.close());

async function newTopic(configs: Readonly<Record<string, string>> = {}): Promise<string> {
  const topic = uniqueName('topic');
  await createTopic(sound, topic, 1, configs);
  return topic;
}

/** Sends bytes and gives what came back until the broker closed the connection. */
function answerTo(bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = net.connect({ host: broker.host, port: broker.port }, () => socket.write(bytes));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(chunks)));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET') reject(error);
    });
  });
}

function frame(...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** A request header of version 1. */
function header(apiKey: number, apiVersion: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeInt16BE(apiKey, 0);
  bytes.writeInt16BE(apiVersion, 2);
  bytes.writeInt32BE(1, 4);
  bytes.writeInt16BE(2, 8);
  bytes.write('me', 10);
  return bytes;
}

/** The error's name of one Produce of one batch. */
async function produceError(topic: string, records: Buffer | null): Promise<string> {
  const { responses } = await sound.call(ProduceRequest, ProduceResponse, 9, {
    acks: -1,
    timeoutMs: 10_000,
    topicData: [{ name: topic, partitionData: [{ index: 0, records: records as Buffer }] }],
  });
  return errorName(responses[0]!.partitionResponses[0]!.errorCode);
}

/** Offset that a sound batch gets: as many as were taken before. */
async function taken(t: Test, topic: string): Promise<number> {
  const { responses } = await sound.call(ProduceRequest, ProduceResponse, 9, {
    acks: -1,
    timeoutMs: 10_000,
    topicData: [{ name: topic, partitionData: [{ index: 0, records: soundBatch() }] }],
  });
  const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
  t.equal(errorCode, 0, 'a sound batch is taken');
  return baseOffset;
}

function soundBatch(value = Buffer.from('sound')): Buffer {
  return buildBatch({ records: [{ key: null, value, timestamp: Date.now() }] });
}

t.test('what is no frame closes the connection', async (t) => {
  const length = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32BE(value);
    return bytes;
  };
  t.equal((await answerTo(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).length, 0, 'another protocol');
  t.equal((await answerTo(length(-1))).length, 0, 'a negative length');
  t.equal((await answerTo(length(0x7fffffff))).length, 0, 'a length above any limit');
  t.equal((await answerTo(length(2_000_001))).length, 0, 'a length just above the limit');
});

t.test('what is no request closes the connection', async (t) => {
  t.equal((await answerTo(frame(Buffer.from([0])))).length, 0, 'no whole header');
  t.equal((await answerTo(frame(header(999, 0)))).length, 0, 'an API that nobody has');
  t.equal((await answerTo(frame(header(-1, 0)))).length, 0, 'a negative API');
  t.equal((await answerTo(frame(header(3, 99)))).length, 0, 'a version that nobody has');
  t.equal((await answerTo(frame(header(0, 2)))).length, 0, 'a version of long ago');
  const count = Buffer.from([0x7f, 0xff, 0xff, 0xff]);
  t.equal((await answerTo(frame(header(3, 1), count))).length, 0, 'more topics than bytes');
  t.equal((await answerTo(frame(header(3, 1)))).length, 0, 'no body');
});

t.test('ApiVersions of the future is answered in version 0 with what there is', async (t) => {
  const socket = net.connect(broker.port, broker.host);
  t.teardown(() => socket.destroy());
  const noTags = Buffer.from([0]);
  socket.write(frame(header(18, 99), noTags));
  const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  t.equal(answer.readInt32BE(4), 1, 'the correlation id');
  t.equal(errorName(answer.readInt16BE(8)), 'UNSUPPORTED_VERSION');
  t.equal(answer.readInt32BE(10), 1, 'one API');
  t.equal(answer.readInt16BE(14), 18);
});

t.test('batches that are not sound are refused and leave nothing in the log', async (t) => {
  const topic = await newTopic();
  const broken = (change: (batch: Buffer) => void) => {
    const batch = soundBatch();
    change(batch);
    return batch;
  };
  const flipped = broken((batch) => batch.writeUInt8(batch.readUInt8(70) ^ 1, 70));
  t.equal(await produceError(topic, flipped), 'CORRUPT_MESSAGE', 'a flipped bit');
  const cut = soundBatch().subarray(0, 65);
  t.equal(await produceError(topic, cut), 'INVALID_RECORD', 'half a batch');
  const old = broken((batch) => batch.writeInt8(1, 16));
  t.equal(await produceError(topic, old), 'INVALID_RECORD', 'a message set of an old format');
  const two = Buffer.concat([soundBatch(), soundBatch()]);
  t.equal(await produceError(topic, two), 'INVALID_RECORD', 'two batches');
  const large = soundBatch(Buffer.alloc(1_100_000));
  t.equal(await produceError(topic, large), 'MESSAGE_TOO_LARGE');
  t.equal(await produceError(uniqueName('none'), soundBatch()), 'UNKNOWN_TOPIC_OR_PARTITION');
  t.equal(await taken(t, topic), 0);
});

t.test('what is compressed and expands beyond its limit is refused', async (t) => {
  const configs = { 'compression.type': 'zstd', 'max.decompressed.message.bytes': '100000' };
  const topic = await newTopic(configs);
  const bomb = buildBatch({
    records: [{ key: null, value: Buffer.alloc(5_000_000), timestamp: Date.now() }],
    compression: { codec: Codec.gzip, compress: (payload) => gzipSync(payload) },
  });
  t.ok(bomb.length < 100_000);
  t.equal(await produceError(topic, bomb), 'INVALID_RECORD');
  t.equal(await taken(t, topic), 0);
});

t.test('a fetch for what is not there is told so at once', async (t) => {
  const topic = await newTopic();
  const fetchError = async (name: string, partition: number, fetchOffset: number) => {
    const { responses } = await sound.call(FetchRequest, FetchResponse, 11, {
      maxWaitMs: 60_000,
      minBytes: 1,
      maxBytes: 1_000_000,
      topics: [{ topic: name, partitions: [{ partition, fetchOffset, partitionMaxBytes: 1000 }] }],
    });
    return errorName(responses[0]!.partitions[0]!.errorCode);
  };
  t.equal(await fetchError(topic, 0, 1), 'OFFSET_OUT_OF_RANGE');
  t.equal(await fetchError(topic, 0, -1), 'OFFSET_OUT_OF_RANGE');
  t.equal(await fetchError(topic, 7, 0), 'UNKNOWN_TOPIC_OR_PARTITION');
  t.equal(await fetchError(uniqueName('none'), 0, 0), 'UNKNOWN_TOPIC_OR_PARTITION');
});

t.test('a thousand connections come, ask, stay, and go', async (t) => {
  const connections: WireConnection[] = [];
  while (connections.length < 1000) {
    const opened = Array.from({ length: 100 }, () => WireConnection.open(broker.host, broker.port));
    connections.push(...(await Promise.all(opened)));
  }
  const answers = await Promise.all(
    connections.map((connection) =>
      connection.call(ApiVersionsRequest, ApiVersionsResponse, 3, {
        clientSoftwareName: 'crowd',
        clientSoftwareVersion: '1',
      }),
    ),
  );
  t.ok(answers.every(({ errorCode, apiKeys }) => errorCode === 0 && apiKeys.length > 0));
  for (const connection of connections) connection.close();
  await taken(t, await newTopic());
});

t.test('who leaves in the middle of a request troubles nobody', async (t) => {
  const topic = await newTopic();
  const whole = Buffer.concat(
    encodeRequest(
      MetadataRequest,
      { apiVersion: 1, correlationId: 1, clientId: 'leaver' },
      { topics: [{ name: topic }] },
    ),
  );
  const leave = (bytes: number) =>
    new Promise<void>((resolve) => {
      const socket = net.connect(broker.port, broker.host, () => {
        socket.write(whole.subarray(0, bytes), () => socket.resetAndDestroy());
      });
      socket.on('close', () => resolve());
    });
  for (let bytes = 1; bytes <= whole.length; bytes += 1) await leave(bytes);
  t.equal(await taken(t, topic), 0);
});

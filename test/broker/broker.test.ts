import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { Broker } from '../../broker/index.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/api-versions.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { buildBatch } from '../../protocol/records.ts';
import { keptLog, until } from './harness.ts';
import { WireClient } from './wire-client.ts';

const TOPIC = 'orders';

/** A folder of the test's own that goes with it. */
async function ownFolder(t: { teardown(end: () => unknown): void }): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'tailrace-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function createTopic(client: WireClient): Promise<void> {
  const request = { topics: [{ name: TOPIC }], allowAutoTopicCreation: true };
  const { topics } = await client.ask(MetadataRequest, MetadataResponse, 8, request);
  if (topics[0]?.errorCode !== ErrorCode.NONE) throw new Error(`no topic: ${topics[0]?.errorCode}`);
}

async function produce(client: WireClient, value: string, acks = -1): Promise<number> {
  const records = [{ key: null, value: Buffer.from(value), headers: [], timestamp: Date.now() }];
  const partition = { index: 0, records: buildBatch({ baseOffset: 0, records }) };
  const { responses } = await client.ask(ProduceRequest, ProduceResponse, 8, {
    acks,
    timeoutMs: 5000,
    topicData: [{ name: TOPIC, partitionData: [partition] }],
  });
  const answer = responses[0]?.partitionResponses[0];
  if (answer?.errorCode !== ErrorCode.NONE) throw new Error(`not taken: ${answer?.errorCode}`);
  return answer.baseOffset;
}

function fetchRequest(fetchOffset: number, maxWaitMs: number) {
  const partition = { partition: 0, fetchOffset, partitionMaxBytes: 1e6 };
  return {
    maxWaitMs,
    minBytes: 1,
    maxBytes: 1e6,
    topics: [{ topic: TOPIC, partitions: [partition] }],
  };
}

async function fetchText(client: WireClient, offset: number): Promise<string> {
  const answer = await client.ask(FetchRequest, FetchResponse, 11, fetchRequest(offset, 5000));
  return answer.responses[0]?.partitions[0]?.records?.toString('latin1') ?? '';
}

/** Descriptors of this process. */
function descriptorCount(): number {
  return readdirSync('/proc/self/fd').length;
}

t.test('a broker takes records and gives them back, over a real socket', async (t) => {
  await using broker = await Broker.start();
  t.equal(broker.bootstrapServers, `127.0.0.1:${broker.port}`);
  t.equal(broker.unreadiness(), undefined);
  const client = await WireClient.connect(broker.port);
  const versions = await client.ask(ApiVersionsRequest, ApiVersionsResponse, 3, {
    clientSoftwareName: 'wire',
    clientSoftwareVersion: '1',
  });
  t.equal(versions.errorCode, ErrorCode.NONE);
  await createTopic(client);
  t.equal(await produce(client, 'first'), 0);
  t.equal(await produce(client, 'second', 1), 1);
  t.match(await fetchText(client, 0), /first.*second/s);
  await client.close();
});

t.test('a fetch that waits gets what is produced', async (t) => {
  await using broker = await Broker.start();
  const reader = await WireClient.connect(broker.port);
  const writer = await WireClient.connect(broker.port);
  await createTopic(writer);
  const waiting = fetchText(reader, 0);
  await until(() => broker.services.metrics.gauge('watchers_parked').read() === 1);
  await produce(writer, 'awaited');
  t.match(await waiting, /awaited/);
  await reader.close();
  await writer.close();
});

t.test('what was acknowledged is there after a restart', async (t) => {
  const dataDir = await ownFolder(t);
  const broker = await Broker.start({ dataDir });
  const client = await WireClient.connect(broker.port);
  await createTopic(client);
  await produce(client, 'kept');
  await client.close();
  await broker.stop();
  await using again = await Broker.start({ dataDir });
  t.equal(again.services.clusterId, broker.services.clusterId);
  const reader = await WireClient.connect(again.port);
  t.match(await fetchText(reader, 0), /kept/);
  t.equal(await produce(reader, 'next'), 1);
  await reader.close();
});

t.test('a data folder belongs to one broker', async (t) => {
  const dataDir = await ownFolder(t);
  const first = await Broker.start({ dataDir });
  await t.rejects(Broker.start({ dataDir }), { name: 'DataFolderUnusable' });
  t.equal(first.unreadiness(), undefined, 'the first is not disturbed');
  await first.stop();
  const second = await Broker.start({ dataDir });
  await second.stop();
});

t.test('a start that fails half way leaves nothing behind', async (t) => {
  await using first = await Broker.start();
  const dataDir = await ownFolder(t);
  const descriptors = descriptorCount();
  await t.rejects(Broker.start({ dataDir, port: first.port }), { code: 'EADDRINUSE' });
  t.equal(descriptorCount(), descriptors);
  const free = await Broker.start({ dataDir });
  await free.stop();
  await t.rejects(Broker.start({ config: { 'num.partitions': 'many' } }), {
    name: 'ConfigurationError',
    message: /num\.partitions/,
  });
  await t.rejects(Broker.start({ config: { 'http.listeners': 'https://localhost:1' } }), {
    name: 'ConfigurationError',
    message: /http\.listeners/,
  });
});

t.test('a stop does not wait for those who wait', async (t) => {
  const { log, lines } = keptLog();
  const broker = await Broker.start({ logger: log });
  const client = await WireClient.connect(broker.port);
  await createTopic(client);
  const parked = client.ask(FetchRequest, FetchResponse, 11, fetchRequest(0, 600_000));
  await until(() => broker.services.metrics.gauge('watchers_parked').read() === 1);
  const stopping = broker.stop();
  t.equal(broker.stop(), stopping, 'a second call waits for the same end');
  t.match(broker.unreadiness(), /stopping/);
  t.equal((await parked).errorCode, ErrorCode.NONE, 'it is answered');
  await stopping;
  await client.closed;
  const { tookMs } = lines.find((line) => line.text === 'the broker has stopped')!.values;
  t.ok((tookMs as number) < 2000, `${tookMs} ms`);
  await t.rejects(WireClient.connect(broker.port), { code: 'ECONNREFUSED' });
});

t.test('HTTP is served when it has a listener', async (t) => {
  await using broker = await Broker.start({
    config: { 'http.listeners': 'http://127.0.0.1:0' },
  });
  const { port } = broker.httpAddresses[0]!;
  t.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  t.match(text, /^kafka_brokers 1$/m);
  t.match(text, /^tailrace_memory_limit_bytes 268435456$/m);
  t.match(text, /^tailrace_memory_allowed_bytes\{part="budget"\} 268435456$/m);
  t.match(text, /^tailrace_memory_allowed_bytes\{part="connections"\} \d+$/m);
});

t.test('a hundred brokers come and go and leave nothing behind', async (t) => {
  const folders = new Set<string>();
  const round = async () => {
    const broker = await Broker.start({ port: 0 });
    folders.add(broker.dataDir);
    const client = await WireClient.connect(broker.port);
    await createTopic(client);
    await produce(client, 'x'.repeat(1000));
    await client.close();
    await broker.stop();
  };
  // The first ones load code and fill caches of the process.
  for (let i = 0; i < 10; i++) await round();
  const resources = () => process.getActiveResourcesInfo().filter((kind) => kind !== 'Immediate');
  await until(() => resources().every((kind) => kind !== 'TCPSocketWrap'));
  const before = { descriptors: descriptorCount(), resources: resources().sort() };
  const heapBefore = settledHeapBytes();
  for (let i = 0; i < 90; i++) await round();
  await until(() => resources().length <= before.resources.length);
  t.same(resources().sort(), before.resources, 'no handle');
  t.equal(descriptorCount(), before.descriptors, 'no descriptor');
  t.equal(folders.size, 100);
  t.notOk(
    [...folders].some((folder) => existsSync(folder)),
    'no file',
  );
  // Buffers are swept beside the program: what stays over several collections is still used.
  let grownBytes = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 50 && grownBytes >= 3 * 1024 * 1024; attempt++) {
    await new Promise((resolve) => setImmediate(resolve));
    grownBytes = settledHeapBytes() - heapBefore;
  }
  t.ok(grownBytes < 3 * 1024 * 1024, `no memory: ${grownBytes} bytes more`);
});

/** Bytes of the heap and of buffers that are still in use. */
function settledHeapBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

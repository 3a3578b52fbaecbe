/**
 * The life of records on their way to the disk, watched by the gauges: the tail grows to the chunk
 * size, chunks enter the queue, a slow disk fills it, the source pauses, the disk recovers, the
 * queue drains, memory is empty, nothing is lost; and all the while others are answered.
 */

import { join } from 'node:path';
import fse from 'fs-extra';
import t, { type Test } from 'tap';
import { Broker } from '../../broker/broker.ts';
import { Config, settingsOfProgram } from '../../broker/config.ts';
import { silentLog, systemWorld, temporaryFolder } from '../../broker/main.ts';
import type { GaugeName } from '../../broker/metrics.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { HeartbeatRequest, HeartbeatResponse } from '../../protocol/messages/heartbeat.ts';
import { JoinGroupRequest, JoinGroupResponse } from '../../protocol/messages/join-group.ts';
import {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../protocol/messages/offset-commit.ts';
import { OffsetFetchRequest, OffsetFetchResponse } from '../../protocol/messages/offset-fetch.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { SyncGroupRequest, SyncGroupResponse } from '../../protocol/messages/sync-group.ts';
import { batchBytes } from '../../protocol/record-batch.ts';
import { readRecords } from '../../protocol/records.ts';
import type { Store } from '../../storage/store.ts';
import { batchOf } from './data-broker.ts';
import { until } from './harness.ts';
import { HeldDisk } from './held-disk.ts';
import { WireClient } from './wire-client.ts';

const CHUNK_BYTES = 65_536;
const QUEUE_BYTES = 1_048_576;
const VALUE_BYTES = 8_000;

interface Scene {
  readonly broker: Broker;
  readonly disk: HeldDisk;
  gauge(name: GaugeName): number;
}

async function open(t: Test, settings: Record<string, string> = {}): Promise<Scene> {
  const dataDir = temporaryFolder();
  const world = systemWorld(silentLog);
  const disk = new HeldDisk(world.env.disk, `${join(dataDir, 'loaded')}-`);
  const config = new Config(
    settingsOfProgram({
      listeners: 'PLAINTEXT://127.0.0.1:0',
      'log.dirs': dataDir,
      'tail.chunk.bytes': String(CHUNK_BYTES),
      'flush.queue.bytes': String(QUEUE_BYTES),
      'tail.chunk.max.ms': '600000',
      ...settings,
    }),
  );
  const env = { ...world.env, disk };
  const broker = await Broker.launch(config, { ...world, env });
  t.teardown(async () => {
    disk.letGo();
    await broker.stop();
    await fse.remove(dataDir);
  });
  const { metrics } = broker.services;
  const gauge = (name: GaugeName) => {
    let sum = 0;
    for (const series of metrics.valuesOf(name)) sum += series.read();
    return sum;
  };
  return { broker, disk, gauge };
}

async function createTopics(client: WireClient, names: readonly string[]): Promise<void> {
  const topics = names.map((name) => ({
    name,
    numPartitions: 1,
    replicationFactor: 1,
    assignments: [],
    configs: [],
  }));
  await client.ask(CreateTopicsRequest, CreateTopicsResponse, 4, { topics, timeoutMs: 5000 });
}

/** The value of a record: its number, made long. */
function textOf(number: number): string {
  return `${number} `.padEnd(VALUE_BYTES, 'x');
}

async function produce(client: WireClient, topic: string, number: number): Promise<number> {
  const batch = batchOf([textOf(number)], { timestamp: Date.now() });
  const topicData = [{ name: topic, partitionData: [{ index: 0, records: batch }] }];
  const value = { acks: -1, timeoutMs: 60_000, topicData };
  const answer = await client.ask(ProduceRequest, ProduceResponse, 7, value);
  const { errorCode, baseOffset } = answer.responses[0]!.partitionResponses[0]!;
  if (errorCode !== 0) throw new Error(`Produce: error ${errorCode}`);
  return baseOffset;
}

async function fetch(client: WireClient, topic: string, offset: number, maxWaitMs = 0) {
  const partitions = [{ partition: 0, fetchOffset: offset, partitionMaxBytes: 1_000_000 }];
  const value = { maxWaitMs, minBytes: 1, topics: [{ topic, partitions }] };
  const answer = await client.ask(FetchRequest, FetchResponse, 11, value);
  const { errorCode, records } = answer.responses[0]!.partitions[0]!;
  if (errorCode !== 0) throw new Error(`Fetch: error ${errorCode}`);
  const found: { offset: number; number: number }[] = [];
  const bytes = records ?? Buffer.alloc(0);
  for (let at = 0; at < bytes.length; at += batchBytes(bytes, at)) {
    for (const record of readRecords(bytes, at)) {
      found.push({ offset: record.offset, number: Number.parseInt(String(record.value), 10) });
    }
  }
  return found;
}

/** All records of a topic, by reading until nothing comes. */
async function fetchAll(client: WireClient, topic: string) {
  const all: { offset: number; number: number }[] = [];
  for (;;) {
    const more = await fetch(client, topic, all.length);
    if (more.length === 0) return all;
    all.push(...more);
  }
}

/** Writes all that is in memory to segments, also of the broker's own logs. */
async function flushAll({ services }: Broker): Promise<void> {
  await (services.logs as Store).metadataLog.flush();
  for (const { partitions } of services.topics.all()) {
    for (const { log } of partitions) await log.flush();
  }
}

/** A member of a group of its own, alone in it. */
class Member {
  private readonly client: WireClient;
  private readonly group = { groupId: 'others', generationId: 1, memberId: '' };

  constructor(client: WireClient) {
    this.client = client;
  }

  async join(): Promise<void> {
    const protocols = [{ name: 'range', metadata: Buffer.alloc(0) }];
    const value = {
      groupId: 'others',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId: '',
      protocolType: 'consumer',
      protocols,
    };
    let joined: Awaited<ReturnType<typeof ask>>;
    const ask = () => this.client.ask(JoinGroupRequest, JoinGroupResponse, 3, value);
    // The group's log may still be being loaded.
    do joined = await ask();
    while (joined.errorCode === 14 || joined.errorCode === 15 || joined.errorCode === 16);
    this.group.memberId = joined.memberId;
    this.group.generationId = joined.generationId;
    const assignments = [{ memberId: joined.memberId, assignment: Buffer.alloc(0) }];
    await this.client.ask(SyncGroupRequest, SyncGroupResponse, 2, { ...this.group, assignments });
  }

  async heartbeat(): Promise<number> {
    const answer = await this.client.ask(HeartbeatRequest, HeartbeatResponse, 2, this.group);
    return answer.errorCode;
  }

  async commit(offset: number): Promise<number> {
    const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }];
    const { groupId, memberId, generationId } = this.group;
    const answer = await this.client.ask(OffsetCommitRequest, OffsetCommitResponse, 5, {
      groupId,
      memberId,
      generationIdOrMemberEpoch: generationId,
      topics: [{ name: 'quiet', partitions }],
    });
    return answer.topics[0]!.partitions[0]!.errorCode;
  }

  async committed(): Promise<number> {
    const topics = [{ name: 'quiet', partitionIndexes: [0] }];
    const answer = await this.client.ask(OffsetFetchRequest, OffsetFetchResponse, 3, {
      groupId: 'others',
      topics,
    });
    return answer.topics[0]!.partitions[0]!.committedOffset;
  }
}

t.test(
  'tail, queue, pause, recovery, empty memory; nothing lost, and others answered throughout',
  async (t) => {
    const { broker, disk, gauge } = await open(t);
    const source = await WireClient.connect(broker.port);
    const other = await WireClient.connect(broker.port);
    t.teardown(() => Promise.all([source.close(), other.close()]));
    await createTopics(source, ['loaded', 'quiet']);
    const member = new Member(other);
    await member.join();
    await produce(other, 'quiet', 0);
    const quietTail = gauge('tail_bytes');

    // The tail grows up to the chunk size; the journal alone makes it durable.
    let sent = 0;
    const chunk = broker.services.topics.get('loaded')!.partitions[0]!.log;
    while ((sent + 1) * VALUE_BYTES < CHUNK_BYTES) {
      const tailBefore = gauge('tail_bytes');
      t.equal(await produce(source, 'loaded', sent), sent);
      sent++;
      t.ok(gauge('tail_bytes') >= tailBefore);
    }
    t.ok(gauge('tail_bytes') - quietTail >= sent * VALUE_BYTES, 'all of it is in the tail');
    t.equal(gauge('flush_queue_bytes'), 0);
    t.ok(gauge('journal_bytes') > sent * VALUE_BYTES);
    t.equal(chunk.persistedOffset, 0);

    // The chunk is full: it leaves the tail for the queue, where the slow disk keeps it.
    disk.hold();
    while (gauge('flush_queue_chunks') === 0) await produce(source, 'loaded', sent++);
    t.ok(gauge('flush_queue_bytes') >= CHUNK_BYTES);
    t.ok(gauge('tail_bytes') - quietTail < CHUNK_BYTES, 'the tail begins anew');

    // The queue fills, until a Produce is not taken any more.
    let isAnswered = true;
    let last: Promise<number> = Promise.resolve(0);
    while (isAnswered) {
      isAnswered = false;
      last = produce(source, 'loaded', sent++).then((offset) => {
        isAnswered = true;
        return offset;
      });
      await until(() => isAnswered || gauge('paused_sources') === 1);
    }
    t.equal(gauge('paused_sources'), 1);
    t.ok(disk.waits > 0, 'it is the disk that is waited for');
    const full = gauge('flush_queue_bytes');
    t.ok(full > QUEUE_BYTES - 2 * CHUNK_BYTES && full <= QUEUE_BYTES + CHUNK_BYTES, `${full}`);
    const held = sent - 1;

    // Others do not notice.
    const reader = await WireClient.connect(broker.port);
    t.teardown(() => reader.close());
    for (let round = 1; round <= 50; round++) {
      t.equal(await member.heartbeat(), 0);
      t.equal(await member.commit(round), 0);
      t.equal(await member.committed(), round);
      const seen = await fetch(reader, 'loaded', round % held);
      t.equal(seen[0]?.number, round % held);
      t.same(await fetch(reader, 'quiet', 0), [{ offset: 0, number: 0 }]);
    }
    t.same(await fetch(reader, 'loaded', held, 20), [], 'a fetch that waits ends in its time');
    t.equal(isAnswered, false, 'the source is still held');
    t.equal(gauge('paused_sources'), 1);
    t.equal(gauge('flush_queue_bytes'), full);

    // The disk recovers: the source goes on, the queue drains.
    disk.letGo();
    t.equal(await last, held);
    t.equal(gauge('paused_sources'), 0);
    for (let i = 0; i < 20; i++) await produce(source, 'loaded', sent++);
    await until(() => gauge('flush_queue_bytes') === 0);
    t.equal(gauge('flush_queue_chunks'), 0);

    // What is left in the tails goes the same way, and memory is empty.
    await flushAll(broker);
    t.equal(gauge('tail_bytes'), 0);
    t.equal(gauge('flush_queue_bytes'), 0);
    t.equal(chunk.persistedOffset, sent);

    // Nothing is lost, doubled or out of order.
    const all = await fetchAll(reader, 'loaded');
    const expected = Array.from({ length: sent }, (_, i) => ({ offset: i, number: i }));
    t.same(all, expected);
    await until(() => broker.services.memory.usedBytes === 0);
  },
);

t.test(
  'a source held for longer than produce.hold.max.ms is told so, and goes on later',
  async (t) => {
    const { broker, disk, gauge } = await open(t, { 'produce.hold.max.ms': '50' });
    const source = await WireClient.connect(broker.port);
    t.teardown(() => source.close());
    await createTopics(source, ['loaded']);
    disk.hold();
    let sent = 0;
    await t.rejects(
      async () => {
        for (;;) {
          await produce(source, 'loaded', sent);
          sent++;
        }
      },
      { message: 'Produce: error 56' },
    );
    t.equal(gauge('paused_sources'), 0);
    disk.letGo();
    await until(() => gauge('flush_queue_bytes') === 0);
    t.equal(await produce(source, 'loaded', sent), sent, 'what was refused was not appended');
    const all = await fetchAll(source, 'loaded');
    t.same(
      all.map(({ number }) => number),
      Array.from({ length: sent + 1 }, (_, i) => i),
    );
  },
);

t.test('a source that goes while it is held leaves nothing behind', async (t) => {
  const { broker, disk, gauge } = await open(t);
  const source = await WireClient.connect(broker.port);
  await createTopics(source, ['loaded']);
  disk.hold();
  const answers: Promise<unknown>[] = [];
  let number = 0;
  while (gauge('paused_sources') === 0) {
    const answer = produce(source, 'loaded', number++).catch((error: Error) => error.message);
    answers.push(answer);
    await Promise.race([answer, until(() => gauge('paused_sources') === 1)]);
  }
  await source.close();
  await until(() => gauge('connections') === 0);
  disk.letGo();
  await until(() => gauge('paused_sources') === 0 && gauge('flush_queue_bytes') === 0);
  t.equal((await Promise.all(answers)).at(-1), 'connection closed');
  await until(() => broker.services.memory.bytesOf('frames') === 0);
});

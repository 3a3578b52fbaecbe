/** Groups and their offsets are the same after the log that they live in was cleaned. */

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { Broker } from '../../broker/broker.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../protocol/messages/offset-commit.ts';
import { OffsetFetchRequest, OffsetFetchResponse } from '../../protocol/messages/offset-fetch.ts';
import type { PartitionLog } from '../../storage/partition-log.ts';
import type { Store } from '../../storage/store.ts';
import { WireClient } from './wire-client.ts';

const GROUPS = ['one', 'two', 'three'];
const COMMITS = 60;
const SEGMENTS = 6;
const ROUNDS_A_SEGMENT = COMMITS / SEGMENTS;
const PARTITIONS = [0, 1];

/** Commits again and again; what is in memory goes to a segment of its own now and then. */
async function commitMany(broker: Broker, client: WireClient): Promise<void> {
  await client.ask(CreateTopicsRequest, CreateTopicsResponse, 4, {
    topics: [
      { name: 'orders', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] },
    ],
    timeoutMs: 10_000,
  });
  for (let round = 1; round <= COMMITS; round++) {
    for (const groupId of GROUPS) {
      const partitions = PARTITIONS.map((partitionIndex) => ({
        partitionIndex,
        committedOffset: round * 10 + partitionIndex,
        committedMetadata: `${groupId} ${round}`,
      }));
      const answer = await client.ask(OffsetCommitRequest, OffsetCommitResponse, 5, {
        groupId,
        memberId: '',
        generationIdOrMemberEpoch: -1,
        topics: [{ name: 'orders', partitions }],
      });
      for (const { errorCode } of answer.topics[0]!.partitions) {
        if (errorCode !== 0) throw new Error(`the commit was answered ${errorCode}`);
      }
    }
    if (round % ROUNDS_A_SEGMENT === 0) await closeSegments(broker);
  }
}

async function committed(client: WireClient) {
  const found = new Map<string, (string | null | number)[][]>();
  for (const groupId of GROUPS) {
    const topics = [{ name: 'orders', partitionIndexes: PARTITIONS }];
    const answer = await client.ask(OffsetFetchRequest, OffsetFetchResponse, 3, {
      groupId,
      topics,
    });
    const offsets = answer.topics[0]!.partitions.map(({ committedOffset, metadata }) => [
      committedOffset,
      metadata,
    ]);
    found.set(groupId, offsets);
  }
  return Object.fromEntries(found);
}

/** Closes the segments of all logs of committed offsets. */
async function closeSegments(broker: Broker): Promise<void> {
  const { topics, logs } = broker.services;
  const { id } = topics.get('__consumer_offsets')!;
  for (let partition = 0; ; partition++) {
    const log = logs.get(id, partition) as PartitionLog | undefined;
    if (log === undefined) return;
    await log.flush();
    await log.segments.roll();
  }
}

t.test('groups and offsets are the same from a cleaned log', async (t) => {
  const dataDir = mkdtempSync(path.join(os.tmpdir(), 'tailrace-groups-'));
  t.teardown(() => rmSync(dataDir, { recursive: true }));
  const broker = await Broker.start({ port: 0, dataDir });
  const client = await WireClient.connect(broker.port);
  await commitMany(broker, client);
  const before = await committed(client);
  const last = COMMITS * 10;
  t.same(before.two, [
    [last, `two ${COMMITS}`],
    [last + 1, `two ${COMMITS}`],
  ]);
  const cleaner = (broker.services.logs as Store).cleaner!;
  await cleaner.cleanAll();
  const { recordsRead, recordsWritten } = cleaner.record;
  t.equal(recordsRead, GROUPS.length * PARTITIONS.length * SEGMENTS, 'memory was compacted before');
  t.equal(recordsWritten, GROUPS.length * PARTITIONS.length);
  t.same(await committed(client), before);
  await broker.stop();
  const again = await Broker.start({ port: 0, dataDir });
  t.same(await committed(await WireClient.connect(again.port)), before);
  await again.stop();
});

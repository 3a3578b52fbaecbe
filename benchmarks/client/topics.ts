/** What the benchmarks need of a broker beside records: topics made, found and removed. */

import { errorName } from '../../protocol/errors.ts';
import {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from '../../protocol/messages/create-partitions.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import {
  DeleteTopicsRequest,
  DeleteTopicsResponse,
} from '../../protocol/messages/delete-topics.ts';
import { ListOffsetsRequest, ListOffsetsResponse } from '../../protocol/messages/list-offsets.ts';
import type { WireConnection } from './connection.ts';

const CREATE_TOPICS_VERSION = 5;
const CREATE_PARTITIONS_VERSION = 2;
/** Brokers do not make any number in one request. */
const PARTITIONS_AT_ONCE = 1000;
const DELETE_TOPICS_VERSION = 4;
const LIST_OFFSETS_VERSION = 7;
const TIMEOUT_MS = 30_000;
const LEADER_LIMIT_MS = 30_000;
const LATEST = -1;

/** Makes a topic and resolves when all its partitions can be used. */
export async function createTopic(
  connection: WireConnection,
  name: string,
  partitions: number,
  configs: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { topics } = await connection.call(
    CreateTopicsRequest,
    CreateTopicsResponse,
    CREATE_TOPICS_VERSION,
    {
      topics: [
        {
          name,
          numPartitions: Math.min(partitions, PARTITIONS_AT_ONCE),
          replicationFactor: 1,
          assignments: [],
          configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
        },
      ],
      timeoutMs: TIMEOUT_MS,
    },
  );
  refuseError('CreateTopics', topics[0]?.errorCode ?? -1);
  for (let made = PARTITIONS_AT_ONCE; made < partitions; ) {
    await untilLed(connection, name, made);
    made = Math.min(partitions, made + PARTITIONS_AT_ONCE);
    await addPartitions(connection, name, made);
  }
  await untilLed(connection, name, partitions);
}

async function addPartitions(
  connection: WireConnection,
  name: string,
  count: number,
): Promise<void> {
  const { results } = await connection.call(
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CREATE_PARTITIONS_VERSION,
    {
      topics: [{ name, count, assignments: null }],
      timeoutMs: TIMEOUT_MS,
      validateOnly: false,
    },
  );
  refuseError('CreatePartitions', results[0]?.errorCode ?? -1);
}

/** Resolves when all partitions of a topic can be used. */
export async function untilLed(
  connection: WireConnection,
  name: string,
  partitions: number,
): Promise<void> {
  const deadline = performance.now() + LEADER_LIMIT_MS;
  while (!(await isLed(connection, name, partitions))) {
    if (performance.now() > deadline) throw new Error(`topic ${name} got no leaders`);
  }
}

/** Apache Kafka's metadata names a leader before that leader takes requests, so it is asked too. */
async function isLed(connection: WireConnection, name: string, count: number): Promise<boolean> {
  const offsets = await listOffsets(connection, name, count);
  return offsets.length === count && offsets.every(({ errorCode }) => errorCode === 0);
}

export async function deleteTopic(connection: WireConnection, name: string): Promise<void> {
  const { responses } = await connection.call(
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DELETE_TOPICS_VERSION,
    { topicNames: [name], timeoutMs: TIMEOUT_MS },
  );
  refuseError('DeleteTopics', responses[0]?.errorCode ?? -1);
}

/** End offsets of a topic's partitions, by index. */
export async function endOffsets(
  connection: WireConnection,
  name: string,
  count: number,
): Promise<number[]> {
  const ends = new Array<number>(count).fill(0);
  for (const { partitionIndex, errorCode, offset } of await listOffsets(connection, name, count)) {
    refuseError('ListOffsets', errorCode);
    ends[partitionIndex] = offset;
  }
  return ends;
}

async function listOffsets(connection: WireConnection, name: string, count: number) {
  const partitions = Array.from({ length: count }, (_, partitionIndex) => ({
    partitionIndex,
    timestamp: LATEST,
  }));
  const { topics } = await connection.call(
    ListOffsetsRequest,
    ListOffsetsResponse,
    LIST_OFFSETS_VERSION,
    { replicaId: -1, topics: [{ name, partitions }] },
  );
  return topics[0]?.partitions ?? [];
}

/** Throws when an answer carries an error: a benchmark has no use for a broker that refuses. */
export function refuseError(what: string, errorCode: number): void {
  if (errorCode !== 0) throw new Error(`${what} was answered ${errorName(errorCode)}`);
}

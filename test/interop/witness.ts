/**
 * Clients at work that remember what they were told: idempotent writers, writers of keys to a
 * compacted topic, a committer of offsets, a reader at the head. What they were told is held
 * against what a broker has after a kill or a power cut.
 *
 * Each writer has a partition of its own and sends a record when the one before was acknowledged;
 * it sends it again, with its sequence, when the connection broke. So the log must be the numbers
 * from 0 on without a gap, at least up to the last one acknowledged, each at its offset.
 */

import type { WireConnection } from '../../benchmarks/client/connection.ts';
import { errorName } from '../../protocol/errors.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/init-producer-id.ts';
import {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../protocol/messages/offset-commit.ts';
import { OffsetFetchRequest, OffsetFetchResponse } from '../../protocol/messages/offset-fetch.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { buildBatch } from '../../protocol/records.ts';
import { readAllCommitted, readCommitted } from '../clients/exactly-once/committed-reader.ts';

const TOPICS: readonly (readonly [string, number, Record<string, string>])[] = [
  ['plain', 2, { 'segment.bytes': '1048576' }],
  ['durable', 1, { 'fetch.visibility': 'durable' }],
  [
    'compacted',
    1,
    {
      'cleanup.policy': 'compact',
      'segment.bytes': '1048576',
      'min.cleanable.dirty.ratio': '0.01',
      'max.compaction.lag.ms': '1000',
    },
  ],
];
const LOGS = [
  ['plain', 0],
  ['plain', 1],
  ['durable', 0],
] as const;
const KEYS = 8;
const GROUP = 'witnesses';
/** Sizes of values: small ones for the journal, one that goes to its segment at once. */
const PADDING_BYTES = [10, 500, 3000, 60_000];

interface Acknowledged {
  readonly offset: number;
  /** When it was known, as the load's clock has it. */
  readonly at: number;
}

/** What was promised so far. */
export interface Facts {
  /** By log, by number. */
  readonly records: Map<string, Acknowledged[]>;
  /** By key: the numbers that were acknowledged, rising. */
  readonly keys: Map<string, { number: number; at: number }[]>;
  /** Committed offsets, rising. */
  readonly commits: { offset: number; at: number }[];
}

export interface LoadOptions {
  open(): Promise<WireConnection>;
  /** The time that facts are dated by. */
  now(): number;
  /** When a client is cut off: whether it is to come back. */
  readonly comesBack: boolean;
}

const timestamp = 1_704_067_200_000;

function recordValue(number: number): Buffer {
  return Buffer.from(`${number}|`.padEnd(PADDING_BYTES[number % PADDING_BYTES.length]!, 'x'));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export class WitnessedLoad {
  readonly facts: Facts = { records: new Map(), keys: new Map(), commits: [] };
  /** What was found wrong while it ran. */
  readonly violations: string[] = [];
  /** Records that the readers at the head have seen. */
  read = 0;
  readonly #options: LoadOptions;
  #isOver = false;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  async createTopics(): Promise<void> {
    const connection = await this.#options.open();
    const topics = TOPICS.map(([name, numPartitions, configs]) => ({
      name,
      numPartitions,
      replicationFactor: 1,
      assignments: [],
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    }));
    const request = { topics, timeoutMs: 10_000 };
    const answer = await connection.call(CreateTopicsRequest, CreateTopicsResponse, 5, request);
    for (const { errorCode } of answer.topics) refuse('CreateTopics', errorCode);
    connection.close();
  }

  /** Everybody at work, until `end` is called or, where nobody comes back, the broker has gone. */
  async run(): Promise<void> {
    const work = LOGS.map(([topic, partition]) => this.#work(this.#writer(topic, partition)));
    work.push(this.#work(this.#keyWriter()), this.#work(this.#committer()));
    for (const [topic, partition] of LOGS) work.push(this.#work(this.#reader(topic, partition)));
    await Promise.all(work);
  }

  end(): void {
    this.#isOver = true;
  }

  /** Takes steps over one connection after the other. */
  async #work(step: (connection: WireConnection) => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      try {
        const connection = await this.#options.open();
        try {
          while (!this.#isOver) await step(connection);
        } finally {
          connection.close();
        }
      } catch (error) {
        if (error instanceof Refusal) this.violations.push(error.message);
        if (error instanceof Refusal || !this.#options.comesBack) return;
        await pause(10);
      }
    }
  }

  #writer(topic: string, partition: number) {
    const acknowledged: Acknowledged[] = [];
    this.facts.records.set(`${topic}-${partition}`, acknowledged);
    let producer: { producerId: number; producerEpoch: number } | undefined;
    return async (connection: WireConnection) => {
      producer ??= await newProducer(connection);
      const number = acknowledged.length;
      const batch = buildBatch({
        ...producer,
        baseSequence: number,
        records: [{ key: null, value: recordValue(number), timestamp }],
      });
      const offset = await produce(connection, topic, partition, batch);
      acknowledged.push({ offset, at: this.#options.now() });
    };
  }

  #keyWriter() {
    let number = 0;
    return async (connection: WireConnection) => {
      number++;
      const key = `key-${number % KEYS}`;
      const value = Buffer.from(`${key}=${number}=`.padEnd(20_000, 'x'));
      const records = [{ key: Buffer.from(key), value, timestamp }];
      await produce(connection, 'compacted', 0, buildBatch({ records }));
      const of = this.facts.keys.get(key) ?? [];
      this.facts.keys.set(key, of);
      of.push({ number, at: this.#options.now() });
    };
  }

  #committer() {
    let offset = 0;
    return async (connection: WireConnection) => {
      const known = this.facts.commits.at(-1)?.offset ?? -1;
      const found = await committed(connection);
      if (found < known) this.violations.push(`commit ${known} went back to ${found}`);
      offset++;
      const partitions = [
        { partitionIndex: 0, committedOffset: offset, committedMetadata: String(offset) },
      ];
      const request = {
        groupId: GROUP,
        generationIdOrMemberEpoch: -1,
        memberId: '',
        topics: [{ name: 'plain', partitions }],
      };
      const answer = await connection.call(OffsetCommitRequest, OffsetCommitResponse, 8, request);
      refuse('OffsetCommit', answer.topics[0]!.partitions[0]!.errorCode);
      this.facts.commits.push({ offset, at: this.#options.now() });
    };
  }

  /** Reads at the head; what it saw comes without a gap, also over restarts. */
  #reader(topic: string, partition: number) {
    let next = 0;
    return async (connection: WireConnection) => {
      const read = await readCommitted(connection, topic, partition, next, 1_000_000);
      for (const { offset, value } of read.records) {
        if (offset !== next || Number.parseInt(value, 10) !== next) {
          const found = `${value.slice(0, 12)} at ${offset}`;
          this.violations.push(`${topic}-${partition}: read ${found} in the place of ${next}`);
        }
        next = offset + 1;
        this.read++;
      }
    };
  }
}

/** An answer that no client should get. */
class Refusal extends Error {}

const TRANSIENT = new Set([
  'NONE',
  'COORDINATOR_NOT_AVAILABLE',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'NOT_COORDINATOR',
]);

function refuse(what: string, errorCode: number): void {
  const name = errorName(errorCode);
  if (!TRANSIENT.has(name)) throw new Refusal(`${what}: ${name}`);
  if (errorCode !== 0) throw new Error(`${what}: ${name}`);
}

async function newProducer(connection: WireConnection) {
  const request = { transactionalId: null, transactionTimeoutMs: 0 };
  const pair = [InitProducerIdRequest, InitProducerIdResponse] as const;
  const { errorCode, producerId, producerEpoch } = await connection.call(...pair, 4, request);
  refuse('InitProducerId', errorCode);
  return { producerId, producerEpoch };
}

async function produce(
  connection: WireConnection,
  topic: string,
  partition: number,
  records: Buffer,
): Promise<number> {
  const topicData = [{ name: topic, partitionData: [{ index: partition, records }] }];
  const request = { acks: -1, timeoutMs: 30_000, topicData };
  const answer = await connection.call(ProduceRequest, ProduceResponse, 9, request);
  const { errorCode, baseOffset } = answer.responses[0]!.partitionResponses[0]!;
  refuse(`Produce to ${topic}`, errorCode);
  return baseOffset;
}

async function committed(connection: WireConnection): Promise<number> {
  const topics = [{ name: 'plain', partitionIndexes: [0] }];
  const request = { groupId: GROUP, topics };
  const answer = await connection.call(OffsetFetchRequest, OffsetFetchResponse, 7, request);
  refuse('OffsetFetch', answer.errorCode);
  return answer.topics[0]!.partitions[0]!.committedOffset;
}

/** Holds what was promised up to a time against what the broker has: what is wrong, in words. */
export async function verify(
  facts: Facts,
  connection: WireConnection,
  at = Number.POSITIVE_INFINITY,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const [topic, partition] of LOGS) {
    const promised = (facts.records.get(`${topic}-${partition}`) ?? []).filter((r) => r.at <= at);
    if (promised.length === 0) continue;
    const found = await orNothing(readAllCommitted(connection, topic, partition));
    const numbers = found.map(({ value }) => Number.parseInt(value, 10));
    const gap = numbers.findIndex((number, index) => number !== index);
    if (gap >= 0) wrong.push(`${topic}-${partition}: ${numbers[gap]} in the place of ${gap}`);
    for (const [number, { offset }] of promised.entries()) {
      if (found[number]?.offset === offset) continue;
      wrong.push(`${topic}-${partition}: ${number}, acknowledged at ${offset}, is not there`);
      break;
    }
  }
  const commit = facts.commits.findLast((one) => one.at <= at)?.offset;
  if (commit !== undefined) {
    const kept = await untilLoaded(() => committed(connection));
    if (kept < commit) wrong.push(`offset ${commit} was committed, ${kept} is there`);
  }
  const promisedKeys = [...facts.keys].flatMap(([key, all]) => {
    const last = all.findLast((one) => one.at <= at);
    return last === undefined ? [] : [[key, last.number] as const];
  });
  if (promisedKeys.length === 0) return wrong;
  const newest = new Map<string, number>();
  for (const { value } of await orNothing(readAllCommitted(connection, 'compacted', 0))) {
    const [key = '', number] = value.split('=');
    newest.set(key, Number(number));
  }
  for (const [key, number] of promisedKeys) {
    const kept = newest.get(key) ?? -1;
    if (kept < number) wrong.push(`${key}: ${number} was acknowledged, ${kept} is the newest`);
  }
  return wrong;
}

/** A topic that is gone has no records. */
async function orNothing<T>(reading: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await reading;
  } catch (error) {
    if (/UNKNOWN_TOPIC_OR_PARTITION/.test((error as Error).message)) return [];
    throw error;
  }
}

/** A coordinator that has just been started may ask for patience. */
async function untilLoaded<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof Refusal || !/^\w+: [A-Z_]+$/.test((error as Error).message)) throw error;
      await pause(10);
    }
  }
}

/** Where a reading begins: the topic's id, its partitions, and the offsets from and up to which it reads. */

import { ErrorCode, errorName, isRetriable } from '../protocol/errors.ts';
import { ListOffsetsRequest, ListOffsetsResponse } from '../protocol/messages/list-offsets.ts';
import { MetadataRequest, MetadataResponse } from '../protocol/messages/metadata.ts';
import type { BrokerConnection } from './connection.ts';
import { ReadError } from './errors.ts';
import { offsetsOf, type Settings } from './options.ts';
import { NO_EPOCH } from './partition-feed.ts';
import { isToken, type Place, readToken } from './token.ts';

/** With topic ids in the answer. */
const METADATA_VERSION = 12;
/** With ends by isolation. */
const LIST_OFFSETS_VERSION = 7;
/** Timestamps that mean a place and no time. */
export const EARLIEST = -2;
export const LATEST = -1;

/** A refusal that may pass by itself, as during an election. */
export class NotYet extends Error {}

export interface Topic {
  readonly name: string;
  readonly id: string;
  readonly partitions: readonly number[];
}

interface Places {
  readonly places: readonly Place[];
  /** All partitions are read, also those that the topic gets later. */
  readonly readsAll: boolean;
}

export interface Beginning extends Places {
  readonly topic: Topic;
  /** Ends by partition; empty when the reading follows. */
  readonly ends: ReadonlyMap<number, number>;
}

/** Undefined when there is no such topic. */
export async function findTopic(
  connection: BrokerConnection,
  name: string,
): Promise<Topic | undefined> {
  const { topics } = await connection.call(MetadataRequest, MetadataResponse, METADATA_VERSION, {
    topics: [{ name }],
    allowAutoTopicCreation: false,
  });
  const topic = topics[0];
  if (topic === undefined) return undefined;
  const { errorCode } = topic;
  if (errorCode === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) return undefined;
  if (errorCode !== ErrorCode.NONE) throw refusal(`topic ${name}`, errorCode);
  const partitions = topic.partitions.map(({ partitionIndex }) => partitionIndex);
  return { name, id: topic.topicId, partitions: partitions.toSorted((a, b) => a - b) };
}

export function refusal(what: string, errorCode: number): Error {
  const message = `${what} is answered ${errorName(errorCode)}`;
  return isRetriable(errorName(errorCode))
    ? new NotYet(message)
    : new ReadError('REFUSED', message);
}

/** Offsets of partitions at a time, or at one end; -1 where there is none. */
export async function listOffsets(
  connection: BrokerConnection,
  topic: Topic,
  partitions: readonly number[],
  timestamp: number,
  isolation: Settings['isolation'],
): Promise<Map<number, number>> {
  const { topics } = await connection.call(
    ListOffsetsRequest,
    ListOffsetsResponse,
    LIST_OFFSETS_VERSION,
    {
      replicaId: -1,
      isolationLevel: isolation === 'read_committed' ? 1 : 0,
      topics: [
        {
          name: topic.name,
          partitions: partitions.map((partitionIndex) => ({ partitionIndex, timestamp })),
        },
      ],
    },
  );
  const offsets = new Map<number, number>();
  for (const { partitionIndex, errorCode, offset } of topics[0]?.partitions ?? []) {
    if (errorCode !== ErrorCode.NONE) {
      throw refusal(`partition ${partitionIndex} of ${topic.name}`, errorCode);
    }
    offsets.set(partitionIndex, offset);
  }
  return offsets;
}

/** Finds out where to begin. */
export async function begin(connection: BrokerConnection, settings: Settings): Promise<Beginning> {
  const name = settings.topic;
  const topic = await findTopic(connection, name);
  if (topic === undefined) throw new ReadError('TOPIC_NOT_FOUND', `there is no topic ${name}`);
  const { places, readsAll } = await placesOf(connection, topic, settings);
  if (settings.follow) return { topic, places, readsAll, ends: new Map() };
  const partitions = places.map(({ partition }) => partition);
  const { isolation } = settings;
  const ends = await listOffsets(connection, topic, partitions, LATEST, isolation);
  return { topic, places, readsAll, ends };
}

async function placesOf(
  connection: BrokerConnection,
  topic: Topic,
  settings: Settings,
): Promise<Places> {
  const { from, isolation } = settings;
  if (typeof from === 'string' && isToken(from)) {
    return placesOfToken(connection, topic, settings, from);
  }
  const given = typeof from === 'object' && !(from instanceof Date) ? offsetsOf(from) : undefined;
  const partitions = chosen(topic, settings, given && [...given.keys()]);
  const readsAll = settings.partitions === undefined && given === undefined;
  const at = (offsets: ReadonlyMap<number, number>) => ({
    places: placesAt(partitions, offsets),
    readsAll,
  });
  if (given !== undefined) return at(given);
  if (typeof from === 'number') return at(new Map(partitions.map((index) => [index, from])));
  const list = (timestamp: number) =>
    listOffsets(connection, topic, partitions, timestamp, isolation);
  if (from === 'earliest') return at(await list(EARLIEST));
  const latest = await list(LATEST);
  if (from === 'latest') return at(latest);
  // After the last record there is none at or after a time: what comes is.
  const found = await list((from as Date).getTime());
  return at(
    new Map(partitions.map((i) => [i, found.get(i)! < 0 ? latest.get(i)! : found.get(i)!])),
  );
}

/** Places that nothing was read before. */
export function placesAt(
  partitions: readonly number[],
  offsets: ReadonlyMap<number, number>,
): Place[] {
  return partitions.map((partition) => {
    return { partition, offset: offsets.get(partition)!, epoch: NO_EPOCH };
  });
}

async function placesOfToken(
  connection: BrokerConnection,
  topic: Topic,
  settings: Settings,
  token: string,
): Promise<Places> {
  const { topic: name, topicId, places, readsAll } = readToken(token);
  if (name !== topic.name) {
    throw new ReadError('INVALID_OPTIONS', `the token is of the topic ${name}`);
  }
  if (topicId !== topic.id) {
    throw new ReadError('TOPIC_DELETED', `the topic ${name} is not the one that the token is of`);
  }
  const known = places.map(({ partition }) => partition);
  const wanted = new Set(chosen(topic, settings, known));
  const placed = places.filter(({ partition }) => wanted.has(partition));
  if (!readsAll || settings.partitions !== undefined) return { places: placed, readsAll: false };
  const added = topic.partitions.filter((index) => !known.includes(index));
  return { places: [...placed, ...(await starts(connection, topic, added, settings))], readsAll };
}

/** The starts of partitions of which nothing was read. */
export async function starts(
  connection: BrokerConnection,
  topic: Topic,
  partitions: readonly number[],
  { isolation }: Settings,
): Promise<Place[]> {
  if (partitions.length === 0) return [];
  const offsets = await listOffsets(connection, topic, partitions, EARLIEST, isolation);
  return placesAt(partitions, offsets);
}

/** The partitions to read, each of which must be there and have a place to begin. */
function chosen(topic: Topic, settings: Settings, placed?: readonly number[]): readonly number[] {
  const partitions = [...new Set(settings.partitions ?? placed ?? topic.partitions)];
  for (const index of partitions) {
    if (!topic.partitions.includes(index)) {
      throw new ReadError('TOPIC_NOT_FOUND', `${topic.name} has no partition ${index}`);
    }
    if (placed !== undefined && !placed.includes(index)) {
      throw new ReadError('INVALID_OPTIONS', `from says nothing of partition ${index}`);
    }
  }
  return partitions;
}

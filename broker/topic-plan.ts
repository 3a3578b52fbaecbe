/**
 * What is checked of a change to topics before it is written: Kafka's rules for CreateTopics and
 * CreatePartitions on a cluster of one node, and the records that make the change.
 * Source: Kafka's ReplicationControlManager.
 */

import { type ErrorName, ProtocolError } from '../protocol/errors.ts';
import type { Random } from '../storage/env.ts';
import { topicSettingsFault } from './config/topic-config.ts';
import type { Config } from './config.ts';
import { partitionRecord, ResourceType } from './metadata-image.ts';
import type { NewMetadataRecord } from './metadata-records.ts';
import { collisionKey, METADATA_TOPIC, topicNameFault } from './topic-names.ts';

/** Records of one request: it is one batch, and stays far below what a log takes at once. */
export const MAX_RECORDS_PER_REQUEST = 10_000;

/** A topic that is asked for, in the words of CreateTopics. */
export interface NewTopic {
  readonly name: string;
  /** -1: the broker's default. */
  readonly numPartitions: number;
  /** -1: the broker's default. */
  readonly replicationFactor: number;
  readonly assignments: readonly ReplicaAssignment[];
  readonly configs: readonly { readonly name: string; readonly value: string | null }[];
}

export interface ReplicaAssignment {
  readonly partitionIndex: number;
  readonly brokerIds: readonly number[];
}

/** A topic that may be created, and the records that do it. */
export interface TopicPlan {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: number;
  readonly settings: ReadonlyMap<string, string>;
  readonly records: readonly NewMetadataRecord[];
}

function fail(error: ErrorName, message: string): never {
  throw new ProtocolError(error, message);
}

/** Checks a topic that is asked for, but for its name being free. Throws ProtocolError. */
export function planTopic(
  topic: NewTopic,
  config: Config,
  nodeId: number,
  random: Random,
): TopicPlan {
  const { name } = topic;
  if (name === METADATA_TOPIC) {
    fail('INVALID_REQUEST', `Creation of internal topic ${METADATA_TOPIC} is prohibited.`);
  }
  const fault = topicNameFault(name);
  if (fault !== undefined) fail('INVALID_TOPIC_EXCEPTION', fault);
  const settings = checkSettings(topic, config);
  const partitions =
    topic.assignments.length > 0
      ? checkAssignments(topic, nodeId)
      : checkCounts(topic, config.get('num.partitions'));
  const topicId = newTopicId(random);
  const records: NewMetadataRecord[] = [{ kind: 'TopicRecord', value: { name, topicId } }];
  for (const [option, value] of settings) records.push(topicSetting(name, option, value));
  for (let index = 0; index < partitions; index++) {
    records.push(partitionRecord(topicId, index, nodeId));
  }
  return { name, topicId, partitions, settings, records };
}

/** A random id, as KRaft draws them: version 4, and none that begins with a hyphen. */
function newTopicId(random: Random): string {
  for (;;) {
    const bytes = random.bytes(16);
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    const id = bytes.toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

/** Existing names with which new ones could collide, by what they share; empty where none can. */
export function collisionNames(
  wanted: readonly { readonly name: string }[],
  existing: Iterable<{ readonly name: string }>,
): Map<string, string> {
  const names = new Map<string, string>();
  if (!wanted.some(({ name }) => /[._]/.test(name))) return names;
  for (const { name } of existing) {
    if (/[._]/.test(name)) names.set(collisionKey(name), name);
  }
  return names;
}

/** The record of one setting of a topic; null takes it back. */
export function topicSetting(topic: string, name: string, value: string | null): NewMetadataRecord {
  const resource = { resourceType: ResourceType.topic, resourceName: topic };
  return { kind: 'ConfigRecord', value: { ...resource, name, value } };
}

function checkSettings(topic: NewTopic, config: Config): Map<string, string> {
  const settings = new Map<string, string>();
  for (const { name, value } of topic.configs) {
    if (value === null) {
      fail('INVALID_CONFIG', `Null value not supported for topic configs: ${name}`);
    }
    settings.set(name, value);
  }
  const fault = topicSettingsFault(config, settings);
  if (fault !== undefined) fail('INVALID_CONFIG', fault);
  return settings;
}

function checkCounts(topic: NewTopic, defaultPartitions: number): number {
  const { replicationFactor, numPartitions } = topic;
  if (replicationFactor < -1 || replicationFactor === 0) {
    fail(
      'INVALID_REPLICATION_FACTOR',
      'Replication factor must be larger than 0, or -1 to use the default value.',
    );
  }
  if (numPartitions < -1 || numPartitions === 0) {
    fail('INVALID_PARTITIONS', 'Number of partitions was set to an invalid non-positive value.');
  }
  if (replicationFactor > 1) {
    fail(
      'INVALID_REPLICATION_FACTOR',
      `Unable to replicate the partition ${replicationFactor} time(s): there is 1 broker.`,
    );
  }
  const partitions = numPartitions === -1 ? defaultPartitions : numPartitions;
  checkRecordCount(partitions);
  return partitions;
}

/** A request that would make too many records is refused before they are made. */
export function checkRecordCount(records: number): void {
  if (records > MAX_RECORDS_PER_REQUEST) {
    fail('POLICY_VIOLATION', 'Excessively large number of partitions per request.');
  }
}

function checkAssignments(topic: NewTopic, nodeId: number): number {
  if (topic.replicationFactor !== -1) {
    fail(
      'INVALID_REQUEST',
      'A manual partition assignment was specified, but replication factor was not set to -1.',
    );
  }
  if (topic.numPartitions !== -1) {
    fail(
      'INVALID_REQUEST',
      'A manual partition assignment was specified, but numPartitions was not set to -1.',
    );
  }
  const indexes = new Set<number>();
  for (const { partitionIndex, brokerIds } of topic.assignments) {
    if (indexes.has(partitionIndex)) {
      fail(
        'INVALID_REPLICA_ASSIGNMENT',
        `Found multiple manual partition assignments for partition ${partitionIndex}`,
      );
    }
    indexes.add(partitionIndex);
    checkReplicas(brokerIds, nodeId);
  }
  for (let index = 0; index < indexes.size; index++) {
    if (!indexes.has(index)) {
      fail(
        'INVALID_REPLICA_ASSIGNMENT',
        'partitions should be a consecutive 0-based integer sequence',
      );
    }
  }
  checkRecordCount(indexes.size);
  return indexes.size;
}

/** The one replica must be this node. */
export function checkReplicas(brokerIds: readonly number[], nodeId: number): void {
  if (brokerIds.length === 0) {
    fail(
      'INVALID_REPLICA_ASSIGNMENT',
      'The manual partition assignment includes an empty replica list.',
    );
  }
  const seen = new Set<number>();
  for (const id of brokerIds) {
    if (id !== nodeId) {
      fail(
        'INVALID_REPLICA_ASSIGNMENT',
        `The manual partition assignment includes broker ${id}, but no such broker is registered.`,
      );
    }
    if (seen.has(id)) {
      fail(
        'INVALID_REPLICA_ASSIGNMENT',
        `The manual partition assignment includes the broker ${id} more than once.`,
      );
    }
    seen.add(id);
  }
}

/** Checks a new number of partitions. Throws ProtocolError. */
export function checkIncrease(
  name: string,
  current: number,
  total: number,
  assignments: readonly { readonly brokerIds: readonly number[] }[] | null,
  nodeId: number,
): void {
  if (total === current) {
    fail('INVALID_PARTITIONS', `Topic already has ${current} partition(s).`);
  }
  if (total < current) {
    fail(
      'INVALID_PARTITIONS',
      `The topic ${name} currently has ${current} partition(s); ${total} would not be an increase.`,
    );
  }
  checkRecordCount(total - current);
  if (assignments === null) return;
  if (assignments.length !== total - current) {
    fail(
      'INVALID_REPLICA_ASSIGNMENT',
      `Attempted to add ${total - current} additional partition(s), but only ` +
        `${assignments.length} assignment(s) were specified.`,
    );
  }
  for (const { brokerIds } of assignments) checkReplicas(brokerIds, nodeId);
}

/**
 * What is done to the committed offsets of a shard's groups: OffsetCommit, OffsetFetch, the
 * deletion of groups and topics, and the expiry of what nobody used for long.
 */

import type { ErrorName } from '../../protocol/errors.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import { shown } from '../limited-log.ts';
import {
  groupTombstone,
  type KeyedRecord,
  type OffsetValue,
  offsetRecord,
  offsetTombstone,
} from './offset-records.ts';
import { type CommittedOffset, isOfOtherTopic, offsetOf, type TopicPartition } from './offsets.ts';
import type { GroupEntry, Shard } from './shard.ts';
import { CONSUMER_PROTOCOL_TYPE } from './subscription.ts';

export interface OffsetToCommit {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string | null;
}

export interface CommitRequest {
  readonly groupId: string;
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generationId: number;
  /** -1 unless the client asks for a retention of its own (OffsetCommit 2 to 4). */
  readonly retentionTimeMs: number;
  /** Whether the client knows that a group may not be there (OffsetCommit 9). */
  readonly knowsGroupNotFound: boolean;
  readonly offsets: readonly OffsetToCommit[];
}

/** Offsets of a topic that are asked for. */
export interface TopicToFetch {
  readonly topic: string;
  /** The zero uuid when the client goes by names. */
  readonly topicId: string;
  readonly partitions: readonly number[];
}

export interface FetchedOffset {
  readonly partition: number;
  readonly error: ErrorName;
  /** Undefined where nothing is committed, or may not be told yet. */
  readonly committed: CommittedOffset | undefined;
}

export interface FetchedTopic {
  readonly topic: string;
  readonly partitions: readonly FetchedOffset[];
}

/** Commits offsets; gives the error of each, in order. All are durable when it resolves. */
export async function commitOffsets(shard: Shard, request: CommitRequest): Promise<ErrorName[]> {
  const refuse = (error: ErrorName) => request.offsets.map(() => error);
  const entry = entryToCommit(shard, request);
  if (typeof entry === 'string') return refuse(entry);
  const fault = entry.group.commitFault(request.memberId, request.instanceId, request.generationId);
  if (fault !== undefined) return refuse(fault);
  return commitAccepted(shard, entry, request.offsets, (accepted) =>
    writeCommits(shard, request, accepted, entry),
  );
}

/** Writes the offsets against which nothing speaks; gives the error of each, in order. */
export async function commitAccepted(
  shard: Shard,
  entry: GroupEntry,
  offsets: readonly OffsetToCommit[],
  write: (accepted: readonly OffsetToCommit[]) => Promise<ErrorName | undefined>,
): Promise<ErrorName[]> {
  const errors = offsets.map((offset) => offsetFault(shard, entry, offset));
  const accepted = offsets.filter((_, index) => errors[index] === 'NONE');
  if (accepted.length === 0) {
    shard.forgetIfVoid(entry);
    return errors;
  }
  const error = await write(accepted);
  return error === undefined ? errors : errors.map((own) => (own === 'NONE' ? error : own));
}

/** The group that a commit is for; one that is not known is made for a client without one. */
function entryToCommit(shard: Shard, request: CommitRequest): GroupEntry | ErrorName {
  const known = shard.get(request.groupId);
  if (known !== undefined) return known;
  if (request.generationId >= 0) {
    return request.knowsGroupNotFound ? 'GROUP_ID_NOT_FOUND' : 'ILLEGAL_GENERATION';
  }
  if (shard.services.budget.isFull) return refusedForMemory(shard, request.groupId);
  return shard.ensure(request.groupId);
}

/** What speaks against one offset. */
function offsetFault(shard: Shard, entry: GroupEntry, offset: OffsetToCommit): ErrorName {
  const { options, budget } = shard.services;
  if ((offset.metadata?.length ?? 0) > options.offsetMetadataMaxLength) {
    return 'OFFSET_METADATA_TOO_LARGE';
  }
  const isNew = entry.offsets.committed.get(offset.topic, offset.partition) === undefined;
  return isNew && budget.isFull ? refusedForMemory(shard, entry.group.id) : 'NONE';
}

export function refusedForMemory(shard: Shard, group: string): ErrorName {
  shard.host.log.warn(
    { group: shown(group), limitBytes: shard.services.budget.limitBytes },
    'a commit was refused: groups take as much memory as they may',
  );
  return 'COORDINATOR_NOT_AVAILABLE';
}

async function writeCommits(
  shard: Shard,
  request: CommitRequest,
  accepted: readonly OffsetToCommit[],
  entry: GroupEntry,
): Promise<ErrorName | undefined> {
  const { groupId } = request;
  const values = offsetValues(accepted, shard.host.now(), request.retentionTimeMs);
  for (const { topic, partition } of accepted) entry.offsets.launched(topic, partition);
  const error = await shard.write({
    records: accepted.map(({ topic, partition }, index) =>
      offsetRecord(groupId, topic, partition, values[index]!),
    ),
    apply: (recordOffsetOf) => {
      // The group may have been deleted, and made anew, since.
      const { offsets } = shard.ensure(groupId);
      for (const [index, { topic, partition }] of accepted.entries()) {
        offsets.put(topic, partition, offsetOf(values[index]!, recordOffsetOf(index)));
      }
    },
    settled: () => {
      for (const { topic, partition } of accepted) entry.offsets.landed(topic, partition);
    },
  });
  if (error === undefined) shard.services.offsetsCommitted(accepted.length);
  return error;
}

/** Offsets as they are recorded. */
export function offsetValues(
  offsets: readonly OffsetToCommit[],
  nowMs: number,
  retentionTimeMs = -1,
): OffsetValue[] {
  const expireTimestamp = retentionTimeMs === -1 ? -1 : nowMs + retentionTimeMs;
  return offsets.map((offset) => ({
    offset: offset.offset,
    leaderEpoch: offset.leaderEpoch,
    metadata: offset.metadata ?? '',
    commitTimestamp: nowMs,
    expireTimestamp,
    topicId: offset.topicId,
  }));
}

/**
 * The offsets that were asked for, or all of the group's when `topics` is null. With `stable`,
 * commits on their way are waited for, and offsets of open transactions are not told.
 */
export async function fetchOffsets(
  shard: Shard,
  groupId: string,
  topics: readonly TopicToFetch[] | null,
  stable: boolean,
): Promise<FetchedTopic[]> {
  if (stable && shard.get(groupId)?.offsets.hasInFlight) await shard.writer.drained();
  const entry = shard.get(groupId);
  const fetch = (topic: string, partition: number, topicId: string): FetchedOffset => {
    if (stable && entry?.offsets.isOpen(topic, partition)) {
      return { partition, error: 'UNSTABLE_OFFSET_COMMIT', committed: undefined };
    }
    const found = entry?.offsets.committed.get(topic, partition);
    const isMeant = found !== undefined && !isOfOtherTopic(found, topicId);
    return { partition, error: 'NONE', committed: isMeant ? found : undefined };
  };
  if (topics !== null) {
    return topics.map(({ topic, topicId, partitions }) => ({
      topic,
      partitions: partitions.map((partition) => fetch(topic, partition, topicId)),
    }));
  }
  return [...(entry?.offsets.committed.topics ?? [])].map(([topic, partitions]) => ({
    topic,
    partitions: [...partitions.keys()].map((partition) => fetch(topic, partition, ZERO_UUID)),
  }));
}

/** Deletes groups that have no members; gives the error of each, in order. */
export async function deleteGroups(
  shard: Shard,
  groupIds: readonly string[],
): Promise<ErrorName[]> {
  const removal = new Removal(shard);
  const errors = groupIds.map((groupId): ErrorName => {
    const entry = shard.get(groupId);
    if (entry === undefined) return 'GROUP_ID_NOT_FOUND';
    if (entry.group.state !== 'Empty') return 'NON_EMPTY_GROUP';
    removal.offsets(entry, entry.offsets.partitionsToDelete());
    removal.group(entry);
    return 'NONE';
  });
  const error = await removal.run();
  return error === undefined ? errors : errors.map((own) => (own === 'NONE' ? error : own));
}

/** Deletes offsets of a group that no member reads; gives the error of each, or of all. */
export async function deleteOffsets(
  shard: Shard,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<ErrorName[] | ErrorName> {
  const entry = shard.get(groupId);
  if (entry === undefined) return 'GROUP_ID_NOT_FOUND';
  const { group, offsets } = entry;
  const isConsumerGroup = group.protocolType === CONSUMER_PROTOCOL_TYPE;
  if (group.state !== 'Empty' && !isConsumerGroup) return 'NON_EMPTY_GROUP';
  const errors = partitions.map(
    ({ topic }): ErrorName => (group.isSubscribedTo(topic) ? 'GROUP_SUBSCRIBED_TO_TOPIC' : 'NONE'),
  );
  const removal = new Removal(shard);
  const doomed = partitions.filter((_, index) => errors[index] === 'NONE');
  removal.offsets(
    entry,
    doomed.filter(({ topic, partition }) => offsets.has(topic, partition)),
  );
  const error = await removal.run();
  return error === undefined ? errors : errors.map((own) => (own === 'NONE' ? error : own));
}

/** Deletes what the groups have committed for a topic that is gone. */
export async function deleteTopicOffsets(shard: Shard, topic: string): Promise<void> {
  const removal = new Removal(shard);
  for (const entry of shard.entries) {
    removal.offsets(entry, entry.offsets.partitionsToDelete(topic));
  }
  await removal.run();
}

/**
 * Deletes what was committed for topics that are not there: one was deleted, and the process ended
 * before its offsets were. A new topic of that name must not be read from where the old one ended.
 */
export async function deleteOffsetsOfLost(
  shard: Shard,
  isThere: (topic: string) => boolean,
): Promise<void> {
  const removal = new Removal(shard);
  for (const entry of shard.entries) {
    const lost = entry.offsets.partitionsToDelete().filter(({ topic }) => !isThere(topic));
    removal.offsets(entry, lost);
    if (lost.length === 0) continue;
    shard.host.log.info(
      { group: shown(entry.group.id), offsets: lost.length },
      'offsets of deleted topics were deleted',
    );
  }
  await removal.run();
}

/** Deletes offsets that have outlived their retention, and groups of which nothing is left. */
export async function expireOffsets(
  shard: Shard,
  entries: readonly GroupEntry[],
  nowMs: number,
): Promise<void> {
  const removal = new Removal(shard);
  const { offsetsRetentionMs } = shard.services.options;
  for (const entry of entries) {
    const { group, offsets } = entry;
    const expired = offsets.expired(group, nowMs, offsetsRetentionMs);
    removal.offsets(entry, expired);
    const isOver =
      expired.length === offsets.committed.size &&
      !offsets.hasInFlight &&
      !offsets.hasOpenTransactions &&
      group.state === 'Empty' &&
      !group.hasPendingMembers;
    if (isOver) removal.group(entry);
  }
  await removal.run();
}

/** Tombstones that are written together, and what they delete when they are durable. */
class Removal {
  readonly #shard: Shard;
  readonly #records: KeyedRecord[] = [];
  readonly #offsets: { readonly entry: GroupEntry; readonly partitions: TopicPartition[] }[] = [];
  readonly #groups: GroupEntry[] = [];

  constructor(shard: Shard) {
    this.#shard = shard;
  }

  offsets(entry: GroupEntry, partitions: TopicPartition[]): void {
    if (partitions.length === 0) return;
    this.#offsets.push({ entry, partitions });
    for (const { topic, partition } of partitions) {
      this.#records.push(offsetTombstone(entry.group.id, topic, partition));
    }
  }

  group(entry: GroupEntry): void {
    this.#groups.push(entry);
    if (entry.group.isRecorded) this.#records.push(groupTombstone(entry.group.id));
  }

  async run(): Promise<ErrorName | undefined> {
    if (this.#records.length === 0) {
      this.#apply();
      return undefined;
    }
    return this.#shard.write({ records: this.#records, apply: () => this.#apply() });
  }

  #apply(): void {
    for (const { entry, partitions } of this.#offsets) {
      for (const { topic, partition } of partitions) entry.offsets.remove(topic, partition);
    }
    for (const entry of this.#groups) {
      // Somebody may have joined or committed meanwhile, whose records came after ours.
      const { group, offsets } = entry;
      if (group.state === 'Empty' && offsets.isEmpty) this.#shard.forget(entry);
    }
  }
}

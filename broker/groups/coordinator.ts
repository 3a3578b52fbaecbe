/**
 * The group coordinator: the door to all groups. It sends each request to the shard that keeps the
 * group, by the partition of __consumer_offsets that Kafka would choose, and answers for shards
 * that are still loading. Every broker of this kind is the coordinator of every group.
 *
 * Errors are values here (Kafka's names); only a broken invariant throws.
 * Counterpart of Kafka's GroupCoordinatorService.
 */

import { type ErrorName, ProtocolError } from '../../protocol/errors.ts';
import type { Env } from '../../storage/env.ts';
import { Deadlines } from '../deadlines.ts';
import { LimitedLog } from '../limited-log.ts';
import type { Metrics } from '../metrics.ts';
import type { TransactionMarker } from '../partition.ts';
import type { WritablePartition } from './log-writer.ts';
import {
  type DescribedMember,
  type JoinRequest,
  type JoinResult,
  joinError,
  type LeavingMember,
  type SyncRequest,
  type SyncResult,
  syncError,
} from './messages.ts';
import { OffsetExpiry } from './offset-expiry.ts';
import {
  type CommitRequest,
  commitOffsets,
  deleteGroups,
  deleteOffsets,
  deleteOffsetsOfLost,
  deleteTopicOffsets,
  type FetchedTopic,
  fetchOffsets,
  type TopicToFetch,
} from './offset-operations.ts';
import type { TopicPartition } from './offsets.ts';
import type { GroupOptions } from './options.ts';
import { partitionFor } from './partition-for.ts';
import type { GroupState } from './rebalance.ts';
import { type GroupEntry, Shard, type ShardServices } from './shard.ts';
import { loadShard } from './shard-loader.ts';
import { StateBudget } from './state-budget.ts';
import {
  commitInTransaction,
  endTransaction,
  type TransactionalCommitRequest,
} from './transactional-offsets.ts';

export { groupOptions } from './options.ts';
export type {
  CommitRequest,
  DescribedMember,
  FetchedTopic,
  GroupOptions,
  JoinRequest,
  JoinResult,
  LeavingMember,
  OffsetsTopic,
  SyncRequest,
  SyncResult,
  TopicToFetch,
};

export const OFFSETS_TOPIC = '__consumer_offsets';

/** The topic that keeps groups and offsets, as the coordinator needs it. */
interface OffsetsTopic {
  readonly partitions: readonly WritablePartition['partition'][];
  readonly config: { get(name: 'max.message.bytes'): number };
}

/** What of the topics the coordinator needs. */
export interface GroupTopics {
  get(name: string): OffsetsTopic | undefined;
  ensureInternal(
    name: string,
    partitions: number,
    configs: Readonly<Record<string, string>>,
  ): Promise<OffsetsTopic>;
}

export interface CoordinatorServices {
  readonly env: Env;
  readonly topics: GroupTopics;
  readonly options: GroupOptions;
  readonly metrics: Metrics;
}

export interface DescribedGroup {
  readonly state: GroupState;
  readonly protocolType: string;
  /** The protocol of a stable group, else empty. */
  readonly protocol: string;
  readonly members: readonly DescribedMember[];
}

export interface ListedGroup {
  readonly groupId: string;
  readonly protocolType: string;
  readonly state: GroupState;
}

/** Ids are texts of the log's records, whose lengths have 16 bits. */
const MAX_GROUP_ID_BYTES = 0x7fff;

export class GroupCoordinator {
  readonly #services: CoordinatorServices;
  readonly #deadlines: Deadlines;
  readonly #budget: StateBudget;
  readonly #shards: readonly Shard[];
  readonly #expiry: OffsetExpiry;
  #isClosed = false;

  /** The topics must be known; groups are there once `load` has resolved. */
  constructor(services: CoordinatorServices) {
    const { env, topics, options, metrics } = services;
    this.#services = services;
    this.#deadlines = new Deadlines(env.clock);
    this.#budget = new StateBudget(options.stateLimitBytes);
    const rebalances = metrics.counter('group_rebalances_total');
    const commits = metrics.counter('offset_commits_total');
    const shardServices: ShardServices = {
      env,
      log: new LimitedLog(env.clock, env.log),
      options,
      deadlines: this.#deadlines,
      budget: this.#budget,
      open: (partition) => this.#openPartition(partition),
      rebalanced: () => rebalances.add(),
      offsetsCommitted: (count) => commits.add(count),
    };
    // How many there are is fixed with the topic: another number would lose every group.
    const count = topics.get(OFFSETS_TOPIC)?.partitions.length ?? options.offsetsTopicPartitions;
    this.#shards = Array.from({ length: count }, (_, index) => {
      const shard = new Shard(index, shardServices);
      shard.unavailable = 'COORDINATOR_LOAD_IN_PROGRESS';
      return shard;
    });
    this.#expiry = new OffsetExpiry(env, options.retentionCheckIntervalMs, this.#shards);
    metrics.gauge('groups').from(() => this.groupCount);
    metrics.gauge('group_members').from(() => this.memberCount);
  }

  get groupCount(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.size, 0);
  }

  get memberCount(): number {
    let count = 0;
    for (const { group } of this.#entries()) count += group.members.size;
    return count;
  }

  /** Estimated bytes of all that is remembered. */
  get stateBytes(): number {
    return this.#budget.usedBytes;
  }

  /** Reads what was recorded; until then groups answer COORDINATOR_LOAD_IN_PROGRESS. */
  async load(): Promise<void> {
    const partitions = this.#services.topics.get(OFFSETS_TOPIC)?.partitions ?? [];
    const filled = this.#shards.filter((shard) => {
      const log = partitions[shard.partition]?.log;
      return log !== undefined && log.endOffset > log.logStartOffset;
    });
    for (const shard of this.#shards) if (!filled.includes(shard)) shard.unavailable = undefined;
    for (const shard of filled) {
      if (this.#isClosed) return;
      await this.#loadShard(shard, partitions[shard.partition]!);
    }
    if (!this.#isClosed) this.#expiry.start();
  }

  /** Answers all that waits with NOT_COORDINATOR; whatever comes later is refused. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#expiry.close();
    for (const shard of this.#shards) shard.close('COORDINATOR_NOT_AVAILABLE');
    this.#deadlines.close();
  }

  joinGroup(groupId: string, request: JoinRequest): Promise<JoinResult> {
    const refuse = (error: ErrorName) => Promise.resolve(joinError(error, request.memberId));
    if (!isMemberGroupId(groupId)) return refuse('INVALID_GROUP_ID');
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#services.options;
    const { sessionTimeoutMs } = request;
    if (sessionTimeoutMs < minSessionTimeoutMs || sessionTimeoutMs > maxSessionTimeoutMs) {
      return refuse('INVALID_SESSION_TIMEOUT');
    }
    const shard = this.#shardOf(groupId);
    if (shard.unavailable !== undefined) return refuse(shard.unavailable);
    // Only who has no id yet can have a group made.
    if (request.memberId !== '' && shard.get(groupId) === undefined) {
      return refuse('UNKNOWN_MEMBER_ID');
    }
    const entry = shard.ensure(groupId);
    const result = new Promise<JoinResult>((resolve) => entry.group.join(request, resolve));
    shard.forgetIfVoid(entry);
    return result;
  }

  syncGroup(groupId: string, request: SyncRequest): Promise<SyncResult> {
    const entry = this.#memberGroup(groupId);
    if (typeof entry === 'string') return Promise.resolve(syncError(entry));
    return new Promise((resolve) => entry.group.sync(request, resolve));
  }

  heartbeat(
    groupId: string,
    memberId: string,
    instanceId: string | null,
    generationId: number,
  ): ErrorName {
    const entry = this.#memberGroup(groupId);
    // A group that is being loaded cannot tell: the member is not to give up for that.
    if (entry === 'COORDINATOR_LOAD_IN_PROGRESS') return 'NONE';
    if (typeof entry === 'string') return entry;
    return entry.group.heartbeat(memberId, instanceId, generationId);
  }

  /** The error of each member, or of the request as a whole. */
  leaveGroup(groupId: string, members: readonly LeavingMember[]): ErrorName | ErrorName[] {
    const entry = this.#memberGroup(groupId);
    if (entry === 'UNKNOWN_MEMBER_ID') return members.map(() => entry);
    if (typeof entry === 'string') return entry;
    return entry.group.leave(members);
  }

  /** The error of each offset, in order; all is durable when it resolves. */
  commitOffsets(request: CommitRequest): Promise<ErrorName[]> {
    const fault = this.#faultOf(request.groupId);
    if (fault !== undefined) return Promise.resolve(request.offsets.map(() => fault));
    return commitOffsets(this.#shardOf(request.groupId), request);
  }

  /** The same within a transaction: the offsets count when it is committed. */
  commitInTransaction(request: TransactionalCommitRequest): Promise<ErrorName[]> {
    const fault = this.#faultOf(request.groupId);
    if (fault !== undefined) return Promise.resolve(request.offsets.map(() => fault));
    return commitInTransaction(this.#shardOf(request.groupId), request);
  }

  /** Ends a transaction in a partition of __consumer_offsets; durable when it resolves. */
  async endTransaction(partition: number, marker: TransactionMarker): Promise<void> {
    const shard = this.#shards[partition];
    if (shard === undefined) throw new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION');
    if (shard.unavailable === 'COORDINATOR_LOAD_IN_PROGRESS') {
      throw new ProtocolError('NOT_LEADER_OR_FOLLOWER', 'the groups are being loaded');
    }
    await endTransaction(shard, marker);
  }

  /** The partition of __consumer_offsets that keeps a group. */
  partitionOf(groupId: string): number {
    return partitionFor(groupId, this.#shards.length);
  }

  /** The offsets of these topics, or all with null; an error where the group cannot be asked. */
  async fetchOffsets(
    groupId: string,
    topics: readonly TopicToFetch[] | null,
    requireStable: boolean,
  ): Promise<FetchedTopic[] | ErrorName> {
    const fault = this.#faultOf(groupId);
    if (fault !== undefined) return fault;
    return fetchOffsets(this.#shardOf(groupId), groupId, topics, requireStable);
  }

  /** GROUP_ID_NOT_FOUND when there is no such group. */
  describeGroup(groupId: string): DescribedGroup | ErrorName {
    const fault = this.#faultOf(groupId);
    if (fault !== undefined) return fault;
    const group = this.#shardOf(groupId).get(groupId)?.group;
    if (group === undefined) return 'GROUP_ID_NOT_FOUND';
    return {
      state: group.state,
      protocolType: group.protocolType ?? '',
      protocol: group.state === 'Stable' ? (group.protocolName ?? '') : '',
      members: group.describe(),
    };
  }

  listGroups(): ListedGroup[] | ErrorName {
    for (const { unavailable } of this.#shards) if (unavailable !== undefined) return unavailable;
    const listed: ListedGroup[] = [];
    for (const { group } of this.#entries()) {
      const { id, protocolType, state } = group;
      listed.push({ groupId: id, protocolType: protocolType ?? '', state });
    }
    return listed;
  }

  /** Deletes groups that have no members, with their offsets; gives the error of each. */
  async deleteGroups(groupIds: ReadonlySet<string>): Promise<Map<string, ErrorName>> {
    const results = new Map<string, ErrorName>();
    const byShard = new Map<Shard, string[]>();
    for (const groupId of groupIds) {
      const fault = this.#faultOf(groupId);
      if (fault !== undefined) {
        results.set(groupId, fault);
        continue;
      }
      const shard = this.#shardOf(groupId);
      byShard.set(shard, [...(byShard.get(shard) ?? []), groupId]);
    }
    await Promise.all(
      [...byShard].map(async ([shard, ids]) => {
        const errors = await deleteGroups(shard, ids);
        for (const [index, id] of ids.entries()) results.set(id, errors[index]!);
      }),
    );
    return results;
  }

  /** Deletes offsets that no member reads; gives the error of each, in order, or of all. */
  async deleteOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<ErrorName[] | ErrorName> {
    if (!isMemberGroupId(groupId)) return 'INVALID_GROUP_ID';
    const fault = this.#faultOf(groupId);
    if (fault !== undefined) return fault;
    return deleteOffsets(this.#shardOf(groupId), groupId, partitions);
  }

  /** A topic is gone: what was committed for it goes too. */
  async topicDeleted(topic: { readonly name: string }): Promise<void> {
    const shards = this.#shards.filter((shard) => shard.size > 0);
    await Promise.all(shards.map((shard) => deleteTopicOffsets(shard, topic.name)));
  }

  #shardOf(groupId: string): Shard {
    return this.#shards[this.partitionOf(groupId)]!;
  }

  *#entries(): Generator<GroupEntry> {
    for (const shard of this.#shards) yield* shard.entries;
  }

  /** Why a group cannot be asked; ids may be empty, as offsets can be committed under that. */
  #faultOf(groupId: string): ErrorName | undefined {
    if (Buffer.byteLength(groupId) > MAX_GROUP_ID_BYTES) return 'INVALID_GROUP_ID';
    return this.#shardOf(groupId).unavailable;
  }

  /** The group of a member, which must be known. */
  #memberGroup(groupId: string): GroupEntry | ErrorName {
    if (!isMemberGroupId(groupId)) return 'INVALID_GROUP_ID';
    const shard = this.#shardOf(groupId);
    return shard.unavailable ?? shard.get(groupId) ?? 'UNKNOWN_MEMBER_ID';
  }

  async #openPartition(partition: number): Promise<WritablePartition> {
    const { topics, options } = this.#services;
    const topic = await topics.ensureInternal(OFFSETS_TOPIC, this.#shards.length, {
      'cleanup.policy': 'compact',
      'tail.compaction.enable': 'true',
      'compression.type': 'producer',
      'segment.bytes': String(options.offsetsTopicSegmentBytes),
    });
    return {
      partition: topic.partitions[partition]!,
      maxBatchBytes: topic.config.get('max.message.bytes'),
    };
  }

  async #loadShard(shard: Shard, partition: WritablePartition['partition']): Promise<void> {
    const { env } = this.#services;
    const startMs = env.clock.monotonic();
    try {
      await loadShard(shard, partition);
    } catch (error) {
      // The disk does not give its groups; those of the other partitions can be served.
      env.log.error({ partition: shard.partition, error }, 'groups could not be loaded');
      shard.close('COORDINATOR_NOT_AVAILABLE');
      return;
    }
    if (this.#isClosed) {
      shard.close('COORDINATOR_NOT_AVAILABLE');
      return;
    }
    await deleteOffsetsOfLost(shard, (name) => this.#services.topics.get(name) !== undefined);
    if (this.#isClosed) return;
    shard.unavailable = undefined;
    const tookMs = Math.round(env.clock.monotonic() - startMs);
    env.log.info({ partition: shard.partition, groups: shard.size, tookMs }, 'groups were loaded');
  }
}

/** Whether an id can be that of a group with members. */
function isMemberGroupId(groupId: string): boolean {
  return groupId !== '' && Buffer.byteLength(groupId) <= MAX_GROUP_ID_BYTES;
}

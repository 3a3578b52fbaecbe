/**
 * The committed offsets of one group. What is read here is durable: a commit is put in when its
 * record is, in the order of the records. Beside it stand the offsets of transactions that are
 * still open, and how many commits of each partition are on their way to the log, so that whoever
 * deletes offsets also deletes what arrives between.
 */

import { ZERO_UUID } from '../../protocol/schema.ts';
import type { Group } from './group.ts';
import type { OffsetValue } from './offset-records.ts';
import { type StateBudget, stateBytes } from './state-budget.ts';
import { CONSUMER_PROTOCOL_TYPE } from './subscription.ts';
import { TopicPartitionMap } from './topic-partition-map.ts';

export interface CommittedOffset {
  readonly offset: number;
  /** -1 when the client did not say. */
  readonly leaderEpoch: number;
  readonly metadata: string;
  readonly commitTimestampMs: number;
  /** Set where a client of old asked for a retention of its own. */
  readonly expireTimestampMs: number | undefined;
  /** The zero uuid where the record did not say. */
  readonly topicId: string;
  /** Offset of the record in its partition of __consumer_offsets. */
  readonly recordOffset: number;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export function offsetOf(value: OffsetValue, recordOffset: number): CommittedOffset {
  return {
    offset: value.offset,
    leaderEpoch: value.leaderEpoch,
    metadata: value.metadata,
    commitTimestampMs: value.commitTimestamp,
    expireTimestampMs: value.expireTimestamp === -1 ? undefined : value.expireTimestamp,
    topicId: value.topicId,
    recordOffset,
  };
}

/** Whether an offset was committed for another topic of the same name. */
export function isOfOtherTopic(committed: CommittedOffset, topicId: string): boolean {
  return committed.topicId !== ZERO_UUID && topicId !== ZERO_UUID && committed.topicId !== topicId;
}

export class GroupOffsets {
  readonly committed = new TopicPartitionMap<CommittedOffset>();
  readonly #inFlight = new TopicPartitionMap<number>();
  readonly #open = new Map<number, TopicPartitionMap<CommittedOffset>>();
  readonly #budget: StateBudget;

  constructor(budget: StateBudget) {
    this.#budget = budget;
  }

  get isEmpty(): boolean {
    return this.committed.size === 0 && this.#inFlight.size === 0 && this.#open.size === 0;
  }

  get hasOpenTransactions(): boolean {
    return this.#open.size > 0;
  }

  get hasInFlight(): boolean {
    return this.#inFlight.size > 0;
  }

  put(topic: string, partition: number, committed: CommittedOffset): void {
    this.#give(topic, this.committed.set(topic, partition, committed));
    this.#budget.take(stateBytes(topic, committed.metadata));
  }

  /** Forgets a partition, in open transactions too. */
  remove(topic: string, partition: number): void {
    this.#give(topic, this.committed.delete(topic, partition));
    for (const offsets of this.#open.values()) this.#give(topic, offsets.delete(topic, partition));
  }

  /** Gives back what the offsets count for; the group is forgotten. */
  clear(): void {
    for (const { topic, partition } of [...this.committed]) this.remove(topic, partition);
    for (const producerId of [...this.#open.keys()]) this.endTransaction(producerId, false);
  }

  #give(topic: string, former: CommittedOffset | undefined): void {
    if (former !== undefined) this.#budget.give(stateBytes(topic, former.metadata));
  }

  /** A commit goes to the log: it is to be told by `landed` how that ended. */
  launched(topic: string, partition: number): void {
    this.#inFlight.set(topic, partition, (this.#inFlight.get(topic, partition) ?? 0) + 1);
  }

  landed(topic: string, partition: number): void {
    const left = (this.#inFlight.get(topic, partition) ?? 0) - 1;
    if (left > 0) this.#inFlight.set(topic, partition, left);
    else this.#inFlight.delete(topic, partition);
  }

  isInFlight(topic: string, partition: number): boolean {
    return this.#inFlight.get(topic, partition) !== undefined;
  }

  /** An offset of a transaction: it counts when the transaction is committed. */
  putOpen(producerId: number, topic: string, partition: number, committed: CommittedOffset): void {
    let offsets = this.#open.get(producerId);
    if (offsets === undefined) {
      offsets = new TopicPartitionMap();
      this.#open.set(producerId, offsets);
    }
    this.#give(topic, offsets.set(topic, partition, committed));
    this.#budget.take(stateBytes(topic, committed.metadata));
  }

  isOpen(topic: string, partition: number): boolean {
    for (const offsets of this.#open.values()) {
      if (offsets.get(topic, partition) !== undefined) return true;
    }
    return false;
  }

  /** The end of a transaction. What was committed after its record, outside of it, stays. */
  endTransaction(producerId: number, isCommit: boolean): void {
    const offsets = this.#open.get(producerId);
    this.#open.delete(producerId);
    if (offsets === undefined) return;
    for (const { topic, partition, value } of offsets) {
      this.#give(topic, value);
      if (!isCommit) continue;
      const current = this.committed.get(topic, partition);
      if (current === undefined || value.recordOffset > current.recordOffset) {
        this.put(topic, partition, value);
      }
    }
  }

  /** Whether a partition has or may come to have an offset. */
  has(topic: string, partition: number): boolean {
    const isCommitted = this.committed.get(topic, partition) !== undefined;
    return isCommitted || this.isInFlight(topic, partition) || this.isOpen(topic, partition);
  }

  /** Every partition that has or may come to have an offset, of one topic or of all. */
  partitionsToDelete(ofTopic?: string): TopicPartition[] {
    const found = new TopicPartitionMap<true>();
    for (const offsets of [this.committed, this.#inFlight, ...this.#open.values()]) {
      for (const { topic, partition } of offsets) {
        if (ofTopic === undefined || topic === ofTopic) found.set(topic, partition, true);
      }
    }
    return [...found];
  }

  /**
   * The offsets that have outlived their retention: counted from when the group went empty, or
   * from the commit where the group has no members at all or no longer reads the topic.
   */
  expired(group: Group, nowMs: number, retentionMs: number): TopicPartition[] {
    const since = retainedSince(group);
    if (since === undefined) return [];
    const expired: TopicPartition[] = [];
    for (const { topic, partition, value } of this.committed) {
      const isOver =
        value.expireTimestampMs !== undefined
          ? nowMs >= value.expireTimestampMs
          : nowMs - since(value) >= retentionMs;
      if (!isOver || group.isSubscribedTo(topic)) continue;
      if (this.isOpen(topic, partition) || this.isInFlight(topic, partition)) continue;
      expired.push({ topic, partition });
    }
    return expired;
  }
}

/** From when the retention of a group's offsets counts; undefined while none of them expires. */
function retainedSince(group: Group): ((committed: CommittedOffset) => number) | undefined {
  const sinceCommit = (committed: CommittedOffset) => committed.commitTimestampMs;
  const { protocolType, stateTimestampMs } = group;
  if (protocolType === undefined) return sinceCommit;
  if (group.state === 'Empty') {
    return stateTimestampMs === undefined ? sinceCommit : () => stateTimestampMs;
  }
  const isKnown = protocolType === CONSUMER_PROTOCOL_TYPE && group.knowsSubscriptions;
  return isKnown && group.state === 'Stable' ? sinceCommit : undefined;
}

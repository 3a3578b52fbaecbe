/**
 * A simulated member of a consumer group: joins, divides the partitions when it leads, reads what is
 * its own from the committed offsets on, commits, beats, and leaves or dies without a word.
 */

import { codec } from '../../protocol/compile.ts';
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import {
  ConsumerProtocolAssignment,
  ConsumerProtocolSubscription,
} from '../../protocol/messages/consumer-protocol.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { HeartbeatRequest, HeartbeatResponse } from '../../protocol/messages/heartbeat.ts';
import { JoinGroupRequest, JoinGroupResponse } from '../../protocol/messages/join-group.ts';
import { LeaveGroupRequest, LeaveGroupResponse } from '../../protocol/messages/leave-group.ts';
import {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../protocol/messages/offset-commit.ts';
import { OffsetFetchRequest, OffsetFetchResponse } from '../../protocol/messages/offset-fetch.ts';
import { SyncGroupRequest, SyncGroupResponse } from '../../protocol/messages/sync-group.ts';
import { Reader } from '../../protocol/reader.ts';
import { Writer } from '../../protocol/writer.ts';
import type { GroupChecker } from './checkers/groups.ts';
import { checkPhantom } from './checkers/logs.ts';
import { takeBatches } from './checkers/polls.ts';
import { Disconnected } from './client.ts';
import { nameOf, type Place } from './history.ts';
import type { Run } from './run.ts';
import { Worker } from './worker.ts';

const join = { request: JoinGroupRequest, response: JoinGroupResponse, version: 9 };
const sync = { request: SyncGroupRequest, response: SyncGroupResponse, version: 5 };
const heartbeat = { request: HeartbeatRequest, response: HeartbeatResponse, version: 4 };
const leave = { request: LeaveGroupRequest, response: LeaveGroupResponse, version: 5 };
const fetch = { request: FetchRequest, response: FetchResponse, version: 12 };
const offsetCommit = { request: OffsetCommitRequest, response: OffsetCommitResponse, version: 8 };
const offsetFetch = { request: OffsetFetchRequest, response: OffsetFetchResponse, version: 7 };

export const GROUP = 'team';
const SESSION_MS = 6000;
const PROTOCOL = 'range';

/** What a member is told that is to join anew; what else it is told is against the law. */
const JOIN_ANEW: ReadonlySet<number> = new Set([
  ErrorCode.REBALANCE_IN_PROGRESS,
  ErrorCode.ILLEGAL_GENERATION,
  ErrorCode.UNKNOWN_MEMBER_ID,
  ErrorCode.MEMBER_ID_REQUIRED,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.KAFKA_STORAGE_ERROR,
]);

/** After these errors a commit can never count. */
const NOT_COMMITTED: ReadonlySet<number> = new Set([
  ErrorCode.REBALANCE_IN_PROGRESS,
  ErrorCode.ILLEGAL_GENERATION,
  ErrorCode.UNKNOWN_MEMBER_ID,
]);

class JoinAnew extends Error {}

export class GroupMember extends Worker {
  readonly #places: readonly Place[];
  readonly #checker: GroupChecker;
  readonly #positions = new Map<Place, number>();
  #memberId = '';
  #generation = -1;
  #isOver = false;
  /** All is read and committed up to here. */
  #ends: ReadonlyMap<Place, number> | undefined;

  constructor(run: Run, name: string, places: readonly Place[], checker: GroupChecker) {
    super(run, name, places[0]!);
    this.#places = places;
    this.#checker = checker;
  }

  /** Ends without a word when it next looks. */
  die(): void {
    this.#isOver = true;
    this.note('dies');
    this.client.disconnect();
  }

  /** Ends when all partitions are its own and committed up to here. */
  finishAt(ends: ReadonlyMap<Place, number>): void {
    this.#ends = ends;
  }

  get #isDone(): boolean {
    const ends = this.#ends;
    if (ends === undefined || this.#generation < 0) return false;
    // Whom it was divided with may have left just now: then it does not own all yet.
    return this.#places.every((place) => (this.#positions.get(place) ?? -1) >= ends.get(place)!);
  }

  async run(): Promise<void> {
    while (!this.#isOver && !this.#isDone) {
      try {
        if (this.#generation < 0) await this.#join();
        else await this.#work();
      } catch (error) {
        if (error instanceof JoinAnew) this.#generation = -1;
        else if (!(error instanceof Disconnected)) throw error;
        await this.pause(300);
      }
    }
  }

  /** Leaves in an orderly way. */
  async leaveGroup(): Promise<void> {
    this.#isOver = true;
    await this.until(async () => {
      const members = [{ memberId: this.#memberId }];
      const { errorCode } = await this.client.call(leave, { groupId: GROUP, members });
      return errorCode === 0 ? true : this.isToRepeat(errorCode, 'LeaveGroup');
    });
    this.note('left');
    this.leave();
  }

  get #self() {
    return { groupId: GROUP, memberId: this.#memberId, generationId: this.#generation };
  }

  async #join(): Promise<void> {
    const answer = await this.client.call(join, {
      groupId: GROUP,
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: SESSION_MS,
      memberId: this.#memberId,
      protocolType: 'consumer',
      protocols: [{ name: PROTOCOL, metadata: subscription(this.place.topic) }],
    });
    if (answer.errorCode === ErrorCode.MEMBER_ID_REQUIRED) this.#memberId = answer.memberId;
    if (answer.errorCode === ErrorCode.UNKNOWN_MEMBER_ID) this.#memberId = '';
    this.#refuse('JoinGroup', answer.errorCode);
    this.#memberId = answer.memberId;
    const assignments =
      answer.leader === answer.memberId
        ? this.#divide(answer.members.map(({ memberId }) => memberId))
        : [];
    const { generationId } = answer;
    const synced = await this.client.call(sync, {
      ...this.#self,
      generationId,
      protocolType: 'consumer',
      protocolName: PROTOCOL,
      assignments,
    });
    this.#refuse('SyncGroup', synced.errorCode);
    await this.#own(generationId, partitionsOf(synced.assignment));
  }

  #divide(members: readonly string[]) {
    const { topic } = this.place;
    return members.map((memberId, index) => {
      const partitions = this.#places
        .map(({ partition }) => partition)
        .filter((partition) => partition % members.length === index);
      return { memberId, assignment: assignment(topic, partitions) };
    });
  }

  async #own(generation: number, partitions: readonly number[]): Promise<void> {
    this.#checker.assigned(this.#memberId, generation, partitions);
    this.note(`owns ${partitions} in generation ${generation}`);
    this.#positions.clear();
    for (const place of this.#places) {
      if (!partitions.includes(place.partition)) continue;
      this.#positions.set(place, Math.max(0, await this.#committed(place)));
    }
    this.#generation = generation;
  }

  async #committed(place: Place): Promise<number> {
    const { topic: name, partition } = place;
    const told = this.shared.commits.asked(GROUP, nameOf(place));
    const { topics, errorCode } = await this.client.call(offsetFetch, {
      groupId: GROUP,
      topics: [{ name, partitionIndexes: [partition] }],
    });
    const found = topics[0]?.partitions[0];
    this.#refuse('OffsetFetch', errorCode || (found?.errorCode ?? 0));
    told(found!.committedOffset);
    return found!.committedOffset;
  }

  /** Reads a little of all that it owns, commits, and beats. */
  async #work(): Promise<void> {
    for (const place of this.#positions.keys()) {
      await this.#read(place);
      await this.#commit(place);
    }
    const { errorCode } = await this.client.call(heartbeat, this.#self);
    this.#refuse('Heartbeat', errorCode);
    await this.pause(200);
  }

  async #read(place: Place): Promise<void> {
    const { topic, partition } = place;
    const position = this.#positions.get(place)!;
    const asked = { partition, fetchOffset: position, partitionMaxBytes: 30_000 };
    const { responses } = await this.client.call(fetch, {
      maxWaitMs: 50,
      minBytes: 1,
      topics: [{ topic, partitions: [asked] }],
    });
    const { errorCode, records } = responses[0]!.partitions[0]!;
    this.#refuse('Fetch', errorCode);
    const lawful = { gaps: false, control: this.world.powerCuts > 0 };
    const taken = await takeBatches(records ?? Buffer.alloc(0), position, lawful);
    if (taken.fault !== undefined) this.violate('poll', `${nameOf(place)}: ${taken.fault}`);
    for (const record of taken.records) {
      checkPhantom(this.history, this.name, place, record);
      this.shared.sightings.seen(this.name, place, record, this.world.powerCuts);
      this.#checker.processed(record);
    }
    this.#positions.set(place, taken.nextOffset);
  }

  async #commit(place: Place): Promise<void> {
    const committedOffset = this.#positions.get(place)!;
    const { topic: name, partition: partitionIndex } = place;
    const commit = this.shared.commits.begun(GROUP, nameOf(place), committedOffset);
    const line = { partitionIndex, committedOffset, committedMetadata: null };
    const { generationId: generationIdOrMemberEpoch, ...self } = this.#self;
    const { topics } = await this.client.call(offsetCommit, {
      ...self,
      generationIdOrMemberEpoch,
      topics: [{ name, partitions: [line] }],
    });
    const { errorCode } = topics[0]!.partitions[0]!;
    if (errorCode === 0) return commit.done();
    if (NOT_COMMITTED.has(errorCode)) commit.refused();
    this.#refuse('OffsetCommit', errorCode);
  }

  #refuse(what: string, code: number): void {
    if (code === 0) return;
    this.note(`${what} was answered ${errorName(code)}`);
    if (!JOIN_ANEW.has(code)) this.violate('error', `${what} was answered ${errorName(code)}`);
    throw new JoinAnew(what);
  }
}

function subscription(topic: string): Buffer {
  const writer = new Writer();
  writer.int16(0);
  codec(ConsumerProtocolSubscription, 0).encode(writer, { topics: [topic] });
  return Buffer.concat(writer.finish());
}

function assignment(topic: string, partitions: readonly number[]): Buffer {
  const writer = new Writer();
  writer.int16(0);
  const assignedPartitions = [{ topic, partitions: [...partitions] }];
  codec(ConsumerProtocolAssignment, 0).encode(writer, { assignedPartitions });
  return Buffer.concat(writer.finish());
}

function partitionsOf(bytes: Buffer): readonly number[] {
  if (bytes.length === 0) return [];
  const reader = new Reader(bytes);
  reader.int16();
  const { assignedPartitions } = codec(ConsumerProtocolAssignment, 0).decode(reader);
  return assignedPartitions.flatMap(({ partitions }) => partitions);
}

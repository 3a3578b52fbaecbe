/**
 * The heart of a classic group: its states, its generations, and the two phases of a rebalance.
 *
 * ```
 * Empty ──▶ PreparingRebalance ──▶ CompletingRebalance ──▶ Stable
 *   ▲            │   ▲ members join       │ the leader assigns   │
 *   └────────────┘   └────────────────────┴──────────────────────┘ somebody came, left or changed
 * ```
 * and Dead from everywhere. Deterministic: everything comes in through calls, time through the
 * host's deadlines, and all that is made durable goes through `host.store`.
 * Counterpart of Kafka's ClassicGroup and the classic half of GroupMetadataManager.
 */

import type { ErrorName } from '../../protocol/errors.ts';
import { shown } from '../limited-log.ts';
import type { GroupHost } from './group-host.ts';
import { type Member, Members } from './members.ts';
import {
  type JoinedMember,
  type JoinResult,
  joinError,
  NO_BYTES,
  type SyncResult,
  syncError,
} from './messages.ts';
import { groupRecord, type KeyedRecord } from './offset-records.ts';
import { stateBytes } from './state-budget.ts';
import { CONSUMER_PROTOCOL_TYPE, unionOfTopics } from './subscription.ts';
import { Timeout } from './timeout.ts';

/** Kafka's names, as DescribeGroups and ListGroups send them. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';

const FROM: { readonly [S in GroupState]: readonly GroupState[] } = {
  Empty: ['PreparingRebalance'],
  PreparingRebalance: ['Stable', 'CompletingRebalance', 'Empty'],
  CompletingRebalance: ['PreparingRebalance'],
  Stable: ['CompletingRebalance'],
  Dead: ['Empty', 'PreparingRebalance', 'CompletingRebalance', 'Stable'],
};

const LAST_GENERATION = 0x7fff_ffff;

export class GroupRebalance {
  readonly id: string;
  readonly members: Members;
  generationId = 0;
  protocolType: string | undefined;
  protocolName: string | undefined;
  /** Since when the group is in its state; undefined where a record of old did not say. */
  stateTimestampMs: number | undefined;
  /** Whether a record of the group may be in the log, so that its end must be recorded too. */
  isRecorded = false;
  protected readonly host: GroupHost;
  /** Members that have joined and whose SyncGroup has not come. */
  protected readonly pendingSync = new Set<string>();
  /** Member ids given out and not used yet, each with the time by which it must be. */
  protected readonly pendingJoin = new Map<string, Timeout>();
  #state: GroupState = 'Empty';
  #previousState: GroupState = 'Dead';
  #subscribed: ReadonlySet<string> | undefined;
  /** Somebody came while the first rebalance was waiting for more. */
  #memberAdded = false;
  readonly #joinTimer: Timeout;
  readonly #syncTimer: Timeout;
  #joinTimedOut: () => void = () => {};

  constructor(id: string, host: GroupHost) {
    this.id = id;
    this.host = host;
    this.members = new Members(host.budget);
    this.stateTimestampMs = host.now();
    this.#joinTimer = new Timeout(host.deadlines, () => this.#joinTimedOut());
    this.#syncTimer = new Timeout(host.deadlines, () => this.#syncTimedOut());
  }

  get state(): GroupState {
    return this.#state;
  }

  get hasPendingMembers(): boolean {
    return this.pendingJoin.size > 0;
  }

  /** Whether offsets of a topic are in use, as far as the coordinator can know. */
  isSubscribedTo(topic: string): boolean {
    return this.#subscribed?.has(topic) ?? this.protocolType === CONSUMER_PROTOCOL_TYPE;
  }

  /** Whether what the members subscribe to is known. */
  get knowsSubscriptions(): boolean {
    return this.#subscribed !== undefined;
  }

  /** Ends all that waits and all timers: the group is deleted, or the coordinator stops. */
  retire(error: ErrorName): void {
    this.transitionTo('Dead');
    for (const memberId of [...this.pendingJoin.keys()]) this.forgetPromised(memberId);
    this.#joinTimer.stop();
    this.#clearPendingSync();
    for (const member of [...this.members.all]) {
      this.members.answerJoin(member, joinError(error, member.id));
      member.answerSync(syncError(error));
      this.members.remove(member);
    }
  }

  /** The group's record with these assignments; a member that is not named has none. */
  record(assignmentOf: (member: Member) => Buffer): KeyedRecord {
    const protocol = this.protocolName;
    return groupRecord(this.id, {
      protocolType: this.protocolType ?? '',
      generation: this.generationId,
      protocol: protocol ?? null,
      leader: this.members.leaderId ?? null,
      currentStateTimestamp: this.stateTimestampMs ?? -1,
      members: [...this.members.all].map((member) => ({
        memberId: member.id,
        groupInstanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeout: member.rebalanceTimeoutMs,
        sessionTimeout: member.sessionTimeoutMs,
        subscription: protocol === undefined ? NO_BYTES : member.metadata(protocol),
        assignment: assignmentOf(member),
      })),
    });
  }

  /** Opens a new round of joining, or looks whether the one that is open is complete. */
  protected prepareOrComplete(reason: string): void {
    if (FROM.PreparingRebalance.includes(this.#state)) this.prepareRebalance(reason);
    else this.completeJoinIfAllCame();
  }

  protected prepareRebalance(reason: string): void {
    if (this.#state === 'CompletingRebalance') this.#propagateError('REBALANCE_IN_PROGRESS');
    this.#clearPendingSync();
    const isInitial = this.#state === 'Empty';
    this.transitionTo('PreparingRebalance');
    this.host.log.info(
      { group: shown(this.id), generation: this.generationId, reason: shown(reason) },
      'preparing to rebalance a group',
    );
    if (isInitial) {
      const delayMs = this.host.options.initialRebalanceDelayMs;
      this.#waitForMore(delayMs, Math.max(this.members.rebalanceTimeoutMs - delayMs, 0));
    } else if (this.#haveAllJoined()) {
      this.#completeJoin();
    } else {
      this.#waitForRejoins();
    }
  }

  /** Ends the round of joining when nobody is missing; the first round lasts its full time. */
  protected completeJoinIfAllCame(): void {
    if (this.#state !== 'PreparingRebalance' || this.#previousState === 'Empty') return;
    if (this.#haveAllJoined()) this.#completeJoin();
  }

  /** The same for when somebody is gone, which may also leave the first round without anybody. */
  protected completeJoinWithoutLost(): void {
    if (this.#state === 'PreparingRebalance' && this.#haveAllJoined()) this.#completeJoin();
  }

  /** A new member came: a first round that is waiting for more may wait longer. */
  protected noteNewMember(): void {
    if (this.#state === 'PreparingRebalance' && this.#previousState === 'Empty') {
      this.#memberAdded = true;
    }
  }

  /** A member id that was given out is used, or is not waited for any more. */
  protected forgetPromised(memberId: string): boolean {
    const timeout = this.pendingJoin.get(memberId);
    if (timeout === undefined) return false;
    timeout.stop();
    this.pendingJoin.delete(memberId);
    this.host.budget.give(stateBytes(memberId));
    return true;
  }

  /** A member's session time begins anew. */
  protected touch(member: Member): void {
    member.session.restart(member.sessionTimeoutMs);
  }

  protected joinResult(member: Member): JoinResult {
    return {
      error: 'NONE',
      memberId: member.id,
      generationId: this.generationId,
      protocolType: this.protocolType ?? null,
      protocolName: this.protocolName ?? null,
      leader: this.members.leaderId ?? '',
      skipAssignment: false,
      members: this.members.isLeader(member.id) ? this.joinedMembers() : [],
    };
  }

  protected joinedMembers(): JoinedMember[] {
    return [...this.members.all].map((member) => ({
      memberId: member.id,
      groupInstanceId: member.instanceId,
      metadata: member.metadata(this.protocolName ?? ''),
    }));
  }

  protected syncResult(member: Member): SyncResult {
    return {
      error: 'NONE',
      protocolType: this.protocolType ?? null,
      protocolName: this.protocolName ?? null,
      assignment: member.assignment,
    };
  }

  protected syncCame(memberId: string): void {
    this.pendingSync.delete(memberId);
    if (this.pendingSync.size === 0) this.#syncTimer.stop();
  }

  /** Takes the leader's assignments: durable first, then known to all, and the group is stable. */
  protected takeAssignments(assignments: ReadonlyMap<string, Buffer>): void {
    const generationId = this.generationId;
    const assignmentOf = (member: Member) => assignments.get(member.id) ?? NO_BYTES;
    this.storeRecord(this.record(assignmentOf), (error) => {
      // Somebody may have come or gone meanwhile: then another round is open.
      if (this.#state !== 'CompletingRebalance' || generationId !== this.generationId) return;
      if (error !== undefined) {
        this.#propagateError(error);
        this.prepareOrComplete(`the assignment could not be recorded: ${error}`);
        return;
      }
      for (const member of this.members.all) this.members.assign(member, assignmentOf(member));
      this.transitionTo('Stable');
      for (const member of this.members.all) {
        if (member.answerSync(this.syncResult(member))) this.touch(member);
      }
      this.host.rebalanced();
    });
  }

  protected storeRecord(record: KeyedRecord, done: (error: ErrorName | undefined) => void): void {
    this.isRecorded = true;
    this.host.store(record, done);
  }

  protected transitionTo(state: GroupState): void {
    if (!FROM[state].includes(this.#state)) {
      throw new Error(`group ${this.id} cannot go from ${this.#state} to ${state}`);
    }
    this.#previousState = this.#state;
    this.#state = state;
    this.stateTimestampMs = this.host.now();
  }

  /** The state a record tells of; nothing waits yet. */
  protected restoreState(state: 'Empty' | 'Stable', timestampMs: number | undefined): void {
    this.#state = state;
    this.stateTimestampMs = timestampMs;
    this.#subscribed = this.#subscribedTopics();
  }

  #haveAllJoined(): boolean {
    return this.members.awaitingJoinCount === this.members.size && this.pendingJoin.size === 0;
  }

  /** The first round: waits for more members, again and again while some come, up to a limit. */
  #waitForMore(delayMs: number, remainingMs: number): void {
    const over = () => {
      if (!this.#memberAdded || remainingMs === 0) {
        this.#completeJoin();
        return;
      }
      this.#memberAdded = false;
      const nextMs = Math.min(this.host.options.initialRebalanceDelayMs, remainingMs);
      this.#waitForMore(nextMs, Math.max(remainingMs - delayMs, 0));
    };
    this.#memberAdded = false;
    if (delayMs === 0) over();
    else this.#waitToJoin(delayMs, over);
  }

  #waitForRejoins(): void {
    this.#waitToJoin(this.members.rebalanceTimeoutMs, () => this.#completeJoin());
  }

  #waitToJoin(delayMs: number, over: () => void): void {
    this.#joinTimedOut = over;
    this.#joinTimer.restart(delayMs);
  }

  /** Ends the round of joining: those who did not come are dropped, the next generation begins. */
  #completeJoin(): void {
    this.#joinTimer.stop();
    const lost = [...this.members.all].filter(
      (member) => !this.members.isAwaitingJoin(member) && member.instanceId === null,
    );
    for (const member of lost) this.#drop(member, 'it did not join in time');
    if (!this.members.electJoinedLeader() && this.members.size > 0) {
      // Only static members, none of them there: they may return until their sessions end.
      this.#waitForRejoins();
      return;
    }
    this.generationId = this.generationId === LAST_GENERATION ? 1 : this.generationId + 1;
    this.#clearPendingSync();
    if (this.members.size === 0) this.#becomeEmpty();
    else this.#beginGeneration();
  }

  #becomeEmpty(): void {
    this.protocolName = undefined;
    this.#subscribed = this.#subscribedTopics();
    this.transitionTo('Empty');
    this.host.log.info(
      { group: shown(this.id), generation: this.generationId },
      'a group is empty',
    );
    // If this fails, the generation before comes back after a restart, and its sessions end then.
    this.storeRecord(
      this.record(() => NO_BYTES),
      (error) => {
        if (error === undefined) return;
        this.host.log.warn(
          { group: shown(this.id), error },
          'an empty group could not be recorded',
        );
      },
    );
  }

  #beginGeneration(): void {
    this.protocolName = this.members.selectProtocol();
    this.#subscribed = this.#subscribedTopics();
    this.transitionTo('CompletingRebalance');
    this.host.log.info(
      { group: shown(this.id), generation: this.generationId, members: this.members.size },
      'a new generation of a group began',
    );
    for (const member of this.members.all) {
      this.members.answerJoin(member, this.joinResult(member));
      this.touch(member);
      member.isNew = false;
      this.pendingSync.add(member.id);
    }
    this.#syncTimer.restart(this.members.rebalanceTimeoutMs);
  }

  /** Those whose SyncGroup did not come in time are dropped, and the others join again. */
  #syncTimedOut(): void {
    const lost = [...this.pendingSync];
    for (const id of lost) {
      const member = this.members.get(id);
      if (member !== undefined) this.#drop(member, 'its SyncGroup did not come in time');
    }
    if (lost.length > 0) this.prepareRebalance('members did not ask for their assignment in time');
  }

  #drop(member: Member, reason: string): void {
    this.host.log.info(
      { group: shown(this.id), member: shown(member.id), client: shown(member.clientId), reason },
      'a member was dropped from its group',
    );
    this.members.remove(member);
  }

  #clearPendingSync(): void {
    this.pendingSync.clear();
    this.#syncTimer.stop();
  }

  /** All assignments of the generation that is being made are void. */
  #propagateError(error: ErrorName): void {
    for (const member of this.members.all) {
      this.members.assign(member, NO_BYTES);
      if (member.answerSync(syncError(error))) this.touch(member);
    }
  }

  #subscribedTopics(): ReadonlySet<string> | undefined {
    if (this.protocolType !== CONSUMER_PROTOCOL_TYPE) return undefined;
    if (this.members.size === 0) return new Set();
    const protocol = this.protocolName;
    if (protocol === undefined) return undefined;
    const topics = unionOfTopics([...this.members.all].map((member) => member.metadata(protocol)));
    if (topics === undefined) {
      this.host.log.warn({ group: shown(this.id) }, 'what the members subscribe to cannot be read');
    }
    return topics;
  }
}

/**
 * One classic group as its clients see it: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, and whether
 * an OffsetCommit may speak for a member. Answers that must wait are given through callbacks, each
 * called exactly once: at the end of a round, or when the member is removed, replaced or the
 * coordinator stops.
 *
 * Member ids as KIP-394 has them (an id is given out first and must be joined with), static members
 * as KIP-345 (the one who joins last owns the group.instance.id; who had it before is fenced).
 */

import type { ErrorName } from '../../protocol/errors.ts';
import { shown } from '../limited-log.ts';
import type { GroupHost } from './group-host.ts';
import { Member, type MemberFacts } from './members.ts';
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
import type { GroupValue } from './offset-records.ts';
import { GroupRebalance } from './rebalance.ts';
import { stateBytes } from './state-budget.ts';
import { Timeout } from './timeout.ts';

/** A new member that nobody answers for so long has given up: it cannot send heartbeats yet. */
const NEW_MEMBER_JOIN_TIMEOUT_MS = 5 * 60 * 1000;

export class Group extends GroupRebalance {
  /** Makes a group as its record says; sessions begin anew. */
  static restore(id: string, value: GroupValue, host: GroupHost): Group {
    const group = new Group(id, host);
    group.generationId = value.generation;
    group.protocolType = value.protocolType === '' ? undefined : value.protocolType;
    group.protocolName = value.protocol ?? undefined;
    group.isRecorded = true;
    for (const stored of value.members) {
      const member = group.#newMember({
        id: stored.memberId,
        instanceId: stored.groupInstanceId,
        clientId: stored.clientId,
        clientHost: stored.clientHost,
        // Records of version 0 have none.
        rebalanceTimeoutMs:
          stored.rebalanceTimeout === -1 ? stored.sessionTimeout : stored.rebalanceTimeout,
        sessionTimeoutMs: stored.sessionTimeout,
        protocols: [{ name: value.protocol ?? '', metadata: stored.subscription }],
      });
      group.members.add(member);
      group.members.assign(member, Buffer.from(stored.assignment));
      group.touch(member);
    }
    if (value.leader !== null && group.members.get(value.leader) !== undefined) {
      group.members.leaderId = value.leader;
    }
    const timestamp = value.currentStateTimestamp;
    group.restoreState(
      group.members.size === 0 ? 'Empty' : 'Stable',
      timestamp === -1 ? undefined : timestamp,
    );
    if (group.members.size > host.options.maxSize) {
      group.prepareRebalance(`more than ${host.options.maxSize} members were recorded`);
    }
    return group;
  }

  join(request: JoinRequest, answer: (result: JoinResult) => void): void {
    const refuse = (error: ErrorName, memberId = request.memberId) =>
      answer(joinError(error, memberId));
    if (this.state === 'Dead') refuse('COORDINATOR_NOT_AVAILABLE');
    else if (!this.#hasRoomFor(request.memberId)) {
      const member = this.members.get(request.memberId);
      refuse('GROUP_MAX_SIZE_REACHED', '');
      if (member !== undefined) this.#removeAndGoOn(member, 'the group is full');
    } else if (!this.#supports(request)) refuse('INCONSISTENT_GROUP_PROTOCOL');
    else if (request.memberId === '') this.#joinUnknown(request, answer);
    else if (this.pendingJoin.has(request.memberId) && request.instanceId === null) {
      this.#addMember(request, request.memberId, answer);
    } else {
      const fault = this.members.identityFault(request.memberId, request.instanceId);
      if (fault !== undefined) refuse(fault);
      else this.#joinAgain(request, this.members.get(request.memberId)!, answer);
    }
  }

  sync(request: SyncRequest, answer: (result: SyncResult) => void): void {
    const fault = this.#syncFault(request);
    if (fault !== undefined) {
      answer(syncError(fault));
      return;
    }
    const member = this.members.get(request.memberId)!;
    if (this.state === 'PreparingRebalance') {
      answer(syncError('REBALANCE_IN_PROGRESS'));
      return;
    }
    this.syncCame(member.id);
    if (this.state === 'Stable') {
      answer(this.syncResult(member));
      return;
    }
    // One that waited before was given up by its client; its connection must not wait for ever.
    member.answerSync(syncError('REBALANCE_IN_PROGRESS'));
    member.awaitingSync = answer;
    if (!this.members.isLeader(member.id)) return;
    const assignments = new Map<string, Buffer>();
    for (const { memberId, assignment } of request.assignments) {
      assignments.set(memberId, Buffer.from(assignment));
    }
    this.takeAssignments(assignments);
  }

  heartbeat(memberId: string, instanceId: string | null, generationId: number): ErrorName {
    const fault = this.#memberFault(memberId, instanceId, generationId);
    if (fault !== undefined) return fault;
    this.touch(this.members.get(memberId)!);
    return this.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : 'NONE';
  }

  /** Removes members; one who is static may be named by its group.instance.id alone. */
  leave(leaving: readonly LeavingMember[]): ErrorName[] {
    const results = leaving.map((member) => this.#leaveOne(member));
    if (results.includes('NONE')) {
      const reason = 'members left';
      if (this.state === 'Stable' || this.state === 'CompletingRebalance') {
        this.prepareOrComplete(reason);
      } else this.completeJoinIfAllCame();
    }
    return results;
  }

  /**
   * Whether offsets may be committed: by a member of this generation, or by anyone who claims no
   * generation while the group is empty. A commit keeps the member's session alive.
   */
  commitFault(
    memberId: string,
    instanceId: string | null,
    generationId: number,
  ): ErrorName | undefined {
    if (this.state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE';
    if (generationId < 0 && this.state === 'Empty') return undefined;
    if (generationId < 0 && memberId === '' && instanceId === null) return 'UNKNOWN_MEMBER_ID';
    const fault = this.#memberFault(memberId, instanceId, generationId);
    if (fault !== undefined) return fault;
    if (this.state === 'CompletingRebalance') return 'REBALANCE_IN_PROGRESS';
    this.touch(this.members.get(memberId)!);
    return undefined;
  }

  /**
   * The same for a commit in a transaction, whose older versions tell nothing of the member. The
   * group's state is not looked at, nor is a session kept alive.
   */
  transactionalCommitFault(
    memberId: string,
    instanceId: string | null,
    generationId: number,
  ): ErrorName | undefined {
    if (this.state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE';
    if (generationId < 0 && this.state === 'Empty') return undefined;
    if (generationId < 0 && memberId === '' && instanceId === null) return undefined;
    return this.#memberFault(memberId, instanceId, generationId);
  }

  /** The members as DescribeGroups shows them: what they joined with only while stable. */
  describe(): DescribedMember[] {
    const protocol = this.state === 'Stable' ? this.protocolName : undefined;
    return [...this.members.all].map((member) => ({
      memberId: member.id,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      metadata: protocol === undefined ? undefined : member.metadata(protocol),
      assignment: member.assignment,
    }));
  }

  /** Whether the group may take this member, by `group.max.size`. */
  #hasRoomFor(memberId: string): boolean {
    const { maxSize } = this.host.options;
    const member = this.members.get(memberId);
    if (this.state === 'Empty') return true;
    if (this.state === 'PreparingRebalance') {
      // Those who are there already count: the last to rejoin a group that is too large have to go.
      if (member !== undefined && this.members.isAwaitingJoin(member)) return true;
      return this.members.awaitingJoinCount < maxSize;
    }
    return member !== undefined || this.members.size < maxSize;
  }

  #supports(request: JoinRequest): boolean {
    if (this.state === 'Empty') return request.protocolType !== '' && request.protocols.length > 0;
    return request.protocolType === this.protocolType && this.members.knowOneOf(request.protocols);
  }

  #joinUnknown(request: JoinRequest, answer: (result: JoinResult) => void): void {
    if (this.host.budget.isFull) {
      this.host.log.warn(
        {
          group: shown(this.id),
          client: shown(request.clientId),
          limitBytes: this.host.budget.limitBytes,
        },
        'a member was refused: groups take as much memory as they may',
      );
      answer(joinError('COORDINATOR_NOT_AVAILABLE', ''));
      return;
    }
    const { instanceId } = request;
    const memberId = this.host.newMemberId(instanceId ?? request.clientId);
    const current = instanceId === null ? undefined : this.members.staticId(instanceId);
    if (current !== undefined) {
      this.#replaceStatic(request, this.members.get(current)!, memberId, answer);
    } else if (instanceId === null && request.requiresKnownMemberId) {
      this.#promiseId(memberId, request.sessionTimeoutMs);
      answer(joinError('MEMBER_ID_REQUIRED', memberId));
    } else this.#addMember(request, memberId, answer);
  }

  #promiseId(memberId: string, sessionTimeoutMs: number): void {
    const timeout = new Timeout(this.host.deadlines, () => {
      this.forgetPromised(memberId);
      this.completeJoinWithoutLost();
    });
    this.pendingJoin.set(memberId, timeout);
    this.host.budget.take(stateBytes(memberId));
    timeout.restart(sessionTimeoutMs);
  }

  #addMember(request: JoinRequest, id: string, answer: (result: JoinResult) => void): void {
    const member = this.#newMember({ ...request, id });
    member.isNew = true;
    this.forgetPromised(id);
    this.noteNewMember();
    if (this.members.size === 0) this.protocolType = request.protocolType;
    this.members.add(member);
    this.members.awaitJoin(member, answer);
    member.session.restart(NEW_MEMBER_JOIN_TIMEOUT_MS);
    this.prepareOrComplete(`member ${id} joins: ${request.reason ?? 'no reason given'}`);
  }

  #joinAgain(request: JoinRequest, member: Member, answer: (result: JoinResult) => void): void {
    const isSame = member.matches(request.protocols);
    const isSettled =
      (this.state === 'CompletingRebalance' && isSame) ||
      // A leader joins again to have a rebalance, for partitions that were added for instance.
      (this.state === 'Stable' && isSame && !this.members.isLeader(member.id));
    if (isSettled) {
      answer(this.joinResult(member));
      return;
    }
    this.members.update(member, request);
    this.members.awaitJoin(member, answer);
    this.prepareOrComplete(`member ${member.id} joins: ${request.reason ?? 'no reason given'}`);
  }

  /** A static member is back under its group.instance.id: it takes the place of who had it. */
  #replaceStatic(
    request: JoinRequest,
    old: Member,
    memberId: string,
    answer: (result: JoinResult) => void,
  ): void {
    const oldLeader = this.members.leaderId ?? '';
    this.members.answerJoin(old, joinError('FENCED_INSTANCE_ID', old.id));
    old.answerSync(syncError('FENCED_INSTANCE_ID'));
    const member = this.#newMember({ ...request, id: memberId });
    this.members.replaceStatic(old, member);
    this.members.assign(member, old.assignment);
    this.members.awaitJoin(member, answer);
    this.pendingSync.delete(old.id);
    this.touch(member);
    if (this.state === 'Stable' && this.members.selectProtocol() === this.protocolName) {
      this.#storeReplaced(request, old, member, oldLeader);
    } else if (this.state === 'PreparingRebalance') {
      this.completeJoinIfAllCame();
    } else {
      this.prepareRebalance(`static member ${request.instanceId} is back as ${memberId}`);
    }
  }

  /** Nothing changed but the id: the assignment stays, and no one has to join again. */
  #storeReplaced(request: JoinRequest, old: Member, member: Member, oldLeader: string): void {
    const generationId = this.generationId;
    this.storeRecord(
      this.record((each) => each.assignment),
      (error) => {
        const isCurrent = this.members.get(member.id) === member;
        if (!isCurrent || this.state !== 'Stable' || generationId !== this.generationId) return;
        if (error !== undefined) {
          this.members.answerJoin(member, joinError(error, ''));
          this.members.replaceStatic(member, old);
          this.touch(old);
          return;
        }
        // Its session may have ended while it waited for this.
        this.touch(member);
        const isLeader = this.members.isLeader(member.id);
        const result = this.joinResult(member);
        this.members.answerJoin(
          member,
          request.canSkipAssignment
            ? { ...result, skipAssignment: isLeader }
            : // Told of its old id as leader, an old client does not begin to assign.
              { ...result, leader: oldLeader, members: [] },
        );
      },
    );
  }

  #syncFault(request: SyncRequest): ErrorName | undefined {
    const fault = this.#memberFault(request.memberId, request.instanceId, request.generationId);
    if (fault !== undefined) return fault;
    const differs = (asked: string | null, own: string | undefined) =>
      asked !== null && own !== undefined && asked !== own;
    return differs(request.protocolType, this.protocolType) ||
      differs(request.protocolName, this.protocolName)
      ? 'INCONSISTENT_GROUP_PROTOCOL'
      : undefined;
  }

  #memberFault(
    memberId: string,
    instanceId: string | null,
    generationId: number,
  ): ErrorName | undefined {
    if (this.state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE';
    const fault = this.members.identityFault(memberId, instanceId);
    if (fault !== undefined) return fault;
    return generationId === this.generationId ? undefined : 'ILLEGAL_GENERATION';
  }

  #leaveOne(leaving: LeavingMember): ErrorName {
    const { memberId, groupInstanceId } = leaving;
    if (this.forgetPromised(memberId)) return 'NONE';
    let id: string | undefined = memberId;
    if (memberId === '') {
      id = groupInstanceId === null ? undefined : this.members.staticId(groupInstanceId);
      if (id === undefined) return 'UNKNOWN_MEMBER_ID';
    } else {
      const fault = this.members.identityFault(memberId, groupInstanceId);
      if (fault !== undefined) return fault;
    }
    this.#remove(this.members.get(id)!, `it left: ${leaving.reason ?? 'no reason given'}`);
    return 'NONE';
  }

  #newMember(facts: MemberFacts): Member {
    const member: Member = new Member(
      facts,
      new Timeout(this.host.deadlines, () => this.#sessionEnded(member)),
    );
    return member;
  }

  /** A member whose answer waits has nothing to send: only new ones are given up then. */
  #sessionEnded(member: Member): void {
    const waits = this.members.isAwaitingJoin(member) || member.awaitingSync !== undefined;
    if (waits && !member.isNew) return;
    this.#removeAndGoOn(member, 'its session timed out');
  }

  #removeAndGoOn(member: Member, reason: string): void {
    this.#remove(member, reason);
    if (this.state === 'PreparingRebalance') this.completeJoinWithoutLost();
    else this.prepareOrComplete(`member ${member.id} was removed: ${reason}`);
  }

  #remove(member: Member, reason: string): void {
    this.host.log.info(
      {
        group: shown(this.id),
        member: shown(member.id),
        client: shown(member.clientId),
        reason: shown(reason),
      },
      'a member was removed from its group',
    );
    this.members.answerJoin(member, joinError('UNKNOWN_MEMBER_ID', ''));
    member.answerSync(syncError('UNKNOWN_MEMBER_ID'));
    this.pendingSync.delete(member.id);
    this.members.remove(member);
  }
}

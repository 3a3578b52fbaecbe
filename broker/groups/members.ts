/**
 * The members of one classic group: who they are, what each joined with, who leads, who waits for
 * an answer, and which protocols all of them know. Knows nothing of the group's state or of time.
 */

import type { ErrorName } from '../../protocol/errors.ts';
import {
  type JoinResult,
  joinError,
  NO_BYTES,
  type Protocol,
  type SyncResult,
} from './messages.ts';
import { type StateBudget, stateBytes } from './state-budget.ts';
import type { Timeout } from './timeout.ts';

/** What a member is made of; protocols may be slices of a frame, they are copied. */
export interface MemberFacts {
  readonly id: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly protocols: readonly Protocol[];
}

export class Member {
  readonly id: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  rebalanceTimeoutMs: number;
  sessionTimeoutMs: number;
  protocols: readonly Protocol[];
  assignment: Buffer = NO_BYTES;
  /** Until its first generation: it does not know its id and cannot send heartbeats. */
  isNew = false;
  /** The SyncGroup that waits; a JoinGroup's answer is kept by Members, which counts them. */
  awaitingSync: ((result: SyncResult) => void) | undefined;
  readonly session: Timeout;

  constructor(facts: MemberFacts, session: Timeout) {
    this.id = facts.id;
    this.instanceId = facts.instanceId;
    this.clientId = facts.clientId;
    this.clientHost = facts.clientHost;
    this.rebalanceTimeoutMs = facts.rebalanceTimeoutMs;
    this.sessionTimeoutMs = facts.sessionTimeoutMs;
    this.protocols = copyOf(facts.protocols);
    this.session = session;
  }

  /** A rebalance timeout of 0 means none of its own: then the session timeout counts. */
  get effectiveRebalanceTimeoutMs(): number {
    return this.rebalanceTimeoutMs > 0 ? this.rebalanceTimeoutMs : this.sessionTimeoutMs;
  }

  metadata(protocol: string): Buffer {
    return this.protocols.find(({ name }) => name === protocol)?.metadata ?? NO_BYTES;
  }

  /** Whether these are the protocols it has, in the same order and with the same metadata. */
  matches(protocols: readonly Protocol[]): boolean {
    return (
      protocols.length === this.protocols.length &&
      protocols.every(({ name, metadata }, at) => {
        const own = this.protocols[at]!;
        return own.name === name && own.metadata.equals(metadata);
      })
    );
  }

  answerSync(result: SyncResult): boolean {
    const answer = this.awaitingSync;
    this.awaitingSync = undefined;
    answer?.(result);
    return answer !== undefined;
  }

  get stateBytes(): number {
    let bytes = stateBytes(this.id, this.id, this.instanceId, this.clientId, this.clientHost);
    for (const { name, metadata } of this.protocols) bytes += stateBytes(name) + metadata.length;
    return bytes + this.assignment.length;
  }
}

/** The members, in the order in which they came. */
export class Members {
  readonly #byId = new Map<string, Member>();
  /** Member ids of the static members, by group.instance.id. */
  readonly #staticIds = new Map<string, string>();
  readonly #awaitingJoin = new Map<Member, (result: JoinResult) => void>();
  /** How many members know each protocol. */
  readonly #protocolCounts = new Map<string, number>();
  readonly #budget: StateBudget;
  leaderId: string | undefined;

  constructor(budget: StateBudget) {
    this.#budget = budget;
  }

  get size(): number {
    return this.#byId.size;
  }

  get awaitingJoinCount(): number {
    return this.#awaitingJoin.size;
  }

  get all(): Iterable<Member> {
    return this.#byId.values();
  }

  get(id: string): Member | undefined {
    return this.#byId.get(id);
  }

  staticId(instanceId: string): string | undefined {
    return this.#staticIds.get(instanceId);
  }

  isAwaitingJoin(member: Member): boolean {
    return this.#awaitingJoin.has(member);
  }

  isLeader(id: string): boolean {
    return this.leaderId === id;
  }

  /** The largest of the members' rebalance timeouts. */
  get rebalanceTimeoutMs(): number {
    let largest = 0;
    for (const member of this.all) largest = Math.max(largest, member.effectiveRebalanceTimeoutMs);
    return largest;
  }

  add(member: Member): void {
    if (this.#byId.has(member.id)) throw new Error(`member ${member.id} is there already`);
    this.leaderId ??= member.id;
    this.#byId.set(member.id, member);
    if (member.instanceId !== null) this.#staticIds.set(member.instanceId, member.id);
    this.#count(member.protocols, 1);
    this.#budget.take(member.stateBytes);
  }

  /** Takes a member out, with its timer; another one leads when it led. It is answered before. */
  remove(member: Member): void {
    member.session.stop();
    this.#budget.give(member.stateBytes);
    this.#byId.delete(member.id);
    this.#awaitingJoin.delete(member);
    if (member.instanceId !== null) this.#staticIds.delete(member.instanceId);
    this.#count(member.protocols, -1);
    if (this.isLeader(member.id)) this.leaderId = this.#byId.keys().next().value;
  }

  /** Puts another member in the place of a static one, in the same place and as leader if it led. */
  replaceStatic(old: Member, next: Member): void {
    const leads = this.isLeader(old.id);
    this.remove(old);
    this.add(next);
    if (leads) this.leaderId = next.id;
  }

  /** What a member that joins again has now. */
  update(member: Member, facts: Omit<MemberFacts, 'id' | 'instanceId'>): void {
    this.#budget.give(member.stateBytes);
    this.#count(member.protocols, -1);
    member.protocols = copyOf(facts.protocols);
    member.rebalanceTimeoutMs = facts.rebalanceTimeoutMs;
    member.sessionTimeoutMs = facts.sessionTimeoutMs;
    this.#count(member.protocols, 1);
    this.#budget.take(member.stateBytes);
  }

  assign(member: Member, assignment: Buffer): void {
    this.#budget.take(assignment.length - member.assignment.length);
    member.assignment = assignment;
  }

  /**
   * The member's JoinGroup waits from now on. One that waited before was given up by its client;
   * it is answered all the same, so that its connection is not held up for ever.
   */
  awaitJoin(member: Member, answer: (result: JoinResult) => void): void {
    this.answerJoin(member, joinError('REBALANCE_IN_PROGRESS', member.id));
    this.#awaitingJoin.set(member, answer);
  }

  answerJoin(member: Member, result: JoinResult): boolean {
    const answer = this.#awaitingJoin.get(member);
    this.#awaitingJoin.delete(member);
    answer?.(result);
    return answer !== undefined;
  }

  /**
   * Sees to it that the leader is one who has joined, if anyone has; false when nobody has. Static
   * members may be away at the end of the time for joining, others were removed.
   */
  electJoinedLeader(): boolean {
    const leader = this.leaderId === undefined ? undefined : this.get(this.leaderId);
    if (leader === undefined) return false;
    if (this.isAwaitingJoin(leader)) return true;
    for (const member of this.all) {
      if (!this.isAwaitingJoin(member)) continue;
      this.leaderId = member.id;
      return true;
    }
    return false;
  }

  /** Whether all members know one of these protocols; true for any when there is no member. */
  knowOneOf(protocols: readonly Protocol[]): boolean {
    return protocols.some(({ name }) => (this.#protocolCounts.get(name) ?? 0) === this.size);
  }

  /** The protocol that most members prefer among those that all of them know. */
  selectProtocol(): string {
    const votes = new Map<string, number>();
    let best: string | undefined;
    for (const member of this.all) {
      const vote = member.protocols.find(
        ({ name }) => this.#protocolCounts.get(name) === this.size,
      )?.name;
      if (vote === undefined) continue;
      const count = (votes.get(vote) ?? 0) + 1;
      votes.set(vote, count);
      if (best === undefined || count > votes.get(best)!) best = vote;
    }
    if (best === undefined) throw new Error('the members of a group have no protocol in common');
    return best;
  }

  /** Why a request may not speak for a member; undefined when it may. */
  identityFault(memberId: string, instanceId: string | null): ErrorName | undefined {
    if (instanceId !== null) {
      const current = this.staticId(instanceId);
      if (current === undefined) return 'UNKNOWN_MEMBER_ID';
      if (current !== memberId) return 'FENCED_INSTANCE_ID';
    }
    return this.#byId.has(memberId) ? undefined : 'UNKNOWN_MEMBER_ID';
  }

  #count(protocols: readonly Protocol[], by: number): void {
    for (const name of new Set(protocols.map((protocol) => protocol.name))) {
      const count = (this.#protocolCounts.get(name) ?? 0) + by;
      if (count === 0) this.#protocolCounts.delete(name);
      else this.#protocolCounts.set(name, count);
    }
  }
}

/** Copies of slices of a frame, so that no group pins a frame. */
function copyOf(protocols: readonly Protocol[]): Protocol[] {
  return protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }));
}

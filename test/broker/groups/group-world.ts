/** A group with a clock, a log and member ids that are the test's. */

import { Deadlines } from '../../../broker/deadlines.ts';
import { Group } from '../../../broker/groups/group.ts';
import type { GroupHost } from '../../../broker/groups/group-host.ts';
import type {
  JoinRequest,
  JoinResult,
  SyncRequest,
  SyncResult,
} from '../../../broker/groups/messages.ts';
import {
  type GroupValue,
  type KeyedRecord,
  readGroupRecord,
} from '../../../broker/groups/offset-records.ts';
import type { GroupOptions } from '../../../broker/groups/options.ts';
import { StateBudget } from '../../../broker/groups/state-budget.ts';
import { LimitedLog } from '../../../broker/limited-log.ts';
import type { ErrorName } from '../../../protocol/errors.ts';
import { keptLog } from '../harness.ts';
import { ManualClock } from '../manual-clock.ts';

export const SESSION_MS = 10_000;
export const REBALANCE_MS = 30_000;

export const GROUP_OPTIONS: GroupOptions = {
  minSessionTimeoutMs: 6000,
  maxSessionTimeoutMs: 1_800_000,
  maxSize: 2147483647,
  initialRebalanceDelayMs: 0,
  offsetMetadataMaxLength: 4096,
  offsetsRetentionMs: 7 * 24 * 3600 * 1000,
  retentionCheckIntervalMs: 600_000,
  commitTimeoutMs: 5000,
  offsetsTopicPartitions: 50,
  offsetsTopicSegmentBytes: 104857600,
  stateLimitBytes: 64 * 1024 * 1024,
};

/** What comes of a request: undefined as long as it waits. */
export interface Pending<R> {
  result: R | undefined;
  /** How often it was answered; more than once is a fault. */
  answers: number;
}

export class GroupWorld {
  readonly clock = new ManualClock();
  readonly deadlines = new Deadlines(this.clock);
  readonly budget: StateBudget;
  readonly host: GroupHost;
  readonly lines;
  /** Values of the records that were stored, in order. */
  readonly stored: GroupValue[] = [];
  rebalances = 0;
  /** While set, what is stored is not answered until `settle`. */
  isHeld = false;
  group: Group;
  private readonly waiting: ((error: ErrorName | undefined) => void)[] = [];
  private lastId = 0;

  constructor(options: Partial<GroupOptions> = {}) {
    const { log, lines } = keptLog();
    this.lines = lines;
    const all = { ...GROUP_OPTIONS, ...options };
    this.budget = new StateBudget(all.stateLimitBytes);
    this.host = {
      options: all,
      deadlines: this.deadlines,
      budget: this.budget,
      log: new LimitedLog(this.clock, log),
      now: () => this.clock.now(),
      newMemberId: (prefix) => `${prefix}-${++this.lastId}`,
      store: (record, done) => this.store(record, done),
      rebalanced: () => {
        this.rebalances++;
      },
    };
    this.group = new Group('g', this.host);
  }

  join(request: Partial<JoinRequest> = {}): Pending<JoinResult> {
    const pending: Pending<JoinResult> = { result: undefined, answers: 0 };
    this.group.join(joinRequest(request), (result) => {
      pending.result = result;
      pending.answers++;
    });
    return pending;
  }

  sync(request: Partial<SyncRequest> & { memberId: string }): Pending<SyncResult> {
    const pending: Pending<SyncResult> = { result: undefined, answers: 0 };
    const full = {
      instanceId: null,
      generationId: this.group.generationId,
      protocolType: null,
      protocolName: null,
      assignments: [],
      ...request,
    };
    this.group.sync(full, (result) => {
      pending.result = result;
      pending.answers++;
    });
    return pending;
  }

  heartbeat(memberId: string, generationId = this.group.generationId): ErrorName {
    return this.group.heartbeat(memberId, null, generationId);
  }

  /** What was stored while held is durable, or failed. */
  settle(error?: ErrorName): void {
    this.isHeld = false;
    for (const done of this.waiting.splice(0)) done(error);
  }

  /** A group whose members, all dynamic, are in a generation with assignments; the first leads. */
  stable(count: number, request: Partial<JoinRequest> = {}): string[] {
    const joins = [this.join(request)];
    for (let index = 1; index < count; index++) {
      joins.push(this.join(request));
      const [leader] = [...this.group.members.all];
      // The others are told to join again by the newcomer.
      for (const member of [...this.group.members.all]) {
        if (this.group.members.isAwaitingJoin(member)) continue;
        this.join({ ...request, memberId: member.id });
      }
      if (leader === undefined) throw new Error('no leader');
    }
    const ids = [...this.group.members.all].map(({ id }) => id);
    for (const id of ids.slice(1)) this.sync({ memberId: id });
    this.sync({
      memberId: ids[0]!,
      assignments: ids.map((memberId) => ({ memberId, assignment: Buffer.from(`to ${memberId}`) })),
    });
    if (this.group.state !== 'Stable') throw new Error(`the group is ${this.group.state}`);
    return ids;
  }

  /** What is in the latest stored record. */
  get lastStored(): GroupValue {
    return this.stored.at(-1)!;
  }

  private store(record: KeyedRecord, done: (error: ErrorName | undefined) => void): void {
    const read = readGroupRecord(record.key, record.value);
    if (read.kind !== 'group' || read.value === undefined) throw new Error('not a group record');
    this.stored.push(read.value);
    if (this.isHeld) this.waiting.push(done);
    else done(undefined);
  }
}

export function joinRequest(request: Partial<JoinRequest> = {}): JoinRequest {
  return {
    memberId: '',
    instanceId: null,
    clientId: 'client',
    clientHost: '/127.0.0.1',
    sessionTimeoutMs: SESSION_MS,
    rebalanceTimeoutMs: REBALANCE_MS,
    protocolType: 'consumer',
    protocols: protocols('range'),
    reason: null,
    // Most tests let a member in at once; KIP-394 has tests of its own.
    requiresKnownMemberId: false,
    canSkipAssignment: false,
    ...request,
  };
}

/** Protocols of these names; `range=x` has `x` as metadata. */
export function protocols(...specs: string[]) {
  return specs.map((spec) => {
    const [name, metadata = ''] = spec.split('=');
    return { name: name!, metadata: Buffer.from(metadata) };
  });
}

/**
 * A group under random treatment. First by clients that obey nothing: whatever they send, the
 * group's own rules hold and everyone is answered. Then by clients that follow the protocol while
 * some of them die, leave or come back: when that ends, those who are left agree.
 */

import fc from 'fast-check';
import t from 'tap';
import type { JoinResult, SyncResult } from '../../../broker/groups/messages.ts';
import { GroupWorld, type Pending, protocols, REBALANCE_MS, SESSION_MS } from './group-world.ts';

const RUNS = 300;
const MAX_SIZE = 4;
/** Longer than any session, round or new member's wait. */
const FOR_EVER_MS = 10 * 60 * 1000;

type Step =
  | { readonly kind: 'join'; readonly who: number; readonly as: 'new' | 'known' | 'static' }
  | { readonly kind: 'sync'; readonly who: number; readonly assigns: boolean }
  | { readonly kind: 'heartbeat' | 'leave' | 'commit'; readonly who: number }
  | { readonly kind: 'rejoin all' }
  | { readonly kind: 'sync all'; readonly leaderToo: boolean }
  | { readonly kind: 'hold' | 'settle' | 'fail' }
  | { readonly kind: 'wait'; readonly ms: number };

const who = fc.nat(4);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('join' as const), who, as: asWhom() }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('sync' as const), who, assigns: fc.boolean() }),
  },
  fc.record({
    kind: fc.constantFrom('heartbeat' as const, 'leave' as const, 'commit' as const),
    who,
  }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rejoin all' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('sync all' as const), leaderToo: fc.boolean() }),
  },
  fc.record({ kind: fc.constantFrom('hold' as const, 'settle' as const, 'fail' as const) }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(40_000) }) },
);

function asWhom() {
  return fc.constantFrom('new' as const, 'known' as const, 'static' as const);
}

/** Five clients that send what they like, and what they were told. */
class Chaos {
  readonly world = new GroupWorld({ maxSize: MAX_SIZE });
  readonly joins: Pending<JoinResult>[] = [];
  readonly syncs: Pending<SyncResult>[] = [];
  /** Every id each client was ever told, the latest last. */
  private readonly ids: string[][] = [[], [], [], [], []];
  private readonly generations: number[] = [0, 0, 0, 0, 0];
  private readonly latestJoin: (Pending<JoinResult> | undefined)[] = [];
  private rounds = 0;

  run(step: Step): void {
    const { world } = this;
    switch (step.kind) {
      case 'join':
        this.join(step.who, step.as);
        break;
      case 'sync':
        this.sync(step.who, step.assigns);
        break;
      case 'rejoin all':
        for (const { id, instanceId } of [...world.group.members.all]) {
          this.joins.push(world.join({ memberId: id, instanceId, protocols: protocols('a', 'b') }));
        }
        break;
      case 'sync all':
        this.syncAll(step.leaderToo);
        break;
      case 'heartbeat':
        world.heartbeat(this.idOf(step.who), this.generationOf(step.who));
        break;
      case 'commit':
        world.group.commitFault(this.idOf(step.who), null, this.generationOf(step.who));
        break;
      case 'leave':
        this.leave(step.who);
        break;
      case 'hold':
        world.isHeld = true;
        break;
      case 'settle':
        world.settle();
        break;
      case 'fail':
        world.settle('NOT_COORDINATOR');
        break;
      case 'wait':
        world.clock.advance(step.ms);
    }
    this.learn();
  }

  /** Takes in what each was told: ids and generations. */
  private learn(): void {
    for (const [client, join] of this.latestJoin.entries()) {
      const result = join?.result;
      if (result === undefined) continue;
      if (result.memberId !== '') this.ids[client]!.push(result.memberId);
      if (result.error === 'NONE') this.generations[client] = result.generationId;
      this.latestJoin[client] = undefined;
    }
  }

  private join(client: number, as: 'new' | 'known' | 'static'): void {
    const join = this.world.join({
      memberId: as === 'known' ? this.idOf(client) : '',
      instanceId: as === 'static' ? `instance-${client % 2}` : null,
      requiresKnownMemberId: client % 2 === 0,
      protocols: client === 4 ? protocols('b', 'a') : protocols('a', `b=${client}`),
    });
    this.joins.push(join);
    this.latestJoin[client] = join;
  }

  private sync(client: number, assigns: boolean): void {
    const generationId = this.generationOf(client);
    const assignments = assigns ? this.assignments() : [];
    const request = { memberId: this.idOf(client), generationId, assignments };
    this.syncs.push(this.world.sync(request));
  }

  /** All members ask for their assignment, the leader last or not at all. */
  private syncAll(leaderToo: boolean): void {
    const { members } = this.world.group;
    const followers = [...members.all].filter(({ id }) => !members.isLeader(id));
    const leader = members.get(members.leaderId ?? '');
    for (const { id, instanceId } of followers) {
      this.syncs.push(this.world.sync({ memberId: id, instanceId }));
    }
    if (leader === undefined || !leaderToo) return;
    const { id: memberId, instanceId } = leader;
    const assignments = this.assignments();
    this.syncs.push(this.world.sync({ memberId, instanceId, assignments }));
  }

  /** Assignments that tell of which round they are. */
  private assignments() {
    this.rounds++;
    return [...this.world.group.members.all].map(({ id }) => {
      return { memberId: id, assignment: Buffer.from(`${this.rounds} ${id}`) };
    });
  }

  private leave(client: number): void {
    const { group } = this.world;
    const members = [...group.members.all];
    // Mostly one who is a member, so that there is something to leave.
    const memberId = members[client]?.id ?? this.idOf(client);
    group.leave([{ memberId, groupInstanceId: null, reason: null }]);
  }

  private idOf(client: number): string {
    return this.ids[client]!.at(-1) ?? 'nobody';
  }

  private generationOf(client: number): number {
    return this.generations[client]!;
  }
}

/** What must hold of a group whatever has been done to it. */
function checkGroup({ world, joins, syncs }: Chaos, lastGeneration: number): void {
  const { group } = world;
  const members = [...group.members.all];
  const fail = (what: string) => {
    throw new Error(`${what} (${group.state}, generation ${group.generationId})`);
  };
  if (group.generationId < lastGeneration) fail('the generation fell');
  if (members.length > 0 && !members.some(({ id }) => id === group.members.leaderId)) {
    fail('nobody of the members leads');
  }
  // While they join, those count who have come; static members who are away stay beside them.
  const dynamic = members.filter(({ instanceId }) => instanceId === null).length;
  const counted = group.state === 'PreparingRebalance' ? group.members.awaitingJoinCount : dynamic;
  if (counted > MAX_SIZE) fail('the group is too large');
  if (group.state === 'Empty' && members.length > 0) fail('an empty group has members');
  if ((group.state === 'Stable' || group.state === 'CompletingRebalance') && !members.length) {
    fail('a group without members is not empty');
  }
  if (group.state === 'Stable' || group.state === 'CompletingRebalance') {
    if (members.some((each) => each.metadata(group.protocolName!) === undefined)) fail('protocol');
    if (group.state === 'Stable' && members.some((each) => each.awaitingSync !== undefined)) {
      fail('somebody waits for an assignment that is there');
    }
  }
  const rounds = new Set(
    members.map(({ assignment }) => assignment.toString().split(' ')[0]).filter(Boolean),
  );
  if (group.state === 'Stable' && rounds.size > 1) fail('assignments of different rounds');
  for (const { answers } of [...joins, ...syncs]) if (answers > 1) fail('answered twice');
  checkGenerations(joins, fail);
  const generations = world.stored.map(({ generation }) => generation);
  if (generations.some((each, at) => at > 0 && each < generations[at - 1]!)) fail('records');
}

/** All who were told of a generation were told of the same one. */
function checkGenerations(joins: Pending<JoinResult>[], fail: (what: string) => void): void {
  const protocolOf = new Map<number, string | null>();
  for (const { result } of joins) {
    if (result?.error !== 'NONE') continue;
    const { generationId, protocolName, memberId, leader, members } = result;
    const known = protocolOf.get(generationId) ?? protocolName;
    if (known !== protocolName) fail('two protocols in one generation');
    protocolOf.set(generationId, protocolName);
    if (members.length > 0 && leader !== memberId) fail('a follower got the list of members');
    if (leader === memberId && !members.some((each) => each.memberId === memberId)) {
      fail('the leader is not in its list');
    }
  }
}

t.test('whatever clients send, the rules hold and everyone is answered', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const chaos = new Chaos();
      const { world } = chaos;
      for (const each of steps) {
        const { generationId } = world.group;
        chaos.run(each);
        checkGroup(chaos, generationId);
      }
      world.settle();
      world.clock.advance(FOR_EVER_MS);
      world.settle();
      world.clock.advance(FOR_EVER_MS);
      for (const { answers } of [...chaos.joins, ...chaos.syncs]) {
        if (answers !== 1) throw new Error(`answered ${answers} times`);
      }
      if (world.group.state !== 'Empty') throw new Error(`silence left it ${world.group.state}`);
      if (world.deadlines.size > 0) throw new Error('a timer is left');
      if (world.budget.usedBytes !== 0) throw new Error(`${world.budget.usedBytes} bytes are left`);
    }),
    { numRuns: RUNS },
  );
  t.pass(`${RUNS} histories`);
});

/** A client that does what the protocol asks of it, one request after the other. */
class Client {
  id = '';
  generation = -1;
  assignment: string | undefined;
  isAlive = true;
  private join: Pending<JoinResult> | undefined;
  private sync: Pending<SyncResult> | undefined;
  private readonly world: GroupWorld;

  constructor(world: GroupWorld) {
    this.world = world;
  }

  /** Sends what is next, or looks whether the answer is there. */
  act(): void {
    if (this.join !== undefined) this.joined();
    else if (this.sync !== undefined) this.synced();
    else if (this.assignment === undefined) {
      const request = { memberId: this.id, requiresKnownMemberId: true };
      this.join = this.world.join(request);
      this.joined();
    } else {
      const error = this.world.heartbeat(this.id, this.generation);
      if (error !== 'NONE') this.startAgain(error);
    }
  }

  private joined(): void {
    const result = this.join?.result;
    if (result === undefined) return;
    this.join = undefined;
    if (result.error === 'MEMBER_ID_REQUIRED') this.id = result.memberId;
    if (result.error !== 'NONE') {
      this.startAgain(result.error);
      return;
    }
    this.generation = result.generationId;
    const assignments = result.members.map(({ memberId }) => {
      return { memberId, assignment: Buffer.from(`${this.generation}/${memberId}`) };
    });
    const { id: memberId, generation: generationId } = this;
    this.sync = this.world.sync({ memberId, generationId, assignments });
    this.synced();
  }

  private synced(): void {
    const result = this.sync?.result;
    if (result === undefined) return;
    this.sync = undefined;
    if (result.error === 'NONE') this.assignment = result.assignment.toString();
    else this.startAgain(result.error);
  }

  private startAgain(error: string): void {
    this.assignment = undefined;
    if (error === 'UNKNOWN_MEMBER_ID') this.id = '';
  }

  leave(): void {
    this.world.group.leave([{ memberId: this.id, groupInstanceId: null, reason: null }]);
    this.isAlive = false;
  }
}

type Event =
  | { readonly kind: 'start' }
  | { readonly kind: 'die' | 'leave' | 'act'; readonly who: number }
  | { readonly kind: 'wait'; readonly ms: number };

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant('start' as const) }),
  fc.record({ kind: fc.constantFrom('die' as const, 'leave' as const), who: fc.nat(9) }),
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant('act' as const), who: fc.nat(9) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(9000) }) },
);

t.test('clients that follow the protocol agree once nothing changes any more', async (t) => {
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 80, size: 'max' }),
      fc.boolean(),
      (events, delayed) => {
        const world = new GroupWorld({ initialRebalanceDelayMs: delayed ? 3000 : 0 });
        const clients: Client[] = [new Client(world)];
        const living = () => clients.filter(({ isAlive }) => isAlive);
        for (const each of events) {
          if (each.kind === 'start') clients.push(new Client(world));
          else if (each.kind === 'wait') world.clock.advance(each.ms);
          else {
            const client = clients[each.who % clients.length]!;
            if (!client.isAlive) continue;
            if (each.kind === 'die') client.isAlive = false;
            else if (each.kind === 'leave') client.leave();
            else client.act();
          }
        }
        clients.push(new Client(world));
        // A second for each round of requests, until the dead have been noticed and all have joined.
        for (let ms = 0; ms < 2 * (SESSION_MS + REBALANCE_MS); ms += 1000) {
          world.clock.advance(1000);
          for (const client of living()) client.act();
        }
        const { group } = world;
        if (group.state !== 'Stable') throw new Error(`the group is ${group.state}`);
        if (group.members.size !== living().length) throw new Error('the dead are members');
        for (const client of living()) {
          const expected = `${group.generationId}/${client.id}`;
          if (client.assignment !== expected) {
            throw new Error(`${client.assignment} instead of ${expected}`);
          }
        }
      },
    ),
    { numRuns: RUNS },
  );
  t.pass(`${RUNS} histories`);
});

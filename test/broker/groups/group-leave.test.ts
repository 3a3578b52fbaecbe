/** How members go: by LeaveGroup, by silence, with the coordinator; and what a record brings back. */

import t from 'tap';
import { Group } from '../../../broker/groups/group.ts';
import { GroupWorld, protocols, REBALANCE_MS, SESSION_MS } from './group-world.ts';

const leaving = (memberId: string, groupInstanceId: string | null = null) => ({
  memberId,
  groupInstanceId,
  reason: null,
});

t.test('the last one who leaves leaves an empty group, recorded as such', async (t) => {
  const world = new GroupWorld();
  const [member] = world.stable(1);
  const { generationId } = world.group;
  t.same(world.group.leave([leaving(member!)]), ['NONE']);
  t.equal(world.group.state, 'Empty');
  t.match(world.lastStored, {
    generation: generationId + 1,
    protocolType: 'consumer',
    protocol: null,
    leader: null,
    members: [],
    currentStateTimestamp: world.clock.now(),
  });
  t.equal(world.heartbeat(member!), 'UNKNOWN_MEMBER_ID');
});

t.test('who leaves has the others rebalance, and another one leads', async (t) => {
  const world = new GroupWorld();
  const [leader, follower] = world.stable(2) as [string, string];
  world.group.leave([leaving(leader)]);
  t.equal(world.group.state, 'PreparingRebalance');
  const join = world.join({ memberId: follower });
  t.match(join.result, { error: 'NONE', leader: follower, members: [{ memberId: follower }] });
});

t.test('a member that leaves while the others join is not waited for', async (t) => {
  const world = new GroupWorld();
  const [leader, follower] = world.stable(2) as [string, string];
  const join = world.join({ memberId: leader });
  t.equal(join.result, undefined);
  world.group.leave([leaving(follower)]);
  t.match(join.result, { error: 'NONE', generationId: 3 });
});

t.test('whatever a leaving member waits for is answered', async (t) => {
  const world = new GroupWorld();
  const [leader, follower] = world.stable(2) as [string, string];
  const join = world.join({ memberId: leader });
  world.group.leave([leaving(leader)]);
  t.match(join.result, { error: 'UNKNOWN_MEMBER_ID', memberId: '' });
  world.join({ memberId: follower });
  const second = world.join();
  world.join({ memberId: follower });
  const sync = world.sync({ memberId: second.result!.memberId });
  world.group.leave([leaving(second.result!.memberId)]);
  t.match(sync.result, { error: 'UNKNOWN_MEMBER_ID' });
});

t.test('each member of a LeaveGroup has its own result', async (t) => {
  const world = new GroupWorld();
  const [leader] = world.stable(2) as [string, string];
  const pending = world.join({ requiresKnownMemberId: true }).result!.memberId;
  t.same(
    world.group.leave([
      leaving('who'),
      leaving(''),
      leaving('', 'no-instance'),
      leaving(leader, 'no-instance'),
      leaving(pending),
      leaving(leader),
      leaving(leader),
    ]),
    [
      'UNKNOWN_MEMBER_ID',
      'UNKNOWN_MEMBER_ID',
      'UNKNOWN_MEMBER_ID',
      'UNKNOWN_MEMBER_ID',
      'NONE',
      'NONE',
      'UNKNOWN_MEMBER_ID',
    ],
  );
  t.notOk(world.group.hasPendingMembers);
  t.equal(world.group.members.size, 1);
});

t.test('nothing happens to a group when nobody of it left', async (t) => {
  const world = new GroupWorld();
  world.stable(1);
  world.group.leave([leaving('who')]);
  t.equal(world.group.state, 'Stable');
});

t.test('a silent member is removed when its session is over', async (t) => {
  const world = new GroupWorld();
  const [leader, follower] = world.stable(2) as [string, string];
  world.clock.advance(SESSION_MS - 1);
  t.equal(world.heartbeat(follower), 'NONE');
  world.clock.advance(1);
  t.equal(world.heartbeat(leader), 'UNKNOWN_MEMBER_ID');
  t.equal(world.heartbeat(follower), 'REBALANCE_IN_PROGRESS');
  t.match(world.join({ memberId: follower }).result, { error: 'NONE', leader: follower });
});

t.test('a member that waits for an answer is not silent', async (t) => {
  const world = new GroupWorld();
  const [leader, follower] = world.stable(2, { sessionTimeoutMs: 6000 }) as [string, string];
  const join = world.join({ memberId: leader, sessionTimeoutMs: 6000 });
  for (let waitedMs = 0; waitedMs < REBALANCE_MS - 5000; waitedMs += 5000) {
    world.heartbeat(follower);
    world.clock.advance(5000);
  }
  t.equal(join.result, undefined);
  world.join({ memberId: follower, sessionTimeoutMs: 6000 });
  t.match(join.result, { error: 'NONE' }, 'its session is over long ago');
  t.equal(world.heartbeat(leader), 'NONE');
  const sync = world.sync({ memberId: follower });
  for (let waitedMs = 0; waitedMs < 20_000; waitedMs += 5000) {
    world.heartbeat(leader);
    world.clock.advance(5000);
  }
  world.sync({ memberId: leader });
  t.match(sync.result, { error: 'NONE' });
  t.equal(world.heartbeat(follower), 'NONE');
});

t.test('a session that ends while the others join lets them go on', async (t) => {
  const world = new GroupWorld();
  const [leader] = world.stable(2) as [string, string];
  const join = world.join({ memberId: leader });
  world.clock.advance(SESSION_MS);
  t.match(join.result, { error: 'NONE', generationId: 3 });
  t.equal(world.group.members.size, 1);
});

t.test('a rebalance timeout of 0 drops nobody', async (t) => {
  const world = new GroupWorld();
  const first = world.join({ rebalanceTimeoutMs: 0 });
  t.match(first.result, { error: 'NONE' });
  world.clock.advance(SESSION_MS - 1);
  t.match(world.sync({ memberId: 'client-1' }).result, { error: 'NONE' }, 'it had time to sync');
  const second = world.join({ rebalanceTimeoutMs: 0 });
  world.clock.advance(SESSION_MS - 1);
  t.equal(second.result, undefined, 'the first has time to join again');
  t.match(world.join({ memberId: 'client-1', rebalanceTimeoutMs: 0 }).result, { error: 'NONE' });
  t.match(second.result, { error: 'NONE', leader: 'client-1' });
});

t.test('a coordinator that stops answers all who wait, and leaves no timer', async (t) => {
  const world = new GroupWorld();
  const [leader, follower] = world.stable(2) as [string, string];
  const join = world.join({ memberId: leader });
  world.join({ requiresKnownMemberId: true });
  world.group.retire('NOT_COORDINATOR');
  t.match(join.result, { error: 'NOT_COORDINATOR' });
  t.equal(world.group.state, 'Dead');
  t.equal(world.deadlines.size, 0);
  t.equal(world.budget.usedBytes, 0);
  t.match(world.join().result, { error: 'COORDINATOR_NOT_AVAILABLE' });
  t.match(world.sync({ memberId: follower }).result, { error: 'COORDINATOR_NOT_AVAILABLE' });
  t.equal(world.heartbeat(follower), 'COORDINATOR_NOT_AVAILABLE');
  t.equal(world.group.commitFault(follower, null, 2), 'COORDINATOR_NOT_AVAILABLE');

  const syncing = new GroupWorld();
  const [first] = syncing.stable(1);
  syncing.join();
  syncing.join({ memberId: first! });
  const sync = syncing.sync({ memberId: [...syncing.group.members.all][1]!.id });
  syncing.group.retire('NOT_COORDINATOR');
  t.match(sync.result, { error: 'NOT_COORDINATOR' });
});

t.test('a recorded group comes back stable, and its sessions begin anew', async (t) => {
  const world = new GroupWorld();
  const [leader, follower] = world.stable(2) as [string, string];
  const restarted = new GroupWorld();
  restarted.group = Group.restore('g', world.lastStored, restarted.host);
  t.equal(restarted.group.state, 'Stable');
  t.equal(restarted.group.generationId, 2);
  t.same(restarted.group.describe(), world.group.describe());
  restarted.clock.advance(SESSION_MS - 1);
  t.equal(restarted.heartbeat(leader), 'NONE');
  restarted.clock.advance(1);
  t.equal(restarted.heartbeat(follower), 'UNKNOWN_MEMBER_ID', 'it did not come back');
  t.match(restarted.join({ memberId: leader }).result, { error: 'NONE', leader });
});

t.test('a recorded group without members comes back empty, with its time', async (t) => {
  const world = new GroupWorld();
  world.stable(1);
  world.group.leave([leaving('client-1')]);
  const emptyMs = world.clock.now();
  const restarted = new GroupWorld();
  restarted.clock.advance(5000);
  restarted.group = Group.restore('g', world.lastStored, restarted.host);
  t.equal(restarted.group.state, 'Empty');
  t.equal(restarted.group.stateTimestampMs, emptyMs);
  t.match(restarted.join().result, { error: 'NONE', generationId: 3 });
});

t.test('a recorded group that is too large now has to join again', async (t) => {
  const world = new GroupWorld();
  const ids = world.stable(3);
  const restarted = new GroupWorld({ maxSize: 2 });
  restarted.group = Group.restore('g', world.lastStored, restarted.host);
  t.equal(restarted.group.state, 'PreparingRebalance');
  restarted.join({ memberId: ids[0]! });
  restarted.join({ memberId: ids[1]! });
  const last = restarted.join({ memberId: ids[2]! });
  t.match(last.result, { error: 'GROUP_MAX_SIZE_REACHED' });
  t.equal(restarted.group.members.size, 2);
});

t.test('what the members subscribe to is known where it can be read', async (t) => {
  const subscription = (...topics: string[]) => {
    const parts = topics.map((topic) => {
      const head = Buffer.alloc(2);
      head.writeInt16BE(topic.length);
      return Buffer.concat([head, Buffer.from(topic)]);
    });
    const head = Buffer.alloc(6);
    head.writeInt16BE(1);
    head.writeInt32BE(topics.length, 2);
    const noUserData = Buffer.from('ffffffff', 'hex');
    return Buffer.concat([head, ...parts, noUserData, Buffer.from('00000000', 'hex')]);
  };
  const world = new GroupWorld();
  world.join({ protocols: [{ name: 'range', metadata: subscription('a', 'b') }] });
  t.ok(world.group.knowsSubscriptions);
  t.ok(world.group.isSubscribedTo('b'));
  t.notOk(world.group.isSubscribedTo('c'));
  world.group.leave([leaving('client-1')]);
  t.notOk(world.group.isSubscribedTo('b'));

  const opaque = new GroupWorld();
  opaque.join({ protocols: protocols('range=nonsense') });
  t.notOk(opaque.group.knowsSubscriptions);
  t.ok(opaque.group.isSubscribedTo('c'), 'nothing is safe to be forgotten');
  t.ok(opaque.lines.some(({ level }) => level === 'warn'));

  const other = new GroupWorld();
  other.join({ protocolType: 'connect', protocols: protocols('default=x') });
  t.notOk(other.group.isSubscribedTo('c'), 'not a group of consumers');
});

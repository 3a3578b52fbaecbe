/** Static members (KIP-345): a group.instance.id that survives restarts of its owner, and fencing. */

import t from 'tap';
import { GroupWorld, protocols, REBALANCE_MS, SESSION_MS } from './group-world.ts';

/** A stable group of static members with these instance ids; the first leads. */
function staticGroup(...instances: string[]) {
  const world = new GroupWorld();
  const ids = new Map<string, string>();
  for (const instanceId of instances) {
    const join = world.join({ instanceId, requiresKnownMemberId: true });
    for (const member of [...world.group.members.all]) {
      if (world.group.members.isAwaitingJoin(member)) continue;
      world.join({ memberId: member.id, instanceId: member.instanceId });
    }
    ids.set(instanceId, join.result!.memberId);
  }
  const memberId = ids.get(instances[0]!)!;
  for (const [instanceId, id] of ids) {
    if (id !== memberId) world.sync({ memberId: id, instanceId });
  }
  world.sync({
    memberId,
    assignments: [...ids].map(([name, id]) => ({
      memberId: id,
      assignment: Buffer.from(`of ${name}`),
    })),
  });
  if (world.group.state !== 'Stable') throw new Error(`the group is ${world.group.state}`);
  return { world, id: (instanceId: string) => ids.get(instanceId)! };
}

t.test('a static member needs no id, and gets one from its instance', async (t) => {
  const world = new GroupWorld();
  const join = world.join({ instanceId: 'i', requiresKnownMemberId: true });
  t.match(join.result, {
    error: 'NONE',
    memberId: 'i-1',
    members: [{ memberId: 'i-1', groupInstanceId: 'i' }],
  });
});

t.test('a static follower that is back keeps its assignment, without a rebalance', async (t) => {
  const { world, id } = staticGroup('a', 'b');
  const { generationId } = world.group;
  const stored = world.stored.length;
  const join = world.join({ instanceId: 'b' });
  t.match(join.result, { error: 'NONE', generationId, leader: id('a'), members: [] });
  t.equal(world.group.state, 'Stable');
  const { memberId } = join.result!;
  t.not(memberId, id('b'));
  t.match(world.sync({ memberId, instanceId: 'b' }).result, {
    error: 'NONE',
    assignment: Buffer.from('of b'),
  });
  t.equal(world.stored.length, stored + 1, 'the new id was recorded');
  t.match(world.lastStored.members[1], { memberId, assignment: Buffer.from('of b') });
});

t.test('its former id is fenced', async (t) => {
  const { world, id } = staticGroup('a', 'b');
  const { group } = world;
  const { generationId } = group;
  world.join({ instanceId: 'b' });
  const fenced = { error: 'FENCED_INSTANCE_ID' };
  t.equal(group.heartbeat(id('b'), 'b', generationId), 'FENCED_INSTANCE_ID');
  t.equal(group.commitFault(id('b'), 'b', generationId), 'FENCED_INSTANCE_ID');
  t.match(world.join({ memberId: id('b'), instanceId: 'b' }).result, fenced);
  t.match(world.sync({ memberId: id('b'), instanceId: 'b' }).result, fenced);
  t.same(group.leave([{ memberId: id('b'), groupInstanceId: 'b', reason: null }]), [
    'FENCED_INSTANCE_ID',
  ]);
  t.equal(group.heartbeat(id('b'), null, generationId), 'UNKNOWN_MEMBER_ID');
  t.equal(group.heartbeat(id('a'), 'b', generationId), 'FENCED_INSTANCE_ID');
  t.equal(group.heartbeat(id('a'), 'c', generationId), 'UNKNOWN_MEMBER_ID');
});

t.test('a static leader that is back is told by its version not to assign', async (t) => {
  const { world, id } = staticGroup('a', 'b');
  const old = world.join({ instanceId: 'a' });
  t.match(old.result, { error: 'NONE', leader: id('a'), skipAssignment: false, members: [] });
  t.not(old.result!.memberId, id('a'), 'so it does not take itself for the leader');
  const now = world.join({ instanceId: 'a', canSkipAssignment: true });
  t.match(now.result, { error: 'NONE', leader: now.result!.memberId, skipAssignment: true });
  t.equal(now.result!.members.length, 2, 'it can still see to what changed');
  const follower = world.join({ instanceId: 'b', canSkipAssignment: true });
  t.match(follower.result, { error: 'NONE', skipAssignment: false, members: [] });
});

t.test('nobody is told of the new id before it is durable', async (t) => {
  const { world, id } = staticGroup('a', 'b');
  world.isHeld = true;
  const join = world.join({ instanceId: 'b' });
  t.equal(join.result, undefined);
  world.settle('NOT_COORDINATOR');
  t.match(join.result, { error: 'NOT_COORDINATOR', memberId: '' });
  t.equal(world.group.heartbeat(id('b'), 'b', world.group.generationId), 'NONE', 'as it was');
  t.match(world.sync({ memberId: id('b'), instanceId: 'b' }).result, {
    assignment: Buffer.from('of b'),
  });
});

t.test('a session that would end while the new id is recorded begins anew', async (t) => {
  const { world } = staticGroup('a', 'b');
  const alive = () => world.group.heartbeat(world.group.members.leaderId!, 'a', 2);
  world.isHeld = true;
  const join = world.join({ instanceId: 'b' });
  for (let waitedMs = 0; waitedMs < SESSION_MS; waitedMs += 5000) {
    t.equal(alive(), 'NONE');
    world.clock.advance(5000);
  }
  world.settle();
  t.match(join.result, { error: 'NONE' });
  for (let waitedMs = 0; waitedMs < SESSION_MS; waitedMs += 5000) {
    t.equal(alive(), 'NONE');
    world.clock.advance(5000);
  }
  t.equal(alive(), 'REBALANCE_IN_PROGRESS', 'it was silent');
});

t.test('a rebalance that begins before the new id is durable answers it', async (t) => {
  const { world, id } = staticGroup('a', 'b');
  world.isHeld = true;
  const back = world.join({ instanceId: 'b' });
  const newcomer = world.join({ instanceId: 'c' });
  const leader = world.join({ memberId: id('a'), instanceId: 'a' });
  for (const { result } of [back, newcomer, leader]) t.match(result, { error: 'NONE' });
  world.settle();
  t.equal(back.answers, 1);
  t.equal(world.group.state, 'CompletingRebalance');
});

t.test('other protocols than the selected one have the group rebalance', async (t) => {
  const world = new GroupWorld();
  const both = protocols('a', 'b');
  world.join({ instanceId: 'i', protocols: both });
  world.sync({ memberId: 'i-1', instanceId: 'i' });
  t.equal(world.group.state, 'Stable');
  const back = world.join({ instanceId: 'i', protocols: protocols('b', 'a') });
  t.match(back.result, { error: 'NONE', generationId: 2, protocolName: 'b' });
});

t.test('who is replaced while it waits is told so', async (t) => {
  const { world, id } = staticGroup('a', 'b');
  const waiting = world.join({ memberId: id('a'), instanceId: 'a' });
  const back = world.join({ instanceId: 'a' });
  t.match(waiting.result, { error: 'FENCED_INSTANCE_ID', memberId: id('a') });
  t.equal(back.result, undefined, 'the other has not joined yet');
  world.join({ memberId: id('b'), instanceId: 'b' });
  t.match(back.result, { error: 'NONE', leader: back.result!.memberId });

  const sync = world.sync({ memberId: id('b'), instanceId: 'b' });
  const again = world.join({ instanceId: 'b' });
  t.match(sync.result, { error: 'FENCED_INSTANCE_ID' });
  t.equal(again.result, undefined, 'the leader knows the old id: all join again');
  t.equal(world.group.state, 'PreparingRebalance');
});

t.test('a static member that does not join in time stays until its session ends', async (t) => {
  const { world, id } = staticGroup('a', 'b');
  const join = world.join({ memberId: id('a'), instanceId: 'a' });
  for (let waitedMs = 0; waitedMs < REBALANCE_MS; waitedMs += 5000) {
    world.group.heartbeat(id('b'), 'b', world.group.generationId);
    world.clock.advance(5000);
  }
  t.match(join.result, { error: 'NONE' });
  t.equal(world.group.members.size, 2, 'it is still a member');
  t.equal(join.result?.members.length, 2);
  world.clock.advance(SESSION_MS);
  t.equal(world.group.members.size, 0, 'both were silent');
  t.equal(world.group.state, 'Empty');
});

t.test('another one leads when a static leader does not join in time', async (t) => {
  const { world, id } = staticGroup('a', 'b');
  world.join({ instanceId: 'c' });
  const join = world.join({ memberId: id('b'), instanceId: 'b' });
  for (let waitedMs = 0; waitedMs < REBALANCE_MS; waitedMs += 5000) {
    world.group.heartbeat(id('a'), 'a', world.group.generationId);
    world.clock.advance(5000);
  }
  t.match(join.result, { error: 'NONE', leader: id('b') });
  t.equal(world.group.members.size, 3);
});

t.test('a round of which nobody is there waits on until sessions end', async (t) => {
  const { world, id } = staticGroup('a', 'b');
  const { group } = world;
  group.leave([{ memberId: id('a'), groupInstanceId: 'a', reason: null }]);
  t.equal(group.state, 'PreparingRebalance');
  for (let waitedMs = 0; waitedMs < 2 * REBALANCE_MS; waitedMs += 5000) {
    t.equal(group.heartbeat(id('b'), 'b', group.generationId), 'REBALANCE_IN_PROGRESS');
    world.clock.advance(5000);
  }
  t.equal(group.state, 'PreparingRebalance');
  t.match(world.join({ memberId: id('b'), instanceId: 'b' }).result, {
    error: 'NONE',
    leader: id('b'),
  });
});

t.test('a static member can be taken out by its instance alone', async (t) => {
  const { world } = staticGroup('a', 'b');
  t.same(world.group.leave([{ memberId: '', groupInstanceId: 'b', reason: null }]), ['NONE']);
  t.equal(world.group.members.size, 1);
  t.equal(world.group.state, 'PreparingRebalance');
  t.match(world.join({ instanceId: 'b' }).answers, 0, 'its instance can come as new');
});

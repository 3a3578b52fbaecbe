/** SyncGroup, Heartbeat and what a commit may do: the second half of a rebalance, and after it. */

import t from 'tap';
import { GroupWorld, protocols, REBALANCE_MS, SESSION_MS } from './group-world.ts';

/** A group of two that waits for its leader's assignment. */
function completing() {
  const world = new GroupWorld();
  const [leader, follower] = world.stable(2) as [string, string];
  world.join({ memberId: leader });
  world.join({ memberId: follower, protocols: protocols('range=new') });
  if (world.group.state !== 'CompletingRebalance') throw new Error(world.group.state);
  return { world, leader, follower };
}

const assignmentsTo = (...members: string[]) =>
  members.map((memberId) => ({ memberId, assignment: Buffer.from(`for ${memberId}`) }));

t.test('followers wait for the leader, and each gets its own', async (t) => {
  const { world, leader, follower } = completing();
  const waiting = world.sync({ memberId: follower });
  t.equal(waiting.result, undefined);
  const leads = world.sync({ memberId: leader, assignments: assignmentsTo(leader, follower) });
  t.match(leads.result, {
    error: 'NONE',
    protocolType: 'consumer',
    protocolName: 'range',
    assignment: Buffer.from(`for ${leader}`),
  });
  t.match(waiting.result, { error: 'NONE', assignment: Buffer.from(`for ${follower}`) });
  t.equal(world.group.state, 'Stable');
  t.equal(world.rebalances, 2, 'one for each generation that became stable');
});

t.test('nobody is answered before the assignment is durable', async (t) => {
  const { world, leader, follower } = completing();
  world.isHeld = true;
  const leads = world.sync({ memberId: leader, assignments: assignmentsTo(leader) });
  const waiting = world.sync({ memberId: follower });
  t.equal(leads.result, undefined);
  t.equal(world.group.state, 'CompletingRebalance');
  t.match(world.lastStored, {
    generation: 3,
    protocol: 'range',
    leader,
    members: [
      { memberId: leader, assignment: Buffer.from(`for ${leader}`) },
      { memberId: follower, assignment: Buffer.alloc(0), subscription: Buffer.from('new') },
    ],
  });
  world.settle();
  t.match(leads.result, { error: 'NONE' });
  t.match(waiting.result, { error: 'NONE', assignment: Buffer.alloc(0) }, 'it was left out');
});

t.test('an assignment that cannot be recorded has all join again', async (t) => {
  const { world, leader, follower } = completing();
  world.isHeld = true;
  const leads = world.sync({ memberId: leader, assignments: assignmentsTo(leader, follower) });
  const waiting = world.sync({ memberId: follower });
  world.settle('NOT_COORDINATOR');
  t.match(leads.result, { error: 'NOT_COORDINATOR', assignment: Buffer.alloc(0) });
  t.match(waiting.result, { error: 'NOT_COORDINATOR' });
  t.equal(world.group.state, 'PreparingRebalance');
});

t.test('what becomes durable too late changes nothing', async (t) => {
  const { world, leader, follower } = completing();
  world.isHeld = true;
  const late = world.sync({ memberId: leader, assignments: assignmentsTo(leader, follower) });
  world.join();
  t.match(late.result, { error: 'REBALANCE_IN_PROGRESS' }, 'somebody came meanwhile');
  world.settle();
  t.equal(world.group.state, 'PreparingRebalance');
  t.equal(world.heartbeat(follower), 'REBALANCE_IN_PROGRESS');
  world.isHeld = true;
  world.join({ memberId: leader });
  world.join({ memberId: follower });
  t.equal(world.group.generationId, 4);
  const next = world.sync({ memberId: leader });
  world.settle();
  t.match(next.result, { error: 'NONE' });
});

t.test('a stable group tells each member its assignment again', async (t) => {
  const world = new GroupWorld();
  const [, follower] = world.stable(2) as [string, string];
  t.match(world.sync({ memberId: follower }).result, {
    error: 'NONE',
    assignment: Buffer.from(`to ${follower}`),
  });
});

t.test('a SyncGroup is refused when it is not from this generation of members', async (t) => {
  const { world, leader } = completing();
  t.match(world.sync({ memberId: 'who' }).result, { error: 'UNKNOWN_MEMBER_ID' });
  t.match(world.sync({ memberId: leader, generationId: 2 }).result, {
    error: 'ILLEGAL_GENERATION',
  });
  t.match(world.sync({ memberId: leader, instanceId: 'i' }).result, {
    error: 'UNKNOWN_MEMBER_ID',
  });
  const inconsistent = { error: 'INCONSISTENT_GROUP_PROTOCOL' };
  t.match(world.sync({ memberId: leader, protocolType: 'connect' }).result, inconsistent);
  t.match(world.sync({ memberId: leader, protocolName: 'sticky' }).result, inconsistent);
  const right = { protocolType: 'consumer', protocolName: 'range' };
  t.match(world.sync({ memberId: leader, ...right }).result, { error: 'NONE' });
  world.join();
  t.match(world.sync({ memberId: leader }).result, { error: 'REBALANCE_IN_PROGRESS' });
  const empty = new GroupWorld();
  t.match(empty.sync({ memberId: 'm' }).result, { error: 'UNKNOWN_MEMBER_ID' });
});

t.test('a SyncGroup that is sent again takes the place of the one that waits', async (t) => {
  const { world, leader, follower } = completing();
  const lost = world.sync({ memberId: follower });
  const again = world.sync({ memberId: follower });
  t.match(lost.result, { error: 'REBALANCE_IN_PROGRESS' });
  world.sync({ memberId: leader, assignments: assignmentsTo(follower) });
  t.match(again.result, { error: 'NONE', assignment: Buffer.from(`for ${follower}`) });
  t.equal(lost.answers, 1);
});

t.test('those who never ask for their assignment are dropped in the end', async (t) => {
  const { world, leader, follower } = completing();
  world.sync({ memberId: leader, assignments: assignmentsTo(leader, follower) });
  t.equal(world.group.state, 'Stable');
  for (let waitedMs = 0; waitedMs < REBALANCE_MS; waitedMs += 5000) {
    t.equal(world.heartbeat(leader), 'NONE');
    t.equal(world.heartbeat(follower), 'NONE');
    world.clock.advance(5000);
  }
  t.equal(world.heartbeat(follower), 'UNKNOWN_MEMBER_ID');
  t.equal(world.heartbeat(leader), 'REBALANCE_IN_PROGRESS');
});

t.test('a leader that never assigns is dropped, and another one leads', async (t) => {
  const { world, leader, follower } = completing();
  const waiting = world.sync({ memberId: follower });
  for (let waitedMs = 0; waitedMs < REBALANCE_MS; waitedMs += 5000) {
    world.heartbeat(leader);
    world.clock.advance(5000);
  }
  t.match(waiting.result, { error: 'REBALANCE_IN_PROGRESS' });
  t.match(world.join({ memberId: follower }).result, { error: 'NONE', leader: follower });
});

t.test('heartbeats are answered by the state of the group', async (t) => {
  const { world, leader, follower } = completing();
  t.equal(world.heartbeat(follower), 'NONE', 'while assignments are awaited');
  t.equal(world.heartbeat(follower, 2), 'ILLEGAL_GENERATION');
  t.equal(world.heartbeat('who'), 'UNKNOWN_MEMBER_ID');
  t.equal(world.group.heartbeat(follower, 'i', 3), 'UNKNOWN_MEMBER_ID');
  world.sync({ memberId: leader });
  t.equal(world.heartbeat(follower), 'NONE');
  world.join();
  t.equal(world.heartbeat(follower), 'REBALANCE_IN_PROGRESS');
  t.equal(new GroupWorld().heartbeat('m', 0), 'UNKNOWN_MEMBER_ID', 'an empty group');
});

t.test('a commit is taken from members of the generation', async (t) => {
  const { world, leader, follower } = completing();
  const { group } = world;
  t.equal(group.commitFault(leader, null, 3), 'REBALANCE_IN_PROGRESS');
  world.sync({ memberId: leader });
  world.sync({ memberId: follower });
  t.equal(group.commitFault(leader, null, 3), undefined);
  t.equal(group.commitFault(leader, null, 2), 'ILLEGAL_GENERATION');
  t.equal(group.commitFault('who', null, 3), 'UNKNOWN_MEMBER_ID');
  t.equal(group.commitFault(leader, 'i', 3), 'UNKNOWN_MEMBER_ID');
  t.equal(group.commitFault('', null, -1), 'UNKNOWN_MEMBER_ID', 'only to an empty group');
  t.equal(group.commitFault(leader, null, -1), 'ILLEGAL_GENERATION');
  world.join();
  t.equal(group.state, 'PreparingRebalance');
  t.equal(group.commitFault(leader, null, 3), undefined, 'what was read before the rebalance');
});

t.test('a commit without a generation is taken by an empty group', async (t) => {
  const { group } = new GroupWorld();
  t.equal(group.commitFault('', null, -1), undefined);
  t.equal(group.commitFault('anyone', null, -1), undefined);
  t.equal(group.commitFault('anyone', null, 0), 'UNKNOWN_MEMBER_ID');
});

t.test('a commit keeps a session alive', async (t) => {
  const world = new GroupWorld();
  const [member] = world.stable(1);
  world.clock.advance(SESSION_MS - 1);
  world.group.commitFault(member!, null, 1);
  world.clock.advance(SESSION_MS - 1);
  t.equal(world.heartbeat(member!), 'NONE');
});

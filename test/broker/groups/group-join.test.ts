/** JoinGroup: how members come into a group, and how a round of joining ends. */

import t from 'tap';
import { GroupWorld, protocols, REBALANCE_MS, SESSION_MS } from './group-world.ts';

t.test('the first member leads the first generation at once', async (t) => {
  const world = new GroupWorld();
  const join = world.join({ protocols: protocols('range=me') });
  t.match(join.result, {
    error: 'NONE',
    memberId: 'client-1',
    generationId: 1,
    protocolType: 'consumer',
    protocolName: 'range',
    leader: 'client-1',
    skipAssignment: false,
    members: [{ memberId: 'client-1', groupInstanceId: null, metadata: Buffer.from('me') }],
  });
  t.equal(world.group.state, 'CompletingRebalance');
});

t.test('a client that can is given an id first, and joins with it', async (t) => {
  const world = new GroupWorld();
  const first = world.join({ requiresKnownMemberId: true });
  t.match(first.result, { error: 'MEMBER_ID_REQUIRED', memberId: 'client-1', generationId: -1 });
  t.equal(world.group.members.size, 0);
  t.equal(world.group.state, 'Empty');
  t.ok(world.group.hasPendingMembers);
  const second = world.join({ requiresKnownMemberId: true, memberId: 'client-1' });
  t.match(second.result, { error: 'NONE', memberId: 'client-1', leader: 'client-1' });
  t.notOk(world.group.hasPendingMembers);
});

t.test('an id that nobody gave out, or that was not used in time, is unknown', async (t) => {
  const world = new GroupWorld();
  t.match(world.join({ memberId: 'mine' }).result, {
    error: 'UNKNOWN_MEMBER_ID',
    memberId: 'mine',
  });
  world.join({ requiresKnownMemberId: true });
  world.clock.advance(SESSION_MS);
  t.notOk(world.group.hasPendingMembers);
  t.match(world.join({ memberId: 'client-1' }).result, { error: 'UNKNOWN_MEMBER_ID' });
  world.join({ requiresKnownMemberId: true });
  const asStatic = world.join({ memberId: 'client-2', instanceId: 'i' });
  t.match(asStatic.result, { error: 'UNKNOWN_MEMBER_ID' }, 'ids are given to dynamic members');
});

t.test('a round waits for the member whose id was given out', async (t) => {
  const world = new GroupWorld();
  const [leader] = world.stable(1);
  world.join({ requiresKnownMemberId: true });
  const rejoin = world.join({ memberId: leader! });
  t.equal(rejoin.result, undefined, 'the other may still come');
  world.clock.advance(SESSION_MS);
  t.match(rejoin.result, { error: 'NONE', generationId: 2 }, 'it did not');
});

t.test('a group needs a protocol type and a protocol that all members know', async (t) => {
  const world = new GroupWorld();
  const refused = { error: 'INCONSISTENT_GROUP_PROTOCOL' };
  t.match(world.join({ protocolType: '' }).result, refused);
  t.match(world.join({ protocols: [] }).result, refused);
  world.stable(1, { protocols: protocols('a', 'b') });
  t.match(world.join({ protocols: protocols('c') }).result, refused);
  t.match(world.join({ protocolType: 'connect', protocols: protocols('a') }).result, refused);
  t.equal(world.group.state, 'Stable', 'nobody was disturbed');
});

t.test('a newcomer has the others join again, the leader stays', async (t) => {
  const world = new GroupWorld();
  const [first] = world.stable(1);
  const join = world.join();
  t.equal(world.group.state, 'PreparingRebalance');
  t.equal(join.result, undefined, 'the first has not joined again');
  t.equal(world.heartbeat(first!), 'REBALANCE_IN_PROGRESS');
  const rejoin = world.join({ memberId: first! });
  t.match(join.result, { error: 'NONE', generationId: 2, leader: first, members: [] });
  t.match(rejoin.result, { error: 'NONE', generationId: 2, leader: first });
  t.same(
    rejoin.result?.members.map(({ memberId }) => memberId),
    [first, 'client-2'],
  );
});

t.test('the protocol is what most members prefer among those all of them know', async (t) => {
  const world = new GroupWorld();
  const first = world.join({ protocols: protocols('a', 'b', 'c') });
  const second = world.join({ protocols: protocols('b', 'c') });
  const third = world.join({ protocols: protocols('b', 'c', 'x') });
  const rejoin = world.join({
    memberId: first.result!.memberId,
    protocols: protocols('a', 'c', 'b'),
  });
  for (const { result } of [second, third, rejoin]) {
    t.match(result, { error: 'NONE', protocolName: 'b', generationId: 2 });
  }
});

t.test('a follower that joins a stable group as it was is told the generation', async (t) => {
  const world = new GroupWorld();
  const [leader, follower] = world.stable(2, { protocols: protocols('range=x') });
  const { generationId } = world.group;
  const join = world.join({ memberId: follower!, protocols: protocols('range=x') });
  t.match(join.result, { error: 'NONE', generationId, leader, members: [] });
  t.equal(world.group.state, 'Stable');
});

t.test('a follower with other metadata, or the leader, has a stable group rebalance', async (t) => {
  const world = new GroupWorld();
  const [leader, follower] = world.stable(2);
  const changed = world.join({ memberId: follower!, protocols: protocols('range=new') });
  t.equal(world.group.state, 'PreparingRebalance');
  const { result } = world.join({ memberId: leader! });
  t.same(
    result?.members.map(({ metadata }) => metadata.toString()),
    ['', 'new'],
  );
  t.match(changed.result, { error: 'NONE', generationId: 3 });
  world.sync({ memberId: follower! });
  world.sync({ memberId: leader! });
  t.equal(world.group.state, 'Stable');
  world.join({ memberId: leader! });
  t.equal(world.group.state, 'PreparingRebalance');
});

t.test('whoever lost the answer to a JoinGroup gets it again', async (t) => {
  const world = new GroupWorld();
  const first = world.join().result!;
  t.equal(world.group.state, 'CompletingRebalance');
  t.same(world.join({ memberId: first.memberId }).result, first, 'with the list of members');
});

t.test('other metadata while assignments are awaited begins a new round', async (t) => {
  const world = new GroupWorld();
  world.stable(2);
  const [leader, follower] = [...world.group.members.all].map(({ id }) => id);
  world.join({ memberId: leader! });
  world.join({ memberId: follower! });
  const waiting = world.sync({ memberId: follower! });
  const rejoin = world.join({ memberId: leader!, protocols: protocols('range=other') });
  t.match(waiting.result, { error: 'REBALANCE_IN_PROGRESS' });
  t.equal(rejoin.result, undefined);
  t.equal(world.group.state, 'PreparingRebalance');
});

t.test('those who do not join again in time are dropped, and another one leads', async (t) => {
  const world = new GroupWorld();
  const [leader, follower] = world.stable(2);
  const join = world.join({ memberId: follower!, protocols: protocols('range=new') });
  for (let waitedMs = 0; waitedMs < REBALANCE_MS; waitedMs += 5000) {
    // Alive, but it does not join.
    world.heartbeat(leader!);
    t.equal(join.result, undefined);
    world.clock.advance(5000);
  }
  t.match(join.result, { error: 'NONE', leader: follower, members: [{ memberId: follower }] });
  t.equal(world.heartbeat(leader!), 'UNKNOWN_MEMBER_ID');
});

t.test('a round lasts as long as the longest rebalance timeout', async (t) => {
  const world = new GroupWorld();
  const [patient] = world.stable(1, { rebalanceTimeoutMs: 60_000, sessionTimeoutMs: 90_000 });
  const join = world.join({ rebalanceTimeoutMs: 1000 });
  world.clock.advance(59_999);
  t.equal(join.result, undefined);
  world.clock.advance(1);
  t.match(join.result, { error: 'NONE', leader: 'client-2' });
  t.equal(world.heartbeat(patient!), 'UNKNOWN_MEMBER_ID');
});

t.test('the first round waits for more members when it is told to', async (t) => {
  const world = new GroupWorld({ initialRebalanceDelayMs: 3000 });
  const first = world.join();
  world.clock.advance(2000);
  const second = world.join();
  world.clock.advance(1000);
  t.equal(first.result, undefined, 'somebody came: the wait is longer');
  world.clock.advance(2999);
  t.equal(first.result, undefined);
  world.clock.advance(1);
  t.match(first.result, { error: 'NONE', generationId: 1, leader: 'client-1' });
  t.equal(first.result?.members.length, 2);
  t.match(second.result, { error: 'NONE', generationId: 1 });
});

t.test('the first round does not wait longer than the rebalance timeout', async (t) => {
  const world = new GroupWorld({ initialRebalanceDelayMs: 3000 });
  const first = world.join({ rebalanceTimeoutMs: 7000 });
  for (let second = 1; second <= 6; second++) {
    world.clock.advance(1000);
    world.join({ rebalanceTimeoutMs: 7000 });
  }
  t.equal(first.result, undefined);
  world.clock.advance(1000);
  t.match(first.result, { error: 'NONE', generationId: 1 });
  t.equal(first.result?.members.length, 7);
});

t.test('a first round whose members have all left ends with nobody', async (t) => {
  const world = new GroupWorld({ initialRebalanceDelayMs: 3000 });
  const join = world.join();
  t.same(world.group.leave([{ memberId: 'client-1', groupInstanceId: null, reason: null }]), [
    'NONE',
  ]);
  t.match(join.result, { error: 'UNKNOWN_MEMBER_ID', memberId: '' });
  world.clock.advance(3000);
  t.equal(world.group.state, 'Empty');
  t.match(world.lastStored, { generation: 1, members: [] });
});

t.test('a full group takes no more', async (t) => {
  const world = new GroupWorld({ maxSize: 2 });
  const refused = { error: 'GROUP_MAX_SIZE_REACHED', memberId: '', generationId: -1 };
  const [leader] = world.stable(2);
  t.match(world.join().result, refused, 'while stable');
  t.equal(world.group.state, 'Stable');
  world.join({ memberId: leader! });
  const third = world.join();
  t.equal(third.result, undefined, 'while joining, those count who have come');
  const second = [...world.group.members.all][1]!;
  t.match(world.join({ memberId: second.id }).result, refused, 'it came too late');
  t.match(third.result, { error: 'NONE' });
  t.equal(world.group.members.size, 2);
});

t.test('a JoinGroup that is sent again takes the place of the one that waits', async (t) => {
  const world = new GroupWorld();
  const [first] = world.stable(1);
  world.join();
  const [, second] = [...world.group.members.all];
  const again = world.join({ memberId: second!.id });
  const third = world.join({ memberId: second!.id });
  t.match(again.result, { error: 'REBALANCE_IN_PROGRESS', memberId: second!.id });
  t.equal(third.result, undefined);
  world.join({ memberId: first! });
  t.match(third.result, { error: 'NONE' });
  t.equal(again.answers, 1);
});

t.test('a newcomer that waits too long is given up, and may come again', async (t) => {
  const world = new GroupWorld();
  const [first] = world.stable(1, { rebalanceTimeoutMs: 600_000, sessionTimeoutMs: 900_000 });
  const join = world.join({ rebalanceTimeoutMs: 600_000 });
  world.clock.advance(299_999);
  t.equal(join.result, undefined);
  world.clock.advance(1);
  t.match(join.result, { error: 'UNKNOWN_MEMBER_ID', memberId: '' });
  t.same(
    [...world.group.members.all].map(({ id }) => id),
    [first],
  );
});

t.test('no new member is taken when groups have all the memory they may have', async (t) => {
  const world = new GroupWorld({ stateLimitBytes: 20_000 });
  const metadata = 'x'.repeat(20_000);
  t.match(world.join({ protocols: protocols(`range=${metadata}`) }).result, { error: 'NONE' });
  t.match(world.join({ requiresKnownMemberId: true }).result, {
    error: 'COORDINATOR_NOT_AVAILABLE',
  });
  t.ok(world.lines.some(({ level }) => level === 'warn'));
  world.group.leave([{ memberId: 'client-1', groupInstanceId: null, reason: null }]);
  t.equal(world.budget.usedBytes, 0);
  t.match(world.join().result, { error: 'NONE' });
});

t.test('what a member joined with does not keep its frame alive', async (t) => {
  const world = new GroupWorld();
  const frame = Buffer.alloc(1 << 20);
  const metadata = frame.subarray(1000, 1010);
  world.join({ protocols: [{ name: 'range', metadata }] });
  const [member] = [...world.group.members.all];
  t.not(member?.protocols[0]?.metadata.buffer, frame.buffer);
});

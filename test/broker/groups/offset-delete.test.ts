import t from 'tap';
import { CoordinatorWorld, offset } from './coordinator-world.ts';

const T0 = { topic: 't', partition: 0 };
const T1 = { topic: 't', partition: 1 };
const U0 = { topic: 'u', partition: 0 };

t.test('offsets are deleted, durably', async (t) => {
  const world = await CoordinatorWorld.loaded();
  await world.commit({ groupId: 'g', offsets: [offset('t', 0, 1), offset('t', 1, 2)] });
  t.same(await world.coordinator.deleteOffsets('g', [T0, U0]), ['NONE', 'NONE']);
  t.same(await world.fetch('g'), ['t-1=2']);
  await world.restart();
  t.same(await world.fetch('g'), ['t-1=2']);
});

t.test('what members read stays', async (t) => {
  const world = await CoordinatorWorld.loaded();
  await world.commit({ groupId: 'g', offsets: [offset('t', 0, 1), offset('u', 0, 2)] });
  await world.member('g', ['t']);
  const errors = await world.coordinator.deleteOffsets('g', [T0, U0]);
  t.same(errors, ['GROUP_SUBSCRIBED_TO_TOPIC', 'NONE']);
  t.same(await world.fetch('g'), ['t-0=1']);
});

t.test('a group of another kind must be empty, and there must be one', async (t) => {
  const world = await CoordinatorWorld.loaded();
  t.equal(await world.coordinator.deleteOffsets('g', [T0]), 'GROUP_ID_NOT_FOUND');
  t.equal(await world.coordinator.deleteOffsets('', [T0]), 'INVALID_GROUP_ID');
  await world.member('g', [], { protocolType: 'connect' });
  t.equal(await world.coordinator.deleteOffsets('g', [T0]), 'NON_EMPTY_GROUP');
});

t.test('an offset that is on its way, or in a transaction, is deleted too', async (t) => {
  const world = await CoordinatorWorld.loaded();
  await world.commit({ groupId: 'g', offsets: [offset('u', 0, 2)] });
  const producer = { producerId: 7, producerEpoch: 0, check: () => {} };
  const member = { groupId: 'g', memberId: '', instanceId: null, generationId: -1 };
  const offsets = [offset('t', 0, 1), offset('t', 1, 2)];
  t.same(await world.coordinator.commitInTransaction({ ...member, offsets, producer }), [
    'NONE',
    'NONE',
  ]);
  t.same(await world.coordinator.deleteOffsets('g', [T0]), ['NONE']);
  await world.coordinator.endTransaction(world.coordinator.partitionOf('g'), {
    producerId: 7,
    producerEpoch: 0,
    coordinatorEpoch: 0,
    isCommit: true,
    transactionVersion: 0,
  });
  t.same(await world.fetch('g'), ['u-0=2', 't-1=2']);
  await world.restart();
  t.same((await world.fetch('g')).sort(), ['t-1=2', 'u-0=2']);
  t.same(await world.coordinator.deleteOffsets('g', [T1]), ['NONE']);
});

t.test('offsets of a transaction count when it is committed', async (t) => {
  for (const isCommit of [true, false]) {
    for (const isRestarted of [false, true]) {
      const world = await CoordinatorWorld.loaded();
      await world.commit({ groupId: 'g', offsets: [offset('t', 0, 5)] });
      const usedBefore = world.coordinator.stateBytes;
      const producer = { producerId: 7, producerEpoch: 0, check: () => {} };
      const member = { groupId: 'g', memberId: '', instanceId: null, generationId: -1 };
      const offsets = [offset('t', 0, 9)];
      await world.coordinator.commitInTransaction({ ...member, offsets, producer });
      t.same(await world.fetch('g'), ['t-0=5']);
      t.same(await world.fetch('g', true), ['t-0=UNSTABLE_OFFSET_COMMIT']);
      if (isRestarted) await world.restart();
      t.same(await world.fetch('g', true), ['t-0=UNSTABLE_OFFSET_COMMIT']);
      const marker = { producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, isCommit };
      const partition = world.coordinator.partitionOf('g');
      await world.coordinator.endTransaction(partition, { ...marker, transactionVersion: 0 });
      t.same(await world.fetch('g', true), [isCommit ? 't-0=9' : 't-0=5']);
      if (!isRestarted) t.equal(world.coordinator.stateBytes, usedBefore, 'memory is given back');
      await world.restart();
      t.same(await world.fetch('g', true), [isCommit ? 't-0=9' : 't-0=5']);
    }
  }
});

t.test('a transaction that is over commits no offset', async (t) => {
  const world = await CoordinatorWorld.loaded();
  const check = () => {
    throw new Error('over');
  };
  const producer = { producerId: 7, producerEpoch: 0, check };
  const member = { groupId: 'g', memberId: '', instanceId: null, generationId: -1 };
  const offsets = [offset('t', 0, 9)];
  const errors = await world.coordinator.commitInTransaction({ ...member, offsets, producer });
  t.same(errors, ['UNKNOWN_SERVER_ERROR']);
  t.same(await world.fetch('g', true), []);
});

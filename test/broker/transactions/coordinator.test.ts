import t from 'tap';
import { InvalidProducerEpoch, LogDeleted, LogFailed } from '../../../storage/errors.ts';
import { settle } from '../harness.ts';
import { OTHER, TP, TransactionWorld } from './transaction-world.ts';

t.test('the outcome is recorded, then come the markers, then the end', async (t) => {
  const world = await TransactionWorld.loaded();
  const client = await world.init();
  t.match(client, { error: 'NONE', producerId: 7, producerEpoch: 0 });
  t.equal(await world.add(client, [TP, OTHER]), 'NONE');
  world.heldTopic = OTHER.topic;
  t.match(await world.end(client, true), { error: 'NONE', producerId: 7, producerEpoch: 0 });
  await settle();
  t.same(world.markers, ['t-0 commit 7/0']);
  t.equal(world.shown, 'PrepareCommit 7/0', 'one marker is missing');
  t.match(await world.end(client, true), { error: 'CONCURRENT_TRANSACTIONS', producerId: -1 });
  await world.release();
  t.same(world.markers, ['t-0 commit 7/0', 'u-1 commit 7/0']);
  t.equal(world.shown, 'CompleteCommit 7/0');
  t.same(world.recorded, ['Empty', 'Ongoing', 'PrepareCommit', 'CompleteCommit']);
  t.match(await world.end(client, true), { error: 'NONE', producerId: 7, producerEpoch: 0 });
  t.equal(world.metrics.counter('transactions_total', 'commit').value, 1);
});

t.test('a restart between the outcome and its markers writes all of them', async (t) => {
  for (const isCommit of [true, false]) {
    const world = await TransactionWorld.loaded();
    const client = await world.init();
    await world.add(client, [TP, OTHER], 2);
    world.heldTopic = OTHER.topic;
    t.match(await world.end(client, isCommit, 2), { error: 'NONE', producerEpoch: 1 });
    await settle();
    world.heldTopic = undefined;
    await world.restart();
    const outcome = isCommit ? 'commit' : 'abort';
    const both = [`t-0 ${outcome} 7/1`, `u-1 ${outcome} 7/1`];
    t.same(world.markers, [both[0], ...both]);
    t.equal(world.shown, `Complete${isCommit ? 'Commit' : 'Abort'} 7/1`);
  }
});

t.test('a partition that is not ready is waited for', async (t) => {
  const world = await TransactionWorld.loaded();
  const client = await world.init();
  await world.add(client);
  world.markerFailure = new LogFailed('disk full');
  t.match(await world.end(client, true), { error: 'NONE' });
  await world.pass(20_000);
  t.equal(world.shown, 'PrepareCommit 7/0');
  world.markerFailure = undefined;
  await world.pass(5000);
  t.same(world.markers, ['t-0 commit 7/0']);
  t.equal(world.shown, 'CompleteCommit 7/0');
});

t.test('what was deleted, or ended in a later epoch, needs no marker', async (t) => {
  for (const failure of [new LogDeleted('gone'), new InvalidProducerEpoch('later')]) {
    const world = await TransactionWorld.loaded();
    const client = await world.init();
    await world.add(client);
    world.markerFailure = failure;
    await world.end(client, true);
    await settle();
    t.equal(world.shown, 'CompleteCommit 7/0', failure.name);
  }
});

t.test('nothing is appended from when the end was asked for', async (t) => {
  const world = await TransactionWorld.loaded();
  const client = await world.init();
  const fault = () => world.coordinator.appendFault('x', client, TP);
  t.equal(fault(), 'TRANSACTION_ABORTABLE');
  const adding = world.add(client);
  t.equal(fault(), 'TRANSACTION_ABORTABLE', 'until it is durable');
  await adding;
  t.equal(fault(), undefined);
  t.equal(world.coordinator.appendFault('x', client, OTHER), 'TRANSACTION_ABORTABLE');
  const ending = world.end(client, true);
  t.equal(fault(), 'CONCURRENT_TRANSACTIONS', 'in the same turn');
  await ending;
  t.equal(world.coordinator.appendFault('y', client, TP), 'INVALID_PRODUCER_ID_MAPPING');
});

t.test('a partition that is added right after an end waits for its markers', async (t) => {
  const world = await TransactionWorld.loaded();
  const client = await world.init();
  await world.add(client, [TP], 2);
  world.heldTopic = TP.topic;
  const next = await world.end(client, true, 2);
  const joining = world.coordinator.join('x', next, [TP]);
  await world.release();
  t.equal(await joining, 'NONE');
  t.equal(world.coordinator.join('x', next, [TP]), undefined, 'nothing is left to be waited for');
  world.heldTopic = TP.topic;
  const last = await world.end(next, false, 2);
  const tooLong = world.coordinator.join('x', last, [TP]);
  await settle();
  await world.pass(200);
  t.equal(await tooLong, 'CONCURRENT_TRANSACTIONS');
});

t.test('an empty transaction right after another is no reason to fence its producer', async (t) => {
  const world = await TransactionWorld.loaded();
  const client = await world.init();
  await world.add(client, [TP], 2);
  world.heldTopic = TP.topic;
  const next = await world.end(client, true, 2);
  t.match(await world.end(next, false, 2), { error: 'CONCURRENT_TRANSACTIONS' });
  await world.release();
  t.match(await world.end(next, false, 2), { error: 'NONE' });
});

t.test('a transaction that is open for too long is aborted, and its producer fenced', async (t) => {
  const world = await TransactionWorld.loaded();
  const client = await world.init('x', 1000);
  await world.add(client);
  await world.pass(800);
  t.equal(world.shown, 'Ongoing 7/0');
  await world.pass(400);
  t.equal(world.shown, 'CompleteAbort 7/1');
  t.same(world.markers, ['t-0 abort 7/1']);
  t.match(await world.end(client, true), { error: 'PRODUCER_FENCED' });
  t.equal(await world.add(client), 'PRODUCER_FENCED');
  t.match(await world.init('x', 1000), { producerId: 7, producerEpoch: 2 });
});

t.test(
  'the time of a transaction goes on over a restart, and no jump of the clock ends it',
  async (t) => {
    const world = await TransactionWorld.loaded();
    const client = await world.init('x', 10_000);
    await world.add(client);
    await world.pass(6000);
    await world.restart();
    await world.pass(3000);
    t.equal(world.shown, 'Ongoing 7/0');
    world.clock.jump(3_600_000);
    await world.pass(500);
    t.equal(world.shown, 'Ongoing 7/0');
    await world.pass(1000);
    t.equal(world.shown, 'CompleteAbort 7/1');
  },
);

t.test('point 27: who begins anew has the open transaction aborted first', async (t) => {
  const world = await TransactionWorld.loaded();
  const client = await world.init();
  await world.add(client);
  world.heldTopic = TP.topic;
  t.match(await world.init(), { error: 'CONCURRENT_TRANSACTIONS', producerId: -1 });
  t.match(await world.init(), { error: 'CONCURRENT_TRANSACTIONS' }, 'until the markers are there');
  await world.release();
  t.match(await world.init(), { error: 'NONE', producerId: 7, producerEpoch: 2 });
  t.equal(await world.add(client), 'PRODUCER_FENCED');
});

t.test('ids that nobody uses are forgotten, durably', async (t) => {
  const world = await TransactionWorld.loaded({
    idExpirationMs: 5000,
    expirationCheckIntervalMs: 1000,
  });
  const client = await world.init();
  await world.add(client);
  await world.pass(8000);
  t.equal(world.shown, 'Ongoing 7/0', 'never while one is open');
  await world.end(client, true);
  await world.pass(4000);
  t.equal(world.shown, 'CompleteCommit 7/0');
  await world.pass(3000);
  t.equal(world.shown, 'TRANSACTIONAL_ID_NOT_FOUND');
  t.equal(world.recorded.at(-1), null);
  await world.restart();
  t.equal(world.coordinator.size, 0);
  t.match(await world.init('x', 1000, client), { error: 'NONE', producerEpoch: 0 });
});

t.test('no id expires after the wall clock jumped', async (t) => {
  const times = { idExpirationMs: 5000, expirationCheckIntervalMs: 1000 };
  const world = await TransactionWorld.loaded(times);
  await world.init();
  world.clock.jump(7_200_000);
  await world.pass(2000);
  t.equal(world.shown, 'Empty 7/0');
  t.ok(world.lines.some(({ text }) => text.startsWith('the wall clock jumped')));
});

t.test('what cannot be recorded does not count', async (t) => {
  const world = await TransactionWorld.loaded();
  const client = await world.init();
  for (const partition of world.partitions) partition.failure = new LogFailed('disk full');
  t.equal(await world.add(client), 'NOT_COORDINATOR');
  t.equal(world.shown, 'Empty 7/0');
  t.match(await world.init('y'), { error: 'NOT_COORDINATOR' });
  t.equal(world.coordinator.size, 1, 'nothing is kept of an id that was never recorded');
  for (const partition of world.partitions) partition.failure = undefined;
  t.equal(await world.add(client), 'NONE');
});

t.test(
  'a record that takes long counts when it is durable, and keeps others out until then',
  async (t) => {
    const world = await TransactionWorld.loaded({ writeTimeoutMs: 500 });
    const client = await world.init();
    for (const partition of world.partitions) partition.isHeld = true;
    const adding = world.add(client);
    await settle();
    await world.pass(1000);
    t.equal(await adding, 'COORDINATOR_NOT_AVAILABLE');
    const again = world.add(client);
    await world.pass(200);
    t.equal(await again, 'CONCURRENT_TRANSACTIONS');
    for (const partition of world.partitions) partition.release();
    await settle();
    t.equal(world.shown, 'Ongoing 7/0');
  },
);

t.test('an end that cannot be recorded is tried again', async (t) => {
  const world = await TransactionWorld.loaded();
  const client = await world.init();
  await world.add(client);
  world.heldTopic = TP.topic;
  await world.end(client, true);
  for (const partition of world.partitions) partition.failure = new LogFailed('disk full');
  await world.release();
  await world.pass(3000);
  t.equal(world.shown, 'PrepareCommit 7/0');
  for (const partition of world.partitions) partition.failure = undefined;
  await world.pass(6000);
  t.equal(world.shown, 'CompleteCommit 7/0');
  t.same(world.markers, ['t-0 commit 7/0'], 'its markers were written');
});

t.test('what cannot be read is left out and named', async (t) => {
  const world = await TransactionWorld.loaded();
  await world.init();
  const [partition] = world.partitions;
  const timestamp = 1;
  const records = [
    { key: null, value: Buffer.from('a'), timestamp },
    { key: Buffer.from([0, 0, 0, 1, 121]), value: Buffer.from([0, 9]), timestamp },
    { key: Buffer.from([0, 0, 0, 9]), value: Buffer.from([0, 1]), timestamp },
  ];
  partition!.append({ records });
  await world.restart();
  t.equal(world.shown, 'Empty 7/0');
  const said = world.lines.filter(({ text }) => text.startsWith('a record of __transaction_state'));
  t.equal(said.length, 3);
});

t.test('ids are refused when they take as much memory as they may', async (t) => {
  const world = await TransactionWorld.loaded({ stateLimitBytes: 300 });
  t.match(await world.init('x'), { error: 'NONE' });
  t.match(await world.init('y'), { error: 'NONE' });
  t.match(await world.init('z'), { error: 'COORDINATOR_NOT_AVAILABLE' });
  t.match(await world.init('x'), { error: 'NONE', producerEpoch: 1 });
});

t.test('before it has loaded, and after it was closed, nobody is served', async (t) => {
  const world = new TransactionWorld();
  const loading = 'COORDINATOR_LOAD_IN_PROGRESS';
  t.match(await world.init(), { error: loading });
  t.equal(world.coordinator.list(), loading);
  await world.coordinator.load();
  const client = await world.init();
  await world.coordinator.close();
  t.equal(await world.add(client), 'COORDINATOR_NOT_AVAILABLE');
  t.equal(world.shown, 'COORDINATOR_NOT_AVAILABLE');
});

t.test('point 26: what is asked for is checked', async (t) => {
  const world = await TransactionWorld.loaded();
  t.match(await world.init(''), { error: 'INVALID_REQUEST' });
  t.match(await world.init('x', 0), { error: 'INVALID_TRANSACTION_TIMEOUT' });
  t.match(await world.init('x', 900_001), { error: 'INVALID_TRANSACTION_TIMEOUT' });
  t.match(await world.init('x'.repeat(40_000)), { error: 'INVALID_REQUEST' });
  const nobody = { producerId: 1, producerEpoch: 0 };
  t.equal(await world.add(nobody), 'INVALID_PRODUCER_ID_MAPPING');
  t.match(await world.end(nobody, true), { error: 'INVALID_PRODUCER_ID_MAPPING' });
  t.equal(await world.coordinator.addPartitions('', nobody, [TP], 0), 'INVALID_REQUEST');
});

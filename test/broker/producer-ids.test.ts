import t from 'tap';
import { initProducerId } from '../../broker/apis/22-init-producer-id.ts';
import { ProducerIds } from '../../broker/producer-ids.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { LogFailed } from '../../storage/errors.ts';
import { DataBroker } from './data-broker.ts';

function ask(
  broker: DataBroker,
  fields: { transactionalId?: string; timeoutMs?: number; id?: number; epoch?: number } = {},
  version = 5,
) {
  const value = {
    transactionalId: fields.transactionalId ?? null,
    transactionTimeoutMs: fields.timeoutMs ?? 60_000,
    producerId: fields.id ?? -1,
    producerEpoch: fields.epoch ?? -1,
  };
  return broker.call(initProducerId, version, value).answer;
}

t.test('each call gives another producer id at epoch 0, in every version', async (t) => {
  const broker = new DataBroker();
  const ids = new Set<number>();
  for (let version = 0; version <= 5; version++) {
    const { errorCode, producerId, producerEpoch } = await ask(broker, {}, version);
    t.same([errorCode, producerEpoch], [0, 0]);
    ids.add(producerId);
  }
  const known = await ask(broker, { id: 0, epoch: 3 });
  t.same([known.errorCode, known.producerEpoch], [0, 0], 'whatever id the client has');
  ids.add(known.producerId);
  t.equal(ids.size, 7);
});

t.test('an id without epoch, or an epoch without id, is INVALID_REQUEST', async (t) => {
  const broker = new DataBroker();
  t.equal((await ask(broker, { id: 4 })).errorCode, ErrorCode.INVALID_REQUEST);
  t.equal((await ask(broker, { epoch: 4 })).errorCode, ErrorCode.INVALID_REQUEST);
});

t.test('point 26: transactional ids are checked', async (t) => {
  const broker = new DataBroker();
  const code = async (transactionalId: string, timeoutMs: number) =>
    (await ask(broker, { transactionalId, timeoutMs })).errorCode;
  t.equal(await code('', 1000), ErrorCode.INVALID_REQUEST);
  t.equal(await code('x', 900_001), ErrorCode.INVALID_TRANSACTION_TIMEOUT);
  t.equal(await code('x', 0), ErrorCode.INVALID_TRANSACTION_TIMEOUT);
  t.equal(await code('x', 900_000), ErrorCode.COORDINATOR_LOAD_IN_PROGRESS);
  t.equal((await ask(broker, { transactionalId: 'x' })).producerId, -1);
  await broker.transactions.load();
  t.equal(await code('x', 900_000), ErrorCode.NONE);
});

t.test('ids come from blocks that are recorded before use', async (t) => {
  const { ledger } = new DataBroker();
  const ids = new ProducerIds(ledger, 1);
  const given = await Promise.all(Array.from({ length: 2500 }, () => ids.next()));
  t.equal(new Set(given).size, 2500);
  t.equal(ledger.appends, 3);
  t.equal(ledger.planned.nextProducerId, 3000);
  t.ok(given.every((id) => id >= 0 && id < 3000));
});

t.test('after a restart the rest of a block is not given out', async (t) => {
  const { ledger } = new DataBroker();
  const before = new ProducerIds(ledger, 1);
  const given = [await before.next(), await before.next()];
  const after = new ProducerIds(ledger, 1);
  t.same(given, [0, 1]);
  t.equal(await after.next(), 1000);
});

t.test('no id is given out when its block cannot be recorded', async (t) => {
  const broker = new DataBroker();
  broker.ledger.failure = new LogFailed('disk full');
  await t.rejects(ask(broker), LogFailed);
  broker.ledger.failure = undefined;
  t.equal((await ask(broker)).producerId, 0);
});

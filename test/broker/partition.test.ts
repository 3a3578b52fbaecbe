import t from 'tap';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { readRecords } from '../../protocol/records.ts';
import { HoldTimeout, LogDeleted, LogFailed, OutOfOrderSequence } from '../../storage/errors.ts';
import { batchOf, DataBroker, FakeConnection } from './data-broker.ts';

function append(broker: DataBroker, topic = broker.topic('t'), batch = batchOf(['a'])) {
  const partition = topic.partitions[0]!;
  return partition.append(batch, readBatchHeader(batch, 0), broker.clock.now());
}

t.test('the position of the watchers is that of the high watermark, not of the end', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const partition = topic.partitions[0]!;
  const log = topic.logs[0]!;
  const size = batchOf(['a']).length;
  append(broker, topic);
  append(broker, topic);
  t.equal(partition.visible.position, 0);
  log.write(1);
  t.equal(partition.visible.position, size);
  t.equal(partition.stable.position, size);
  log.write();
  t.equal(partition.visible.position, 2 * size);
});

t.test('with visibility durable the position follows the durable mark', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { log: { visibility: 'durable' } });
  append(broker, topic);
  topic.logs[0]!.write();
  t.equal(topic.partitions[0]!.visible.position, 0);
  topic.logs[0]!.sync();
  t.equal(topic.partitions[0]!.visible.position, batchOf(['a']).length);
});

t.test('readers of committed data have a position of their own', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const partition = topic.partitions[0]!;
  const log = topic.logs[0]!;
  const size = batchOf(['a']).length;
  log.unstableFrom = 1;
  for (let i = 0; i < 4; i++) append(broker, topic);
  log.write();
  t.equal(partition.visible.position, 4 * size);
  t.equal(partition.stable.position, size);
  log.unstableFrom = 3;
  log.onAdvance?.();
  t.equal(partition.stable.position, 3 * size);
  log.unstableFrom = undefined;
  log.onAdvance?.();
  t.equal(partition.stable.position, 4 * size);
});

t.test('a transaction longer than what is remembered still wakes its readers', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const partition = topic.partitions[0]!;
  const log = topic.logs[0]!;
  log.unstableFrom = 0;
  for (let i = 0; i < 20_000; i++) append(broker, topic);
  log.write();
  const ends: string[] = [];
  const list = partition.stable;
  const slice = { list, readPosition: list.position, readBytes: 0, limitBytes: 1e9 };
  const waiting = { watchEnded: (reason: string) => ends.push(reason) };
  broker.watchers.wait(waiting, [slice], 1, 500, new FakeConnection());
  log.unstableFrom = 1;
  log.onAdvance?.();
  t.same(ends, ['bytes'], 'although the position between two remembered ends is not known');
  log.unstableFrom = undefined;
  log.onAdvance?.();
  t.equal(partition.stable.position, partition.visible.position);
});

t.test('what a failed write took back is not counted when its offsets come again', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const log = topic.logs[0]!;
  append(broker, topic, batchOf(['kept']));
  log.write();
  append(broker, topic, batchOf(['a long one that is taken back', 'and more']));
  append(broker, topic, batchOf(['another']));
  log.takeBack(new LogFailed('no space'));
  append(broker, topic, batchOf(['b']));
  log.write();
  const expected = batchOf(['kept']).length + batchOf(['b']).length;
  t.equal(topic.partitions[0]!.visible.position, expected);
});

t.test('a repeated batch is told its original offsets and appends nothing', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const shape = { producerId: 5, producerEpoch: 0, baseSequence: 0 };
  append(broker, topic, batchOf(['x']));
  const first = append(broker, topic, batchOf(['a', 'b'], shape));
  append(broker, topic, batchOf(['c'], { ...shape, baseSequence: 2 }));
  const again = append(broker, topic, batchOf(['a', 'b'], shape));
  t.same([first.baseOffset, first.lastOffset, first.duplicate], [1, 2, false]);
  t.same([again.baseOffset, again.lastOffset, again.duplicate], [1, 2, true]);
  t.equal(topic.logs[0]!.endOffset, 4);
  const gap = batchOf(['z'], { ...shape, baseSequence: 9 });
  t.throws(() => append(broker, topic, gap), OutOfOrderSequence);
});

t.test('a deleted partition takes nothing', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  broker.deleteTopic(topic);
  t.throws(() => append(broker, topic), LogDeleted);
  await t.rejects(topic.partitions[0]!.appendRecords([{ key: null, value: null }]), LogDeleted);
});

t.test('own records are answered when they are durable', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { internal: true });
  let appended: unknown;
  const value = Buffer.from('v');
  const records = [
    { key: Buffer.from('k'), value },
    { key: null, value: null, timestamp: 7 },
  ];
  const done = topic.partitions[0]!.appendRecords(records).then((range) => {
    appended = range;
  });
  topic.logs[0]!.write();
  await Promise.resolve();
  t.equal(appended, undefined);
  topic.logs[0]!.sync();
  await done;
  t.same(appended, { baseOffset: 0, lastOffset: 1 });
  const [first, second] = [...readRecords(topic.logs[0]!.batches[0]!.bytes, 0)];
  t.equal(first?.timestamp, broker.clock.now());
  t.equal(second?.timestamp, 7);
});

t.test('own records draw on the reserve, and keep their order while one waits', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { internal: true });
  const log = topic.logs[0]!;
  const rooms: (() => void)[] = [];
  const asked: boolean[] = [];
  broker.admit = (_size, internal) => {
    asked.push(internal);
    if (asked.length > 1) return undefined;
    return new Promise((resolve) => rooms.push(resolve));
  };
  const record = (text: string) => [{ key: null, value: Buffer.from(text) }];
  const first = topic.partitions[0]!.appendRecords(record('first'));
  const second = topic.partitions[0]!.appendRecords(record('second'));
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(log.endOffset, 0);
  rooms[0]!();
  await new Promise((resolve) => setImmediate(resolve));
  log.sync();
  t.same(
    [await first, await second],
    [
      { baseOffset: 0, lastOffset: 0 },
      { baseOffset: 1, lastOffset: 1 },
    ],
  );
  t.same(asked, [true, true]);
});

t.test('own records that find no room are refused, and those after them are not', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { internal: true });
  let calls = 0;
  broker.admit = () => (calls++ === 0 ? Promise.reject(new HoldTimeout('no room')) : undefined);
  topic.logs[0]!.isAutomatic = true;
  const record = [{ key: null, value: null }];
  const first = topic.partitions[0]!.appendRecords(record);
  const second = topic.partitions[0]!.appendRecords(record);
  await t.rejects(first, HoldTimeout);
  t.same(await second, { baseOffset: 0, lastOffset: 0 });
});

t.test('a scan visits each batch once, from files and memory alike', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const log = topic.logs[0]!;
  for (let i = 0; i < 6; i++) append(broker, topic, batchOf([`${i}`, 'x']));
  log.persist(6);
  log.sync(10);
  const seen: number[] = [];
  await topic.partitions[0]!.scan(3, (buffer, at) => {
    seen.push(readBatchHeader(buffer, at).baseOffset);
  });
  t.same(seen, [2, 4, 6, 8], 'up to what was durable, from the batch that has the offset on');
  t.equal(log.slicesHeld, 0);
  await t.rejects(
    topic.partitions[0]!.scan(0, () => {
      throw new Error('unreadable');
    }),
    { message: 'unreadable' },
  );
  t.equal(log.slicesHeld, 0, 'also when the visitor throws');
});

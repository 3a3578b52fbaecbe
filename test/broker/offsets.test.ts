import t from 'tap';
import { listOffsets } from '../../broker/apis/02-list-offsets.ts';
import { deleteRecords } from '../../broker/apis/21-delete-records.ts';
import { offsetForLeaderEpoch } from '../../broker/apis/23-offset-for-leader-epoch.ts';
import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { batchOf, DataBroker, type FakeTopic } from './data-broker.ts';

interface Options {
  readonly version?: number;
  readonly isolationLevel?: number;
  readonly replicaId?: number;
  readonly epoch?: number;
}

async function list(
  broker: DataBroker,
  topic: FakeTopic,
  timestamp: number,
  options: Options = {},
) {
  const { version = 11, isolationLevel = 0, replicaId = -1, epoch = -1 } = options;
  const partitions = [{ partitionIndex: 0, timestamp, currentLeaderEpoch: epoch }];
  const value = { replicaId, isolationLevel, topics: [{ name: topic.name, partitions }] };
  const answer = await broker.call(listOffsets, version, value).answer;
  const { errorCode, offset, timestamp: time, leaderEpoch } = answer.topics[0]!.partitions[0]!;
  return { errorCode, offset, timestamp: time, leaderEpoch };
}

/** A topic with a record at each of these times, all of them visible. */
function timed(broker: DataBroker, times: readonly number[]): FakeTopic {
  const topic = broker.topic('t');
  for (const timestamp of times) {
    const batch = batchOf(['x'], { timestamp });
    topic.partitions[0]!.append(batch, readBatchHeader(batch, 0), 0);
  }
  topic.logs[0]!.sync();
  return topic;
}

t.test(
  'point 46: latest is the high watermark, or the last stable offset, not the end',
  async (t) => {
    const broker = new DataBroker();
    const topic = timed(broker, [100, 200, 300]);
    const log = topic.logs[0]!;
    void topic.partitions[0]!.appendRecords([{ key: null, value: null }]);
    log.unstableFrom = 1;
    log.leaderEpoch = 4;
    const told = { errorCode: 0, timestamp: -1, leaderEpoch: 4 };
    t.same(await list(broker, topic, -1), { ...told, offset: 3 });
    t.same(await list(broker, topic, -1, { isolationLevel: 1 }), { ...told, offset: 1 });
    t.same(await list(broker, topic, -1, { replicaId: -2 }), { ...told, offset: 4 }, 'a debugger');
  },
);

t.test('point 46: earliest is the log start, with the epoch of its batch', async (t) => {
  const broker = new DataBroker();
  const topic = timed(broker, [100, 200, 300]);
  topic.logs[0]!.leaderEpoch = 4;
  await topic.logs[0]!.deleteRecordsBefore(2);
  const told = { errorCode: 0, offset: 2, timestamp: -1, leaderEpoch: 0 };
  t.same(await list(broker, topic, -2), told);
  t.same(await list(broker, topic, -4), told, 'and so is the earliest that is local');
  const empty = broker.topic('empty');
  empty.logs[0]!.leaderEpoch = 7;
  t.same(await list(broker, empty, -2), { ...told, offset: 0, leaderEpoch: 7 });
});

t.test('point 46: the largest timestamp, the last tiered and the next to be tiered', async (t) => {
  const broker = new DataBroker();
  const topic = timed(broker, [100, 900, 300, 900]);
  t.same(await list(broker, topic, -3), {
    errorCode: 0,
    offset: 1,
    timestamp: 900,
    leaderEpoch: 0,
  });
  const nothing = { errorCode: 0, offset: -1, timestamp: -1, leaderEpoch: -1 };
  t.same(await list(broker, topic, -5), nothing);
  t.same(await list(broker, topic, -6), nothing);
  t.same(await list(broker, broker.topic('empty'), -3), nothing);
});

t.test(
  'point 47: the first record at or after a time, none is no error, none beyond what is readable',
  async (t) => {
    const broker = new DataBroker();
    const topic = timed(broker, [100, 200, 300]);
    const found = { errorCode: 0, offset: 1, timestamp: 200, leaderEpoch: 0 };
    t.same(await list(broker, topic, 150), found);
    t.same(await list(broker, topic, 200), found);
    const nothing = { errorCode: 0, offset: -1, timestamp: -1, leaderEpoch: -1 };
    t.same(await list(broker, topic, 301), nothing);
    topic.logs[0]!.unstableFrom = 1;
    t.same(await list(broker, topic, 150, { isolationLevel: 1 }), nothing);
  },
);

t.test(
  'a special timestamp before its version, or an unknown one, is UNSUPPORTED_VERSION',
  async (t) => {
    const broker = new DataBroker();
    const topic = timed(broker, [100]);
    const firsts = new Map([
      [-3, 7],
      [-4, 8],
      [-5, 9],
      [-6, 11],
    ]);
    for (const [timestamp, version] of firsts) {
      const before = await list(broker, topic, timestamp, { version: version - 1 });
      t.equal(before.errorCode, ErrorCode.UNSUPPORTED_VERSION, `${timestamp} in ${version - 1}`);
      t.equal((await list(broker, topic, timestamp, { version })).errorCode, 0);
    }
    t.equal((await list(broker, topic, -7)).errorCode, ErrorCode.UNSUPPORTED_VERSION);
  },
);

t.test('ListOffsets checks partition, epoch and repetitions', async (t) => {
  const broker = new DataBroker();
  const topic = timed(broker, [100]);
  topic.logs[0]!.leaderEpoch = 3;
  const missing = { name: 'missing' } as FakeTopic;
  t.equal((await list(broker, missing, -1)).errorCode, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const epochs = [2, 3, 4].map((epoch) => list(broker, topic, -1, { epoch }));
  t.same(
    (await Promise.all(epochs)).map(({ errorCode }) => errorCode),
    [ErrorCode.FENCED_LEADER_EPOCH, 0, ErrorCode.UNKNOWN_LEADER_EPOCH],
  );
  const partitions = [0, 0].map((partitionIndex) => ({ partitionIndex, timestamp: -1 }));
  const value = { replicaId: -1, topics: [{ name: 't', partitions }] };
  const { topics } = await broker.call(listOffsets, 5, value).answer;
  t.same(
    topics[0]!.partitions.map(({ errorCode }) => errorCode),
    [ErrorCode.INVALID_REQUEST],
    'answered once',
  );
  await t.rejects(
    list(broker, topic, -1, { isolationLevel: 7 }),
    new ProtocolError('UNKNOWN_SERVER_ERROR', 'unknown isolation level 7'),
  );
});

async function deleteBefore(broker: DataBroker, name: string, offset: number, index = 0) {
  const topics = [{ name, partitions: [{ partitionIndex: index, offset }] }];
  const answer = await broker.call(deleteRecords, 2, { topics, timeoutMs: 1000 }).answer;
  const { lowWatermark, errorCode } = answer.topics[0]!.partitions[0]!;
  return [lowWatermark, errorCode];
}

t.test('point 52: DeleteRecords raises the log start, -1 up to the high watermark', async (t) => {
  const broker = new DataBroker();
  const topic = timed(broker, [1, 2, 3, 4]);
  void topic.partitions[0]!.appendRecords([{ key: null, value: null }]);
  t.same(await deleteBefore(broker, 't', 2), [2, 0]);
  t.same(await deleteBefore(broker, 't', 1), [2, 0], 'never lowered');
  t.same(await deleteBefore(broker, 't', -1), [4, 0]);
});

t.test('point 52: DeleteRecords is refused where nothing may be deleted', async (t) => {
  const broker = new DataBroker();
  timed(broker, [1, 2]);
  t.same(await deleteBefore(broker, 't', 3), [-1, ErrorCode.OFFSET_OUT_OF_RANGE]);
  t.same(await deleteBefore(broker, 't', -2), [-1, ErrorCode.OFFSET_OUT_OF_RANGE]);
  t.same(await deleteBefore(broker, 't', 0, 4), [-1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]);
  t.same(await deleteBefore(broker, 'missing', 0), [-1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]);
  broker.topic('own', { internal: true });
  t.same(await deleteBefore(broker, 'own', 0), [-1, ErrorCode.INVALID_TOPIC_EXCEPTION]);
  broker.topic('compacted', { settings: { 'cleanup.policy': 'compact' } });
  t.same(await deleteBefore(broker, 'compacted', 0), [-1, ErrorCode.POLICY_VIOLATION]);
  broker.topic('both', { settings: { 'cleanup.policy': 'compact,delete' } });
  t.same(await deleteBefore(broker, 'both', 0), [0, 0]);
});

t.test('OffsetForLeaderEpoch tells where an epoch ended', async (t) => {
  const broker = new DataBroker();
  const topic = timed(broker, [1, 2]);
  const log = topic.logs[0]!;
  log.leaderEpoch = 5;
  broker.fill(topic, 0, ['x']);
  const ask = async (leaderEpoch: number, currentLeaderEpoch = -1, name = 't') => {
    const partitions = [{ partition: 0, currentLeaderEpoch, leaderEpoch }];
    const value = { topics: [{ topic: name, partitions }] };
    const answer = await broker.call(offsetForLeaderEpoch, 4, value).answer;
    const told = answer.topics[0]!.partitions[0]!;
    return [told.errorCode, told.leaderEpoch, told.endOffset];
  };
  t.same(await ask(0), [0, 0, 2]);
  t.same(await ask(3), [0, 0, 2], 'an epoch that never was: the one before it');
  t.same(await ask(5, 5), [0, 5, 3]);
  t.same(await ask(6), [0, -1, -1], 'above all: not known');
  t.same(await ask(0, 4), [ErrorCode.FENCED_LEADER_EPOCH, -1, -1]);
  t.same(await ask(0, 6), [ErrorCode.UNKNOWN_LEADER_EPOCH, -1, -1]);
  t.same(await ask(0, -1, 'missing'), [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1]);
});

import t from 'tap';
import { fetch } from '../../broker/apis/01-fetch.ts';
import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import type { FetchRequest } from '../../protocol/messages/fetch.ts';
import { batchBytes, readBatchHeader } from '../../protocol/record-batch.ts';
import type { Input } from '../../protocol/schema.ts';
import { CorruptLog } from '../../storage/errors.ts';
import { batchOf, DataBroker, FakeConnection, type FakeTopic } from './data-broker.ts';

type Fields = Partial<Omit<Input<typeof FetchRequest>, 'topics'>>;

interface Wanted {
  readonly topic: FakeTopic;
  readonly partition?: number;
  readonly offset?: number;
  readonly maxBytes?: number;
  readonly epoch?: number;
  readonly lastEpoch?: number;
}

function send(
  broker: DataBroker,
  wanted: readonly Wanted[],
  fields: Fields & { version?: number; connection?: FakeConnection } = {},
) {
  const { version = 12, connection = new FakeConnection(), ...given } = fields;
  const topics = wanted.map((asked) => ({
    ...(version >= 13 ? { topicId: asked.topic.id } : { topic: asked.topic.name }),
    partitions: [
      {
        partition: asked.partition ?? 0,
        fetchOffset: asked.offset ?? 0,
        partitionMaxBytes: asked.maxBytes ?? 1_000_000,
        currentLeaderEpoch: asked.epoch ?? -1,
        lastFetchedEpoch: asked.lastEpoch ?? -1,
      },
    ],
  }));
  const value = { maxWaitMs: 0, minBytes: 1, ...given, topics };
  return broker.call(fetch, version, value, { connection });
}

type Answer = Awaited<ReturnType<typeof send>['answer']>;

function only(answer: Answer) {
  const partitions = answer.responses.flatMap((topic) => topic.partitions);
  if (partitions.length !== 1) throw new Error(`${partitions.length} partitions answered`);
  return partitions[0]!;
}

function partitionsOf(answer: Answer) {
  return answer.responses.flatMap((topic) => topic.partitions);
}

/** Base offsets of the batches in an answer's records. */
function offsets(records: Buffer | null): number[] {
  const found: number[] = [];
  const bytes = records ?? Buffer.alloc(0);
  for (let at = 0; at < bytes.length; at += batchBytes(bytes, at)) {
    found.push(readBatchHeader(bytes, at).baseOffset);
  }
  return found;
}

/** Lets promises and the fake disk run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

t.test(
  'point 34: read_uncommitted gets a null list of aborted transactions, not an empty one',
  async (t) => {
    const broker = new DataBroker();
    const topic = broker.topic('t');
    broker.fill(topic, 0, ['a']);
    topic.logs[0]!.aborted = [{ producerId: 9, firstOffset: 0 }];
    const partition = only(await send(broker, [{ topic }]).answer);
    t.equal(partition.abortedTransactions, null);
  },
);

t.test(
  'point 34: read_committed stops at the last stable offset, with what was aborted before it',
  async (t) => {
    const broker = new DataBroker();
    const topic = broker.topic('t');
    const log = topic.logs[0]!;
    for (const text of ['a', 'b', 'c']) broker.fill(topic, 0, [text]);
    log.unstableFrom = 2;
    log.aborted = [
      { producerId: 9, firstOffset: 1 },
      { producerId: 10, firstOffset: 2 },
    ];
    const partition = only(await send(broker, [{ topic }], { isolationLevel: 1 }).answer);
    t.same(offsets(partition.records), [0, 1]);
    t.same(partition.abortedTransactions, [{ producerId: 9, firstOffset: 1 }]);
    t.equal(partition.highWatermark, 3);
    t.equal(partition.lastStableOffset, 2);
    const open = only(await send(broker, [{ topic, offset: 2 }], { isolationLevel: 1 }).answer);
    t.same([open.errorCode, open.abortedTransactions, open.records!.length], [0, [], 0]);
  },
);

t.test(
  'point 36: the first batch of the first partition with data is given above the limits, later ones are not',
  async (t) => {
    const broker = new DataBroker();
    const topic = broker.topic('t', { partitions: 3 });
    const large = 'x'.repeat(5000);
    for (const index of [1, 2]) for (let i = 0; i < 3; i++) broker.fill(topic, index, [large]);
    const wanted = [0, 1, 2].map((partition) => ({ topic, partition, maxBytes: 100 }));
    const answer = await send(broker, wanted, { maxBytes: 200 }).answer;
    t.same(
      partitionsOf(answer).map(({ records }) => offsets(records)),
      [[], [0], []],
    );
  },
);

t.test('max_bytes and the partition limits hold over all partitions', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { partitions: 3 });
  for (const index of [0, 1, 2]) for (let i = 0; i < 10; i++) broker.fill(topic, index, ['abc']);
  const size = batchOf(['abc']).length;
  const wanted = [0, 1, 2].map((partition) => ({ topic, partition, maxBytes: 4 * size + 1 }));
  const answer = await send(broker, wanted, { maxBytes: 6 * size }).answer;
  t.same(
    partitionsOf(answer).map(({ records }) => offsets(records).length),
    [4, 2, 0],
  );
});

t.test('fetch.max.bytes bounds an answer whatever the client allows', async (t) => {
  const broker = new DataBroker({ 'fetch.max.bytes': '2048' });
  const topic = broker.topic('t');
  for (let i = 0; i < 10; i++) broker.fill(topic, 0, ['x'.repeat(900)]);
  const partition = only(await send(broker, [{ topic }], { maxBytes: 1e9, minBytes: 1e9 }).answer);
  t.same(offsets(partition.records), [0, 1]);
});

t.test('point 37: an offset at the end is no error and waits', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  broker.fill(topic, 0, ['a']);
  const call = send(broker, [{ topic, offset: 1 }], { maxWaitMs: 100 });
  await settle();
  t.equal(call.isAnswered, false);
  broker.clock.advance(100);
  const partition = only(await call.answer);
  t.same([partition.errorCode, partition.records!.length], [0, 0]);
});

t.test(
  'point 37: an offset above the end or below the log start is answered at once',
  async (t) => {
    const broker = new DataBroker();
    const topic = broker.topic('t');
    for (const text of ['a', 'b', 'c']) broker.fill(topic, 0, [text]);
    await topic.logs[0]!.deleteRecordsBefore(2);
    for (const offset of [1, 4, -5]) {
      const partition = only(await send(broker, [{ topic, offset }], { maxWaitMs: 60_000 }).answer);
      t.equal(partition.errorCode, ErrorCode.OFFSET_OUT_OF_RANGE);
      t.equal(partition.abortedTransactions, null);
      t.equal(partition.records!.length, 0);
    }
    const line = broker.lines.find(({ text }) => text === 'partition refused');
    t.match(line?.values, {
      topic: 't',
      partition: 0,
      client: 'test',
      error: 'OFFSET_OUT_OF_RANGE',
    });
  },
);

t.test('what is above the high watermark is neither given nor out of range', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  void topic.partitions[0]!.appendRecords([{ key: null, value: Buffer.from('a') }]);
  for (const offset of [0, 1]) {
    const partition = only(await send(broker, [{ topic, offset }]).answer);
    t.same([partition.errorCode, partition.records!.length, partition.highWatermark], [0, 0, 0]);
  }
});

t.test('point 38: min_bytes 0 and max_wait 0 never wait', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  await send(broker, [{ topic }], { minBytes: 0, maxWaitMs: 60_000 }).answer;
  await send(broker, [{ topic }], { minBytes: 1, maxWaitMs: 0 }).answer;
  t.equal(broker.watchers.parked, 0);
});

t.test('point 38: an error of one partition ends the wait for the others', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { partitions: 2 });
  const wanted = [{ topic }, { topic, partition: 1, offset: 7 }];
  const answer = await send(broker, wanted, { maxWaitMs: 60_000 }).answer;
  t.same(
    partitionsOf(answer).map(({ errorCode }) => errorCode),
    [0, 1],
  );
});

t.test(
  'a fetch of partitions that are not there does not wait; beside others it does',
  async (t) => {
    const broker = new DataBroker();
    const topic = broker.topic('t');
    const missing = { name: 'missing' } as FakeTopic;
    const alone = await send(broker, [{ topic: missing }], { maxWaitMs: 60_000 }).answer;
    t.equal(only(alone).errorCode, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    t.equal(only(alone).highWatermark, -1);
    t.same(only(alone).abortedTransactions, []);
    const wanted = [{ topic: missing }, { topic, partition: 5 }, { topic }];
    const call = send(broker, wanted, { maxWaitMs: 1000 });
    await settle();
    t.equal(call.isAnswered, false);
    broker.fill(topic, 0, ['a']);
    const partitions = partitionsOf(await call.answer);
    t.same(
      partitions.map(({ errorCode }) => errorCode),
      [0, 3, 3],
      'what was read comes first',
    );
  },
);

t.test('point 39: min_bytes counts over partitions, each up to its own limit', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { partitions: 2 });
  const size = batchOf(['abc']).length;
  const wanted = [0, 1].map((partition) => ({ topic, partition, maxBytes: 2 * size }));
  const call = send(broker, wanted, { minBytes: 3 * size, maxWaitMs: 60_000 });
  for (let i = 0; i < 5; i++) broker.fill(topic, 0, ['abc']);
  await settle();
  t.equal(call.isAnswered, false, 'five batches in one partition count as two');
  broker.fill(topic, 1, ['abc']);
  const answer = await call.answer;
  t.same(
    partitionsOf(answer).map(({ records }) => offsets(records).length),
    [2, 1],
  );
});

t.test('point 39: what is there and was not read for want of room counts too', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  broker.fill(topic, 0, ['x'.repeat(600)]);
  broker.fill(topic, 0, ['x'.repeat(600)]);
  const wanted = [{ topic, maxBytes: 1000 }];
  const partition = only(await send(broker, wanted, { minBytes: 1000, maxWaitMs: 60_000 }).answer);
  t.same(offsets(partition.records), [0]);
});

t.test('a waiting fetch is answered in the turn in which the mark moves', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { partitions: 2 });
  const call = send(broker, [{ topic }, { topic, partition: 1 }], { maxWaitMs: 60_000 });
  t.equal(broker.watchers.parked, 1);
  void topic.partitions[1]!.appendRecords([{ key: null, value: Buffer.from('a') }]);
  t.equal(broker.watchers.parked, 1, 'not visible yet');
  topic.logs[1]!.write();
  t.equal(broker.watchers.parked, 0);
  await call.given;
  const partitions = partitionsOf(await call.answer);
  t.same(
    partitions.map(({ records }) => offsets(records)),
    [[], [0]],
  );
});

t.test(
  'a waiting reader of committed data is woken by the commit, not by the records',
  async (t) => {
    const broker = new DataBroker();
    const topic = broker.topic('t');
    const log = topic.logs[0]!;
    log.unstableFrom = 0;
    const call = send(broker, [{ topic }], { maxWaitMs: 60_000, isolationLevel: 1 });
    broker.fill(topic, 0, ['a']);
    await settle();
    t.equal(call.isAnswered, false);
    log.unstableFrom = undefined;
    log.onAdvance?.();
    t.same(offsets(only(await call.answer).records), [0]);
  },
);

t.test('point 40: a waiting fetch ends when its topic is deleted', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const other = broker.topic('other');
  const call = send(broker, [{ topic: other }, { topic }], { maxWaitMs: 60_000 });
  broker.deleteTopic(topic);
  const partitions = partitionsOf(await call.answer);
  t.same(
    partitions.map(({ errorCode }) => errorCode),
    [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
  );
});

t.test('a waiting fetch goes with its connection, and reads nothing for nobody', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const connection = new FakeConnection();
  const call = send(broker, [{ topic }], { maxWaitMs: 60_000, connection });
  const reads = topic.logs[0]!.reads;
  connection.close();
  await call.given;
  t.equal(topic.logs[0]!.reads, reads);
  t.equal(broker.watchers.parked, 0);
});

t.test('a stop answers what waits with what there is', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  broker.fill(topic, 0, ['a']);
  const call = send(broker, [{ topic }], { maxWaitMs: 60_000, minBytes: 10_000 });
  t.equal(call.isAnswered, false);
  broker.watchers.stop();
  t.same(offsets(only(await call.answer).records), [0]);
});

t.test('at the deadline a fetch gets the little there is', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const call = send(broker, [{ topic }], { maxWaitMs: 500, minBytes: 10_000 });
  broker.clock.advance(400);
  broker.fill(topic, 0, ['a']);
  broker.clock.advance(99);
  await settle();
  t.equal(call.isAnswered, false);
  broker.clock.advance(1);
  t.same(offsets(only(await call.answer).records), [0]);
});

t.test('point 41: data starts with the batch that contains the offset', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  broker.fill(topic, 0, ['a', 'b', 'c']);
  broker.fill(topic, 0, ['d', 'e']);
  t.same(offsets(only(await send(broker, [{ topic, offset: 2 }]).answer).records), [0, 3]);
});

t.test('point 42: empty answers have the marks', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  for (const text of ['a', 'b', 'c']) broker.fill(topic, 0, [text]);
  await topic.logs[0]!.deleteRecordsBefore(1);
  topic.logs[0]!.unstableFrom = 2;
  const partition = only(await send(broker, [{ topic, offset: 3 }]).answer);
  t.match(partition, { highWatermark: 3, lastStableOffset: 2, logStartOffset: 1, errorCode: 0 });
  t.equal(partition.preferredReadReplica, -1);
});

t.test('point 44: fetch by topic id, and an unknown one is error 100', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  broker.fill(topic, 0, ['a']);
  const unknown = { id: Buffer.alloc(16, 77).toString('base64url') } as FakeTopic;
  const answer = await send(broker, [{ topic }, { topic: unknown }], { version: 13 }).answer;
  t.same(
    answer.responses.map(({ topicId, partitions }) => [topicId, partitions[0]!.errorCode]),
    [
      [topic.id, 0],
      [unknown.id, ErrorCode.UNKNOWN_TOPIC_ID],
    ],
  );
});

t.test('point 45: an older leader epoch is fenced, a newer one unknown', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  topic.logs[0]!.leaderEpoch = 5;
  const codes = [];
  for (const epoch of [4, 5, 6]) {
    codes.push(only(await send(broker, [{ topic, epoch }]).answer).errorCode);
  }
  t.same(codes, [ErrorCode.FENCED_LEADER_EPOCH, 0, ErrorCode.UNKNOWN_LEADER_EPOCH]);
});

t.test('a fenced client is not told where the leader is: some cannot read that', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  topic.logs[0]!.leaderEpoch = 5;
  for (const version of [15, 16, 17]) {
    const told = await send(broker, [{ topic, epoch: 4 }], { version }).answer;
    t.same(only(told).errorCode, ErrorCode.FENCED_LEADER_EPOCH);
    t.same(only(told).currentLeader, { leaderId: -1, leaderEpoch: -1 });
    t.same(told.nodeEndpoints, []);
  }
});

t.test('point 45: a diverging epoch is answered at once, without records', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const log = topic.logs[0]!;
  broker.fill(topic, 0, ['a']);
  broker.fill(topic, 0, ['b']);
  log.leaderEpoch = 3;
  broker.fill(topic, 0, ['c']);
  const ask = (offset: number, lastEpoch: number) =>
    send(broker, [{ topic, offset, lastEpoch }], { maxWaitMs: 60_000 }).answer;
  const longer = only(await ask(3, 0));
  t.same(longer.divergingEpoch, { epoch: 0, endOffset: 2 });
  t.same([longer.errorCode, longer.records!.length, longer.highWatermark], [0, 0, 3]);
  const between = only(await ask(2, 2));
  t.same(between.divergingEpoch, { epoch: 0, endOffset: 2 }, 'epoch 2 was never here');
  const same = only(await ask(2, 0));
  t.same(same.divergingEpoch, { epoch: -1, endOffset: -1 });
  t.same(offsets(same.records), [2]);
  const newer = only(await ask(2, 9));
  t.equal(newer.errorCode, ErrorCode.OFFSET_OUT_OF_RANGE, 'an epoch above all that are known');
  t.match(broker.lines.at(-1)?.values, { topic: 't', reason: 'leader epoch 9 is not known' });
});

t.test('a reader of an empty partition may name its epoch', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const empty = only(await send(broker, [{ topic, epoch: 0, lastEpoch: 0 }]).answer);
  t.same([empty.errorCode, empty.highWatermark], [0, 0]);
  t.same(empty.divergingEpoch, { epoch: -1, endOffset: -1 });
});

t.test('a broker that fetches as a replica is told that it is none', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const plain = await send(broker, [{ topic }], { replicaId: 2 }).answer;
  t.equal(only(plain).errorCode, ErrorCode.NOT_LEADER_OR_FOLLOWER);
  const replicaState = { replicaId: 2, replicaEpoch: 1 };
  const knowing = await send(broker, [{ topic, epoch: 0 }], { version: 15, replicaState }).answer;
  t.equal(only(knowing).errorCode, ErrorCode.UNKNOWN_LEADER_EPOCH);
});

t.test('batches without records are read over, and do not end a wait', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const empty = () => {
    const batch = batchOf([], { lastOffsetDelta: 9 });
    topic.partitions[0]!.append(batch, readBatchHeader(batch, 0), 0);
    topic.logs[0]!.write();
  };
  empty();
  empty();
  const call = send(broker, [{ topic }], { maxWaitMs: 60_000 });
  await settle();
  t.equal(call.isAnswered, false);
  empty();
  await settle();
  t.equal(call.isAnswered, false);
  broker.fill(topic, 0, ['a']);
  t.equal(offsets(only(await call.answer).records).at(-1), 30);
  const limited = only(await send(broker, [{ topic, maxBytes: 1 }], { maxBytes: 1 }).answer);
  t.same(offsets(limited.records), [30], 'whatever the limits are');
});

t.test(
  'files and memory are given in one answer, and all is given back when it has left',
  async (t) => {
    const broker = new DataBroker();
    const topic = broker.topic('t', { partitions: 2 });
    const log = topic.logs[0]!;
    for (let i = 0; i < 6; i++) broker.fill(topic, 0, [`${i}`]);
    log.persist(3);
    broker.fill(topic, 1, ['memory only']);
    const answer = await send(broker, [{ topic }, { topic, partition: 1 }]).answer;
    t.same(
      partitionsOf(answer).map(({ records }) => offsets(records)),
      [[0, 1, 2, 3, 4, 5], [0]],
    );
    t.ok(log.diskReads > 0);
    t.equal(log.slicesHeld + topic.logs[1]!.slicesHeld, 0);
    t.equal(broker.services.memory.usedBytes, 0);
  },
);

t.test('a slow disk of one fetch does not hold another', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { partitions: 2 });
  broker.fill(topic, 0, ['a']);
  broker.fill(topic, 1, ['b']);
  topic.logs[0]!.persist();
  const slow = send(broker, [{ topic }]);
  const fast = send(broker, [{ topic, partition: 1 }]);
  await Promise.resolve();
  await Promise.resolve();
  t.same([slow.isAnswered, fast.isAnswered], [false, true]);
  t.same(offsets(only(await slow.answer).records), [0]);
});

t.test('a fetch that waits holds no data', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { partitions: 2 });
  broker.fill(topic, 0, ['file']);
  broker.fill(topic, 1, ['memory']);
  topic.logs[0]!.persist();
  const wanted = [{ topic }, { topic, partition: 1 }];
  const call = send(broker, wanted, { maxWaitMs: 60_000, minBytes: 100_000 });
  while (broker.watchers.parked === 0) await settle();
  t.equal(topic.logs[0]!.slicesHeld + topic.logs[1]!.slicesHeld, 0);
  t.equal(broker.services.memory.bytesOf('reads'), 0);
  broker.clock.advance(60_000);
  const partitions = partitionsOf(await call.answer);
  t.same(
    partitions.map(({ records }) => offsets(records)),
    [[0], [0]],
  );
  t.equal(topic.logs[0]!.slicesHeld + topic.logs[1]!.slicesHeld, 0);
});

t.test('reads of files are bounded by what memory is left', async (t) => {
  const broker = new DataBroker({ 'memory.max.bytes': String(16 * 1024 * 1024) });
  const topic = broker.topic('t');
  broker.fill(topic, 0, ['a']);
  topic.logs[0]!.persist();
  broker.services.memory.take('frames', 12 * 1024 * 1024);
  await send(broker, [{ topic, maxBytes: 50_000_000 }], { maxBytes: 50_000_000 }).answer;
  t.same(topic.logs[0]!.askedBytes, [1024 * 1024], 'a quarter of what is free');
});

t.test('while memory is short, one read of a file is an answer', async (t) => {
  const broker = new DataBroker({ 'memory.max.bytes': String(16 * 1024 * 1024) });
  const topic = broker.topic('t');
  broker.fill(topic, 0, ['a']);
  broker.fill(topic, 0, ['b']);
  const [log] = topic.logs;
  log!.persist();
  const read = log!.read.bind(log);
  log!.read = (from, maxBytes, _limit, atLeastOne) => read(from, maxBytes, from + 1, atLeastOne);
  const [all] = partitionsOf(await send(broker, [{ topic }]).answer);
  t.same(offsets(all!.records), [0, 1]);
  broker.services.memory.take('frames', 13 * 1024 * 1024);
  const wanted = { minBytes: 100_000, maxWaitMs: 60_000 };
  const [some] = partitionsOf(await send(broker, [{ topic }], wanted).answer);
  t.same(offsets(some!.records), [0], 'at once, though it is less than was asked for');
});

t.test('damage in a file is an error of its partition only', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { partitions: 2 });
  broker.fill(topic, 0, ['a']);
  broker.fill(topic, 1, ['b']);
  topic.logs[0]!.persist();
  topic.logs[0]!.readFailure = new CorruptLog('00.log at 0: wrong checksum');
  const wanted = [{ topic }, { topic, partition: 1 }];
  const [bad, good] = partitionsOf(await send(broker, wanted, { maxWaitMs: 60_000 }).answer);
  t.equal(bad!.errorCode, ErrorCode.CORRUPT_MESSAGE);
  t.same(offsets(good!.records), [0]);
  const line = broker.lines.find(({ text }) => text === 'partition refused');
  t.match(line?.values, { topic: 't', partition: 0, reason: '00.log at 0: wrong checksum' });
});

t.test('what lies before damage is given, who goes on from there gets the error', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  broker.fill(topic, 0, ['a']);
  broker.fill(topic, 0, ['b']);
  const [log] = topic.logs;
  log!.persist();
  const read = log!.read.bind(log);
  log!.read = (from, maxBytes, _limit, atLeastOne) =>
    from === 0
      ? read(from, maxBytes, 1, atLeastOne)
      : Promise.reject(new CorruptLog('00.log at 70: wrong checksum'));
  const [before] = partitionsOf(await send(broker, [{ topic }]).answer);
  t.equal(before!.errorCode, ErrorCode.NONE);
  t.same(offsets(before!.records), [0]);
  const [behind] = partitionsOf(await send(broker, [{ topic, offset: 1 }]).answer);
  t.equal(behind!.errorCode, ErrorCode.CORRUPT_MESSAGE);
  t.equal(broker.services.memory.bytesOf('reads'), 0);
});

t.test(
  'old versions get NOT_LEADER_OR_FOLLOWER for a storage error that they do not know',
  async (t) => {
    const broker = new DataBroker();
    const topic = broker.topic('t');
    broker.fill(topic, 0, ['a']);
    topic.logs[0]!.persist();
    topic.logs[0]!.readFailure = Object.assign(new Error('EIO'), { errno: -5, syscall: 'read' });
    const codes = [];
    for (const version of [5, 6]) {
      codes.push(only(await send(broker, [{ topic }], { version }).answer).errorCode);
    }
    t.same(codes, [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR]);
  },
);

t.test('a limit below 0 is an error of its partitions', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  broker.fill(topic, 0, ['a']);
  const own = await send(broker, [{ topic, maxBytes: -1 }]).answer;
  t.equal(only(own).errorCode, ErrorCode.UNKNOWN_SERVER_ERROR);
  const whole = await send(broker, [{ topic }], { maxBytes: -1 }).answer;
  t.equal(only(whole).errorCode, ErrorCode.UNKNOWN_SERVER_ERROR);
  t.same(offsets(only(await send(broker, [{ topic, maxBytes: 0 }]).answer).records), [0]);
});

t.test('an isolation level that nobody knows is an error', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  await t.rejects(
    async () => send(broker, [{ topic }], { isolationLevel: 7 }).answer,
    new ProtocolError('UNKNOWN_SERVER_ERROR', 'unknown isolation level 7'),
  );
});

t.test('every version is answered', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  broker.fill(topic, 0, ['a']);
  for (let version = 4; version <= 18; version++) {
    const partition = only(await send(broker, [{ topic }], { version }).answer);
    t.same([partition.errorCode, offsets(partition.records)], [0, [0]], `version ${version}`);
  }
});

t.test('what was given is counted', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  broker.fill(topic, 0, ['a', 'b']);
  await send(broker, [{ topic }]).answer;
  await send(broker, [{ topic, offset: 99 }]).answer;
  const { metrics } = broker;
  t.equal(metrics.counter('fetch_bytes_total').read(), batchOf(['a', 'b']).length);
  t.equal(metrics.counter('fetch_records_total').read(), 2);
  t.equal(metrics.counter('fetch_refused_total', 'OFFSET_OUT_OF_RANGE').read(), 1);
});

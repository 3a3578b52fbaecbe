/** Locations in a Fetch, over fake logs: who gets them, how much, and what they leave as it was. */

import t from 'tap';
import { fetch } from '../../broker/apis/01-fetch.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import type { FetchRequest } from '../../protocol/messages/fetch.ts';
import { baseOffset, batchBytes } from '../../protocol/record-batch.ts';
import type { Input } from '../../protocol/schema.ts';
import { CorruptLog } from '../../storage/errors.ts';
import { batchOf, DataBroker, type FakeTopic } from './data-broker.ts';

type Fields = Partial<Omit<Input<typeof FetchRequest>, 'topics'>>;

const HERE = { hostId: 'a-host', maxBytes: 1_000_000 };
const BATCH_BYTES = batchOf(['a']).length;

function send(broker: DataBroker, topic: FakeTopic, offsets: readonly number[], given: Fields) {
  const partitions = offsets.map((fetchOffset, partition) => ({
    partition,
    fetchOffset,
    partitionMaxBytes: 1_000_000,
  }));
  const topics = offsets.length === 0 ? [] : [{ topicId: topic.id, partitions }];
  return broker.call(fetch, 13, { maxWaitMs: 0, minBytes: 1, ...given, topics });
}

type Answer = Awaited<ReturnType<typeof send>['answer']>;

function partitionsOf(answer: Answer) {
  return answer.responses.flatMap(({ partitions }) => partitions);
}

/** What each partition got: `located from-to` or the base offsets of its records. */
function given(answer: Answer): string[] {
  return partitionsOf(answer).map(({ location, records }) => {
    const found: string[] = [];
    if (location.length > 0) found.push(`located ${location.firstOffset}-${location.nextOffset}`);
    const bytes = records ?? Buffer.alloc(0);
    for (let at = 0; at < bytes.length; at += batchBytes(bytes, at)) {
      found.push(String(baseOffset(bytes, at)));
    }
    return found.join(' ');
  });
}

function filled(broker: DataBroker, counts: readonly number[], persisted: readonly number[]) {
  const topic = broker.topic('t', { partitions: counts.length });
  counts.forEach((count, index) => {
    for (let i = 0; i < count; i++) broker.fill(topic, index, ['a']);
    topic.logs[index]!.persist(persisted[index]!);
  });
  return topic;
}

t.test(
  'what is persisted is located, with all that belongs to records, and no records',
  async (t) => {
    const broker = new DataBroker();
    const topic = filled(broker, [5], [4]);
    topic.logs[0]!.leaderEpoch = 3;
    const [partition] = partitionsOf(await send(broker, topic, [1], { locate: HERE }).answer);
    t.match(partition, {
      errorCode: 0,
      highWatermark: 5,
      lastStableOffset: 5,
      logStartOffset: 0,
      abortedTransactions: null,
      location: {
        hostId: 'a-host',
        path: '/data/t-0/00000000000000000000.log',
        device: 5,
        inode: 70,
        generation: '0123456789abcdef',
        segmentBaseOffset: 0,
        position: BATCH_BYTES,
        length: 3 * BATCH_BYTES,
        firstOffset: 1,
        nextOffset: 4,
        lastEpoch: 0,
      },
    });
    t.equal(partition!.records!.length, 0);
    t.equal(topic.logs[0]!.reads, 0);
    t.equal(broker.metrics.counter('fetch_located_bytes_total').value, 3 * BATCH_BYTES);
  },
);

t.test('what is in memory comes as records, beside locations of other partitions', async (t) => {
  const broker = new DataBroker();
  const topic = filled(broker, [3, 3, 3], [3, 0, 2]);
  const answer = await send(broker, topic, [0, 1, 2], { locate: HERE }).answer;
  t.same(given(answer), ['located 0-3', '1 2', '2']);
  t.equal(topic.logs[1]!.slicesHeld + topic.logs[2]!.slicesHeld, 0);
});

t.test('who does not ask, or is elsewhere, gets records', async (t) => {
  const broker = new DataBroker();
  const topic = filled(broker, [3], [3]);
  for (const locate of [undefined, { hostId: 'a-host' }, { ...HERE, hostId: 'another' }]) {
    t.same(given(await send(broker, topic, [0], { locate }).answer), ['0 1 2']);
  }
});

t.test('located bytes have limits of their own, of the answer and of a partition', async (t) => {
  const broker = new DataBroker();
  const topic = filled(broker, [5, 5, 5], [5, 5, 0]);
  const locate = { ...HERE, maxBytes: 5 * BATCH_BYTES, partitionMaxBytes: 3 * BATCH_BYTES };
  const answer = await send(broker, topic, [0, 0, 0], { locate, maxBytes: 1 }).answer;
  t.same(given(answer), ['located 0-3', 'located 0-2', '0'], 'max_bytes is for records alone');
  const small = { ...HERE, maxBytes: 1 };
  t.same(given(await send(broker, topic, [0, 0], { locate: small }).answer), ['located 0-1', '']);
  const part = { ...HERE, maxBytes: BATCH_BYTES + 1 };
  t.same(given(await send(broker, topic, [0, 0], { locate: part }).answer), ['located 0-1', '']);
});

t.test('slice.location.max.bytes bounds them whatever is asked for', async (t) => {
  const broker = new DataBroker({ 'slice.location.max.bytes': String(2 * BATCH_BYTES) });
  const topic = filled(broker, [5], [5]);
  t.same(given(await send(broker, topic, [0], { locate: HERE }).answer), ['located 0-2']);
});

t.test('read_committed: they end at the last stable offset, with what was aborted', async (t) => {
  const broker = new DataBroker();
  const topic = filled(broker, [5], [5]);
  const log = topic.logs[0]!;
  log.unstableFrom = 3;
  log.aborted = [
    { producerId: 9, firstOffset: 1 },
    { producerId: 10, firstOffset: 3 },
  ];
  const committed = { locate: HERE, isolationLevel: 1 };
  const [partition] = partitionsOf(await send(broker, topic, [0], committed).answer);
  t.same([partition!.location.firstOffset, partition!.location.nextOffset], [0, 3]);
  t.same(partition!.abortedTransactions, [{ producerId: 9, firstOffset: 1 }]);
  t.equal(partition!.lastStableOffset, 3);
});

t.test(
  'read_committed: compaction between the location and what was aborted: records',
  async (t) => {
    const broker = new DataBroker();
    const topic = filled(broker, [3], [3]);
    const log = topic.logs[0]!;
    const find = log.abortedTransactions.bind(log);
    log.abortedTransactions = (from, to) => {
      log.generation = 'fedcba9876543210';
      return find(from, to);
    };
    t.same(given(await send(broker, topic, [0], { locate: HERE }).answer), ['located 0-3']);
    const committed = { locate: HERE, isolationLevel: 1 };
    t.same(given(await send(broker, topic, [0], committed).answer), ['0 1 2']);
    t.same(given(await send(broker, topic, [0], committed).answer), ['located 0-3']);
  },
);

t.test('their bytes satisfy min_bytes; too few of them wait', async (t) => {
  const broker = new DataBroker();
  const topic = filled(broker, [3], [3]);
  const enough = { locate: HERE, minBytes: 3 * BATCH_BYTES, maxWaitMs: 500 };
  t.same(given(await send(broker, topic, [0], enough).answer), ['located 0-3']);
  const call = send(broker, topic, [0], { ...enough, minBytes: 3 * BATCH_BYTES + 1 });
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
  t.equal(call.isAnswered, false);
  broker.fill(topic, 0, ['b']);
  t.same(given(await call.answer), ['located 0-3']);
});

t.test('an error while locating is the error of its partition', async (t) => {
  const broker = new DataBroker();
  const topic = filled(broker, [3, 3], [3, 3]);
  topic.logs[0]!.readFailure = new CorruptLog('damaged');
  const answer = await send(broker, topic, [0, 0], { locate: HERE }).answer;
  const codes = partitionsOf(answer).map(({ errorCode }) => errorCode);
  t.same(codes, [ErrorCode.CORRUPT_MESSAGE, ErrorCode.NONE]);
  t.same(given(answer), ['', 'located 0-3']);
});

t.test('in a session: answered as a change, and asked for by each request anew', async (t) => {
  const broker = new DataBroker();
  const topic = filled(broker, [3, 3], [3, 0]);
  const first = await send(broker, topic, [0, 3], { locate: HERE, sessionEpoch: 0 }).answer;
  t.same(given(first), ['located 0-3', '']);
  const { sessionId } = first;
  const again = { sessionId, sessionEpoch: 1, locate: HERE };
  const second = await send(broker, topic, [], again).answer;
  t.same(given(second), ['located 0-3'], 'the partition without anything new is not named');
  const third = await send(broker, topic, [], { sessionId, sessionEpoch: 2 }).answer;
  t.same(given(third), ['0 1 2'], 'a request that does not ask gets records');
});

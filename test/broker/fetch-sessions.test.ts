import t from 'tap';
import { fetch } from '../../broker/apis/01-fetch.ts';
import { nextEpoch } from '../../broker/fetch-sessions.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { DataBroker, type FakeConnection, type FakeTopic } from './data-broker.ts';

interface Ask {
  readonly version?: number;
  readonly sessionId?: number;
  readonly epoch?: number;
  readonly forget?: readonly { topic: FakeTopic; partitions: number[] }[];
  readonly maxWaitMs?: number;
  readonly connection?: FakeConnection;
}

type Wanted = readonly (readonly [topic: FakeTopic, partition: number, offset: number])[];

function ask(broker: DataBroker, wanted: Wanted, options: Ask = {}) {
  const version = options.version ?? 12;
  const naming = (topic: FakeTopic) =>
    version >= 13 ? { topicId: topic.id } : { topic: topic.name };
  const { connection } = options;
  return broker.call(
    fetch,
    version,
    {
      maxWaitMs: options.maxWaitMs ?? 0,
      minBytes: 1,
      sessionId: options.sessionId ?? 0,
      sessionEpoch: options.epoch ?? -1,
      topics: wanted.map(([topic, partition, fetchOffset]) => ({
        ...naming(topic),
        partitions: [{ partition, fetchOffset, partitionMaxBytes: 1_000_000 }],
      })),
      forgottenTopicsData: (options.forget ?? []).map(({ topic, partitions }) => ({
        ...naming(topic),
        partitions,
      })),
    },
    connection === undefined ? {} : { connection },
  ).answer;
}

/** Which partitions an answer names, as `topic-partition`, with `!code` after an error. */
function named(
  answer: Awaited<ReturnType<typeof ask>>,
  topics: readonly FakeTopic[] = [],
): string[] {
  return answer.responses.flatMap(({ topic, topicId, partitions }) => {
    const name = topic === '' ? topics.find(({ id }) => id === topicId)?.name : topic;
    return partitions.map(({ partitionIndex, errorCode }) => {
      return `${name}-${partitionIndex}${errorCode === 0 ? '' : `!${errorCode}`}`;
    });
  });
}

t.test('epoch -1 asks for no session and gets none', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('a');
  const answer = await ask(broker, [[topic, 0, 0]]);
  t.equal(answer.sessionId, 0);
  t.equal(broker.services.fetchSessions.size, 0);
});

t.test('an incremental answer names only what has changed', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a', { partitions: 3 });
  const all: Wanted = [
    [a, 0, 0],
    [a, 1, 0],
    [a, 2, 0],
  ];
  const first = await ask(broker, all, { epoch: 0 });
  const { sessionId } = first;
  t.ok(sessionId > 0);
  t.same(named(first), ['a-0', 'a-1', 'a-2'], 'the first answer names all');
  t.same(named(await ask(broker, [], { sessionId, epoch: 1 })), [], 'nothing has changed');
  broker.fill(a, 1, ['x']);
  const third = await ask(broker, [], { sessionId, epoch: 2 });
  t.equal(third.sessionId, sessionId);
  t.same(named(third), ['a-1'], 'new records');
  const fourth = await ask(broker, [[a, 1, 1]], { sessionId, epoch: 3 });
  t.same(named(fourth), [], 'read up to there, and the mark was told with the records');
  await a.logs[1]!.deleteRecordsBefore(1);
  t.same(named(await ask(broker, [], { sessionId, epoch: 4 })), ['a-1'], 'a new log start');
  t.same(named(await ask(broker, [], { sessionId, epoch: 5 })), []);
});

t.test('a request changes, adds and forgets partitions of its session', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a', { partitions: 2 });
  const b = broker.topic('b');
  for (const [topic, index] of [
    [a, 0],
    [a, 1],
    [b, 0],
  ] as const)
    broker.fill(topic, index, ['x']);
  const { sessionId } = await ask(
    broker,
    [
      [a, 0, 0],
      [a, 1, 0],
    ],
    { epoch: 0 },
  );
  const forget = [{ topic: a, partitions: [1] }];
  const second = await ask(
    broker,
    [
      [b, 0, 0],
      [a, 0, 1],
    ],
    { sessionId, epoch: 1, forget },
  );
  t.same(named(second), ['b-0'], 'a-0 has nothing new at its new offset, a-1 is forgotten');
  t.equal(broker.services.fetchSessions.cachedPartitions, 2);
});

t.test('a partition that got data goes to the end of the session', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a', { partitions: 3 });
  const { sessionId } = await ask(
    broker,
    [
      [a, 0, 0],
      [a, 1, 0],
      [a, 2, 0],
    ],
    { epoch: 0 },
  );
  broker.fill(a, 0, ['x']);
  t.same(named(await ask(broker, [], { sessionId, epoch: 1 })), ['a-0']);
  broker.fill(a, 1, ['x']);
  broker.fill(a, 2, ['x']);
  const third = await ask(broker, [], { sessionId, epoch: 2 });
  t.same(named(third), ['a-1', 'a-2', 'a-0']);
});

t.test('an error is named in each answer, and so is its end', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a');
  const missing = { name: 'nowhere' } as FakeTopic;
  const { sessionId } = await ask(
    broker,
    [
      [a, 0, 0],
      [missing, 0, 0],
    ],
    { epoch: 0 },
  );
  t.same(named(await ask(broker, [], { sessionId, epoch: 1 })), ['nowhere-0!3']);
  t.same(named(await ask(broker, [], { sessionId, epoch: 2 })), ['nowhere-0!3']);
  broker.topic('nowhere');
  t.same(named(await ask(broker, [], { sessionId, epoch: 3 })), ['nowhere-0']);
  t.same(named(await ask(broker, [], { sessionId, epoch: 4 })), []);
});

t.test('an unknown session is error 70, a wrong epoch error 71, and session 0', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a');
  const unknown = await ask(broker, [[a, 0, 0]], { sessionId: 12345, epoch: 1 });
  t.equal(unknown.errorCode, ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
  t.equal(unknown.errorCode, 70);
  t.same([unknown.sessionId, unknown.responses], [0, []]);
  const { sessionId } = await ask(broker, [[a, 0, 0]], { epoch: 0 });
  const wrong = await ask(broker, [], { sessionId, epoch: 2 });
  t.equal(wrong.errorCode, ErrorCode.INVALID_FETCH_SESSION_EPOCH);
  t.equal(wrong.errorCode, 71);
  t.same([wrong.sessionId, wrong.responses], [0, []]);
  t.equal((await ask(broker, [], { sessionId, epoch: 1 })).errorCode, 0, 'the right one goes on');
});

t.test(
  'a session that began with names and goes on with ids, or the other way, is error 106',
  async (t) => {
    const broker = new DataBroker();
    const a = broker.topic('a');
    const byName = await ask(broker, [[a, 0, 0]], { epoch: 0, version: 12 });
    const mixed = await ask(broker, [], { sessionId: byName.sessionId, epoch: 1, version: 13 });
    t.equal(mixed.errorCode, ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR);
    t.equal(mixed.errorCode, 106);
    const byId = await ask(broker, [[a, 0, 0]], { epoch: 0, version: 13 });
    const other = await ask(broker, [], { sessionId: byId.sessionId, epoch: 1, version: 12 });
    t.equal(other.errorCode, 106);
  },
);

t.test('an unknown topic id is error 100 until it is known', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a');
  const id = Buffer.alloc(16, 2).toString('base64url');
  const coming = { name: 'coming', id } as FakeTopic;
  const version = 15;
  const { sessionId, ...first } = await ask(
    broker,
    [
      [a, 0, 0],
      [coming, 0, 0],
    ],
    {
      epoch: 0,
      version,
    },
  );
  t.same(named({ sessionId, ...first }, [a, coming]), ['a-0', 'coming-0!100']);
  const created = broker.topic('coming');
  t.equal(created.id, id);
  const second = await ask(broker, [], { sessionId, epoch: 1, version });
  t.same(named(second, [a, coming]), ['coming-0']);
});

t.test('a topic deleted from under a session is error 3, one made anew error 103', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a');
  const version = 15;
  const { sessionId } = await ask(broker, [[a, 0, 0]], { epoch: 0, version });
  broker.deleteTopic(a);
  const gone = await ask(broker, [], { sessionId, epoch: 1, version });
  t.same(named(gone, [a]), ['a-0!3']);
  broker.topic('a');
  const replaced = await ask(broker, [], { sessionId, epoch: 2, version, maxWaitMs: 60_000 });
  t.same(named(replaced, [a]), [`a-0!${ErrorCode.INCONSISTENT_TOPIC_ID}`], 'without waiting');
  t.equal(ErrorCode.INCONSISTENT_TOPIC_ID, 103);
});

t.test('a full request ends the session that it names', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a');
  const { sessionId } = await ask(broker, [[a, 0, 0]], { epoch: 0 });
  const next = await ask(broker, [[a, 0, 0]], { sessionId, epoch: 0 });
  t.not(next.sessionId, sessionId);
  t.equal(broker.services.fetchSessions.size, 1);
  const last = await ask(broker, [[a, 0, 0]], { sessionId: next.sessionId, epoch: -1 });
  t.equal(last.sessionId, 0);
  t.equal(broker.services.fetchSessions.size, 0);
});

t.test('a session without partitions ends', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a');
  const { sessionId } = await ask(broker, [[a, 0, 0]], { epoch: 0 });
  const forget = [{ topic: a, partitions: [0] }];
  const answer = await ask(broker, [], { sessionId, epoch: 1, forget });
  t.same([answer.errorCode, answer.sessionId, answer.responses], [0, 0, []]);
  t.equal(broker.services.fetchSessions.size, 0);
});

t.test('a request sent twice answers the one that waits with error 71', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a');
  const { sessionId } = await ask(broker, [[a, 0, 0]], { epoch: 0 });
  const waiting = ask(broker, [], { sessionId, epoch: 1, maxWaitMs: 100 });
  t.equal((await ask(broker, [], { sessionId, epoch: 2 })).errorCode, 0);
  broker.clock.advance(100);
  const answer = await waiting;
  t.equal(answer.errorCode, 71);
  t.equal(answer.sessionId, sessionId);
});

t.test('what a waiting request asked is not changed by another of its session', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a');
  broker.fill(a, 0, ['x']);
  const { sessionId } = await ask(broker, [[a, 0, 1]], { epoch: 0 });
  const waiting = ask(broker, [], { sessionId, epoch: 1, maxWaitMs: 100 });
  await ask(broker, [[a, 0, 0]], { sessionId, epoch: 2 });
  broker.clock.advance(100);
  t.equal((await waiting).errorCode, 71);
  t.equal(a.logs[0]!.slicesHeld, 0, 'what was read for nobody is given back');
});

t.test('the epoch goes from 2^31-1 to 1, since 0 asks for a new session', async (t) => {
  t.equal(nextEpoch(0), 1);
  t.equal(nextEpoch(2 ** 31 - 2), 2 ** 31 - 1);
  t.equal(nextEpoch(2 ** 31 - 1), 1);
});

t.test('the cache is bounded: a full one gives session 0', async (t) => {
  const broker = new DataBroker({ 'max.incremental.fetch.session.cache.slots': '2' });
  const a = broker.topic('a', { partitions: 3 });
  const one = await ask(broker, [[a, 0, 0]], { epoch: 0 });
  broker.clock.advance(1000);
  const two = await ask(
    broker,
    [
      [a, 0, 0],
      [a, 1, 0],
    ],
    { epoch: 0 },
  );
  t.ok(one.sessionId > 0 && two.sessionId > 0);
  const three = await ask(
    broker,
    [
      [a, 0, 0],
      [a, 1, 0],
      [a, 2, 0],
    ],
    { epoch: 0 },
  );
  t.equal(three.sessionId, 0, 'none is old enough to go');
  t.same(named(three), ['a-0', 'a-1', 'a-2'], 'and the answer is complete');
});

t.test('a session that is not used gives way to any other', async (t) => {
  const broker = new DataBroker({ 'max.incremental.fetch.session.cache.slots': '2' });
  const a = broker.topic('a', { partitions: 3 });
  const large = await ask(
    broker,
    [
      [a, 0, 0],
      [a, 1, 0],
      [a, 2, 0],
    ],
    { epoch: 0 },
  );
  const used = await ask(broker, [[a, 0, 0]], { epoch: 0 });
  broker.clock.advance(100_000);
  t.equal((await ask(broker, [], { sessionId: used.sessionId, epoch: 1 })).errorCode, 0);
  broker.clock.advance(20_001);
  const next = await ask(broker, [[a, 0, 0]], { epoch: 0 });
  t.ok(next.sessionId > 0);
  t.equal((await ask(broker, [], { sessionId: large.sessionId, epoch: 1 })).errorCode, 70);
  t.equal(broker.metrics.counter('fetch_sessions_evicted_total').read(), 1);
});

t.test('a larger session takes the place of a smaller one that is not new', async (t) => {
  const broker = new DataBroker({ 'max.incremental.fetch.session.cache.slots': '1' });
  const a = broker.topic('a', { partitions: 3 });
  const small = await ask(
    broker,
    [
      [a, 0, 0],
      [a, 1, 0],
    ],
    { epoch: 0 },
  );
  broker.clock.advance(100_000);
  t.equal((await ask(broker, [], { sessionId: small.sessionId, epoch: 1 })).errorCode, 0);
  broker.clock.advance(100_000);
  const equal = await ask(
    broker,
    [
      [a, 0, 0],
      [a, 1, 0],
    ],
    { epoch: 0 },
  );
  t.equal(equal.sessionId, 0, 'not for one of its own size');
  const large = await ask(
    broker,
    [
      [a, 0, 0],
      [a, 1, 0],
      [a, 2, 0],
    ],
    { epoch: 0 },
  );
  t.ok(large.sessionId > 0);
  t.equal((await ask(broker, [], { sessionId: small.sessionId, epoch: 2 })).errorCode, 70);
});

t.test('a partition named twice counts once, as it was named last', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a');
  broker.fill(a, 0, ['x', 'y']);
  const answer = await ask(
    broker,
    [
      [a, 0, 0],
      [a, 0, 2],
    ],
    { epoch: 0 },
  );
  t.same(named(answer), ['a-0']);
  t.equal(answer.responses[0]!.partitions[0]!.records!.length, 0);
});

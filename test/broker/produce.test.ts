import t from 'tap';
import { CLOSE_CONNECTION, NO_RESPONSE } from '../../broker/api.ts';
import { produce } from '../../broker/apis/00-produce.ts';
import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import { computeCrc, isCrcRight, readBatchHeader } from '../../protocol/record-batch.ts';
import { HoldTimeout, LogFailed } from '../../storage/errors.ts';
import { batchOf, DataBroker, type FakeTopic } from './data-broker.ts';
import { deferred } from './harness.ts';

interface Options {
  readonly version?: number;
  readonly acks?: number;
  readonly timeoutMs?: number;
  readonly transactionalId?: string | null;
  readonly clientId?: string;
}

type Sent = readonly (readonly [topic: FakeTopic, partition: number, records: Buffer | null])[];

function send(broker: DataBroker, sent: Sent, options: Options = {}) {
  const { version = 9, acks = -1, timeoutMs = 30_000, transactionalId = null } = options;
  const topicData = sent.map(([topic, index, records]) => ({
    ...(version >= 13 ? { topicId: topic.id } : { name: topic.name }),
    partitionData: [{ index, records }],
  }));
  const value = { transactionalId, acks, timeoutMs, topicData };
  const { clientId } = options;
  return broker.call(produce, version, value, clientId === undefined ? {} : { clientId });
}

async function codes(call: ReturnType<typeof send>): Promise<number[]> {
  const answer = await call.answer;
  return answer.responses.flatMap(({ partitionResponses }) =>
    partitionResponses.map(({ errorCode }) => errorCode),
  );
}

async function only(call: ReturnType<typeof send>) {
  const answer = await call.answer;
  return answer.responses[0]!.partitionResponses[0]!;
}

/** A broker with one topic whose marks follow each append. */
function ready(options: Parameters<DataBroker['topic']>[1] = {}) {
  const broker = new DataBroker();
  const topic = broker.topic('t', options);
  for (const log of topic.logs) log.isAutomatic = true;
  return { broker, topic, log: topic.logs[0]! };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A batch with a byte of its own, and a checksum that is right again. */
function changed(change: (batch: Buffer) => void, batch = batchOf(['a'])): Buffer {
  change(batch);
  batch.writeUInt32BE(computeCrc(batch, 0), 17);
  return batch;
}

t.test('acks=1 waits for written, acks=all for durable', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const log = topic.logs[0]!;
  const one = send(broker, [[topic, 0, batchOf(['a'])]], { acks: 1 });
  const all = send(broker, [[topic, 0, batchOf(['b'])]], { acks: -1 });
  await settle();
  t.same([one.isAnswered, all.isAnswered], [false, false]);
  log.write();
  await settle();
  t.same([one.isAnswered, all.isAnswered], [true, false]);
  log.sync();
  t.match(await only(all), { errorCode: 0, baseOffset: 1, logStartOffset: 0 });
});

t.test('where flush.messages is not 1, acks=all waits for written', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { log: { flushMessages: 1000 } });
  const call = send(broker, [[topic, 0, batchOf(['a'])]]);
  topic.logs[0]!.write();
  t.equal((await only(call)).errorCode, 0);
});

t.test('an answer comes when all partitions have reached their marks', async (t) => {
  const broker = new DataBroker();
  const a = broker.topic('a', { partitions: 2 });
  const b = broker.topic('b');
  const call = send(broker, [
    [a, 1, batchOf(['x'])],
    [b, 0, batchOf(['y'])],
    [a, 0, batchOf(['z'])],
  ]);
  t.equal(call.isOrdered, true, 'the next request may start when all are appended');
  a.logs[0]!.sync();
  b.logs[0]!.sync();
  await settle();
  t.equal(call.isAnswered, false);
  a.logs[1]!.sync();
  const { responses } = await call.answer;
  t.same(
    responses.map(({ name, partitionResponses: [p] }) => [name, p!.index, p!.errorCode]),
    [
      ['a', 1, 0],
      ['b', 0, 0],
      ['a', 0, 0],
    ],
    'in the order of the request',
  );
});

t.test('point 12: acks=0 has no answer, and closes the connection on an error', async (t) => {
  const { broker, topic } = ready();
  t.equal(await send(broker, [[topic, 0, batchOf(['a'])]], { acks: 0 }).given, NO_RESPONSE);
  const corrupt = batchOf(['a']);
  corrupt[corrupt.length - 1]! ^= 1;
  t.equal(await send(broker, [[topic, 0, corrupt]], { acks: 0 }).given, CLOSE_CONNECTION);
  t.equal(topic.logs[0]!.endOffset, 1);
});

t.test('acks=0 waits for no mark', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  t.equal(await send(broker, [[topic, 0, batchOf(['a'])]], { acks: 0 }).given, NO_RESPONSE);
  t.equal(topic.logs[0]!.writtenOffset, 0);
});

t.test('point 13: other acks are INVALID_REQUIRED_ACKS, and nothing is appended', async (t) => {
  const { broker, topic, log } = ready();
  const missing = { name: 'missing' } as FakeTopic;
  for (const acks of [2, -2, 127]) {
    const sent: Sent = [
      [topic, 0, batchOf(['a'])],
      [missing, 0, batchOf(['a'])],
    ];
    t.same(await codes(send(broker, sent, { acks })), [ErrorCode.INVALID_REQUIRED_ACKS, 3]);
  }
  t.equal(log.endOffset, 0);
});

t.test('point 14: one batch of magic 2 for a partition, nothing else', async (t) => {
  const { broker, topic, log } = ready();
  const two = Buffer.concat([batchOf(['a']), batchOf(['b'])]);
  const old = batchOf(['a']);
  old[16] = 1;
  const refused: [string, Buffer | null][] = [
    ['null', null],
    ['no bytes', Buffer.alloc(0)],
    ['two batches', two],
    ['magic 1', old],
    ['cut', batchOf(['abc']).subarray(0, -1)],
  ];
  for (const [what, records] of refused) {
    const told = await only(send(broker, [[topic, 0, records]]));
    t.same([told.errorCode, told.errorMessage], [ErrorCode.INVALID_RECORD, null], what);
  }
  t.equal(log.endOffset, 0);
});

t.test('point 14: zstd needs Produce 7', async (t) => {
  const { broker, topic } = ready();
  const zstd = () => changed((batch) => (batch[22]! |= 4));
  const old = send(broker, [[topic, 0, zstd()]], { version: 6 });
  t.same(await codes(old), [ErrorCode.UNSUPPORTED_COMPRESSION_TYPE]);
  t.same(await codes(send(broker, [[topic, 0, zstd()]], { version: 7 })), [0]);
});

t.test('point 15: offset and leader epoch are set, the checksum stays', async (t) => {
  const { broker, topic, log } = ready();
  log.leaderEpoch = 9;
  await codes(send(broker, [[topic, 0, batchOf(['a', 'b'])]]));
  const sent = batchOf(['c']);
  const crc = sent.readUInt32BE(17);
  t.equal((await only(send(broker, [[topic, 0, sent]]))).baseOffset, 2);
  const { bytes } = log.batches[1]!;
  t.match(readBatchHeader(bytes, 0), { baseOffset: 2, lastOffset: 2, leaderEpoch: 9 });
  t.equal(bytes.readUInt32BE(17), crc);
  t.ok(isCrcRight(bytes, 0));
});

t.test('a wrong checksum is CORRUPT_MESSAGE', async (t) => {
  const { broker, topic, log } = ready();
  for (let at = 21; at < batchOf(['a']).length; at++) {
    const batch = batchOf(['a']);
    batch[at]! ^= 0x08;
    t.same(await codes(send(broker, [[topic, 0, batch]])), [ErrorCode.CORRUPT_MESSAGE], `${at}`);
  }
  t.equal(log.endOffset, 0);
});

t.test('point 16: counts, deltas, control batches and lone producer ids are refused', async (t) => {
  const { broker, topic, log } = ready();
  const cases: [string, Buffer][] = [
    ['record count', changed((batch) => batch.writeInt32BE(2, 57))],
    ['last offset delta', changed((batch) => batch.writeInt32BE(5, 23))],
    ['control batch', changed((batch) => (batch[22]! |= 0x20))],
    ['producer id without sequence', batchOf(['a'], { producerId: 4, producerEpoch: 0 })],
  ];
  for (const [what, batch] of cases) {
    t.same(await codes(send(broker, [[topic, 0, batch]])), [ErrorCode.INVALID_RECORD], what);
  }
  t.equal(log.endOffset, 0);
});

t.test('point 17: above max.message.bytes 10, above segment.bytes 18', async (t) => {
  const settings = { 'max.message.bytes': '200', 'segment.bytes': String(1024 * 1024) };
  const { broker, topic } = ready({ settings });
  const large = batchOf(['x'.repeat(200)]);
  t.same(await codes(send(broker, [[topic, 0, large]])), [ErrorCode.MESSAGE_TOO_LARGE]);
  const wide = broker.topic('wide', {
    settings: { 'max.message.bytes': '10000000', 'segment.bytes': String(1024 * 1024) },
  });
  const larger = batchOf(['x'.repeat(1024 * 1024)]);
  t.same(await codes(send(broker, [[wide, 0, larger]])), [ErrorCode.RECORD_LIST_TOO_LARGE]);
});

t.test(
  'point 18: LogAppendTime is set in the batch and told, CreateTime is told as -1',
  async (t) => {
    const { broker, topic } = ready();
    t.equal((await only(send(broker, [[topic, 0, batchOf(['a'])]]))).logAppendTimeMs, -1);
    const timed = broker.topic('timed', {
      settings: { 'message.timestamp.type': 'LogAppendTime' },
    });
    timed.logs[0]!.isAutomatic = true;
    const told = await only(send(broker, [[timed, 0, batchOf(['a'], { timestamp: 5 })]]));
    t.equal(told.logAppendTimeMs, broker.clock.now());
    const header = readBatchHeader(timed.logs[0]!.batches[0]!.bytes, 0);
    t.match(header, { logAppendTime: true, maxTimestamp: broker.clock.now() });
  },
);

t.test(
  'point 18: timestamps out of bounds are INVALID_TIMESTAMP with the records named',
  async (t) => {
    const { broker, topic } = ready();
    const late = batchOf(['a'], { timestamp: broker.clock.now() + 2 * 3600 * 1000 });
    const told = await only(send(broker, [[topic, 0, late]]));
    t.equal(told.errorCode, ErrorCode.INVALID_TIMESTAMP);
    t.same(
      told.recordErrors.map(({ batchIndex }) => batchIndex),
      [0],
    );
  },
);

t.test('point 19: a codec of the topic recompresses, in the ordered stage', async (t) => {
  const { broker, topic, log } = ready({ settings: { 'compression.type': 'gzip' } });
  const call = send(broker, [[topic, 0, batchOf(['aaaaaaaa', 'bbbbbbbb'])]]);
  t.equal(call.isOrdered, false);
  t.equal((await only(call)).errorCode, 0);
  t.equal(call.isOrdered, true);
  t.match(readBatchHeader(log.batches[0]!.bytes, 0), { codec: 1, recordCount: 2 });
});

t.test('what a worker checks keeps the order of the request', async (t) => {
  const broker = new DataBroker();
  const gzip = broker.topic('gzip', { settings: { 'compression.type': 'gzip' } });
  gzip.logs[0]!.isAutomatic = true;
  const corrupt = batchOf(['x']);
  corrupt[30]! ^= 1;
  const call = send(broker, [
    [gzip, 0, batchOf(['first'])],
    [gzip, 0, corrupt],
    [gzip, 0, batchOf(['second'])],
  ]);
  const { responses } = await call.answer;
  const told = responses.map(({ partitionResponses: [p] }) => [p!.errorCode, p!.baseOffset]);
  t.same(told, [
    [0, 0],
    [ErrorCode.CORRUPT_MESSAGE, -1],
    [0, 1],
  ]);
});

t.test('point 20: a record without key on a compacted topic refuses the whole batch', async (t) => {
  const { broker, topic, log } = ready({ settings: { 'cleanup.policy': 'compact' } });
  const batch = batchOf(['a', 'b', 'c'], { keys: ['k', null, null] });
  const told = await only(send(broker, [[topic, 0, batch]]));
  t.equal(told.errorCode, ErrorCode.INVALID_RECORD);
  t.same(
    told.recordErrors.map(({ batchIndex }) => batchIndex),
    [1, 2],
  );
  t.type(told.errorMessage, 'string');
  t.equal(told.logStartOffset, 0);
  t.equal(log.endOffset, 0);
});

t.test('point 21: Produce 13 names topics by id, and an unknown one is error 100', async (t) => {
  const { broker, topic } = ready();
  const unknown = { id: Buffer.alloc(16, 99).toString('base64url') } as FakeTopic;
  const sent: Sent = [
    [topic, 0, batchOf(['a'])],
    [unknown, 0, batchOf(['a'])],
    [topic, 8, batchOf(['a'])],
  ];
  const { responses } = await send(broker, sent, { version: 13 }).answer;
  t.same(
    responses.map(({ topicId, partitionResponses: [p] }) => [topicId, p!.errorCode]),
    [
      [topic.id, 0],
      [unknown.id, ErrorCode.UNKNOWN_TOPIC_ID],
      [topic.id, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    ],
  );
});

t.test('an unknown topic or partition is error 3 with nothing told beside it', async (t) => {
  const { broker, topic } = ready();
  const missing = { name: 'missing' } as FakeTopic;
  const told = await only(send(broker, [[missing, 0, batchOf(['a'])]]));
  t.match(told, { errorCode: 3, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1 });
  t.same(await codes(send(broker, [[topic, 1, batchOf(['a'])]])), [3]);
  t.same(await codes(send(broker, [[topic, -1, batchOf(['a'])]])), [3]);
});

t.test('point 22: a repeated batch is told the original offset, up to five back', async (t) => {
  const { broker, topic, log } = ready();
  const batch = (sequence: number) =>
    batchOf(['a', 'b'], { producerId: 3, producerEpoch: 0, baseSequence: sequence });
  for (let i = 0; i < 6; i++) await codes(send(broker, [[topic, 0, batch(2 * i)]]));
  for (let i = 1; i < 6; i++) {
    const told = await only(send(broker, [[topic, 0, batch(2 * i)]]));
    t.same([told.errorCode, told.baseOffset], [0, 2 * i]);
    t.equal(told.logAppendTimeMs, readBatchHeader(batch(0), 0).maxTimestamp, 'as Kafka tells it');
  }
  t.equal(log.endOffset, 12);
  t.same(
    await codes(send(broker, [[topic, 0, batch(0)]])),
    [ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER],
    'point 23: older than the window',
  );
  t.equal(broker.metrics.counter('produce_duplicates_total').read(), 5);
});

t.test('a repeated batch is answered only when the original has reached its mark', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const shape = { producerId: 3, producerEpoch: 0, baseSequence: 0 };
  const first = send(broker, [[topic, 0, batchOf(['a'], shape)]]);
  const again = send(broker, [[topic, 0, batchOf(['a'], shape)]]);
  topic.logs[0]!.write();
  await settle();
  t.same([first.isAnswered, again.isAnswered], [false, false]);
  topic.logs[0]!.sync();
  t.same([(await only(first)).baseOffset, (await only(again)).baseOffset], [0, 0]);
});

t.test('points 23 to 25: gaps, wrapping sequences, new and old epochs', async (t) => {
  const { broker, topic } = ready();
  const put = async (producerEpoch: number, baseSequence: number, count = 1) => {
    const values = Array.from({ length: count }, () => 'x');
    const batch = batchOf(values, { producerId: 3, producerEpoch, baseSequence });
    return (await codes(send(broker, [[topic, 0, batch]])))[0];
  };
  const { OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH } = ErrorCode;
  t.equal(await put(0, 2 ** 31 - 2, 2), 0, 'of an unknown producer any sequence is taken');
  t.equal(await put(0, 0), 0, 'wrapped to 0');
  t.equal(await put(0, 2), OUT_OF_ORDER_SEQUENCE_NUMBER, 'a gap');
  t.equal(await put(1, 5), OUT_OF_ORDER_SEQUENCE_NUMBER, 'a new epoch begins at 0');
  t.equal(await put(1, 0), 0);
  t.equal(await put(0, 1), INVALID_PRODUCER_EPOCH);
});

t.test('a client writes to no topic of the broker, but Kafka lets its admin client', async (t) => {
  const { broker, topic } = ready({ internal: true });
  t.same(await codes(send(broker, [[topic, 0, batchOf(['a'])]])), [
    ErrorCode.INVALID_TOPIC_EXCEPTION,
  ]);
  const admin = { clientId: '__admin_client' };
  t.same(await codes(send(broker, [[topic, 0, batchOf(['a'])]], admin)), [0]);
});

t.test('a transactional batch without a transaction is refused', async (t) => {
  const { broker, topic, log } = ready();
  const shape = { producerId: 3, producerEpoch: 0, baseSequence: 0, transactional: true };
  const sent = (): Sent => [[topic, 0, batchOf(['a'], shape)]];
  await t.rejects(
    async () => send(broker, sent()).answer,
    new ProtocolError('TRANSACTIONAL_ID_AUTHORIZATION_FAILED'),
    'without a transactional id',
  );
  const loading = send(broker, sent(), { transactionalId: 'x' });
  t.same(await codes(loading), [ErrorCode.NOT_ENOUGH_REPLICAS], 'not known yet');
  await broker.transactions.load();
  const named = send(broker, sent(), { transactionalId: 'x' });
  t.same(await codes(named), [ErrorCode.INVALID_PRODUCER_ID_MAPPING]);
  t.equal(log.endOffset, 0);
});

t.test(
  'errors of one partition leave the others alone, and are logged with their client',
  async (t) => {
    const { broker, topic } = ready({ partitions: 2 });
    const corrupt = batchOf(['a']);
    corrupt[40]! ^= 1;
    const call = send(broker, [
      [topic, 0, corrupt],
      [topic, 1, batchOf(['b'])],
    ]);
    t.same(await codes(call), [ErrorCode.CORRUPT_MESSAGE, 0]);
    const line = broker.lines.find(({ text }) => text === 'partition refused');
    t.match(line?.values, { topic: 't', partition: 0, client: 'test', error: 'CORRUPT_MESSAGE' });
    t.equal(broker.metrics.counter('produce_refused_total', 'CORRUPT_MESSAGE').read(), 1);
  },
);

t.test('a source is held while there is no room, and the next request with it', async (t) => {
  const { broker, topic, log } = ready();
  const room = deferred<void>();
  const asked: unknown[] = [];
  broker.admit = (sizeBytes, internal) => {
    asked.push([sizeBytes, internal]);
    return room.promise;
  };
  const batch = batchOf(['a']);
  const call = send(broker, [[topic, 0, batch]]);
  await settle();
  t.same(asked, [[batch.length, false]]);
  t.same([call.isOrdered, call.isAnswered, log.endOffset], [false, false, 0]);
  t.equal(broker.metrics.gauge('paused_sources').read(), 1);
  broker.clock.advance(250);
  room.resolve();
  t.equal((await only(call)).errorCode, 0);
  t.equal(call.isOrdered, true);
  t.equal(broker.metrics.gauge('paused_sources').read(), 0);
  t.equal(broker.metrics.histogram('produce_held_seconds').sum, 0.25);
});

t.test(
  'a source held for too long, or on a disk that fails, gets KAFKA_STORAGE_ERROR',
  async (t) => {
    const { broker, topic, log } = ready();
    const missing = { name: 'missing' } as FakeTopic;
    for (const error of [new HoldTimeout('held for 30000 ms'), new LogFailed('disk full')]) {
      broker.admit = () => Promise.reject(error);
      const call = send(broker, [
        [topic, 0, batchOf(['a'])],
        [missing, 0, batchOf(['a'])],
      ]);
      t.same(await codes(call), [ErrorCode.KAFKA_STORAGE_ERROR, 3]);
      t.equal(call.isOrdered, true);
    }
    t.equal(log.endOffset, 0);
    t.equal(broker.metrics.gauge('paused_sources').read(), 0);
  },
);

t.test('a log that has failed answers KAFKA_STORAGE_ERROR, also to who waits', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const waiting = send(broker, [[topic, 0, batchOf(['a'])]]);
  topic.logs[0]!.fail();
  t.same(await codes(waiting), [ErrorCode.KAFKA_STORAGE_ERROR]);
  t.same(await codes(send(broker, [[topic, 0, batchOf(['b'])]])), [ErrorCode.KAFKA_STORAGE_ERROR]);
});

t.test('a topic deleted under a waiting Produce is error 3', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const waiting = send(broker, [[topic, 0, batchOf(['a'])]]);
  broker.deleteTopic(topic);
  t.same(await codes(waiting), [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]);
});

t.test('a topic deleted while its source is held is error 3', async (t) => {
  const { broker, topic } = ready();
  const room = deferred<void>();
  broker.admit = () => room.promise;
  const call = send(broker, [[topic, 0, batchOf(['a'])]]);
  broker.deleteTopic(topic);
  room.resolve();
  t.same(await codes(call), [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]);
});

t.test('timeout_ms bounds the wait for the acknowledgement', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t', { partitions: 2 });
  const sent: Sent = [
    [topic, 0, batchOf(['a'])],
    [topic, 1, batchOf(['b'])],
  ];
  const call = send(broker, sent, { timeoutMs: 1000 });
  topic.logs[0]!.sync();
  broker.clock.advance(999);
  await settle();
  t.equal(call.isAnswered, false);
  broker.clock.advance(1);
  t.same(await codes(call), [0, ErrorCode.REQUEST_TIMED_OUT]);
  topic.logs[1]!.sync();
  t.equal(broker.deadlines.size, 0);
});

t.test('an answered Produce leaves no timeout behind', async (t) => {
  const { broker, topic } = ready();
  await codes(send(broker, [[topic, 0, batchOf(['a'])]]));
  t.equal(broker.deadlines.size, 0);
});

t.test('every version is answered', async (t) => {
  const { broker, topic } = ready();
  for (let version = 3; version <= 13; version++) {
    const told = await only(send(broker, [[topic, 0, batchOf(['a'])]], { version }));
    t.same([told.errorCode, told.baseOffset], [0, version - 3], `version ${version}`);
  }
});

t.test('a request without partitions is answered', async (t) => {
  const broker = new DataBroker();
  t.same((await send(broker, []).answer).responses, []);
});

t.test('what was taken is counted', async (t) => {
  const { broker, topic } = ready();
  await codes(send(broker, [[topic, 0, batchOf(['a', 'b'])]]));
  const { metrics } = broker;
  t.equal(metrics.counter('produce_bytes_total').read(), batchOf(['a', 'b']).length);
  t.equal(metrics.counter('produce_records_total').read(), 2);
  t.equal(metrics.counter('produce_batches_total').read(), 1);
});

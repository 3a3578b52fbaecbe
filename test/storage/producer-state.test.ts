import fc from 'fast-check';
import t from 'tap';
import { type BatchHeader, readBatchHeader } from '../../protocol/record-batch.ts';
import { buildBatch, controlBatch, gapBatch, MarkerType } from '../../protocol/records.ts';
import {
  CorruptLog,
  InvalidProducerEpoch,
  InvalidTxnState,
  OutOfOrderSequence,
  TransactionCoordinatorFenced,
} from '../../storage/errors.ts';
import { decodeSnapshot, encodeSnapshot } from '../../storage/producer-snapshot.ts';
import { ProducerStates } from '../../storage/producer-state.ts';

const DAY_MS = 86_400_000;
const LAST_SEQUENCE = 2 ** 31 - 1;

interface Batch {
  id?: number;
  epoch?: number;
  sequence: number;
  count?: number;
  transactional?: boolean;
  timestamp?: number;
}

/** A log of one partition: what a producer sends is checked and appended as the broker does it. */
class Log {
  readonly states: ProducerStates;
  /** All batches in order, as they lie in the log. */
  readonly batches: Buffer[] = [];
  end = 0;
  nowMs = 1_700_000_000_000;

  constructor(maxProducers = 1000) {
    this.states = new ProducerStates(0, { maxProducers });
  }

  batch({ id = 1, epoch = 0, sequence, count = 1, ...rest }: Batch): [Buffer, BatchHeader] {
    const timestamp = rest.timestamp ?? this.nowMs;
    const bytes = buildBatch({
      baseOffset: this.end,
      producerId: id,
      producerEpoch: epoch,
      baseSequence: sequence,
      transactional: rest.transactional ?? false,
      records: Array.from({ length: count }, () => ({ key: null, value: null, timestamp })),
    });
    return [bytes, readBatchHeader(bytes, 0)];
  }

  /** The base offset that a client is answered. */
  send(batch: Batch): number {
    const [bytes, header] = this.batch(batch);
    const original = this.states.check(header);
    if (original !== undefined) return original.baseOffset;
    this.states.append(header, bytes, 0, this.nowMs);
    this.batches.push(bytes);
    this.end = header.lastOffset + 1;
    return header.baseOffset;
  }

  mark(type: 0 | 1, { id = 1, epoch = 0, coordinatorEpoch = 0 } = {}) {
    const bytes = controlBatch({
      type,
      producerId: id,
      producerEpoch: epoch,
      coordinatorEpoch,
      timestamp: this.nowMs,
      baseOffset: this.end,
    });
    this.states.checkMarker(id, epoch, coordinatorEpoch);
    this.end++;
    this.batches.push(bytes);
    return this.states.append(readBatchHeader(bytes, 0), bytes, 0, this.nowMs);
  }
}

t.test('each of the last five batches is known when it is repeated, none before', async (t) => {
  const log = new Log();
  for (let index = 0; index < 7; index++) log.send({ sequence: index * 2, count: 2 });
  for (let index = 2; index < 7; index++) {
    const [, header] = log.batch({ sequence: index * 2, count: 2 });
    t.strictSame(log.states.check(header), { baseOffset: index * 2, lastOffset: index * 2 + 1 });
  }
  for (const index of [0, 1]) {
    t.throws(() => log.send({ sequence: index * 2, count: 2 }), OutOfOrderSequence);
  }
});

t.test('part of a batch, or two batches in one, are not the original', async (t) => {
  const log = new Log();
  log.send({ sequence: 0, count: 4 });
  t.throws(() => log.send({ sequence: 0, count: 2 }), OutOfOrderSequence);
  t.throws(() => log.send({ sequence: 2, count: 2 }), OutOfOrderSequence);
  t.throws(() => log.send({ sequence: 0, count: 5 }), OutOfOrderSequence);
  t.equal(log.send({ sequence: 4 }), 4);
});

t.test('a gap in the sequence is refused and changes nothing', async (t) => {
  const log = new Log();
  log.send({ sequence: 0, count: 3 });
  for (const sequence of [4, 100, LAST_SEQUENCE, 2]) {
    t.throws(() => log.send({ sequence }), OutOfOrderSequence, `sequence ${sequence}`);
  }
  t.equal(log.send({ sequence: 3 }), 3);
});

t.test('sequences go on from 0 after the largest number', async (t) => {
  const log = new Log();
  log.send({ sequence: LAST_SEQUENCE - 1, count: 1 });
  t.equal(log.send({ sequence: LAST_SEQUENCE, count: 3 }), 1);
  t.equal(log.send({ sequence: LAST_SEQUENCE, count: 3 }), 1, 'the batch across the wrap repeats');
  t.equal(log.send({ sequence: 2 }), 4);
  const full = new Log();
  full.send({ sequence: LAST_SEQUENCE });
  t.equal(full.send({ sequence: 0 }), 1);
});

t.test('of a producer not known any sequence is taken', async (t) => {
  const log = new Log();
  t.equal(log.send({ sequence: 17 }), 0);
  t.equal(log.send({ id: 2, sequence: LAST_SEQUENCE }), 1);
});

t.test('what follows a batch that was refused is not taken before it', async (t) => {
  const log = new Log();
  const [, refused] = log.batch({ sequence: 0, count: 3 });
  log.states.refuse(refused);
  log.states.refuse(log.batch({ sequence: 3 })[1]);
  t.throws(() => log.send({ sequence: 3 }), OutOfOrderSequence);
  const successor = log.states.clone();
  successor.adoptRefusals(log.states);
  t.throws(() => successor.check(log.batch({ sequence: 3 })[1]), OutOfOrderSequence);
  t.equal(log.send({ id: 2, sequence: 3 }), 0, 'of another producer anything is taken');
  t.equal(log.send({ sequence: 0, count: 3 }), 1);
  t.equal(log.send({ sequence: 3 }), 4);
  log.states.refuse(log.batch({ sequence: 4 })[1]);
  t.throws(() => log.send({ sequence: 5 }), OutOfOrderSequence, 'of a known one as ever');
  t.equal(log.send({ sequence: 4 }), 5);
  log.states.refuse(log.batch({ id: 3, sequence: 7 })[1]);
  t.equal(log.send({ id: 3, epoch: 1, sequence: 9 }), 6, 'a new epoch starts afresh');
  for (let id = 10; id < 3000; id++) log.states.refuse(log.batch({ id, sequence: 0 })[1]);
  t.equal(log.send({ id: 11, sequence: 5 }), 7, 'of many the oldest are forgotten');
});

t.test('a new epoch starts at sequence 0, an old one is refused', async (t) => {
  const log = new Log();
  log.send({ epoch: 3, sequence: 0 });
  t.throws(() => log.send({ epoch: 4, sequence: 1 }), OutOfOrderSequence);
  t.equal(log.send({ epoch: 4, sequence: 0 }), 1);
  t.throws(() => log.send({ epoch: 3, sequence: 1 }), InvalidProducerEpoch);
  t.throws(() => log.send({ epoch: 3, sequence: 0 }), InvalidProducerEpoch, 'a repeated one too');
  t.equal(log.send({ epoch: 4, sequence: 1 }), 2);
});

t.test('batches without a producer id are not tracked', async (t) => {
  const log = new Log();
  // As kafkajs and @platformatic/kafka send them: epoch 0 and sequence 0 each time.
  for (let offset = 0; offset < 3; offset++) {
    t.equal(log.send({ id: -1, epoch: 0, sequence: 0 }), offset);
  }
  t.equal(log.states.size, 0);
  t.equal(log.states.endOffset, 3);
});

t.test('the batch that closes a gap moves the end and tracks nobody', async (t) => {
  const states = new ProducerStates(10);
  const gap = gapBatch({ from: 10, to: 500, leaderEpoch: 1, timestamp: 5 });
  t.equal(states.append(readBatchHeader(gap, 0), gap, 0, 5), undefined);
  t.equal(states.endOffset, 500);
  t.equal(states.size, 0);
});

t.test('an open transaction holds readers back until its marker is durable', async (t) => {
  const log = new Log();
  log.send({ id: 9, sequence: 0 });
  t.equal(log.states.firstUnstableOffset, undefined);
  log.send({ sequence: 0, transactional: true, count: 2 });
  log.send({ sequence: 2, transactional: true });
  log.send({ id: 2, sequence: 0, transactional: true });
  t.equal(log.states.firstUnstableOffset, 1);
  const first = log.mark(MarkerType.commit);
  t.strictSame(first, {
    producerId: 1,
    firstOffset: 1,
    lastOffset: 5,
    aborted: false,
    lastStableOffset: 4,
  });
  t.equal(log.states.firstOpenOffset, 4);
  t.equal(log.states.firstUnstableOffset, 1, 'its marker may be lost yet');
  log.states.markDurable(5);
  t.equal(log.states.firstUnstableOffset, 1);
  log.states.markDurable(6);
  t.equal(log.states.firstUnstableOffset, 4);
  t.match(log.mark(MarkerType.abort, { id: 2 }), { aborted: true, lastStableOffset: 7 });
  log.states.markDurable(7);
  t.equal(log.states.firstUnstableOffset, undefined);
});

t.test('a marker without a transaction completes none', async (t) => {
  const log = new Log();
  t.equal(log.mark(MarkerType.abort), undefined);
  t.equal(log.states.firstUnstableOffset, undefined);
  t.equal(log.send({ sequence: 0 }), 1);
});

t.test('a control batch that compaction has emptied is no marker', async (t) => {
  const log = new Log();
  log.send({ sequence: 0, transactional: true });
  const emptied = buildBatch({
    baseOffset: 1,
    producerId: 1,
    producerEpoch: 0,
    control: true,
    transactional: true,
    records: [],
  });
  t.equal(log.states.append(readBatchHeader(emptied, 0), emptied, 0, 0), undefined);
  t.equal(log.states.firstOpenOffset, 0);
});

t.test('a control batch that cannot be read is reported with its offset', async (t) => {
  const log = new Log();
  const bytes = controlBatch({
    type: MarkerType.commit,
    producerId: 1,
    producerEpoch: 0,
    coordinatorEpoch: 0,
    timestamp: 0,
    baseOffset: 33,
  });
  bytes[61] = 0x7f;
  t.throws(() => log.states.append(readBatchHeader(bytes, 0), bytes, 0, 0), {
    name: 'CorruptLog',
    message: /offset 33/,
  });
});

t.test('within a transaction only its own batches are taken', async (t) => {
  const log = new Log();
  log.send({ sequence: 0, transactional: true });
  t.throws(() => log.send({ sequence: 1 }), InvalidTxnState);
  log.mark(MarkerType.commit);
  t.equal(log.send({ sequence: 1 }), 2);
});

t.test('sequences go on across a marker of the same epoch', async (t) => {
  const log = new Log();
  log.send({ sequence: 0, transactional: true, count: 5 });
  log.mark(MarkerType.commit);
  t.equal(log.send({ sequence: 0, transactional: true, count: 5 }), 0, 'still known as repeated');
  t.equal(log.send({ sequence: 5, transactional: true }), 6);
  log.mark(MarkerType.abort, { epoch: 1 });
  t.throws(() => log.send({ sequence: 6, transactional: true }), InvalidProducerEpoch);
  t.throws(() => log.send({ epoch: 1, sequence: 6, transactional: true }), OutOfOrderSequence);
  t.equal(log.send({ epoch: 1, sequence: 0, transactional: true }), 8);
});

t.test('markers of an older producer or coordinator are refused', async (t) => {
  const log = new Log();
  log.send({ epoch: 2, sequence: 0, transactional: true });
  t.throws(() => log.mark(MarkerType.commit, { epoch: 1 }), InvalidProducerEpoch);
  log.mark(MarkerType.commit, { epoch: 2, coordinatorEpoch: 5 });
  t.throws(
    () => log.mark(MarkerType.commit, { epoch: 2, coordinatorEpoch: 4 }),
    TransactionCoordinatorFenced,
  );
});

t.test('the coordinator writes without sequences, but not in an old epoch', async (t) => {
  const log = new Log();
  log.send({ epoch: 2, sequence: 0 });
  const [, header] = log.batch({ epoch: 2, sequence: -1 });
  t.equal(log.states.check(header, 'coordinator'), undefined);
  const [, old] = log.batch({ epoch: 1, sequence: -1 });
  t.throws(() => log.states.check(old, 'coordinator'), InvalidProducerEpoch);
});

t.test('a producer long not heard of is forgotten, whatever times its records have', async (t) => {
  const log = new Log();
  log.send({ id: 1, sequence: 0, timestamp: 5 });
  log.send({ id: 2, sequence: 0, transactional: true, timestamp: 5 });
  log.nowMs += DAY_MS - 1;
  log.send({ id: 3, sequence: 0, timestamp: 5 });
  log.states.expire(log.nowMs, DAY_MS);
  t.equal(log.states.size, 3);
  log.nowMs += 1;
  log.states.expire(log.nowMs, DAY_MS);
  t.strictSame(
    [...log.states.entries()].map(({ producerId }) => producerId),
    [2, 3],
    'nor one with an open transaction',
  );
});

t.test('beyond the limit the producer longest not heard of goes', async (t) => {
  const log = new Log(3);
  log.send({ id: 1, sequence: 0, transactional: true });
  for (const id of [2, 3]) log.send({ id, sequence: 0 });
  log.send({ id: 2, sequence: 1 });
  log.send({ id: 4, sequence: 0 });
  const ids = () => [...log.states.entries()].map(({ producerId }) => producerId);
  t.strictSame(ids(), [1, 2, 4]);
  for (const id of [5, 6]) log.send({ id, sequence: 0, transactional: true });
  t.strictSame(ids(), [1, 5, 6]);
  log.send({ id: 7, sequence: 0 });
  t.strictSame(ids(), [1, 5, 6, 7], 'open transactions are never forgotten');
});

t.test('a copy knows the same and goes its own way', async (t) => {
  const log = new Log();
  log.send({ id: 1, sequence: 0, transactional: true });
  log.mark(MarkerType.commit);
  log.send({ id: 2, sequence: 0, transactional: true });
  const copy = log.states.clone();
  t.equal(copy.endOffset, 3);
  t.equal(copy.firstUnstableOffset, 0);
  t.strictSame([...copy.entries()], [...log.states.entries()]);
  log.send({ id: 2, sequence: 1, transactional: true });
  log.mark(MarkerType.abort, { id: 2 });
  t.equal(copy.get(2)!.batches.length, 1);
  t.equal(copy.firstOpenOffset, 2);
});

t.test('after a reset nothing is known', async (t) => {
  const log = new Log();
  log.send({ sequence: 0, transactional: true });
  log.states.reset(40);
  t.equal(log.states.size, 0);
  t.equal(log.states.endOffset, 40);
  t.equal(log.states.firstUnstableOffset, undefined);
});

/** What producers did, as steps of a random walk. */
const steps = fc.array(
  fc.record({
    id: fc.integer({ min: 1, max: 6 }),
    count: fc.integer({ min: 1, max: 9 }),
    what: fc.constantFrom('send', 'send', 'send', 'commit', 'abort', 'bump'),
  }),
  { maxLength: 60 },
);

function walk(script: ReadonlyArray<{ id: number; count: number; what: string }>): Log {
  const log = new Log();
  const next = new Map<number, { epoch: number; sequence: number }>();
  for (const { id, count, what } of script) {
    const transactional = id % 2 === 0;
    // Of a producer known by a marker only, sequences start at 0; of another one anywhere.
    const producer = next.get(id) ?? { epoch: 0, sequence: transactional ? 0 : LAST_SEQUENCE - 20 };
    next.set(id, producer);
    if (what === 'send') {
      log.send({ id, ...producer, count, transactional });
      producer.sequence = (producer.sequence + count) % 2 ** 31;
    } else if (what === 'bump') {
      producer.epoch++;
      producer.sequence = 0;
      if (transactional) log.mark(MarkerType.abort, { id, epoch: producer.epoch });
    } else if (transactional) {
      log.mark(what === 'abort' ? 0 : 1, { id, epoch: producer.epoch });
    }
  }
  return log;
}

t.test('a snapshot gives back all that was known', async () => {
  fc.assert(
    fc.property(steps, (script) => {
      const { states } = walk(script);
      const nowMs = 1_800_000_000_000;
      const loaded = new ProducerStates();
      loaded.load(decodeSnapshot(encodeSnapshot(states.entries()), nowMs), states.endOffset);
      const expected = [...states.entries()].map((entry) => {
        // The file has one time for a producer and its last batch.
        const batches = entry.batches.map((batch) => ({ ...batch }));
        const last = batches.at(-1);
        if (last !== undefined) last.timestamp = entry.lastTimestamp;
        return { ...entry, batches, seenMs: nowMs };
      });
      return (
        fc.stringify([...loaded.entries()]) === fc.stringify(expected) &&
        loaded.firstOpenOffset === states.firstOpenOffset &&
        loaded.endOffset === states.endOffset
      );
    }),
  );
});

t.test('a snapshot and a replay of what followed give the state that never stopped', async () => {
  fc.assert(
    fc.property(steps, fc.nat(60), (script, cut) => {
      const { states, batches, nowMs } = walk(script);
      const { states: before } = walk(script.slice(0, cut));
      const replayed = new ProducerStates();
      replayed.load(decodeSnapshot(encodeSnapshot(before.entries()), nowMs), before.endOffset);
      for (const bytes of batches) {
        const header = readBatchHeader(bytes, 0);
        if (header.baseOffset < before.endOffset) continue;
        replayed.append(header, bytes, 0, nowMs);
      }
      return (
        replayed.endOffset === states.endOffset &&
        replayed.firstOpenOffset === states.firstOpenOffset &&
        fc.stringify([...replayed.entries()]) === fc.stringify([...states.entries()])
      );
    }),
  );
});

t.test('a snapshot has the bytes of Kafka', async (t) => {
  const log = new Log();
  log.send({ id: 0x0102030405, epoch: 3, sequence: 6, count: 4, timestamp: 1_700_000_000_000 });
  log.send({ id: 2, epoch: 1, sequence: 0, transactional: true, timestamp: 1_700_000_000_001 });
  const file = encodeSnapshot(log.states.entries());
  t.equal(file.length, 10 + 2 * 46);
  t.equal(file.readInt16BE(0), 1);
  t.equal(file.readInt32BE(6), 2);
  t.equal(
    file.subarray(10, 56).toString('hex'),
    '0000000102030405' + // producer id
      '0003' + // epoch
      '00000009' + // last sequence
      '0000000000000003' + // last offset
      '00000003' + // offset delta
      '0000018bcfe56800' + // timestamp
      'ffffffff' + // coordinator epoch
      'ffffffffffffffff', // no open transaction
  );
  t.equal(file.subarray(56 + 38, 102).toString('hex'), '0000000000000004');
});

t.test('a producer of which only a marker is known is kept', async (t) => {
  const log = new Log();
  log.mark(MarkerType.commit, { id: 5, epoch: 7, coordinatorEpoch: 2 });
  const [entry] = decodeSnapshot(encodeSnapshot(log.states.entries()), 0);
  t.match(entry, { producerId: 5, epoch: 7, coordinatorEpoch: 2, batches: [] });
});

t.test('a snapshot that was changed anywhere, cut or lengthened is refused', async (t) => {
  const log = new Log();
  for (let sequence = 0; sequence < 3; sequence++) log.send({ sequence });
  const file = encodeSnapshot(log.states.entries());
  t.equal(decodeSnapshot(file, 0)[0]!.batches.length, 3);
  for (let at = 0; at < file.length; at++) {
    const changed = Buffer.from(file);
    changed[at]! ^= 0x10;
    t.throws(() => decodeSnapshot(changed, 0), CorruptLog, `byte ${at}`);
    t.throws(() => decodeSnapshot(file.subarray(0, at), 0), CorruptLog, `cut at ${at}`);
  }
  t.throws(() => decodeSnapshot(Buffer.concat([file, Buffer.from([0])]), 0), CorruptLog);
});

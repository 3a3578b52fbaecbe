/**
 * Exactly once over `kill -9`: processors in both versions of the protocol work while the broker is
 * killed, or stopped, at random points and started again. Each record of the input must come to be
 * in each output exactly once, in order, nothing of an aborted transaction may be read, and nothing
 * may hold readers back for longer than the timeout.
 *
 * TAILRACE_KILLS says how often the broker is killed, TAILRACE_SEED from which random numbers.
 */

import t from 'tap';
import { WireConnection } from '../../../benchmarks/client/connection.ts';
import { createTopic } from '../../../benchmarks/client/topics.ts';
import {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../../protocol/messages/init-producer-id.ts';
import { ProduceRequest, ProduceResponse } from '../../../protocol/messages/produce.ts';
import { buildBatch } from '../../../protocol/records.ts';
import { seededRandom } from '../../broker/harness.ts';
import { type ReadRecord, readAllCommitted, readCommitted } from './committed-reader.ts';
import { KilledBroker } from './killed-broker.ts';
import { Processor } from './processor.ts';

const KILLS = Number(process.env.TAILRACE_KILLS ?? 3);
const SEED = Number(process.env.TAILRACE_SEED ?? Date.now() % 1_000_000);
const RECORDS = 60 + 60 * KILLS;
const VERSIONS = [0, 2] as const;
const OUTPUTS = ['left', 'right'];
const TRANSACTION_TIMEOUT_MS = 3000;

const SETTINGS = [
  'num.partitions=1',
  'offsets.topic.num.partitions=2',
  'transaction.state.log.num.partitions=2',
  'transaction.abort.timed.out.transaction.cleanup.interval.ms=200',
];

const { fraction } = seededRandom(SEED);

t.setTimeout(60_000 + KILLS * 10_000);

async function fillInput(connection: WireConnection, topic: string, partition: number) {
  const timestamp = Date.now();
  const records = buildBatch({
    records: Array.from({ length: RECORDS }, (_, index) => ({
      key: null,
      value: Buffer.from(`${partition}/${index}`),
      timestamp,
    })),
  });
  const topicData = [{ name: topic, partitionData: [{ index: partition, records }] }];
  await connection.call(ProduceRequest, ProduceResponse, 9, {
    acks: -1,
    timeoutMs: 10_000,
    topicData,
  });
}

/** Reads an output while the broker comes and goes; what it saw once must stay. */
async function follow(broker: KilledBroker, topic: string, signal: AbortSignal) {
  const seen: ReadRecord[] = [];
  let from = 0;
  while (!signal.aborted) {
    try {
      const connection = await WireConnection.open(broker.host, broker.port);
      signal.addEventListener('abort', () => connection.close());
      while (!signal.aborted) {
        const { records, nextOffset } = await readCommitted(connection, topic, 0, from);
        seen.push(...records);
        from = nextOffset;
      }
    } catch {
      // The broker is being killed; what matters is what was read.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  return seen;
}

t.test(`exactly once, killed ${KILLS} times (seed ${SEED})`, async (t) => {
  t.setTimeout(60_000 + KILLS * 10_000);
  const broker = await KilledBroker.start(t, SETTINGS);
  t.teardown(() => {
    if (!t.passing()) t.comment(broker.log);
  });
  const connection = await WireConnection.open(broker.host, broker.port);
  await createTopic(connection, 'input', VERSIONS.length);
  for (const topic of OUTPUTS) await createTopic(connection, topic, 1);
  for (const [partition] of VERSIONS.entries()) await fillInput(connection, 'input', partition);
  connection.close();

  const following = new AbortController();
  const followed = OUTPUTS.map((topic) => follow(broker, topic, following.signal));
  const processors = VERSIONS.map(
    (version, partition) =>
      new Processor(broker, {
        name: `processor-${version}`,
        version,
        input: 'input',
        partition,
        outputs: OUTPUTS,
        count: RECORDS,
        transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
        random: fraction,
      }),
  );
  let isDone = false;
  const done = Promise.all(processors.map((processor) => processor.run())).then(() => {
    isDone = true;
  });
  for (let kill = 0; kill < KILLS && !isDone; kill++) {
    await Promise.race([
      done,
      new Promise((resolve) => setTimeout(resolve, 20 + fraction() * 400)),
    ]);
    await broker.kill(kill % 3 === 1 ? 'SIGTERM' : 'SIGKILL');
    await broker.start();
  }
  await done;

  const reader = await WireConnection.open(broker.host, broker.port);
  t.teardown(() => reader.close());
  for (const [index, topic] of OUTPUTS.entries()) {
    const records = await readAllCommitted(reader, topic, 0);
    for (const [partition] of VERSIONS.entries()) {
      const own = records.map(({ value }) => value).filter((v) => v.startsWith(`${partition}/`));
      const expected = Array.from({ length: RECORDS }, (_, at) => `${partition}/${at}`);
      t.strictSame(own, expected, `${topic}: each record of version ${VERSIONS[partition]} once`);
    }
    t.equal(records.length, RECORDS * VERSIONS.length, `${topic}: nothing else`);
    if (index === OUTPUTS.length - 1) following.abort();
  }
  for (const [index, seen] of (await Promise.all(followed)).entries()) {
    const records = await readAllCommitted(reader, OUTPUTS[index]!, 0);
    t.strictSame(seen, records.slice(0, seen.length), 'what was read before is still there');
  }
  for (const { transactions, failures } of processors) {
    t.comment(`${transactions} transactions; ${JSON.stringify([...failures])}`);
  }
});

t.test('what was left open when the broker was killed ends at its timeout', async (t) => {
  const broker = await KilledBroker.start(t, SETTINGS);
  const connection = await WireConnection.open(broker.host, broker.port);
  await createTopic(connection, 'left', 1);
  const transactionalId = 'abandoned';
  const { producerId, producerEpoch } = await connection.call(
    InitProducerIdRequest,
    InitProducerIdResponse,
    5,
    { transactionalId, transactionTimeoutMs: 1000 },
  );
  const records = buildBatch({
    producerId,
    producerEpoch,
    baseSequence: 0,
    transactional: true,
    records: [{ key: null, value: Buffer.from('open'), timestamp: Date.now() }],
  });
  const topicData = [{ name: 'left', partitionData: [{ index: 0, records }] }];
  const request = { transactionalId, acks: -1, timeoutMs: 10_000, topicData };
  const answer = await connection.call(ProduceRequest, ProduceResponse, 12, request);
  t.equal(answer.responses[0]!.partitionResponses[0]!.errorCode, 0);
  const beganMs = performance.now();
  await broker.kill();
  await broker.start();
  const reader = await WireConnection.open(broker.host, broker.port);
  t.teardown(() => reader.close());
  const before = await readCommitted(reader, 'left', 0, 0);
  t.strictSame([before.highWatermark, before.records], [1, []]);
  t.strictSame(await readAllCommitted(reader, 'left', 0), []);
  t.ok(performance.now() - beganMs < 1000 + 10_000, 'within the timeout and ten seconds');
});

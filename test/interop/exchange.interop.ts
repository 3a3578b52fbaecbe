/**
 * Folders of partitions go from one broker to the other after a clean stop, and are served there
 * record for record: Tailrace's under Apache Kafka, and Apache Kafka's under Tailrace.
 *
 * The topic is made on the target first, so that its metadata knows it; then the target is stopped,
 * the files of its partition are replaced, all but `partition.metadata`, which has the target's id
 * of the topic, and it is started again.
 */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import t, { type Test } from 'tap';
import { startKafka } from '../../benchmarks/peers/kafka.ts';
import { Broker } from '../../broker/index.ts';
import { PARTITION_METADATA_FILE } from '../../storage/meta-properties.ts';
import { complaints, dumpLogSegments } from './kafka-tools.ts';
import { type Address, readServed, type Served } from './served.ts';
import { type VerifiedFolder, verifyFolder } from './verified.ts';
import { CODECS, untilCleaned, Workload } from './workload.ts';

/** What topics there are of, on either side. */
const KINDS = ['plain', ...CODECS, 'transactions', 'compacted'];
/** Old values go soon after a segment was closed. */
const COMPACTED = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' };

/** A broker with folders that can be exchanged. */
interface Side {
  readonly address: Address;
  readonly dataDir: string;
  restart(whileStopped?: () => Promise<void>): Promise<void>;
}

const dataDir = await fse.mkdtemp(join(tmpdir(), 'tailrace-interop-'));
const config = { 'log.cleaner.backoff.ms': '500' };
let broker = await Broker.start({ dataDir, config });
const kafka = await startKafka({ settings: config });
// Apache Kafka is started several times, and runs of Java take their time.
t.setTimeout(600_000);
t.teardown(async () => {
  await kafka.stop();
  await broker.stop();
  await fse.remove(dataDir);
});
const ours: Side = {
  address: { host: broker.host, port: broker.port },
  dataDir,
  restart: async (whileStopped) => {
    const { port } = broker;
    await broker.stop();
    await whileStopped?.();
    broker = await Broker.start({ dataDir, port, config });
  },
};
const theirs: Side = {
  address: { host: kafka.host, port: kafka.port },
  dataDir: kafka.dataDir,
  restart: (whileStopped) => kafka.restart(whileStopped),
};

/** Puts the files of a partition in place of another's, which keeps its own id. */
async function replaceFolder(from: string, to: string): Promise<void> {
  await fse.ensureDir(to);
  for (const name of await fse.readdir(to)) {
    if (name !== PARTITION_METADATA_FILE) await fse.remove(join(to, name));
  }
  for (const name of await fse.readdir(from)) {
    if (name !== PARTITION_METADATA_FILE) await fse.copy(join(from, name), join(to, name));
  }
}

/** Brings partition 0 of topics, all at once, from one broker to the other, both stopped cleanly. */
async function bring(topics: readonly string[], from: Side, to: Side): Promise<void> {
  await new Workload(to.address).create(topics);
  await from.restart(() =>
    to.restart(async () => {
      for (const topic of topics) {
        await replaceFolder(join(from.dataDir, `${topic}-0`), join(to.dataDir, `${topic}-0`));
      }
    }),
  );
}

function same(t: Test, found: Served, wanted: Served): void {
  t.equal(found.endOffset, wanted.endOffset, 'the end');
  t.same(found.records, wanted.records, 'every record');
  t.same(found.aborted, wanted.aborted, 'what was aborted');
  t.ok(found.bytes.equals(wanted.bytes), 'byte for byte');
}

/** Fills a topic of every kind. */
async function fill(side: Side, prefix: string): Promise<void> {
  const workload = new Workload(side.address);
  const compacted = `${prefix}-compacted`;
  await workload.create(['plain', ...CODECS, 'transactions'].map((kind) => `${prefix}-${kind}`));
  await workload.create([compacted], COMPACTED);
  await workload.fillPlain(`${prefix}-plain`);
  for (const codec of CODECS) await workload.fillCompressed(`${prefix}-${codec}`, codec);
  await workload.fillTransactional(`${prefix}-transactions`);
  await workload.fillCompacted(compacted);
  await untilCleaned(side.dataDir, compacted);
}

/** Fills topics on one side, has them served by the other, and writes on there. */
async function exchange(t: Test, from: Side, to: Side, prefix: string): Promise<void> {
  await fill(from, prefix);
  const topics = KINDS.map((kind) => `${prefix}-${kind}`);
  const wanted = new Map<string, Served>();
  for (const topic of topics) wanted.set(topic, await readServed(from.address, topic));
  await bring(topics, from, to);
  const target = new Workload(to.address);
  for (const topic of topics) {
    await t.test(topic, async (t) => {
      const before = wanted.get(topic)!;
      t.ok(before.records.length >= 60, `${before.records.length} records`);
      same(t, await readServed(to.address, topic), before);
      t.equal(await target.append(topic), before.endOffset, 'the next offset');
      const { records } = await readServed(to.address, topic);
      t.same(records.slice(0, -1), before.records, 'and still every record');
      t.match(records.at(-1), { key: 'one more', offset: before.endOffset });
    });
  }
  t.equal(wanted.get(`${prefix}-transactions`)?.aborted.length, 10, 'every second transaction');
  const { records, endOffset } = wanted.get(`${prefix}-compacted`)!;
  t.ok(records.length < endOffset / 2, 'the compacted log has gaps');
}

/** Names of the files in a folder, as they end. */
async function filesIn(folder: string, ...suffixes: readonly string[]): Promise<string[]> {
  const names = (await fse.readdir(folder)).sort();
  const wanted = names.filter((name) => suffixes.some((suffix) => name.endsWith(suffix)));
  return wanted.map((name) => join(folder, name));
}

t.test('from Tailrace to Apache Kafka', (t) => exchange(t, ours, theirs, 'our'));

t.test('from Apache Kafka to Tailrace', (t) => exchange(t, theirs, ours, 'their'));

t.test('DumpLogSegments finds nothing wrong with any of it', async (t) => {
  await broker.stop();
  const folders = ['our', 'their'].flatMap((prefix) =>
    KINDS.map((kind) => join(dataDir, `${prefix}-${kind}-0`)),
  );
  const all = async (...suffixes: readonly string[]) =>
    (await Promise.all(folders.map((folder) => filesIn(folder, ...suffixes)))).flat();
  const logs = await all('.log', '.snapshot', '.txnindex');
  const ofTransactions = logs.filter((file) => file.endsWith('.txnindex'));
  t.match(ofTransactions.join(), /our-transactions.*their-transactions/, 'with aborts of both');
  t.same(complaints(await dumpLogSegments(logs, '--deep-iteration'), true), []);
  const indexes = await all('.index', '.timeindex');
  t.same(complaints(await dumpLogSegments(indexes, '--index-sanity-check')), []);
  t.same(complaints(await dumpLogSegments(indexes, '--verify-index-only'), true), []);
});

t.test('our own verification finds nothing wrong with either broker', async (t) => {
  const verified = await verifyFolder(dataDir);
  t.same(verified.damages, []);
  t.ok(verified.batches > 300, `${verified.batches} batches`);
  let ofKafka: VerifiedFolder | undefined;
  await kafka.restart(async () => {
    ofKafka = await verifyFolder(kafka.dataDir);
  });
  t.same(ofKafka?.damages, []);
  t.ok(ofKafka!.batches > 300, `${ofKafka!.batches} batches`);
});

t.test('the states of transactions are read by its decoder', async (t) => {
  const states = (await fse.readdir(dataDir)).filter((name) => /^__transaction_state-/.test(name));
  const logs = await Promise.all(states.map((name) => filesIn(join(dataDir, name), '.log')));
  const dumped = await dumpLogSegments(logs.flat(), '--transaction-log-decoder');
  t.same(complaints(dumped, true), []);
  t.match(dumped.out, '"transactionalId":"writer of our-transactions"');
});

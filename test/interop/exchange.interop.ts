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
import { CODECS, Workload } from './workload.ts';

/** A broker with folders that can be exchanged. */
interface Side {
  readonly address: Address;
  readonly dataDir: string;
  restart(whileStopped?: () => Promise<void>): Promise<void>;
}

const dataDir = await fse.mkdtemp(join(tmpdir(), 'tailrace-interop-'));
let broker = await Broker.start({ dataDir });
const kafka = await startKafka({ settings: { 'log.cleaner.backoff.ms': '500' } });
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
    broker = await Broker.start({ dataDir, port });
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

/** Fills topics on one side, has them served by the other, and writes on there. */
async function exchange(t: Test, from: Side, to: Side, topics: readonly string[]): Promise<void> {
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
}

t.test('from Tailrace to Apache Kafka', async (t) => {
  const workload = new Workload(ours.address);
  const topics = ['our-plain', ...CODECS.map((codec) => `our-${codec}`)];
  await workload.create(topics);
  await workload.fillPlain('our-plain');
  for (const codec of CODECS) await workload.fillCompressed(`our-${codec}`, codec);
  await exchange(t, ours, theirs, topics);
});

/** Files of partition 0 of topics in our folder, as their names end. */
async function filesOf(topics: readonly string[], ...suffixes: readonly string[]) {
  const files: string[] = [];
  for (const topic of topics) {
    const folder = join(dataDir, `${topic}-0`);
    for (const name of (await fse.readdir(folder)).sort()) {
      if (suffixes.some((suffix) => name.endsWith(suffix))) files.push(join(folder, name));
    }
  }
  return files;
}

t.test('from Apache Kafka to Tailrace', async (t) => {
  const workload = new Workload(theirs.address);
  const topics = ['their-plain', ...CODECS.map((codec) => `their-${codec}`)];
  await workload.create([...topics, 'their-transactions']);
  await workload.create(['their-compacted'], {
    'cleanup.policy': 'compact',
    'min.cleanable.dirty.ratio': '0.01',
  });
  await workload.fillPlain('their-plain');
  for (const codec of CODECS) await workload.fillCompressed(`their-${codec}`, codec);
  await workload.fillTransactional('their-transactions');
  await workload.fillCompacted('their-compacted');
  await workload.untilCleaned('their-compacted');
  const all = [...topics, 'their-transactions', 'their-compacted'];
  await exchange(t, theirs, ours, all);

  const { aborted } = await readServed(ours.address, 'their-transactions');
  t.equal(aborted.length, 10, 'every second transaction');
  const { endOffset, records } = await readServed(ours.address, 'their-compacted');
  t.ok(records.length < endOffset / 2, 'the compacted log has gaps');

  await t.test('what Tailrace went on with is sound to Apache Kafka', async (t) => {
    await broker.stop();
    const logs = await filesOf(all, '.log', '.snapshot', '.txnindex');
    t.ok(logs.some((file) => file.endsWith('.txnindex')));
    t.same(complaints(await dumpLogSegments(logs, '--deep-iteration'), true), []);
    const indexes = await filesOf(all, '.index', '.timeindex');
    t.same(complaints(await dumpLogSegments(indexes, '--index-sanity-check')), []);
    t.same(complaints(await dumpLogSegments(indexes, '--verify-index-only')), []);
  });
});

/**
 * Apache Kafka's DumpLogSegments over every kind of file that the broker writes: it must find
 * nothing wrong, and its decoders must understand what stands in the internal topics.
 */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import t from 'tap';
import { Broker } from '../../broker/index.ts';
import { complaints, dumpLogSegments } from './kafka-tools.ts';
import { fillSecurity } from './security-workload.ts';
import { CODECS, Workload } from './workload.ts';

const dataDir = await fse.mkdtemp(join(tmpdir(), 'tailrace-interop-'));
// Apache Kafka is started several times, and runs of Java take their time.
t.setTimeout(600_000);
t.teardown(() => fse.remove(dataDir));

/** Small enough that the metadata gets a snapshot of its own. */
const config = { 'metadata.log.max.record.bytes.between.snapshots': '2000' };

const broker = await Broker.start({ dataDir, config });
const workload = new Workload({ host: broker.host, port: broker.port });
const codecTopics = CODECS.map((codec) => `codec-${codec}`);
await workload.create(['plain', ...codecTopics]);
await workload.fillPlain('plain');
for (const codec of CODECS) await workload.fillCompressed(`codec-${codec}`, codec);
await workload.commit('plain');
await fillSecurity(broker);
await broker.stop();

/** The files of all logs with one of the suffixes, of topics that a pattern names. */
async function filesOf(topics: RegExp, ...suffixes: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const folder of (await fse.readdir(dataDir)).sort()) {
    if (!topics.test(folder) || !/-\d+$/.test(folder)) continue;
    for (const name of (await fse.readdir(join(dataDir, folder))).sort()) {
      const isWanted = suffixes.some((suffix) => name.endsWith(suffix));
      if (isWanted && /^\d{20}/.test(name)) files.push(join(dataDir, folder, name));
    }
  }
  return files;
}

t.test('logs, producer snapshots and transaction indexes', async (t) => {
  const files = await filesOf(/^(plain|codec-)/, '.log', '.snapshot', '.txnindex');
  t.ok(files.filter((file) => file.endsWith('.log')).length >= 10, 'several segments each');
  t.ok(files.some((file) => file.endsWith('.snapshot')));
  const dumped = await dumpLogSegments(files, '--deep-iteration');
  t.same(complaints(dumped), []);
  for (const codec of CODECS) t.match(dumped.out, `compresscodec: ${codec}`);
  t.match(dumped.out, /producerId: \d+ producerEpoch: 0 .* lastOffset: 5999 /);
  const offsets = [...dumped.out.matchAll(/^\| offset: \d+ /gm)].length;
  t.equal(offsets, 3000 + 4 * 6000, 'every record');
});

t.test('offset and time indexes', async (t) => {
  const files = await filesOf(/./, '.index', '.timeindex');
  t.ok(files.length >= 20);
  const checked = await dumpLogSegments(files, '--index-sanity-check');
  t.same(complaints(checked), []);
  const judged = checked.out.split('\n').filter((line) => /passed sanity|is empty/.test(line));
  t.equal(judged.length, files.length);
  t.ok(judged.filter((line) => line.includes('passed')).length >= 20, 'few are empty');
  // The internal topics are compacted.
  t.same(complaints(await dumpLogSegments(files, '--verify-index-only'), true), []);
});

t.test('committed offsets', async (t) => {
  const files = await filesOf(/^__consumer_offsets/, '.log');
  const dumped = await dumpLogSegments(files, '--offsets-decoder');
  // Compacted in memory already, so that offsets within batches may be missing.
  t.same(complaints(dumped, true), []);
  t.match(dumped.out, /"group":"readers","topic":"plain","partition":0/);
});

t.test('the metadata, its log and its snapshot', async (t) => {
  const files = await filesOf(/^__cluster_metadata/, '.log', '.checkpoint');
  t.ok(
    files.some((file) => file.endsWith('.checkpoint')),
    'there is a snapshot',
  );
  const dumped = await dumpLogSegments(files, '--cluster-metadata-decoder');
  t.same(complaints(dumped), []);
  t.match(dumped.out, '"type":"TOPIC_RECORD"');
  t.match(dumped.out, 'SnapshotFooter');
  for (const type of [
    'CLIENT_QUOTA_RECORD',
    'USER_SCRAM_CREDENTIAL_RECORD',
    'REMOVE_USER_SCRAM_CREDENTIAL_RECORD',
    'ACCESS_CONTROL_ENTRY_RECORD',
    'REMOVE_ACCESS_CONTROL_ENTRY_RECORD',
  ]) {
    t.match(dumped.out, `"type":"${type}"`);
  }
});

/**
 * What the hot paths cost, in counts that do not depend on the clock or the machine: a fixed load on
 * a broker in a process of its own, and bounds a little above what was measured, which stands beside
 * each. A bound that is passed is a regression, or a cost that somebody wanted: then it is raised.
 */

import t, { type Test } from 'tap';
import { makeBatch } from '../../benchmarks/client/batches.ts';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { ParkedFetches } from '../../benchmarks/client/parked-fetches.ts';
import { type PartitionBatch, PreparedProduce } from '../../benchmarks/client/producer.ts';
import { SkimmingReader } from '../../benchmarks/client/skimming-reader.ts';
import { createTopic, endOffsets } from '../../benchmarks/client/topics.ts';
import { type CountedBroker, type Counts, startCountedBroker } from './counted-broker.ts';

const HOST = '127.0.0.1';
const PARTITIONS = 12;
const BATCH_RECORDS = 15;
const MEGABYTE = 1e6;
const WARM_UPS = 100;
const SERIAL_REQUESTS = 500;
const BULK_REQUESTS = 300;
const IN_FLIGHT = 5;
const PARKED = 500;

let broker: CountedBroker;
let control: WireConnection;
t.before(async () => {
  broker = await startCountedBroker();
  control = await WireConnection.open(HOST, broker.port);
});
t.teardown(async () => {
  control.close();
  await broker.stop();
});

/** Sends requests, so many at a time, until so many are answered. */
async function send(prepared: PreparedProduce, requests: number, atOnce: number): Promise<void> {
  let left = requests;
  const one = async () => {
    while (left > 0) {
      left -= 1;
      await new Promise<void>((resolve, reject) => prepared.send(control, resolve, reject));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

/** What the broker did meanwhile. */
async function counted(load: () => Promise<void>): Promise<Counts> {
  const before = await broker.counts();
  await load();
  const after = await broker.counts();
  const names = Object.keys(after) as (keyof Counts)[];
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as never;
}

/** Tells all figures, for who sets the bounds. */
function tell(t: Test, counts: Counts, per: number): void {
  const figures = Object.entries(counts).map(
    ([name, value]) => `${name} ${(value / per).toFixed(3)}`,
  );
  t.comment(figures.join(', '));
}

function atMost(t: Test, what: string, value: number, bound: number): void {
  t.ok(value <= bound, `${what}: at most ${bound}`, { value });
}

function requestsOf(perRequest: number, records: Buffer): PartitionBatch[][] {
  const request = Array.from({ length: perRequest }, (_, index) => ({ index, records }));
  return Array.from({ length: IN_FLIGHT + 1 }, () => request);
}

t.test('a small acks=all produce is one write and one sync of the journal', async (t) => {
  const topic = 'serial';
  await createTopic(control, topic, 1);
  const records = makeBatch({ recordBytes: 100, recordCount: 1, codec: 'none' });
  const prepared = new PreparedProduce(topic, -1, requestsOf(1, records));
  await send(prepared, WARM_UPS, 1);
  const counts = await counted(() => send(prepared, SERIAL_REQUESTS, 1));
  tell(t, counts, SERIAL_REQUESTS);
  const per = (name: keyof Counts) => counts[name] / SERIAL_REQUESTS;
  atMost(t, 'writes to the disk', per('diskWrites'), 1.1); // 1.004
  t.ok(per('syncs') > 0.9, 'each was synced');
  atMost(t, 'syncs', per('syncs'), 1.1); // 1.000
  atMost(t, 'answers written to the socket', per('socketWrites'), 1.05); // 1.000
  t.ok(per('diskWrittenBytes') > records.length, 'each was written');
  atMost(t, 'bytes written to the disk', per('diskWrittenBytes'), 1500); // 1 054
  atMost(t, 'bytes of buffers asked for', per('allocatedBytes'), 2500); // 1 402-1 533
  atMost(t, 'bytes copied', per('copiedBytes'), 700); // 434
  atMost(t, 'young collections', per('youngCollections'), 0.05); // 0.020-0.024
  // Reads and writes of the system are told and have no bound: threads that wake each other late make
  // three times as many on a busy machine, 5 to 17.
});

t.test('a megabyte in batches of 16 KiB costs few calls and copies', async (t) => {
  const topic = 'bulk';
  await createTopic(control, topic, PARTITIONS);
  const records = makeBatch({ recordBytes: 1024, recordCount: BATCH_RECORDS, codec: 'none' });
  const prepared = new PreparedProduce(topic, 1, requestsOf(PARTITIONS, records));
  await send(prepared, WARM_UPS, IN_FLIGHT);
  const counts = await counted(() => send(prepared, BULK_REQUESTS, IN_FLIGHT));
  const megabytes = (BULK_REQUESTS * PARTITIONS * records.length) / MEGABYTE;
  tell(t, counts, megabytes);
  const per = (name: keyof Counts) => counts[name] / megabytes;
  t.ok(per('diskWrittenBytes') >= MEGABYTE / 2, 'it was written');
  atMost(t, 'bytes written to the disk', per('diskWrittenBytes'), 4 * MEGABYTE); // 3.0 MB: journal, segment, new journal files
  atMost(t, 'writes to the disk', per('diskWrites'), 15); // 2.2, by how many arrive together
  atMost(t, 'syncs', per('syncs'), 8); // 0.8
  atMost(t, 'answers written to the socket', per('socketWrites'), 6); // 1.2; 5.0 where none arrive together
  atMost(t, 'bytes of buffers asked for', per('allocatedBytes'), MEGABYTE); // 0.14 MB
  atMost(t, 'bytes copied', per('copiedBytes'), 2.5 * MEGABYTE); // 2.00 MB
  atMost(t, 'young collections', per('youngCollections'), 1); // 0.23
});

t.test('a megabyte that is read again is not copied in the process', async (t) => {
  const topic = 'bulk';
  const ends = await endOffsets(control, topic, PARTITIONS);
  const records = makeBatch({ recordBytes: 1024, recordCount: BATCH_RECORDS, codec: 'none' });
  const alike = { topic, ends, batchBytes: records.length, recordCount: BATCH_RECORDS };
  const total = ends.reduce((sum, end) => sum + (end / BATCH_RECORDS) * records.length, 0);
  const readOnce = async () => {
    const reader = new SkimmingReader(HOST, broker.port, alike);
    reader.stopAfterBytes = total;
    await reader.run();
    t.equal(reader.bytes, total, 'all of it came');
  };
  await readOnce();
  const counts = await counted(readOnce);
  tell(t, counts, total / MEGABYTE);
  const per = (name: keyof Counts) => counts[name] / (total / MEGABYTE);
  atMost(t, 'bytes read from the disk', per('diskReadBytes'), 1.5 * MEGABYTE); // 0.99 MB
  atMost(t, 'reads of the disk', per('diskReads'), 3); // 1.04
  atMost(t, 'answers written to the socket', per('socketWrites'), 1); // 0.09
  atMost(t, 'bytes of buffers asked for', per('allocatedBytes'), MEGABYTE); // 0.03-0.3 MB, the pool's first buffers
  atMost(t, 'bytes copied', per('copiedBytes'), 0.02 * MEGABYTE); // 0.0002 MB
  atMost(t, 'young collections', per('youngCollections'), 0.2); // 0.02
});

t.test('fetches that wait elsewhere cost a produced batch nothing', async (t) => {
  await createTopic(control, 'quiet', 10);
  await createTopic(control, 'busy', 1);
  const options = { host: HOST, port: broker.port, topic: 'quiet', partitions: 10 };
  const parked = new ParkedFetches({ ...options, maxWaitMs: 600_000 });
  try {
    await parked.park(PARKED);
    while ((await broker.counts()).watchersParked < PARKED)
      await Promise.race([parked.failed, undefined]);
    const records = makeBatch({ recordBytes: 100, recordCount: 1, codec: 'none' });
    const prepared = new PreparedProduce('busy', 1, requestsOf(1, records));
    await send(prepared, WARM_UPS, 1);
    const counts = await counted(() => send(prepared, SERIAL_REQUESTS, 1));
    tell(t, counts, SERIAL_REQUESTS);
    t.equal(counts.watcherLooks, 0, 'none was looked at');
    atMost(t, 'writes to the disk', counts.diskWrites / SERIAL_REQUESTS, 1.1);
    atMost(t, 'syncs', counts.syncs / SERIAL_REQUESTS, 0.1);
    atMost(t, 'answers written to the socket', counts.socketWrites / SERIAL_REQUESTS, 1.05);
    atMost(t, 'young collections', counts.youngCollections / SERIAL_REQUESTS, 0.04); // 0.014
    const touch = new PreparedProduce('quiet', 1, requestsOf(1, records));
    parked.expectAnswers();
    const woken = await counted(() => send(touch, 1, 1));
    t.equal(woken.watcherLooks, PARKED / 10, 'who waits there is looked at once');
  } finally {
    parked.close();
  }
});

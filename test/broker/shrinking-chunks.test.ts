/** Waiting fetches over a log whose batches lose their records while they wait. */

import t from 'tap';
import { fetch } from '../../broker/apis/01-fetch.ts';
import { batchBytes, readBatchHeader } from '../../protocol/record-batch.ts';
import { emptiedBatch } from '../../storage/batch-remains.ts';
import { batchOf, DataBroker, FakeConnection } from './data-broker.ts';

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

t.test('bytes that were counted and compacted away only wake a fetch too early', async (t) => {
  const broker = new DataBroker();
  const topic = broker.topic('t');
  const size = batchOf(['abc']).length;
  broker.fill(topic, 0, ['abc']);
  broker.fill(topic, 0, ['abc']);
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }];
  const value = {
    maxWaitMs: 60_000,
    minBytes: 3 * size,
    topics: [{ topic: topic.name, partitions }],
  };
  const call = broker.call(fetch, 12, value, { connection: new FakeConnection() });
  await settle();
  t.equal(broker.watchers.parked, 1);

  const { batches } = topic.logs[0]!;
  const bytes = emptiedBatch(batches[0]!.header);
  batches[0] = { bytes, header: readBatchHeader(bytes, 0) };
  broker.fill(topic, 0, ['abc']);
  await settle();
  t.equal(call.isAnswered, false, 'what it counted is there, what it wants is not');
  t.equal(broker.watchers.parked, 1);
  const { looks } = broker.watchers;
  await settle();
  t.equal(broker.watchers.looks, looks, 'it is not looked at without a reason');

  broker.fill(topic, 0, ['abc']);
  const answer = await call.answer;
  const records = answer.responses[0]!.partitions[0]!.records!;
  const found: number[] = [];
  for (let at = 0; at < records.length; at += batchBytes(records, at)) {
    const { baseOffset, recordCount } = readBatchHeader(records, at);
    if (recordCount > 0) found.push(baseOffset);
  }
  t.same(found, [1, 2, 3]);
});

/**
 * A broker on a small file system, told by full-disk.test.ts: fills the disk with what it takes,
 * reads while it is full, makes room, goes on, and says as one line of JSON what it has found.
 */

import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Broker } from '../../broker/index.ts';
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { batchBytes } from '../../protocol/record-batch.ts';
import { buildBatch } from '../../protocol/records.ts';
import { WireClient } from './wire-client.ts';

const TOPIC = 'filling';
const VALUE_BYTES = 100_000;
/** Of the file system's 24 MiB; the rest is the broker's. */
const BALLAST_BYTES = 12 * 1024 ** 2;
const GIVE_UP_MS = 20_000;

const mount = process.argv[2]!;
const ballast = path.join(mount, 'ballast');
await writeFile(ballast, Buffer.alloc(BALLAST_BYTES));
const broker = await Broker.start({
  dataDir: path.join(mount, 'data'),
  config: { 'journal.file.bytes': '1048576', 'journal.max.bytes': '4194304' },
});
const client = await WireClient.connect(broker.port);
const topics = [{ name: TOPIC }];
await client.ask(MetadataRequest, MetadataResponse, 8, { topics, allowAutoTopicCreation: true });

/** Sends the batch of that number; gives the error's code. */
async function produce(number: number): Promise<number> {
  const value = Buffer.alloc(VALUE_BYTES, `${number}|`);
  const records = [{ key: Buffer.from(String(number)), value, timestamp: Date.now() }];
  const partition = { index: 0, records: buildBatch({ records }) };
  const { responses } = await client.ask(ProduceRequest, ProduceResponse, 8, {
    acks: -1,
    timeoutMs: 10_000,
    topicData: [{ name: TOPIC, partitionData: [partition] }],
  });
  return responses[0]!.partitionResponses[0]!.errorCode;
}

/** Values of all records, as numbers. */
async function readAll(): Promise<number[]> {
  const found: number[] = [];
  for (let fetchOffset = 0; ; ) {
    const { responses } = await client.ask(FetchRequest, FetchResponse, 11, {
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: 1e6,
      topics: [
        { topic: TOPIC, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1e6 }] },
      ],
    });
    const answer = responses[0]!.partitions[0]!;
    const { records } = answer;
    if (answer.errorCode !== ErrorCode.NONE) throw new Error(errorName(answer.errorCode));
    if (records === null || records.length === 0) return found;
    for (let at = 0; at < records.length; at += batchBytes(records, at)) {
      const text = records.toString('latin1', at, at + batchBytes(records, at));
      found.push(Number(/(\d+)\|\1\|/.exec(text)![1]));
      fetchOffset++;
    }
  }
}

const taken: number[] = [];
let number = 100;
let refusal: number = ErrorCode.NONE;
while (refusal === ErrorCode.NONE) {
  refusal = await produce(++number);
  if (refusal === ErrorCode.NONE) taken.push(number);
}
const refused = number;
const readWhileFull = await readAll();
await rm(ballast);
const roomAt = performance.now();
while ((await produce(++number)) !== ErrorCode.NONE) {
  if (performance.now() - roomAt > GIVE_UP_MS) throw new Error('writes are not taken again');
}
const resumedMs = Math.round(performance.now() - roomAt);
const last = number;
const inTheEnd = await readAll();
const facts = {
  taken: taken.length,
  refusal: errorName(refusal),
  readWhileFull: readWhileFull.filter((value) => taken.includes(value)).length,
  resumedMs,
  takenInTheEnd: taken.length + 1,
  readInTheEnd: [...taken, last].filter((value) => inTheEnd.includes(value)).length,
  refusedIsThere: inTheEnd.includes(refused),
  doubled: inTheEnd.filter((value, index) => inTheEnd.indexOf(value) !== index),
};
process.stdout.write(`${JSON.stringify(facts)}\n`);
await client.close();
await broker.stop();

/** A topic that is filled once and then read from its beginning to its end by plain Fetches. */

import { batchBytes } from '../../protocol/record-batch.ts';
import { makeBatch } from './batches.ts';
import type { WireConnection } from './connection.ts';
import { produce } from './producer.ts';
import { read } from './reader.ts';
import { endOffsets } from './topics.ts';

/** Partitions of such a topic. */
export const PARTITIONS = 8;
const BATCH = { recordBytes: 1024, recordCount: 60, codec: 'none' } as const;
const MAX_WAIT_MS = 500;
/** What kafkajs and the Java client ask for by default lies between 1 and 50 MiB an answer. */
const MAX_BYTES = 8 * 1024 * 1024;

/** Fills a topic to about so many bytes over all partitions; gives the end of each. */
export async function fillTopic(
  connection: WireConnection,
  topic: string,
  sizeBytes: number,
): Promise<number[]> {
  const records = makeBatch(BATCH);
  const request = Array.from({ length: PARTITIONS }, (_, index) => ({ index, records }));
  const requests = Math.ceil(sizeBytes / (records.length * PARTITIONS));
  for (let sent = 0; sent < requests; sent += 1) {
    await new Promise<void>((resolve, reject) => {
      produce(connection, topic, 1, request, resolve, reject);
    });
  }
  return endOffsets(connection, topic, PARTITIONS);
}

/** Reads all of it; gives the bytes of its batches. */
export async function readTopic(
  connection: WireConnection,
  topic: string,
  ends: readonly number[],
): Promise<number> {
  const total = ends.reduce((sum, end) => sum + end, 0);
  let records = 0;
  let bytes = 0;
  await read(connection, {
    topic,
    from: new Map(ends.map((_, index) => [index, 0])),
    maxWaitMs: MAX_WAIT_MS,
    minBytes: 1,
    maxBytes: MAX_BYTES,
    onBatch: (buffer, at) => {
      bytes += batchBytes(buffer, at);
      records += BATCH.recordCount;
    },
    goOn: () => records < total,
  });
  return bytes;
}

/**
 * A reader of committed data, as clients are: records up to the last stable offset, but for those
 * of the transactions that the answer lists as aborted. Source: Kafka's CompletedFetch.
 */

import type { WireConnection } from '../../../benchmarks/client/connection.ts';
import { errorName } from '../../../protocol/errors.ts';
import { FetchRequest, FetchResponse } from '../../../protocol/messages/fetch.ts';
import {
  baseOffset,
  batchBytes,
  isControl,
  isTransactional,
  lastOffset,
  producerId,
} from '../../../protocol/record-batch.ts';
import { MarkerType, payloadOf, readEndTxnMarker, readRecords } from '../../../protocol/records.ts';

export interface ReadRecord {
  readonly offset: number;
  readonly value: string;
}

export interface ReadResult {
  readonly records: readonly ReadRecord[];
  readonly nextOffset: number;
  readonly lastStableOffset: number;
  readonly highWatermark: number;
}

const MAX_WAIT_MS = 20;

/** One Fetch of one partition. */
export async function readCommitted(
  connection: WireConnection,
  topic: string,
  partition: number,
  from: number,
  maxBytes = 64 * 1024,
): Promise<ReadResult> {
  const asked = { partition, fetchOffset: from, partitionMaxBytes: maxBytes };
  const { responses } = await connection.call(FetchRequest, FetchResponse, 12, {
    maxWaitMs: MAX_WAIT_MS,
    minBytes: 1,
    maxBytes,
    isolationLevel: 1,
    topics: [{ topic, partitions: [asked] }],
  });
  const answer = responses[0]!.partitions[0]!;
  if (answer.errorCode !== 0) throw new Error(`Fetch: ${errorName(answer.errorCode)}`);
  const { lastStableOffset, highWatermark, records: bytes, abortedTransactions } = answer;
  const waiting = [...(abortedTransactions ?? [])].sort((a, b) => a.firstOffset - b.firstOffset);
  const aborted = new Set<number>();
  const records: ReadRecord[] = [];
  let nextOffset = from;
  for (let at = 0; bytes !== null && at < bytes.length; at += batchBytes(bytes, at)) {
    const last = lastOffset(bytes, at);
    if (last >= lastStableOffset) throw new Error(`${last} is above the last stable offset`);
    nextOffset = last + 1;
    while (waiting.length > 0 && waiting[0]!.firstOffset <= last) {
      aborted.add(waiting.shift()!.producerId);
    }
    const producer = producerId(bytes, at);
    if (isControl(bytes, at)) {
      if (readEndTxnMarker(payloadOf(bytes, at))?.type === MarkerType.abort)
        aborted.delete(producer);
      continue;
    }
    if (isTransactional(bytes, at) && aborted.has(producer)) continue;
    for (const { offset, value } of readRecords(bytes, at)) {
      if (offset >= from) records.push({ offset, value: String(value) });
    }
    if (baseOffset(bytes, at) > last) throw new Error('offsets out of order');
  }
  return { records, nextOffset, lastStableOffset, highWatermark };
}

/** Everything that is committed, from the beginning; `untilStable` waits for what is open. */
export async function readAllCommitted(
  connection: WireConnection,
  topic: string,
  partition: number,
): Promise<ReadRecord[]> {
  const all: ReadRecord[] = [];
  for (let from = 0; ; ) {
    const read = await readCommitted(connection, topic, partition, from);
    all.push(...read.records);
    from = read.nextOffset;
    if (from >= read.highWatermark) return all;
  }
}

/** What a broker serves of a partition, batch by batch and record by record. */

import { WireConnection } from '../../benchmarks/client/connection.ts';
import { endOffsets, refuseError, untilLed } from '../../benchmarks/client/topics.ts';
import { decompressionLimit, loadCodec } from '../../protocol/compression.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { batchBytes, isCrcRight, readBatchHeader } from '../../protocol/record-batch.ts';
import { payloadOf, readRecords } from '../../protocol/records.ts';

/** The last version with topic names. */
const FETCH_VERSION = 12;
const FETCH_BYTES = 4 * 1024 * 1024;
const MOST_BATCH_BYTES = 64 * 1024 * 1024;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ServedRecord {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [key: string, value: string | null])[];
  readonly producerId: number;
  readonly isControl: boolean;
}

export interface Served {
  readonly endOffset: number;
  readonly records: readonly ServedRecord[];
  /** Numbers of the codecs of the batches. */
  readonly codecs: ReadonlySet<number>;
  /** As readers of committed data get them: producer and first offset. */
  readonly aborted: readonly string[];
  /** The batches as they came, but those that a cleaner has emptied: who reads does without them. */
  readonly bytes: Buffer;
}

/** Reads partition 0 of a topic from its first offset to its end, as committed data. */
export async function readServed({ host, port }: Address, topic: string): Promise<Served> {
  const connection = await WireConnection.open(host, port);
  try {
    await untilLed(connection, topic, 1);
    const [endOffset] = await endOffsets(connection, topic, 1);
    const batches: Buffer[] = [];
    const aborted = new Set<string>();
    for (let next = 0; next < endOffset!; ) {
      const answer = await fetchFrom(connection, topic, next);
      for (const one of answer.abortedTransactions ?? []) {
        aborted.add(`${one.producerId} from ${one.firstOffset}`);
      }
      const before = next;
      for (const batch of batchesOf(answer.records ?? Buffer.alloc(0))) {
        const { lastOffset, recordCount } = readBatchHeader(batch, 0);
        if (recordCount > 0) batches.push(batch);
        next = lastOffset + 1;
      }
      if (next === before) throw new Error(`${topic}: nothing is served at ${next}`);
    }
    const bytes = Buffer.concat(batches);
    const records: ServedRecord[] = [];
    const codecs = new Set<number>();
    for (const batch of batches) {
      codecs.add(readBatchHeader(batch, 0).codec);
      records.push(...(await recordsOf(batch)));
    }
    return { endOffset: endOffset!, records, codecs, aborted: [...aborted].sort(), bytes };
  } finally {
    connection.close();
  }
}

async function fetchFrom(connection: WireConnection, topic: string, fetchOffset: number) {
  const { errorCode, responses } = await connection.call(
    FetchRequest,
    FetchResponse,
    FETCH_VERSION,
    {
      maxWaitMs: 1000,
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      isolationLevel: 1,
      topics: [
        { topic, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: FETCH_BYTES }] },
      ],
    },
  );
  refuseError('Fetch', errorCode);
  const answer = responses[0]!.partitions[0]!;
  refuseError('Fetch', answer.errorCode);
  return answer;
}

/** The whole batches; the last one of an answer may be cut. */
function* batchesOf(records: Buffer): Generator<Buffer> {
  for (let at = 0; records.length - at >= 12; ) {
    const end = at + batchBytes(records, at);
    if (end > records.length) return;
    if (!isCrcRight(records, at)) throw new Error('a batch with a wrong checksum was served');
    yield Buffer.from(records.subarray(at, end));
    at = end;
  }
}

async function recordsOf(batch: Buffer): Promise<ServedRecord[]> {
  const header = readBatchHeader(batch, 0);
  const stored = payloadOf(batch, 0);
  const codec = await loadCodec(header.codec);
  const limit = decompressionLimit(stored.length, MOST_BATCH_BYTES);
  const payload = stored.length === 0 ? stored : codec.decompress(stored, limit);
  return Array.from(readRecords(batch, 0, payload), (record) => ({
    offset: record.offset,
    timestamp: record.timestamp,
    key: record.key?.toString('latin1') ?? null,
    value: record.value?.toString('latin1') ?? null,
    headers: record.headers.map(
      ({ key, value }) => [key, value?.toString('latin1') ?? null] as const,
    ),
    producerId: header.producerId,
    isControl: header.control,
  }));
}

/** Arbitrary records, and the batches of the two JavaScript clients, for the tests of batches. */

import { createRequire } from 'node:module';
import { createRecordsBatch, Reader, readRecordsBatch } from '@platformatic/kafka';
import fc from 'fast-check';
import type { RecordInput } from '../../protocol/records.ts';

const require = createRequire(import.meta.url);

const bytes = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const times = [
  fc.integer({ min: 0, max: 4_000_000_000_000 }),
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
];

const recordAt = (timestamp: fc.Arbitrary<number>): fc.Arbitrary<RecordInput> =>
  fc.record({
    key: fc.option(bytes(200)),
    value: fc.option(fc.oneof(bytes(300), fc.constant(Buffer.alloc(70_000, 'v')))),
    timestamp,
    headers: fc.array(
      fc.record({
        key: fc.string({ unit: 'grapheme', maxLength: 20 }),
        value: fc.option(bytes(40)),
      }),
      { maxLength: 4 },
    ),
  });

/** The records of a batch, with times that are close to each other or anywhere. */
export const arbitraryRecords = fc.oneof(
  ...times.map((time) => fc.array(recordAt(time), { minLength: 1, maxLength: 30 })),
);

/** Records like those of an application, the same each time. */
export function sampleRecords(count: number, timestamp = 1_700_000_000_000): RecordInput[] {
  return Array.from({ length: count }, (_, index) => ({
    key: Buffer.from(`key-${index % 7}`),
    value: Buffer.from(`{"id":${index},"name":"somebody","tags":["a","b"]}`),
    headers: [{ key: 'trace', value: Buffer.from(String(index)) }],
    timestamp: timestamp + index,
  }));
}

/** A record as plain strings and numbers, to compare the readings of several decoders. */
export interface PlainRecord {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [string, string | null])[];
}

const hex = (buffer: Buffer | null | undefined) => (buffer ? buffer.toString('hex') : null);

export function plain(records: readonly RecordInput[], baseOffset = 0): PlainRecord[] {
  return records.map((record, index) => ({
    offset: baseOffset + (record.offsetDelta ?? index),
    timestamp: record.timestamp,
    key: hex(record.key),
    value: hex(record.value),
    headers: (record.headers ?? []).map(({ key, value }) => [key, hex(value)] as const),
  }));
}

/** A batch by kafkajs's encoder. */
export async function kafkajsBatch(records: readonly RecordInput[], codec = 0): Promise<Buffer> {
  const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0');
  const KafkajsRecord = require('kafkajs/src/protocol/recordBatch/record/v0');
  const firstTimestamp = records[0]!.timestamp;
  const encoded = records.map((record, index) =>
    KafkajsRecord({
      offsetDelta: index,
      timestampDelta: record.timestamp - firstTimestamp,
      key: record.key,
      value: record.value,
      headers: Object.fromEntries((record.headers ?? []).map(({ key, value }) => [key, value])),
    }),
  );
  const batch = await RecordBatch({
    compression: codec,
    firstTimestamp,
    maxTimestamp: Math.max(...records.map(({ timestamp }) => timestamp)),
    lastOffsetDelta: records.length - 1,
    records: encoded,
  });
  return batch.buffer;
}

/** A batch as kafkajs's consumer reads it. */
export async function readByKafkajs(batch: Buffer): Promise<PlainRecord[]> {
  const Decoder = require('kafkajs/src/protocol/decoder');
  const decode = require('kafkajs/src/protocol/recordBatch/v0/decoder');
  const { records } = await decode(new Decoder(batch));
  return records.map(
    (record: {
      offset: string;
      timestamp: string;
      key: Buffer | null;
      value: Buffer | null;
      headers: Record<string, Buffer | null>;
    }) => ({
      offset: Number(record.offset),
      timestamp: Number(record.timestamp),
      key: hex(record.key),
      value: hex(record.value),
      headers: Object.entries(record.headers).map(([key, value]) => [key, hex(value)]),
    }),
  );
}

type PlatformaticCodec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** A batch by @platformatic/kafka's encoder. */
export function platformaticBatch(
  records: readonly RecordInput[],
  compression: PlatformaticCodec = 'none',
): Buffer {
  const messages = records.map((record) => ({
    topic: 'topic',
    ...(record.key === null ? {} : { key: record.key }),
    // Its types know no tombstones, its encoder does.
    value: record.value as Buffer,
    timestamp: BigInt(record.timestamp),
    headers: new Map(
      (record.headers ?? []).map(({ key, value }) => [Buffer.from(key), value as Buffer]),
    ),
  }));
  return createRecordsBatch(messages, { compression }).buffer;
}

/** A batch as @platformatic/kafka's consumer reads it. */
export function readByPlatformatic(batch: Buffer): PlainRecord[] {
  const { firstOffset, firstTimestamp, records } = readRecordsBatch(Reader.from(batch));
  return records.map((record) => ({
    offset: Number(firstOffset) + record.offsetDelta,
    timestamp: Number(firstTimestamp + record.timestampDelta),
    key: hex(record.key),
    value: hex(record.value),
    headers: record.headers.map(([key, value]) => [String(key), hex(value)] as const),
  }));
}

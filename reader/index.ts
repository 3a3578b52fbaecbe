/**
 * `tailrace/reader`: reads a topic from any point and goes on in real time. What the broker has
 * persisted is read from its files, or by URL, without the broker; what is in its memory comes over
 * the connection; what is not there yet is waited for. Order holds within a partition, nothing is
 * missed, nothing comes twice. Any Kafka broker that leads all partitions is read too, without
 * locations.
 *
 *   for await (const { offset, value } of read({ bootstrap: 'localhost:9092', topic: 'orders' })) ...
 */

import type { ReadBatch, ReadRecord } from './batch.ts';
import { BatchReading, RecordReading } from './iterators.ts';
import { type ReadOptions, settingsOf } from './options.ts';
import type { Reading } from './reading.ts';

export { ReadBatch, type ReadRecord, RecordCursor, type RecordHeader } from './batch.ts';
export { ReadError, type ReadErrorCode } from './errors.ts';
export type { Isolation, LocationWay, Offsets, ReadOptions } from './options.ts';
export type { Reading } from './reading.ts';
export type { ReadEvent, ReadStats } from './stats.ts';

/** Reads a topic record by record. Throws ReadError, here for options that cannot be. */
export function read(options: ReadOptions): Reading<ReadRecord> {
  return new RecordReading(settingsOf(options));
}

/** Reads a topic batch by batch, as they are stored: for whoever wants bytes and speed. */
export function readBatches(options: ReadOptions): Reading<ReadBatch> {
  return new BatchReading(settingsOf(options));
}

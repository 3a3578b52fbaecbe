/**
 * A view over the bytes of a record batch, magic 2: its header is read and patched in place, its
 * records stay bytes. All positions are those of the batch's first byte in the buffer.
 *
 * ```
 *  0 baseOffset int64            27 baseTimestamp int64
 *  8 batchLength int32           35 maxTimestamp int64
 * 12 partitionLeaderEpoch int32  43 producerId int64
 * 16 magic int8                  51 producerEpoch int16
 * 17 crc uint32 (CRC-32C of      53 baseSequence int32
 *    all from attributes on)     57 recordCount int32
 * 21 attributes int16            61 records
 * 23 lastOffsetDelta int32
 * ```
 * attributes: bits 0-2 codec, 3 timestamp type (1 = LogAppendTime), 4 transactional, 5 control,
 * 6 baseTimestamp holds the delete horizon (KIP-534).
 * Source: Kafka's documentation, "Record Batch"; DefaultRecordBatch.
 */

import { crc32c } from './crc32c.ts';

/** Bytes before the part that batchLength counts: base offset and batchLength itself. */
export const LOG_OVERHEAD = 12;
/** Bytes of a batch without records. */
export const BATCH_HEADER_BYTES = 61;
/** The only magic that Kafka 4 takes. */
export const MAGIC = 2;

export const NO_PRODUCER_ID = -1;
export const NO_PRODUCER_EPOCH = -1;
export const NO_SEQUENCE = -1;
export const NO_TIMESTAMP = -1;

const LEADER_EPOCH = 12;
const MAGIC_AT = 16;
const CRC = 17;
const ATTRIBUTES = 21;
const LAST_OFFSET_DELTA = 23;
const BASE_TIMESTAMP = 27;
const MAX_TIMESTAMP = 35;
const PRODUCER_ID = 43;
const PRODUCER_EPOCH = 51;
const BASE_SEQUENCE = 53;
const RECORD_COUNT = 57;

const CODEC_BITS = 0x07;
const LOG_APPEND_TIME_BIT = 0x08;
const TRANSACTIONAL_BIT = 0x10;
const CONTROL_BIT = 0x20;
/** Set where baseTimestamp is the time from which the marks of deleted keys may go. */
export const DELETE_HORIZON_BIT = 0x40;

/** Codec numbers as they stand in the attributes. */
export const Codec = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
export type CodecNumber = (typeof Codec)[keyof typeof Codec];

/** int64 as a number; exact within ±2^53, which offsets and timestamps of a sound batch are. */
export function readInt64(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
}

/** Writes a safe integer as int64. */
export function writeInt64(buffer: Buffer, value: number, at: number): void {
  buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), at);
  buffer.writeUInt32BE(value >>> 0, at + 4);
}

export function baseOffset(buffer: Buffer, at: number): number {
  return readInt64(buffer, at);
}

/** Whole size of the batch in bytes, as its length field says. */
export function batchBytes(buffer: Buffer, at: number): number {
  return LOG_OVERHEAD + buffer.readInt32BE(at + 8);
}

export function leaderEpoch(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + LEADER_EPOCH);
}

export function magic(buffer: Buffer, at: number): number {
  return buffer.readInt8(at + MAGIC_AT);
}

export function storedCrc(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at + CRC);
}

export function attributes(buffer: Buffer, at: number): number {
  return buffer.readInt16BE(at + ATTRIBUTES);
}

export function lastOffsetDelta(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + LAST_OFFSET_DELTA);
}

export function lastOffset(buffer: Buffer, at: number): number {
  return baseOffset(buffer, at) + lastOffsetDelta(buffer, at);
}

export function maxTimestamp(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + MAX_TIMESTAMP);
}

export function producerId(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + PRODUCER_ID);
}

export function recordCount(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + RECORD_COUNT);
}

export function codec(buffer: Buffer, at: number): number {
  return attributes(buffer, at) & CODEC_BITS;
}

export function isLogAppendTime(buffer: Buffer, at: number): boolean {
  return (attributes(buffer, at) & LOG_APPEND_TIME_BIT) !== 0;
}

export function isTransactional(buffer: Buffer, at: number): boolean {
  return (attributes(buffer, at) & TRANSACTIONAL_BIT) !== 0;
}

export function isControl(buffer: Buffer, at: number): boolean {
  return (attributes(buffer, at) & CONTROL_BIT) !== 0;
}

/** Attributes of a batch without records: of no codec, and without a horizon. */
export function emptiedAttributes(buffer: Buffer, at: number): number {
  return attributes(buffer, at) & ~(CODEC_BITS | DELETE_HORIZON_BIT);
}

/** The header of a batch as values. */
export interface BatchHeader {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** Whole size in bytes. */
  readonly sizeBytes: number;
  readonly leaderEpoch: number;
  readonly codec: number;
  readonly logAppendTime: boolean;
  readonly transactional: boolean;
  readonly control: boolean;
  readonly hasDeleteHorizon: boolean;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  /** -1 where the producer is neither idempotent nor transactional. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  /** Wraps from 2^31-1 to 0; -1 without a producer id. */
  readonly lastSequence: number;
  readonly recordCount: number;
}

/** Adds to a sequence number, wrapping from 2^31-1 to 0. */
export function incrementSequence(sequence: number, by: number): number {
  const sum = sequence + by;
  return sum > 0x7fff_ffff ? sum - 0x8000_0000 : sum;
}

export function readBatchHeader(buffer: Buffer, at: number): BatchHeader {
  const base = baseOffset(buffer, at);
  const delta = lastOffsetDelta(buffer, at);
  const bits = attributes(buffer, at);
  const id = producerId(buffer, at);
  const sequence = buffer.readInt32BE(at + BASE_SEQUENCE);
  return {
    baseOffset: base,
    lastOffset: base + delta,
    sizeBytes: batchBytes(buffer, at),
    leaderEpoch: leaderEpoch(buffer, at),
    codec: bits & CODEC_BITS,
    logAppendTime: (bits & LOG_APPEND_TIME_BIT) !== 0,
    transactional: (bits & TRANSACTIONAL_BIT) !== 0,
    control: (bits & CONTROL_BIT) !== 0,
    hasDeleteHorizon: (bits & DELETE_HORIZON_BIT) !== 0,
    baseTimestamp: readInt64(buffer, at + BASE_TIMESTAMP),
    maxTimestamp: maxTimestamp(buffer, at),
    producerId: id,
    producerEpoch: buffer.readInt16BE(at + PRODUCER_EPOCH),
    baseSequence: sequence,
    lastSequence: id < 0 || sequence < 0 ? NO_SEQUENCE : incrementSequence(sequence, delta),
    recordCount: recordCount(buffer, at),
  };
}

/** CRC-32C of what the checksum covers. */
export function computeCrc(buffer: Buffer, at: number): number {
  return crc32c(buffer.subarray(at + ATTRIBUTES, at + batchBytes(buffer, at)));
}

/** Whether the batch's bytes, which must all be there, are those that were summed. */
export function isCrcRight(buffer: Buffer, at: number): boolean {
  return computeCrc(buffer, at) === storedCrc(buffer, at);
}

/** Gives the batch its place in the log; both fields lie before the checksummed bytes. */
export function assignOffset(buffer: Buffer, at: number, base: number, epoch: number): void {
  writeInt64(buffer, base, at);
  buffer.writeInt32BE(epoch, at + LEADER_EPOCH);
}

/** Turns the batch to LogAppendTime (type bit and max timestamp) and sums it anew. */
export function assignAppendTime(buffer: Buffer, at: number, timestamp: number): void {
  buffer.writeInt16BE(attributes(buffer, at) | LOG_APPEND_TIME_BIT, at + ATTRIBUTES);
  writeInt64(buffer, timestamp, at + MAX_TIMESTAMP);
  buffer.writeUInt32BE(computeCrc(buffer, at), at + CRC);
}

/** Corrects the largest timestamp, which the header may have wrong, and sums the batch anew. */
export function assignMaxTimestamp(buffer: Buffer, at: number, timestamp: number): void {
  writeInt64(buffer, timestamp, at + MAX_TIMESTAMP);
  buffer.writeUInt32BE(computeCrc(buffer, at), at + CRC);
}

/** What changes of a header when records of its batch go. */
export interface BatchChange {
  readonly sizeBytes: number;
  readonly attributes: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly recordCount: number;
}

/** Gives a batch other records, which stand behind its header already, and sums it anew. */
export function changeBatch(buffer: Buffer, at: number, change: BatchChange): void {
  buffer.writeInt32BE(change.sizeBytes - LOG_OVERHEAD, at + 8);
  buffer.writeInt16BE(change.attributes, at + ATTRIBUTES);
  writeInt64(buffer, change.baseTimestamp, at + BASE_TIMESTAMP);
  writeInt64(buffer, change.maxTimestamp, at + MAX_TIMESTAMP);
  buffer.writeInt32BE(change.recordCount, at + RECORD_COUNT);
  buffer.writeUInt32BE(computeCrc(buffer, at), at + CRC);
}

/** What is wrong with the bytes at a position, or undefined when a whole sound batch stands there. */
export function batchFault(buffer: Buffer, at: number): string | undefined {
  const left = buffer.length - at;
  if (left < BATCH_HEADER_BYTES) return 'fewer bytes than a batch header';
  const size = batchBytes(buffer, at);
  if (size < BATCH_HEADER_BYTES) return `batch length ${size} is below the header's size`;
  if (size > left) return `batch of ${size} bytes is cut after ${left}`;
  if (magic(buffer, at) !== MAGIC) return `magic ${magic(buffer, at)} instead of ${MAGIC}`;
  if (lastOffsetDelta(buffer, at) < 0) return 'negative last offset delta';
  if (!isCrcRight(buffer, at)) return 'wrong checksum';
  return undefined;
}

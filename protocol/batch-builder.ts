/**
 * Making record batches of magic 2: of records, of transaction markers, and the batch that closes a
 * gap of offsets. Source: Kafka's documentation, "Record Batch", "Control Batches"; MemoryRecords.
 */

import { crc32c } from './crc32c.ts';
import {
  BATCH_HEADER_BYTES,
  Codec,
  type CodecNumber,
  LOG_OVERHEAD,
  MAGIC,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  NO_TIMESTAMP,
  writeInt64,
} from './record-batch.ts';
import { RecordCursor } from './record-cursor.ts';

/** A record to be put into a batch. */
export interface RecordInput {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: readonly { readonly key: string; readonly value: Buffer | null }[];
  readonly timestamp: number;
  /** Where the offsets are not dense; the record's index otherwise. */
  readonly offsetDelta?: number;
}

/** The fields of a batch's header that are not found in its records. */
export interface BatchFields {
  readonly baseOffset?: number;
  readonly leaderEpoch?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly transactional?: boolean;
  readonly control?: boolean;
  /** Sets the timestamp type, and this as the batch's time. */
  readonly logAppendTime?: number;
  /** Last offset delta when the last offsets have no record any more. */
  readonly lastOffsetDelta?: number;
}

export interface BatchOptions extends BatchFields {
  readonly records: readonly RecordInput[];
  /** How the records are compressed; `compress` must be the named codec's. */
  readonly compression?: {
    readonly codec: CodecNumber;
    readonly compress: (payload: Buffer) => Buffer;
  };
}

/** What the header says of the records in a payload. */
interface PayloadFacts {
  readonly codec: CodecNumber;
  readonly lastOffsetDelta: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly recordCount: number;
}

/** Makes a batch of records. */
export function buildBatch(options: BatchOptions): Buffer {
  const { records, compression } = options;
  const baseTimestamp = records[0]?.timestamp ?? NO_TIMESTAMP;
  const payload = encodeRecords(records, baseTimestamp);
  let maxTimestamp = NO_TIMESTAMP;
  for (const record of records) maxTimestamp = Math.max(maxTimestamp, record.timestamp);
  const last = records.length - 1;
  return wrapPayload(options, compression ? compression.compress(payload) : payload, {
    codec: compression?.codec ?? Codec.none,
    lastOffsetDelta: options.lastOffsetDelta ?? records[last]?.offsetDelta ?? Math.max(last, 0),
    baseTimestamp,
    maxTimestamp,
    recordCount: records.length,
  });
}

/** Puts a header before records that are encoded, and compressed where `codec` says so. */
export function wrapPayload(fields: BatchFields, payload: Buffer, facts: PayloadFacts): Buffer {
  const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + payload.length);
  let bits: number = facts.codec;
  if (fields.logAppendTime !== undefined) bits |= 0x08;
  if (fields.transactional) bits |= 0x10;
  if (fields.control) bits |= 0x20;
  writeInt64(batch, fields.baseOffset ?? 0, 0);
  batch.writeInt32BE(batch.length - LOG_OVERHEAD, 8);
  batch.writeInt32BE(fields.leaderEpoch ?? -1, 12);
  batch.writeInt8(MAGIC, 16);
  batch.writeInt16BE(bits, 21);
  batch.writeInt32BE(facts.lastOffsetDelta, 23);
  writeInt64(batch, facts.baseTimestamp, 27);
  writeInt64(batch, fields.logAppendTime ?? facts.maxTimestamp, 35);
  writeInt64(batch, fields.producerId ?? NO_PRODUCER_ID, 43);
  batch.writeInt16BE(fields.producerEpoch ?? NO_PRODUCER_EPOCH, 51);
  batch.writeInt32BE(fields.baseSequence ?? NO_SEQUENCE, 53);
  batch.writeInt32BE(facts.recordCount, 57);
  payload.copy(batch, BATCH_HEADER_BYTES);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

/** Encodes records one after the other, as they stand in an uncompressed batch. */
export function encodeRecords(records: readonly RecordInput[], baseTimestamp: number): Buffer {
  const bodies = new Array<number>(records.length);
  let total = 0;
  for (let index = 0; index < records.length; index++) {
    const body = bodyBytes(records[index]!, baseTimestamp, index);
    bodies[index] = body;
    total += varintBytes(body) + body;
  }
  const target = Buffer.allocUnsafe(total);
  let at = 0;
  for (let index = 0; index < records.length; index++) {
    at = writeRecord(target, at, records[index]!, bodies[index]!, baseTimestamp, index);
  }
  return target;
}

function bodyBytes(record: RecordInput, baseTimestamp: number, index: number): number {
  let size = 1 + varlongBytes(record.timestamp - baseTimestamp);
  size += varintBytes(record.offsetDelta ?? index);
  size += blobBytes(record.key) + blobBytes(record.value);
  const headers = record.headers ?? [];
  size += varintBytes(headers.length);
  for (const { key, value } of headers) {
    const bytes = Buffer.byteLength(key);
    size += varintBytes(bytes) + bytes + blobBytes(value);
  }
  return size;
}

function writeRecord(
  target: Buffer,
  start: number,
  record: RecordInput,
  body: number,
  baseTimestamp: number,
  index: number,
): number {
  let at = writeVarint(target, start, body);
  target[at++] = 0;
  at = writeVarlong(target, at, record.timestamp - baseTimestamp);
  at = writeVarint(target, at, record.offsetDelta ?? index);
  at = writeBlob(target, at, record.key);
  at = writeBlob(target, at, record.value);
  const headers = record.headers ?? [];
  at = writeVarint(target, at, headers.length);
  for (const { key, value } of headers) {
    at = writeVarint(target, at, Buffer.byteLength(key));
    at += target.write(key, at, 'utf8');
    at = writeBlob(target, at, value);
  }
  return at;
}

function blobBytes(blob: Buffer | null): number {
  return blob === null ? 1 : varintBytes(blob.length) + blob.length;
}

function writeBlob(target: Buffer, at: number, blob: Buffer | null): number {
  if (blob === null) return writeVarint(target, at, -1);
  const start = writeVarint(target, at, blob.length);
  return start + blob.copy(target, start);
}

export function varintBytes(value: number): number {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0;
  let bytes = 1;
  for (; raw >= 0x80; raw >>>= 7) bytes++;
  return bytes;
}

export function writeVarint(target: Buffer, start: number, value: number): number {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0;
  let at = start;
  for (; raw >= 0x80; raw >>>= 7) target[at++] = (raw & 0x7f) | 0x80;
  target[at++] = raw;
  return at;
}

/** Zigzag of a safe integer; exact, since deltas of times are below 2^52. */
function zigzag(value: number): number {
  return value < 0 ? -value * 2 - 1 : value * 2;
}

export function varlongBytes(value: number): number {
  let bytes = 1;
  for (let raw = zigzag(value); raw >= 0x80; raw = Math.floor(raw / 128)) bytes++;
  return bytes;
}

export function writeVarlong(target: Buffer, start: number, value: number): number {
  let raw = zigzag(value);
  let at = start;
  for (; raw >= 0x80; raw = Math.floor(raw / 128)) target[at++] = (raw % 128) | 0x80;
  target[at++] = raw;
  return at;
}

/** How a transaction ended. The number is the type in the control record's key. */
export const MarkerType = { abort: 0, commit: 1 } as const;
export type MarkerTypeNumber = (typeof MarkerType)[keyof typeof MarkerType];

/** Bytes of a control record's key (version, type) and of an end marker's value (version, epoch). */
const CONTROL_KEY_BYTES = 4;
const END_MARKER_BYTES = 6;

export interface MarkerOptions {
  readonly type: MarkerTypeNumber;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  readonly timestamp: number;
  readonly baseOffset?: number;
  readonly leaderEpoch?: number;
  /** Where the marker's offset is not the batch's first. */
  readonly offsetDelta?: number;
}

/** Makes the control batch that ends a transaction; it takes one offset. */
export function controlBatch(options: MarkerOptions): Buffer {
  const key = Buffer.alloc(CONTROL_KEY_BYTES);
  key.writeInt16BE(options.type, 2);
  const value = Buffer.alloc(END_MARKER_BYTES);
  value.writeInt32BE(options.coordinatorEpoch, 2);
  return buildBatch({
    baseOffset: options.baseOffset ?? 0,
    leaderEpoch: options.leaderEpoch ?? -1,
    producerId: options.producerId,
    producerEpoch: options.producerEpoch,
    transactional: true,
    control: true,
    records: [{ key, value, timestamp: options.timestamp, offsetDelta: options.offsetDelta ?? 0 }],
  });
}

/**
 * Producer id of the batches that close gaps. No producer ever gets it: ids are given out from 0
 * in blocks. The largest number that is exact in a double, so that it is read back unchanged.
 */
export const GAP_PRODUCER_ID = Number.MAX_SAFE_INTEGER;

/**
 * The batch that takes the offsets [from, to), which may have been served and were then lost: one
 * COMMIT marker at the last of them, over which every client steps.
 */
export function gapBatch(options: {
  readonly from: number;
  readonly to: number;
  readonly leaderEpoch: number;
  readonly timestamp: number;
}): Buffer {
  const offsetDelta = options.to - 1 - options.from;
  if (offsetDelta < 0 || offsetDelta > 0x7fff_ffff) {
    throw new RangeError(`no batch can take the offsets ${options.from} to ${options.to}`);
  }
  return controlBatch({
    type: MarkerType.commit,
    producerId: GAP_PRODUCER_ID,
    producerEpoch: 0,
    coordinatorEpoch: 0,
    timestamp: options.timestamp,
    baseOffset: options.from,
    leaderEpoch: options.leaderEpoch,
    offsetDelta,
  });
}

export interface EndTxnMarker {
  readonly type: MarkerTypeNumber;
  readonly coordinatorEpoch: number;
  /** Delta to the batch's base timestamp. */
  readonly timestampDelta: number;
}

/**
 * The marker in the payload of a control batch; undefined when compaction has emptied it, or when
 * the control record is of another kind (those of the metadata log). Throws InvalidRecords.
 */
export function readEndTxnMarker(payload: Buffer): EndTxnMarker | undefined {
  const cursor = new RecordCursor(payload);
  if (!cursor.next()) return undefined;
  const key = cursor.key();
  const value = cursor.value();
  if (key === null || key.length < CONTROL_KEY_BYTES) return undefined;
  const type = key.readInt16BE(2);
  if (type !== MarkerType.abort && type !== MarkerType.commit) return undefined;
  if (value === null || value.length < END_MARKER_BYTES) return undefined;
  return {
    type,
    coordinatorEpoch: value.readInt32BE(2),
    timestampDelta: cursor.timestampDelta,
  };
}

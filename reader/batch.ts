/**
 * What a reading gives: batches as they are stored, and the records in them. Bytes are slices of
 * the memory that they were read into; whoever keeps a key or a value keeps the whole piece alive.
 */

import {
  type BatchCodec,
  decompressionLimit,
  isCodecNumber,
  loadCodec,
} from '../protocol/compression.ts';
import * as recordBatch from '../protocol/record-batch.ts';
import { RecordCursor, type RecordHeader } from '../protocol/record-cursor.ts';
import { baseTimestamp, payloadOf } from '../protocol/records.ts';
import { ReadError } from './errors.ts';

export { RecordCursor, type RecordHeader } from '../protocol/record-cursor.ts';

/** A record as values. */
export interface ReadRecord {
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970; -1 when it has none. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  /** Null deletes the key, in a compacted topic. */
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

const NO_HEADERS: readonly RecordHeader[] = [];

/** One batch, its checksum checked, of records that the isolation lets see. */
export class ReadBatch {
  readonly partition: number;
  /** The memory in which it lies, and where: from `at` to `end`. */
  readonly buffer: Buffer;
  readonly at: number;
  readonly end: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** Records below this offset were not asked for; `records()` passes over them. */
  readonly from: number;
  readonly #codec: BatchCodec | undefined;
  readonly #maxBytes: number;

  /** @internal */
  constructor(
    partition: number,
    buffer: Buffer,
    at: number,
    from: number,
    codec: BatchCodec | undefined,
    maxBytes: number,
  ) {
    this.partition = partition;
    this.buffer = buffer;
    this.at = at;
    this.end = at + recordBatch.batchBytes(buffer, at);
    this.baseOffset = recordBatch.baseOffset(buffer, at);
    this.lastOffset = recordBatch.lastOffset(buffer, at);
    this.from = from;
    this.#codec = codec;
    this.#maxBytes = maxBytes;
  }

  /** The batch as it is stored: magic 2, checksum right. */
  get bytes(): Buffer {
    return this.buffer.subarray(this.at, this.end);
  }

  get sizeBytes(): number {
    return this.end - this.at;
  }

  /** Records in it, those below `from` too. */
  get recordCount(): number {
    return recordBatch.recordCount(this.buffer, this.at);
  }

  get isCompressed(): boolean {
    return recordBatch.codec(this.buffer, this.at) !== recordBatch.Codec.none;
  }

  get maxTimestamp(): number {
    return recordBatch.maxTimestamp(this.buffer, this.at);
  }

  get leaderEpoch(): number {
    return recordBatch.leaderEpoch(this.buffer, this.at);
  }

  /** The records' bytes, uncompressed. Throws ReadError CORRUPT. */
  payload(): Buffer {
    const packed = payloadOf(this.buffer, this.at);
    if (this.#codec === undefined) return packed;
    const limit = decompressionLimit(packed.length, this.#maxBytes);
    try {
      return this.#codec.decompress(packed, limit);
    } catch (error) {
      throw this.#corrupt(error);
    }
  }

  /**
   * Walks all records without making an object of each; those below `from` too. What it meets that
   * is no record it throws as InvalidRecords.
   */
  cursor(): RecordCursor {
    return this.isCompressed
      ? new RecordCursor(this.payload())
      : new RecordCursor(this.buffer, this.at + recordBatch.BATCH_HEADER_BYTES, this.end);
  }

  /** The time of the record at which a cursor stands. */
  timestampAt(cursor: RecordCursor): number {
    return recordBatch.isLogAppendTime(this.buffer, this.at)
      ? this.maxTimestamp
      : baseTimestamp(this.buffer, this.at) + cursor.timestampDelta;
  }

  /** The records from `from` on. Throws ReadError CORRUPT where bytes are none. */
  *records(): Generator<ReadRecord, void, undefined> {
    const records = new RecordsOf(this);
    for (let record = records.next(); record !== undefined; record = records.next()) yield record;
  }

  /** @internal */
  corruptAt(error: unknown): ReadError {
    return this.#corrupt(error);
  }

  #corrupt(error: unknown): ReadError {
    const { partition, baseOffset: offset } = this;
    const message = `partition ${partition}, batch at ${offset}: ${(error as Error).message}`;
    return new ReadError('CORRUPT', message, { partition, offset, cause: error });
  }
}

/**
 * The records of one batch, one after the other.
 * @internal
 */
export class RecordsOf {
  readonly #batch: ReadBatch;
  readonly #cursor: RecordCursor;
  readonly #firstTimestamp: number;
  readonly #appendTimestamp: number | undefined;

  constructor(batch: ReadBatch) {
    const { buffer, at } = batch;
    this.#batch = batch;
    this.#cursor = batch.cursor();
    this.#firstTimestamp = baseTimestamp(buffer, at);
    this.#appendTimestamp = recordBatch.isLogAppendTime(buffer, at)
      ? batch.maxTimestamp
      : undefined;
  }

  next(): ReadRecord | undefined {
    const batch = this.#batch;
    const cursor = this.#cursor;
    try {
      while (cursor.next()) {
        const offset = batch.baseOffset + cursor.offsetDelta;
        if (offset < batch.from) continue;
        return {
          partition: batch.partition,
          offset,
          timestamp: this.#appendTimestamp ?? this.#firstTimestamp + cursor.timestampDelta,
          key: cursor.key(),
          value: cursor.value(),
          headers: cursor.headerCount === 0 ? NO_HEADERS : cursor.headers(),
        };
      }
      if (cursor.index + 1 !== batch.recordCount) {
        throw new RangeError(`${cursor.index + 1} records instead of ${batch.recordCount}`);
      }
      return undefined;
    } catch (error) {
      throw batch.corruptAt(error);
    }
  }
}

const loaded = new Map<number, BatchCodec>();

/** The codec of the batch at a position, undefined for none; a promise at a codec's first use. */
export function codecOf(
  buffer: Buffer,
  at: number,
): BatchCodec | undefined | Promise<BatchCodec | undefined> {
  const number = recordBatch.codec(buffer, at);
  if (number === recordBatch.Codec.none) return undefined;
  const known = loaded.get(number);
  if (known !== undefined) return known;
  if (!isCodecNumber(number)) {
    throw new ReadError('CORRUPT', `no codec has the number ${number}`);
  }
  return loadCodec(number).then((codec) => {
    loaded.set(number, codec);
    return codec;
  });
}

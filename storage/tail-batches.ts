/** Batches in memory as the on-the-fly compaction works on them: their records' keys, in turns. */

import { type BatchHeader, Codec, readBatchHeader } from '../protocol/record-batch.ts';
import { InvalidRecords, payloadOf, RecordCursor } from '../protocol/records.ts';
import type { Clock } from './env.ts';
import { type HashCollector, hashKey, type KeyHashes } from './key-hash.ts';
import type { Chunk, TailBatch } from './memory-tail.ts';
import type { Inflate } from './types.ts';

/** After so many bytes of records, whatever else waits has its turn. */
const TURN_BYTES = 64 * 1024;

/** Lets others have their turn now and then. */
export class TailTurns {
  readonly #clock: Clock;
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  after(sizeBytes: number): Promise<void> | undefined {
    this.#bytes += sizeBytes;
    if (this.#bytes < TURN_BYTES) return undefined;
    this.#bytes = 0;
    return new Promise((resolve) => this.#clock.defer(resolve));
  }
}

/** Neither part of a transaction nor of the cleaner's work. */
export function isPlain(header: BatchHeader): boolean {
  return !header.transactional && !header.control && !header.hasDeleteHorizon;
}

export class CompactableBatch {
  readonly chunk: Chunk;
  entry: TailBatch;
  header: BatchHeader;
  /** Its records, uncompressed; undefined as long as they are not known. */
  payload: Buffer | undefined;
  /** It has a delete that is the newest of its key. */
  hasDeletes = false;

  constructor(chunk: Chunk, entry: TailBatch) {
    this.chunk = chunk;
    this.entry = entry;
    this.header = readBatchHeader(entry.bytes, 0);
    const isReadable = this.header.codec === Codec.none && !this.header.control;
    this.payload = isReadable ? payloadOf(entry.bytes, 0) : undefined;
  }

  get payloadBytes(): number {
    return this.payload?.length ?? 0;
  }

  inflate(inflate: Inflate): Promise<Buffer> {
    // A copy: what is handed to a thread must not be taken from the chunk.
    return inflate(this.header.codec, Buffer.from(payloadOf(this.entry.bytes, 0)));
  }

  exchange(entry: TailBatch, payload: Buffer): void {
    this.entry = entry;
    this.header = readBatchHeader(entry.bytes, 0);
    this.payload = payload;
  }
}

/**
 * Walks the records of a batch by key. Records inside compressed batches may contradict the header:
 * then the walk ends and says so.
 */
export class KeyCursor {
  isFaulty = false;
  offset: number;
  timestamp = 0;
  /** The key's bytes, one character each; undefined where the record has none. */
  key: string | undefined;
  readonly #header: BatchHeader;
  readonly #cursor: RecordCursor;
  readonly #hash: KeyHashes = new Uint32Array(2);

  constructor(header: BatchHeader, payload: Buffer) {
    this.#header = header;
    this.#cursor = new RecordCursor(payload);
    this.offset = header.baseOffset - 1;
  }

  get index(): number {
    return this.#cursor.index;
  }

  get isDelete(): boolean {
    return this.#cursor.valueBytes < 0;
  }

  next(): boolean {
    const cursor = this.#cursor;
    const header = this.#header;
    try {
      if (!cursor.next()) {
        this.isFaulty = cursor.index + 1 !== header.recordCount;
        return false;
      }
    } catch (error) {
      if (!(error instanceof InvalidRecords)) throw error;
      this.isFaulty = true;
      return false;
    }
    const offset = header.baseOffset + cursor.offsetDelta;
    this.isFaulty = offset <= this.offset || offset > header.lastOffset;
    if (this.isFaulty) return false;
    this.offset = offset;
    this.timestamp = header.logAppendTime
      ? header.maxTimestamp
      : header.baseTimestamp + cursor.timestampDelta;
    const { keyAt, keyBytes } = cursor;
    this.key = keyBytes < 0 ? undefined : cursor.buffer.toString('latin1', keyAt, keyAt + keyBytes);
    return true;
  }

  hashInto(hashes: HashCollector): void {
    const { buffer, keyAt, keyBytes } = this.#cursor;
    hashes.add(buffer, keyAt, keyAt + keyBytes);
  }

  hash(): [number, number] {
    const { buffer, keyAt, keyBytes } = this.#cursor;
    hashKey(buffer, keyAt, keyAt + keyBytes, this.#hash, 0);
    return [this.#hash[0]!, this.#hash[1]!];
  }
}

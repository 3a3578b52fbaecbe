/** Record batches to be produced: made once and sent many times, or one by one with the time in. */

import { gzipSync } from 'node:zlib';
import { buildBatch } from '../../protocol/batch-builder.ts';
import { compressLz4 } from '../../protocol/compression/lz4.ts';
import {
  BATCH_HEADER_BYTES,
  batchBytes,
  Codec,
  type CodecNumber,
} from '../../protocol/record-batch.ts';
import { RecordCursor } from '../../protocol/record-cursor.ts';

export interface BatchShape {
  readonly recordBytes: number;
  readonly recordCount: number;
  readonly codec: 'none' | 'gzip' | 'lz4';
}

/** A batch of records that look like what people send: JSON with names that repeat. */
export function makeBatch(shape: BatchShape): Buffer {
  const timestamp = Date.now();
  const records = Array.from({ length: shape.recordCount }, (_, index) => ({
    key: Buffer.from(`customer-${index}`),
    value: jsonValue(index, shape.recordBytes),
    timestamp,
  }));
  if (shape.codec === 'none') return buildBatch({ records });
  const codec: CodecNumber = Codec[shape.codec];
  const compress = shape.codec === 'gzip' ? (bytes: Buffer) => gzipSync(bytes) : compressLz4;
  return buildBatch({ records, compression: { codec, compress } });
}

function jsonValue(index: number, sizeBytes: number): Buffer {
  let text = '';
  for (let field = 0; text.length < sizeBytes; field += 1) {
    const random = Math.random().toString(36).slice(2);
    text += `{"order":${index},"field${field}":"${random}","status":"shipped","amount":${field}.50}`;
  }
  return Buffer.from(text.slice(0, sizeBytes));
}

/** A batch of records whose first one's value begins with the moment of its making. */
export function timedBatch(valueBytes: number, recordCount = 1): Buffer {
  const value = Buffer.alloc(Math.max(valueBytes, 8), 0x20);
  value.writeDoubleBE(performance.now(), 0);
  const timestamp = Date.now();
  const records = Array.from({ length: recordCount }, () => ({ key: null, value, timestamp }));
  return buildBatch({ records });
}

/** The moment that `timedBatch` put into the first record of a batch. */
export function sentAt(buffer: Buffer, at: number): number {
  const cursor = new RecordCursor(buffer, at + BATCH_HEADER_BYTES, at + batchBytes(buffer, at));
  if (!cursor.next()) throw new Error('a batch without records');
  return buffer.readDoubleBE(cursor.valueAt);
}

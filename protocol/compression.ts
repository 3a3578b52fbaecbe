/**
 * The codecs of record batches behind one interface. All work is synchronous, for a worker thread
 * or a simulation to do; only loading a codec may wait. What hostile bytes can become is bounded
 * before memory is taken for it.
 */

import { constants, gunzipSync, gzipSync } from 'node:zlib';
import { CorruptCompression, DecompressionLimit } from './compression/faults.ts';
import { compressLz4, decompressLz4 } from './compression/lz4.ts';
import { compressSnappy, decompressSnappy } from './compression/snappy.ts';
import { Codec, type CodecNumber } from './record-batch.ts';

export { CorruptCompression, DecompressionLimit } from './compression/faults.ts';

/** How one codec compresses and decompresses the records of a batch. */
export interface BatchCodec {
  /** `level` is the codec's own; the default without one. LZ4 and snappy have but one. */
  compress(data: Buffer, level?: number): Buffer;
  /** Throws CorruptCompression, or DecompressionLimit when it would be more than `maxBytes`. */
  decompress(data: Buffer, maxBytes: number): Buffer;
}

/** Kafka's name of each codec, by its number. */
export const codecNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

const loaded = new Map<number, BatchCodec>([
  [Codec.none, { compress: (data) => data, decompress: limited }],
  [Codec.gzip, { compress: compressGzip, decompress: decompressGzip }],
  [Codec.snappy, { compress: compressSnappy, decompress: decompressSnappy }],
  [Codec.lz4, { compress: compressLz4, decompress: decompressLz4 }],
]);

/** The codec of a number; loads it at its first use. Throws RangeError for a number that is none. */
export async function loadCodec(codec: number): Promise<BatchCodec> {
  const ready = loaded.get(codec);
  if (ready !== undefined) return ready;
  if (codec !== Codec.zstd) throw new RangeError(`no codec has the number ${codec}`);
  const { loadZstd } = await import('./compression/zstd.ts');
  const zstd = await loadZstd();
  loaded.set(codec, zstd);
  return zstd;
}

export function isCodecNumber(codec: number): codec is CodecNumber {
  return codec >= Codec.none && codec <= Codec.zstd;
}

/** Small batches may become this large whatever their ratio. */
const RATIO_FREE_BYTES = 16 * 1024 * 1024;
/** Beyond that, a batch may become so many times its size: far more than records do. */
const MAX_RATIO = 256;

/** What compressed records of a size may become, under a limit of the caller's. */
export function decompressionLimit(compressedBytes: number, maxBytes: number): number {
  return Math.min(maxBytes, Math.max(RATIO_FREE_BYTES, compressedBytes * MAX_RATIO));
}

function limited(data: Buffer, maxBytes: number): Buffer {
  if (data.length > maxBytes) throw new DecompressionLimit('none', maxBytes);
  return data;
}

function compressGzip(data: Buffer, level: number = constants.Z_DEFAULT_COMPRESSION): Buffer {
  return gzipSync(data, { level });
}

/** Pieces in which gzip gives its output; thousands of small ones would not leave the heap again. */
const SMALL_CHUNK_BYTES = 16 * 1024;
const LARGE_CHUNK_BYTES = 1024 * 1024;

function decompressGzip(data: Buffer, maxBytes: number): Buffer {
  try {
    const chunkSize = Math.min(Math.max(data.length, SMALL_CHUNK_BYTES), LARGE_CHUNK_BYTES);
    return gunzipSync(data, { maxOutputLength: maxBytes, chunkSize });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new DecompressionLimit('gzip', maxBytes);
    }
    throw new CorruptCompression('gzip', (error as Error).message, { cause: error });
  }
}

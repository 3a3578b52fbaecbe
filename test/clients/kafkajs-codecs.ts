/** Gives kafkajs the codecs that it does not have by itself; imported for that. */

import { lz4Compress, lz4Decompress } from '@platformatic/wasm-utils';
import kafkajs from 'kafkajs';
import SnappyCodec from 'kafkajs-snappy';
import { wasmZstd } from '../../protocol/compression/zstd.ts';
import { decompressionLimit } from '../../protocol/compression.ts';

const { CompressionCodecs, CompressionTypes } = kafkajs;

const MOST_BATCH_BYTES = 64 * 1024 * 1024;

CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder: { buffer: Buffer }) => lz4Compress(encoder.buffer),
  decompress: async (buffer: Buffer) => lz4Decompress(buffer),
});
// As the broker in this process loads it: a second start of the package would exchange its memory.
const zstd = await wasmZstd();
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder: { buffer: Buffer }) => zstd.compress(encoder.buffer),
  decompress: async (bytes: Buffer) =>
    zstd.decompress(bytes, decompressionLimit(bytes.length, MOST_BATCH_BYTES)),
});

/** All codecs by their names. */
export const codecs = [
  { name: 'none', type: CompressionTypes.None },
  { name: 'gzip', type: CompressionTypes.GZIP },
  { name: 'snappy', type: CompressionTypes.Snappy },
  { name: 'lz4', type: CompressionTypes.LZ4 },
  { name: 'zstd', type: CompressionTypes.ZSTD },
] as const;

/**
 * zstd by what the process has: node:zlib from Node 22.15 on, else WebAssembly, loaded at the first
 * use. Both get one frame at a time, whose sizes have been checked before.
 */

import * as zlib from 'node:zlib';
import { CorruptCompression, DecompressionLimit } from './faults.ts';
import { type ZstdFrame, zstdFrames } from './zstd-frames.ts';

/** One frame, known to be whole, into at most so many bytes; throws CorruptCompression. */
type DecompressFrame = (frame: Buffer, mostBytes: number) => Buffer;

export interface Zstd {
  compress(data: Buffer, level?: number): Buffer;
  decompress(data: Buffer, maxBytes: number): Buffer;
}

/** What node:zlib has on newer lines; the types are those of the oldest supported one. */
interface ZlibWithZstd {
  zstdCompressSync?(data: Buffer, options: { params: Record<number, number> }): Buffer;
  zstdDecompressSync?(data: Buffer, options: { maxOutputLength: number }): Buffer;
  readonly constants: { readonly ZSTD_c_compressionLevel?: number };
}

const DEFAULT_LEVEL = 3;

export async function loadZstd(): Promise<Zstd> {
  return nativeZstd(zlib as ZlibWithZstd) ?? (await wasmZstd());
}

function nativeZstd(native: ZlibWithZstd): Zstd | undefined {
  const { zstdCompressSync, zstdDecompressSync } = native;
  const levelKey = native.constants.ZSTD_c_compressionLevel;
  if (!zstdCompressSync || !zstdDecompressSync || levelKey === undefined) return undefined;
  return {
    compress: (data, level = DEFAULT_LEVEL) =>
      zstdCompressSync(data, { params: { [levelKey]: level } }),
    decompress: (data, maxBytes) =>
      decompressFrames(data, maxBytes, (frame, mostBytes) =>
        // The option must be positive; an empty frame gives no byte all the same.
        zstdDecompressSync(frame, { maxOutputLength: Math.max(mostBytes, 1) }),
      ),
  };
}

let wasmLoading: Promise<Zstd> | undefined;

/** The WebAssembly variant; exported for the tests, which run it on every line of Node. */
export function wasmZstd(): Promise<Zstd> {
  // Once: a second start would exchange the instance under whoever is using the first.
  wasmLoading ??= loadWasm();
  return wasmLoading;
}

async function loadWasm(): Promise<Zstd> {
  // The default of a CommonJS package is all of it, for Node and in a bundle alike.
  const { default: wasm } = await import('@bokuweb/zstd-wasm');
  await wasm.init();
  return {
    compress: (data, level = DEFAULT_LEVEL) => asBuffer(wasm.compress(data, level)),
    decompress: (data, maxBytes) =>
      decompressFrames(data, maxBytes, (frame, mostBytes) =>
        asBuffer(wasm.decompress(frame, { defaultHeapSize: Math.max(mostBytes, 1) })),
      ),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function decompressFrames(data: Buffer, maxBytes: number, decompress: DecompressFrame): Buffer {
  const parts: Buffer[] = [];
  let left = maxBytes;
  const frames = zstdFrames(data);
  let promisedBytes = 0;
  for (const { contentBytes } of frames) promisedBytes += contentBytes ?? 0;
  if (promisedBytes > maxBytes) throw new DecompressionLimit('zstd', maxBytes);
  for (const frame of frames) {
    if (frame.contentBytes !== undefined && frame.contentBytes > left) {
      throw new DecompressionLimit('zstd', maxBytes);
    }
    const part = decompressFrame(data, frame, left, maxBytes, decompress);
    parts.push(part);
    left -= part.length;
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

function decompressFrame(
  data: Buffer,
  frame: ZstdFrame,
  left: number,
  maxBytes: number,
  decompress: DecompressFrame,
): Buffer {
  try {
    return decompress(data.subarray(frame.start, frame.end), Math.min(frame.mostBytes, left));
  } catch (cause) {
    // A frame that may become more than is left failed either for that or for being corrupt; what
    // can be said is that it was refused at the limit.
    if (frame.mostBytes > left) throw new DecompressionLimit('zstd', maxBytes);
    throw new CorruptCompression('zstd', 'the frame cannot be decoded', { cause });
  }
}

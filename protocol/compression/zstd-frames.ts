/**
 * The outside of zstd: frames and blocks are walked, so that sizes which lie are found before a
 * decoder allocates for them, and how much a frame can become at most is known.
 *
 * ```
 * frame: fd2fb528, descriptor, [window], [dictionary], [content size], blocks, [checksum u32]
 * block: 3 bytes (last bit, type 2 bits, size 21 bits), data
 * ```
 * Little-endian. Source: RFC 8878, sections 3.1.1 and 3.1.2.
 */

import { CorruptCompression } from './faults.ts';

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const MAX_BLOCK_BYTES = 0x2_0000;
/** The largest window that zstd's own decoders take unless told otherwise, so Java's client too. */
const MAX_WINDOW_BYTES = 2 ** 27;
const BLOCK_TYPE_RAW = 0;
const BLOCK_TYPE_REPEATED = 1;
const BLOCK_TYPE_RESERVED = 3;

export interface ZstdFrame {
  readonly start: number;
  readonly end: number;
  /** Size once decompressed, where the frame says it. */
  readonly contentBytes: number | undefined;
  /** It cannot become more than this. */
  readonly mostBytes: number;
}

/** The frames with content; skippable ones are passed over. Throws CorruptCompression. */
export function zstdFrames(data: Buffer): ZstdFrame[] {
  const frames: ZstdFrame[] = [];
  if (data.length === 0) fault('no frame');
  for (let at = 0; at < data.length; ) {
    need(data, at, 4);
    const magic = data.readUInt32LE(at);
    if ((magic & 0xffff_fff0) >>> 0 === SKIPPABLE_MAGIC) {
      need(data, at, 8);
      const bytes = data.readUInt32LE(at + 4);
      need(data, at + 8, bytes);
      at += 8 + bytes;
      continue;
    }
    if (magic !== FRAME_MAGIC) fault(`magic ${magic.toString(16)}`);
    const frame = readFrame(data, at);
    frames.push(frame);
    at = frame.end;
  }
  return frames;
}

function readFrame(data: Buffer, start: number): ZstdFrame {
  need(data, start, 5);
  const descriptor = data[start + 4]!;
  if ((descriptor & 0x08) !== 0) fault('a reserved bit is set');
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeCode = descriptor >>> 6;
  const sizeBytes = sizeCode === 0 ? Number(isSingleSegment) : 1 << sizeCode;
  let at = start + 5;
  need(data, at, Number(!isSingleSegment) + dictionaryBytes + sizeBytes);
  let windowBytes: number | undefined;
  if (!isSingleSegment) {
    const code = data[at++]!;
    const base = 2 ** (10 + (code >>> 3));
    windowBytes = base + (base / 8) * (code & 7);
  }
  if (dictionaryBytes > 0 && data.readUIntLE(at, dictionaryBytes) !== 0) {
    fault('a dictionary is asked for');
  }
  at += dictionaryBytes;
  const contentBytes = readContentSize(data, at, sizeBytes);
  at += sizeBytes;
  windowBytes ??= contentBytes ?? 0;
  if (windowBytes > MAX_WINDOW_BYTES) fault(`a window of ${windowBytes} bytes`);
  const blocks = walkBlocks(data, at, Math.min(windowBytes, MAX_BLOCK_BYTES));
  const end = blocks.end + ((descriptor & 0x04) !== 0 ? 4 : 0);
  need(data, blocks.end, end - blocks.end);
  if (contentBytes !== undefined && contentBytes > blocks.mostBytes) {
    fault(`blocks of at most ${blocks.mostBytes} bytes promise ${contentBytes}`);
  }
  return { start, end, contentBytes, mostBytes: contentBytes ?? blocks.mostBytes };
}

function readContentSize(data: Buffer, at: number, bytes: number): number | undefined {
  if (bytes === 0) return undefined;
  if (bytes === 8) return Number(data.readBigUInt64LE(at));
  return data.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0);
}

function walkBlocks(data: Buffer, start: number, maxBlockBytes: number) {
  let mostBytes = 0;
  for (let at = start; ; ) {
    need(data, at, 3);
    const head = data.readUIntLE(at, 3);
    const type = (head >>> 1) & 3;
    const size = head >>> 3;
    at += 3;
    if (type === BLOCK_TYPE_RESERVED) fault('a block of the reserved type');
    if (size > maxBlockBytes) fault(`block of ${size} bytes where ${maxBlockBytes} are the most`);
    mostBytes += type === BLOCK_TYPE_RAW || type === BLOCK_TYPE_REPEATED ? size : maxBlockBytes;
    const stored = type === BLOCK_TYPE_REPEATED ? 1 : size;
    need(data, at, stored);
    at += stored;
    if ((head & 1) !== 0) return { end: at, mostBytes };
  }
}

function need(data: Buffer, at: number, bytes: number): void {
  if (data.length - at < bytes) fault(`the frame is cut off at ${data.length}`);
}

function fault(reason: string): never {
  throw new CorruptCompression('zstd', reason);
}

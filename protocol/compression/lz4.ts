/**
 * LZ4 in JavaScript, in the frame format that Kafka uses, with the output bounded. Written are
 * independent blocks of 64 KiB without checksums, as Java's client demands; read is every frame.
 *
 * ```
 * frame: 04 22 4d 18, flags, block size, [content size u64], [dictionary u32], header checksum,
 *        blocks, end mark u32 = 0, [content checksum u32]
 * block: size u32 (top bit: stored), data, [checksum u32]
 * data:  (token, literals, offset u16, match)*, ending with literals
 * ```
 * All numbers are little-endian.
 * Source: lz4/lz4 doc/lz4_Frame_format.md, lz4_Block_format.md.
 */

import { CorruptCompression, DecompressionLimit } from './faults.ts';
import { xxhash32 } from './xxhash32.ts';

const FRAME_MAGIC = 0x184d2204;
const SKIPPABLE_MAGIC = 0x184d2a50;
const VERSION_FLAG = 0x40;
const INDEPENDENT_FLAG = 0x20;
const BLOCK_CHECKSUM_FLAG = 0x10;
const CONTENT_SIZE_FLAG = 0x08;
const CONTENT_CHECKSUM_FLAG = 0x04;
const DICTIONARY_FLAG = 0x01;
const STORED_BIT = 0x8000_0000;
/** A match can be lengthened by at most 255 bytes for each byte that says so. */
const MAX_RATIO = 255;

/** Few steps: what the output has grown out of is garbage for a while. */
const GROWTH = 4;

const BLOCK_BYTES = 0x1_0000;
const BLOCK_SIZE_CODE = 4 << 4;
const HASH_BITS = 14;
const HASH_FACTOR = 0x9e3779b1 | 0;
const MIN_MATCH = 4;
/** A block ends with at least five literals, and no match starts in its last twelve bytes. */
const LAST_LITERALS = 5;
const MATCH_MARGIN = 12;

/** What has been written so far; grows up to the limit. */
interface Output {
  buffer: Buffer;
  length: number;
  readonly maxBytes: number;
}

export function decompressLz4(data: Buffer, maxBytes: number): Buffer {
  const first = Math.min(maxBytes, Math.max(data.length * 4, 1024));
  const output = { buffer: Buffer.allocUnsafe(first), length: 0, maxBytes };
  let at = 0;
  if (data.length === 0) fault('no frame');
  while (at < data.length) {
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
    at = readFrame(data, at + 4, output);
  }
  return output.buffer.subarray(0, output.length);
}

/** Reads one frame from its flags on; gives the position after it. */
function readFrame(data: Buffer, start: number, output: Output): number {
  need(data, start, 3);
  const flags = data[start]!;
  const sizeCode = (data[start + 1]! >>> 4) & 7;
  if ((flags & 0xc0) !== VERSION_FLAG) fault(`version ${flags >>> 6}`);
  if ((flags & DICTIONARY_FLAG) !== 0) fault('a dictionary is asked for');
  if (sizeCode < 4) fault(`block size code ${sizeCode}`);
  const blockBytes = 1 << (8 + 2 * sizeCode);
  let at = start + 2;
  let contentBytes: number | undefined;
  if ((flags & CONTENT_SIZE_FLAG) !== 0) {
    need(data, at, 8);
    contentBytes = Number(data.readBigUInt64LE(at));
    at += 8;
    if (contentBytes > output.maxBytes - output.length) tooLarge(output);
  }
  need(data, at, 1);
  if (((xxhash32(data, start, at) >>> 8) & 0xff) !== data[at]) fault('wrong header checksum');
  at++;
  // Linked blocks may refer to those before them in the frame, never to an earlier frame.
  const frameAt = output.length;
  for (;;) {
    need(data, at, 4);
    const word = data.readUInt32LE(at);
    at += 4;
    if (word === 0) break;
    const bytes = (word & 0x7fff_ffff) >>> 0;
    if (bytes > blockBytes) fault(`block of ${bytes} bytes where ${blockBytes} are the most`);
    const checksumBytes = (flags & BLOCK_CHECKSUM_FLAG) !== 0 ? 4 : 0;
    need(data, at, bytes + checksumBytes);
    const end = at + bytes;
    if (checksumBytes > 0 && xxhash32(data, at, end) !== data.readUInt32LE(end)) {
      fault('wrong block checksum');
    }
    if (word >= STORED_BIT) readStored(data, at, end, output);
    else {
      const linked = (flags & INDEPENDENT_FLAG) === 0;
      reserve(output, Math.min(blockBytes, bytes * MAX_RATIO));
      readBlock(data, at, end, output, linked ? frameAt : output.length, blockBytes);
    }
    at = end + checksumBytes;
  }
  const written = output.length - frameAt;
  if (contentBytes !== undefined && written !== contentBytes) {
    fault(`${written} bytes instead of ${contentBytes}`);
  }
  if ((flags & CONTENT_CHECKSUM_FLAG) !== 0) {
    need(data, at, 4);
    const content = xxhash32(output.buffer, frameAt, output.length);
    if (content !== data.readUInt32LE(at)) fault('wrong content checksum');
    at += 4;
  }
  return at;
}

function readStored(data: Buffer, at: number, end: number, output: Output): void {
  if (end - at > output.maxBytes - output.length) tooLarge(output);
  reserve(output, end - at);
  output.length += data.copy(output.buffer, output.length, at, end);
}

/** Makes room for so many bytes more, as far as the limit allows. */
function reserve(output: Output, bytes: number): void {
  const wanted = Math.min(output.length + bytes, output.maxBytes);
  if (wanted <= output.buffer.length) return;
  const size = Math.min(Math.max(wanted, output.buffer.length * GROWTH), output.maxBytes);
  const larger = Buffer.allocUnsafe(size);
  output.buffer.copy(larger, 0, 0, output.length);
  output.buffer = larger;
}

/** Decodes one block; matches may reach back to `historyAt`. */
function readBlock(
  data: Buffer,
  start: number,
  end: number,
  output: Output,
  historyAt: number,
  blockBytes: number,
): void {
  const target = output.buffer;
  const most = Math.min(output.length + blockBytes, target.length);
  const isLimit = most < output.length + blockBytes;
  let written = output.length;
  let at = start;
  while (at < end) {
    const token = data[at++]!;
    let literals = token >>> 4;
    if (literals === 15) {
      let byte: number;
      do {
        if (at >= end) fault('a length is cut off');
        byte = data[at++]!;
        literals += byte;
      } while (byte === 255);
    }
    if (literals > end - at) fault(`${literals} literals in ${end - at} bytes`);
    if (literals > most - written) overflow(output, isLimit);
    if (literals > 32) data.copy(target, written, at, at + literals);
    else for (let index = 0; index < literals; index++) target[written + index] = data[at + index]!;
    written += literals;
    at += literals;
    if (at === end) break;
    if (end - at < 2) fault('an offset is cut off');
    const offset = data[at]! | (data[at + 1]! << 8);
    at += 2;
    let length = (token & 15) + MIN_MATCH;
    if ((token & 15) === 15) {
      let byte: number;
      do {
        if (at >= end) fault('a length is cut off');
        byte = data[at++]!;
        length += byte;
      } while (byte === 255);
    }
    if (offset === 0 || offset > written - historyAt) fault(`offset ${offset} leads nowhere`);
    if (length > most - written) overflow(output, isLimit);
    const stop = written + length;
    if (offset >= length) target.copyWithin(written, written - offset, stop - offset);
    else for (let to = written; to < stop; to++) target[to] = target[to - offset]!;
    written = stop;
  }
  output.length = written;
}

function overflow(output: Output, isLimit: boolean): never {
  if (isLimit) return tooLarge(output);
  return fault('a block that is larger than its frame allows');
}

/** Compresses into one frame. */
export function compressLz4(data: Buffer): Buffer {
  const blocks = Math.ceil(data.length / BLOCK_BYTES);
  const target = Buffer.allocUnsafe(7 + data.length + blocks * 4 + 4);
  target.writeUInt32LE(FRAME_MAGIC, 0);
  target[4] = VERSION_FLAG | INDEPENDENT_FLAG;
  target[5] = BLOCK_SIZE_CODE;
  target[6] = (xxhash32(target, 4, 6) >>> 8) & 0xff;
  let at = 7;
  const table = new Uint16Array(1 << HASH_BITS);
  for (let start = 0; start < data.length; start += BLOCK_BYTES) {
    const end = Math.min(start + BLOCK_BYTES, data.length);
    table.fill(0);
    const written = writeBlock(data, start, end, target, at + 4, table);
    if (written !== undefined) {
      target.writeUInt32LE(written - at - 4, at);
      at = written;
    } else {
      target.writeUInt32LE((STORED_BIT + end - start) >>> 0, at);
      data.copy(target, at + 4, start, end);
      at += 4 + end - start;
    }
  }
  target.writeUInt32LE(0, at);
  return target.subarray(0, at + 4);
}

/** Encodes one block; undefined when it would not become smaller. */
function writeBlock(
  data: Buffer,
  start: number,
  end: number,
  target: Buffer,
  startAt: number,
  table: Uint16Array,
): number | undefined {
  const most = startAt + end - start - 1;
  const last = end - MATCH_MARGIN;
  let at = startAt;
  let literalAt = start;
  let position = start + 1;
  let misses = 64;
  while (position < last) {
    const word = readWord(data, position);
    const slot = Math.imul(word, HASH_FACTOR) >>> (32 - HASH_BITS);
    const candidate = start + table[slot]!;
    table[slot] = position - start;
    if (candidate >= position || readWord(data, candidate) !== word) {
      // Data that does not compress is passed over in growing steps.
      position += misses++ >>> 6;
      continue;
    }
    misses = 64;
    let length = MIN_MATCH;
    const stop = end - LAST_LITERALS;
    while (position + length < stop && data[position + length] === data[candidate + length]) {
      length++;
    }
    const literals = position - literalAt;
    const extra = length - MIN_MATCH;
    if (at + 3 + literals + Math.ceil((literals + extra) / 255) + 2 > most) return undefined;
    at = writeToken(target, at, literals, extra);
    at = writeLiterals(data, literalAt, literals, target, at);
    target[at++] = (position - candidate) & 0xff;
    target[at++] = (position - candidate) >>> 8;
    if (extra >= 15) at = writeLength(target, at, extra - 15);
    position += length;
    literalAt = position;
  }
  const literals = end - literalAt;
  if (at + 2 + literals + Math.ceil(literals / 255) > most) return undefined;
  at = writeToken(target, at, literals, 0);
  return writeLiterals(data, literalAt, literals, target, at);
}

function readWord(data: Buffer, at: number): number {
  return data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);
}

function writeToken(target: Buffer, at: number, literals: number, extra: number): number {
  target[at] = (Math.min(literals, 15) << 4) | Math.min(extra, 15);
  return literals >= 15 ? writeLength(target, at + 1, literals - 15) : at + 1;
}

function writeLength(target: Buffer, start: number, length: number): number {
  let at = start;
  let rest = length;
  for (; rest >= 255; rest -= 255) target[at++] = 255;
  target[at++] = rest;
  return at;
}

function writeLiterals(
  data: Buffer,
  from: number,
  count: number,
  target: Buffer,
  at: number,
): number {
  if (count > 32) data.copy(target, at, from, from + count);
  else for (let index = 0; index < count; index++) target[at + index] = data[from + index]!;
  return at + count;
}

function need(data: Buffer, at: number, bytes: number): void {
  if (data.length - at < bytes) fault(`the frame is cut off at ${data.length}`);
}

function tooLarge(output: Output): never {
  throw new DecompressionLimit('lz4', output.maxBytes);
}

function fault(reason: string): never {
  throw new CorruptCompression('lz4', reason);
}

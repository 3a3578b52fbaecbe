/**
 * Snappy in JavaScript, with the output bounded before it is allocated: raw blocks, and the framing
 * of snappy-java ("xerial") in which Java producers send them. Raw is what is written, for every
 * client reads it; @platformatic/kafka reads nothing else.
 *
 * ```
 * raw: length varint, then elements by the low two bits of their tag:
 *      0 literal, 1-3 copy with an offset of 11 bits, 16 bits, 32 bits
 * xerial: 82 "SNAPPY" 00, version int32, compatible int32, then (length int32, raw block)*
 * ```
 * Source: google/snappy format_description.txt; xerial/snappy-java SnappyOutputStream.
 */

import { CorruptCompression, DecompressionLimit } from './faults.ts';

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEAD_BYTES = 16;
/** The densest element, a copy of 64 bytes, takes 3 bytes: a block that promises more lies. */
const MAX_RATIO = 64 / 3;
/** Matches are looked for within blocks of this size, so that offsets fit 16 bits. */
const BLOCK_BYTES = 0x1_0000;
const HASH_BITS = 14;
const HASH_FACTOR = 0x1e35a7bd;
/** The last bytes of a block are literals, so that four can always be read at a position. */
const MARGIN_BYTES = 15;

export function decompressSnappy(data: Buffer, maxBytes: number): Buffer {
  if (data.length >= XERIAL_HEAD_BYTES && XERIAL_MAGIC.equals(data.subarray(0, 8))) {
    return decompressXerial(data, maxBytes);
  }
  return decompressBlock(data, maxBytes);
}

function decompressXerial(data: Buffer, maxBytes: number): Buffer {
  const blocks: Buffer[] = [];
  let total = 0;
  let at = XERIAL_HEAD_BYTES;
  while (at < data.length) {
    if (data.length - at < 4) fault('a block length is cut off');
    const length = data.readInt32BE(at);
    at += 4;
    if (length < 0 || length > data.length - at) fault(`block length ${length}`);
    const block = decompressBlock(data.subarray(at, at + length), maxBytes - total);
    blocks.push(block);
    total += block.length;
    at += length;
  }
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks, total);
}

function decompressBlock(data: Buffer, maxBytes: number): Buffer {
  let size = 0;
  let at = 0;
  for (let scale = 1; ; scale *= 128) {
    if (at >= data.length || at > 4) fault('no length at its start');
    const byte = data[at++]!;
    size += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  if (size > maxBytes) throw new DecompressionLimit('snappy', maxBytes);
  if (size > (data.length - at) * MAX_RATIO + 1) fault(`${data.length} bytes promise ${size}`);
  const target = Buffer.allocUnsafe(size);
  let written = 0;
  while (at < data.length) {
    const tag = data[at++]!;
    if ((tag & 3) === 0) {
      let length = (tag >>> 2) + 1;
      if (length > 60) {
        const bytes = length - 60;
        if (at + bytes > data.length) fault('a literal length is cut off');
        length = data.readUIntLE(at, bytes) + 1;
        at += bytes;
      }
      if (length > data.length - at || length > size - written) fault(`literal of ${length}`);
      copyLiteral(data, at, target, written, length);
      at += length;
      written += length;
      continue;
    }
    let length = (tag >>> 2) + 1;
    let offset: number;
    if ((tag & 3) === 1) {
      length = ((tag >>> 2) & 7) + 4;
      offset = ((tag >>> 5) << 8) | (data[at] ?? fault('a copy is cut off'));
      at += 1;
    } else if ((tag & 3) === 2) {
      if (at + 2 > data.length) fault('a copy is cut off');
      offset = data[at]! | (data[at + 1]! << 8);
      at += 2;
    } else {
      if (at + 4 > data.length) fault('a copy is cut off');
      offset = data.readUInt32LE(at);
      at += 4;
    }
    if (offset === 0 || offset > written || length > size - written) {
      fault(`copy of ${length} bytes from ${offset} before ${written} of ${size}`);
    }
    const end = written + length;
    if (offset >= length) target.copyWithin(written, written - offset, end - offset);
    else for (let to = written; to < end; to++) target[to] = target[to - offset]!;
    written = end;
  }
  if (written !== size) fault(`${written} bytes instead of ${size}`);
  return target;
}

/** Short runs are copied here: the call of `copy` costs more than they do. */
function copyLiteral(from: Buffer, at: number, target: Buffer, to: number, length: number): void {
  if (length > 32) from.copy(target, to, at, at + length);
  else for (let index = 0; index < length; index++) target[to + index] = from[at + index]!;
}

/** Compresses into one raw block. */
export function compressSnappy(data: Buffer): Buffer {
  // The bound of the format: a literal's tag for each block, besides the bytes themselves.
  const target = Buffer.allocUnsafe(32 + data.length + Math.ceil(data.length / 6));
  let at = 0;
  let rest = data.length;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) target[at++] = (rest % 128) | 0x80;
  target[at++] = rest;
  const table = new Uint16Array(1 << HASH_BITS);
  for (let start = 0; start < data.length; start += BLOCK_BYTES) {
    table.fill(0);
    at = compressFragment(
      data,
      start,
      Math.min(start + BLOCK_BYTES, data.length),
      target,
      at,
      table,
    );
  }
  return target.subarray(0, at);
}

function compressFragment(
  data: Buffer,
  start: number,
  end: number,
  target: Buffer,
  startAt: number,
  table: Uint16Array,
): number {
  let at = startAt;
  let literalAt = start;
  let position = start + 1;
  const last = end - MARGIN_BYTES;
  let misses = 32;
  while (position < last) {
    const word = readWord(data, position);
    const slot = Math.imul(word, HASH_FACTOR) >>> (32 - HASH_BITS);
    const candidate = start + table[slot]!;
    table[slot] = position - start;
    if (candidate >= position || readWord(data, candidate) !== word) {
      // Data that does not compress is passed over in growing steps.
      position += misses++ >>> 5;
      continue;
    }
    misses = 32;
    at = writeLiteral(data, literalAt, position, target, at);
    let length = 4;
    while (position + length < end && data[position + length] === data[candidate + length]) {
      length++;
    }
    at = writeCopies(target, at, position - candidate, length);
    position += length;
    literalAt = position;
  }
  return writeLiteral(data, literalAt, end, target, at);
}

function readWord(data: Buffer, at: number): number {
  return data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);
}

function writeLiteral(
  data: Buffer,
  from: number,
  end: number,
  target: Buffer,
  start: number,
): number {
  let at = start;
  const length = end - from;
  if (length === 0) return at;
  const tagged = length - 1;
  if (tagged < 60) {
    target[at++] = tagged << 2;
  } else {
    const bytes = tagged < 0x100 ? 1 : 2;
    target[at++] = (59 + bytes) << 2;
    at = target.writeUIntLE(tagged, at, bytes);
  }
  copyLiteral(data, from, target, at, length);
  return at + length;
}

function writeCopies(target: Buffer, start: number, offset: number, matched: number): number {
  let at = start;
  let length = matched;
  // A copy is of 4 to 64 bytes: the last two share what is left so that neither is too short.
  while (length >= 68) {
    at = writeLongCopy(target, at, offset, 64);
    length -= 64;
  }
  if (length > 64) {
    at = writeLongCopy(target, at, offset, 60);
    length -= 60;
  }
  if (length >= 12 || offset >= 2048) return writeLongCopy(target, at, offset, length);
  target[at] = ((offset >>> 8) << 5) | ((length - 4) << 2) | 1;
  target[at + 1] = offset & 0xff;
  return at + 2;
}

function writeLongCopy(target: Buffer, at: number, offset: number, length: number): number {
  target[at] = ((length - 1) << 2) | 2;
  target[at + 1] = offset & 0xff;
  target[at + 2] = offset >>> 8;
  return at + 3;
}

function fault(reason: string): never {
  throw new CorruptCompression('snappy', reason);
}

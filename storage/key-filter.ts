/**
 * The keys that a segment may have: Bloom filters that grow. The first has 4 KiB; when it has as
 * many keys as keep its error low, one twice as large is put beside it. At a fixed size in all the
 * filter is full, and from then on says "maybe" of every key.
 *
 * It never says no of a key that was added. A wrong "maybe" comes in about one of a hundred.
 *
 * File: magic `TRKF`, version int32, segment's base offset, end offset and size (int64 each), count of
 * layers int32 (-1: full), of each layer its bytes int32 and keys int32, then the layers' bits, then
 * CRC-32C of all before. It speaks of the segment's bytes up to that size and of nothing else.
 */

import { crc32c } from '../protocol/crc32c.ts';
import { readInt64, writeInt64 } from '../protocol/record-batch.ts';
import type { KeyHashes } from './key-hash.ts';

const MAGIC = 0x54524b46;
const VERSION = 1;
const HEAD_BYTES = 36;
const LAYER_HEAD_BYTES = 8;
const CRC_BYTES = 4;

const FIRST_LAYER_BYTES = 4 * 1024;
const PROBES = 7;
const BITS_PER_KEY = 12;
/** All layers of a full-grown filter: some 2.7 million keys. */
export const FILTER_MAX_BYTES = 4 * 1024 * 1024 - FIRST_LAYER_BYTES;

interface Layer {
  readonly bits: Buffer;
  keys: number;
}

/** The part of a segment that a filter speaks of. */
export interface FilteredRange {
  readonly baseOffset: number;
  readonly endOffset: number;
  readonly sizeBytes: number;
}

export class KeyFilter {
  readonly #maxBytes: number;
  #layers: Layer[] = [];
  #heldBytes = 0;
  #isFull = false;

  constructor(maxBytes = FILTER_MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** It has no more room, and says "maybe" of every key. */
  get isFull(): boolean {
    return this.#isFull;
  }

  addAll(hashes: KeyHashes): void {
    for (let at = 0; at < hashes.length; at += 2) this.add(hashes[at]!, hashes[at + 1]!);
  }

  /** From now on it says "maybe" of every key. */
  fill(): void {
    this.#isFull = true;
    this.#layers = [];
    this.#heldBytes = 0;
  }

  add(first: number, second: number): void {
    if (this.mayHave(first, second)) return;
    const layer = this.#room();
    if (layer === undefined) return;
    const mask = layer.bits.length * 8 - 1;
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = bitOf(first, second, probe, mask);
      layer.bits[bit >>> 3]! |= 1 << (bit & 7);
    }
    layer.keys++;
  }

  mayHave(first: number, second: number): boolean {
    if (this.#isFull) return true;
    return this.#layers.some(({ bits }) => hasBits(bits, first, second));
  }

  /** The layer that takes the next key; undefined when there is no more room. */
  #room(): Layer | undefined {
    const last = this.#layers.at(-1);
    if (last !== undefined && last.keys * BITS_PER_KEY < last.bits.length * 8) return last;
    const size = last === undefined ? FIRST_LAYER_BYTES : last.bits.length * 2;
    if (this.#heldBytes + size > this.#maxBytes) {
      this.fill();
      return undefined;
    }
    const layer = { bits: Buffer.alloc(size), keys: 0 };
    this.#layers.push(layer);
    this.#heldBytes += size;
    return layer;
  }

  encode(range: FilteredRange): Buffer {
    const heads = HEAD_BYTES + this.#layers.length * LAYER_HEAD_BYTES;
    const head = Buffer.alloc(heads);
    head.writeUInt32BE(MAGIC, 0);
    head.writeInt32BE(VERSION, 4);
    writeInt64(head, range.baseOffset, 8);
    writeInt64(head, range.endOffset, 16);
    writeInt64(head, range.sizeBytes, 24);
    head.writeInt32BE(this.#isFull ? -1 : this.#layers.length, 32);
    for (const [index, { bits, keys }] of this.#layers.entries()) {
      head.writeInt32BE(bits.length, HEAD_BYTES + index * LAYER_HEAD_BYTES);
      head.writeInt32BE(keys, HEAD_BYTES + index * LAYER_HEAD_BYTES + 4);
    }
    const body = Buffer.concat([head, ...this.#layers.map(({ bits }) => bits)]);
    const sum = Buffer.alloc(CRC_BYTES);
    sum.writeUInt32BE(crc32c(body), 0);
    return Buffer.concat([body, sum]);
  }

  /** The filter in a file's bytes; a text where they are no filter of that range. */
  static decode(
    bytes: Buffer,
    range: FilteredRange,
    maxBytes = FILTER_MAX_BYTES,
  ): KeyFilter | string {
    if (bytes.length < HEAD_BYTES + CRC_BYTES) return 'it is too short';
    const body = bytes.subarray(0, bytes.length - CRC_BYTES);
    if (crc32c(body) !== bytes.readUInt32BE(body.length)) return 'its checksum is wrong';
    if (body.readUInt32BE(0) !== MAGIC) return 'it is of another kind';
    if (body.readInt32BE(4) !== VERSION) return `version ${body.readInt32BE(4)} is not known`;
    const isSame =
      readInt64(body, 8) === range.baseOffset &&
      readInt64(body, 16) === range.endOffset &&
      readInt64(body, 24) === range.sizeBytes;
    if (!isSame) return 'it does not speak of these bytes';
    const count = body.readInt32BE(32);
    const filter = new KeyFilter(maxBytes);
    if (count === -1) filter.#isFull = true;
    else if (!filter.#take(body, count)) return 'its layers are not where they should be';
    return filter;
  }

  #take(body: Buffer, count: number): boolean {
    let at = HEAD_BYTES + count * LAYER_HEAD_BYTES;
    if (count < 0 || at > body.length) return false;
    for (let index = 0; index < count; index++) {
      const size = body.readInt32BE(HEAD_BYTES + index * LAYER_HEAD_BYTES);
      const keys = body.readInt32BE(HEAD_BYTES + index * LAYER_HEAD_BYTES + 4);
      const isPower = size > 0 && (size & (size - 1)) === 0;
      if (!isPower || size > body.length - at || keys < 0) return false;
      // A copy: the file's buffer is not kept alive by one layer.
      this.#layers.push({ bits: Buffer.from(body.subarray(at, at + size)), keys });
      this.#heldBytes += size;
      at += size;
    }
    return at === body.length;
  }
}

function bitOf(first: number, second: number, probe: number, mask: number): number {
  return (first + Math.imul(probe, second | 1)) & mask;
}

function hasBits(bits: Buffer, first: number, second: number): boolean {
  const mask = bits.length * 8 - 1;
  for (let probe = 0; probe < PROBES; probe++) {
    const bit = bitOf(first, second, probe, mask);
    if ((bits[bit >>> 3]! & (1 << (bit & 7))) === 0) return false;
  }
  return true;
}

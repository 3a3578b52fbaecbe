/**
 * A cursor over the bytes of one message. Every read is checked against the end, every length and
 * count against the bytes that are left, before anything is allocated: bytes that cannot be what
 * they claim to be throw MalformedFrame, whatever they are.
 *
 * Source: Kafka's protocol guide, "Protocol Primitive Types".
 */

import { ProtocolError } from './errors.ts';
import { textOf, uuidOf } from './text-cache.ts';

/** Bytes that are no message of the declared form. The connection they came on cannot go on. */
export class MalformedFrame extends ProtocolError {
  constructor(message: string) {
    super('INVALID_REQUEST', message);
    this.name = 'MalformedFrame';
  }
}

/** Kafka's own limit for the bytes of a string, compact ones included. */
export const MAX_STRING_BYTES = 0x7fff;

/**
 * Elements that the arrays of one message may have together: an element of a few bytes becomes an
 * object of a hundred, and frames of records may be large.
 */
export const MAX_ELEMENTS = 0x4_0000;

const TWO_TO_32 = 0x1_0000_0000;
/** High words beyond which an int64 is no safe integer. */
const MAX_SAFE_HIGH = 0x1f_ffff;
const MIN_SAFE_HIGH = -0x20_0000;

/** An int64 of two words as a number, saturating at ±(2^53 - 1). */
export function int64Of(high: number, low: number): number {
  if (high > MAX_SAFE_HIGH) return Number.MAX_SAFE_INTEGER;
  if (high < MIN_SAFE_HIGH) return Number.MIN_SAFE_INTEGER;
  const value = high * TWO_TO_32 + (low >>> 0);
  return value < Number.MIN_SAFE_INTEGER ? Number.MIN_SAFE_INTEGER : value;
}

/** In memory of its own: a value that is kept must not keep what lies around it. */
function copyOf(slice: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(slice.length);
  slice.copy(copy);
  return copy;
}

export class Reader {
  readonly buffer: Buffer;
  /** Position of the next byte. */
  at: number;
  /** Position after the last byte that may be read. */
  readonly end: number;
  #elements = 0;

  constructor(buffer: Buffer, at = 0, end = buffer.length) {
    this.buffer = buffer;
    this.at = at;
    this.end = end;
  }

  get bytesLeft(): number {
    return this.end - this.at;
  }

  /** Steps over so many bytes and gives the position of the first. */
  take(count: number): number {
    const at = this.at;
    if (count < 0 || count > this.end - at) this.fail(`${count} bytes wanted`);
    this.at = at + count;
    return at;
  }

  fail(what: string): never {
    throw new MalformedFrame(`${what} at ${this.at}, where ${this.bytesLeft} bytes are left`);
  }

  bool(): boolean {
    return this.buffer[this.take(1)] !== 0;
  }

  int8(): number {
    return (this.buffer[this.take(1)]! << 24) >> 24;
  }

  uint8(): number {
    return this.buffer[this.take(1)]!;
  }

  int16(): number {
    const at = this.take(2);
    return ((this.buffer[at]! << 24) | (this.buffer[at + 1]! << 16)) >> 16;
  }

  uint16(): number {
    const at = this.take(2);
    return (this.buffer[at]! << 8) | this.buffer[at + 1]!;
  }

  int32(): number {
    return this.#word(this.take(4));
  }

  uint32(): number {
    return this.#word(this.take(4)) >>> 0;
  }

  int64(): number {
    const at = this.take(8);
    return int64Of(this.#word(at), this.#word(at + 4));
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.take(8));
  }

  #word(at: number): number {
    const buffer = this.buffer;
    return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
  }

  /** An unsigned 32-bit integer of 1 to 5 bytes. */
  unsignedVarint(): number {
    const at = this.at;
    const first = at < this.end ? this.buffer[at]! : 0x80;
    if (first >= 0x80) return this.#longVarint();
    this.at = at + 1;
    return first;
  }

  #longVarint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.uint8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    const last = this.uint8();
    if (last > 0x0f) this.fail('varint of more than 32 bits');
    return (value | (last << 28)) >>> 0;
  }

  /** A signed 32-bit integer, zigzag coded, of 1 to 5 bytes. */
  varint(): number {
    const value = this.unsignedVarint();
    return (value >>> 1) ^ -(value & 1);
  }

  /** A signed 64-bit integer, zigzag coded, of 1 to 10 bytes, saturating at ±(2^53 - 1). */
  varlong(): number {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.uint8();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return unzigzag(0, low);
    }
    let high = 0;
    for (let scale = 1; scale < 2 ** 35; scale *= 0x80) {
      const byte = this.uint8();
      high += (byte & 0x7f) * scale;
      if (byte < 0x80) return unzigzag(high, low);
    }
    const last = this.uint8();
    if (last > 1) this.fail('varint of more than 64 bits');
    return unzigzag(high + last * 2 ** 35, low);
  }

  string(): string {
    return this.#text(this.present(this.int16(), 'string'));
  }

  nullableString(): string | null {
    const length = this.int16();
    return length === -1 ? null : this.#text(this.present(length, 'string'));
  }

  compactString(): string {
    return this.#text(this.present(this.unsignedVarint() - 1, 'string'));
  }

  compactNullableString(): string | null {
    const length = this.unsignedVarint() - 1;
    return length === -1 ? null : this.#text(length);
  }

  /** 16 bytes as base64url text. */
  uuid(): string {
    return uuidOf(this.buffer, this.take(16));
  }

  /** Bytes of their own; only records stay a slice of what is read. */
  bytes(): Buffer {
    return copyOf(this.records());
  }

  nullableBytes(): Buffer | null {
    const slice = this.nullableRecords();
    return slice === null ? null : copyOf(slice);
  }

  compactBytes(): Buffer {
    return copyOf(this.compactRecords());
  }

  compactNullableBytes(): Buffer | null {
    const slice = this.compactNullableRecords();
    return slice === null ? null : copyOf(slice);
  }

  records(): Buffer {
    return this.#slice(this.present(this.int32(), 'byte field'));
  }

  nullableRecords(): Buffer | null {
    const length = this.int32();
    return length === -1 ? null : this.#slice(length);
  }

  compactRecords(): Buffer {
    return this.#slice(this.present(this.unsignedVarint() - 1, 'byte field'));
  }

  compactNullableRecords(): Buffer | null {
    const length = this.unsignedVarint() - 1;
    return length === -1 ? null : this.#slice(length);
  }

  /** Number of elements, -1 for null; `elementBytes` is the least that one can take. */
  arrayCount(elementBytes: number): number {
    return this.#count(this.int32(), elementBytes);
  }

  compactArrayCount(elementBytes: number): number {
    return this.#count(this.unsignedVarint() - 1, elementBytes);
  }

  /** The size of a tagged field; gives the position of its end. */
  tagEnd(): number {
    const size = this.unsignedVarint();
    if (size > this.bytesLeft) this.fail(`tagged field of ${size} bytes`);
    return this.at + size;
  }

  /** Refuses a tagged field whose value did not end where its size says. */
  endTag(tag: number, end: number): void {
    if (this.at !== end) this.fail(`tagged field ${tag} of another size than it says`);
  }

  /** Steps over tagged fields, none of which is known here. */
  skipTags(): void {
    for (let count = this.unsignedVarint(); count > 0; count--) {
      this.unsignedVarint();
      this.at = this.tagEnd();
    }
  }

  /** Refuses null where it may not stand. */
  present(length: number, what: string): number {
    if (length < 0) this.fail(`${what} of length ${length}`);
    return length;
  }

  #text(length: number): string {
    if (length > MAX_STRING_BYTES) this.fail(`string of ${length} bytes`);
    return textOf(this.buffer, this.take(length), length);
  }

  #slice(length: number): Buffer {
    const at = this.take(length);
    return this.buffer.subarray(at, at + length);
  }

  #count(count: number, elementBytes: number): number {
    if (count < -1 || count * elementBytes > this.bytesLeft)
      this.fail(`array of ${count} elements`);
    this.#elements += count;
    if (this.#elements > MAX_ELEMENTS) this.fail(`arrays of more than ${MAX_ELEMENTS} elements`);
    return count;
  }
}

/** Undoes zigzag; `low` are the lowest 28 bits. */
function unzigzag(high: number, low: number): number {
  const half = Math.min(high * 2 ** 27 + (low >>> 1), Number.MAX_SAFE_INTEGER);
  return (low & 1) === 0 ? half : Math.max(-half - 1, Number.MIN_SAFE_INTEGER);
}

/**
 * What is encoded: one growing Buffer and, between its parts, foreign slices that are sent as they
 * are (`records` of a Fetch answer). `finish()` gives the list in the order it is to be sent.
 *
 * Values out of their kind's range throw RangeError: what we would refuse to read is not written.
 * Source: Kafka's protocol guide, "Protocol Primitive Types".
 */

import { MAX_STRING_BYTES } from './reader.ts';
import type { RecordSet } from './schema.ts';

const FIRST_BYTES = 256;
/** A foreign slice below this is copied: an entry of its own in a vectored write costs more. */
const COPY_BELOW_BYTES = 1024;
const TWO_TO_32 = 0x1_0000_0000;
const UUID_BYTES = 16;
const UUID_CHARACTERS = 22;
/** Strings up to this many characters are tried as ASCII, character by character. */
const SHORT_CHARACTERS = 48;

export class Writer {
  /** Finished parts, in order; the part being written is `buffer` from `#start` to `#at`. */
  readonly #parts: Buffer[] = [];
  #partBytes = 0;
  /** Where compiled text writes, at the positions that `reserve` gave. */
  buffer: Buffer;
  #start = 0;
  #at = 0;

  constructor(expectedBytes = FIRST_BYTES) {
    this.buffer = Buffer.allocUnsafe(expectedBytes);
  }

  /** Bytes written so far, foreign slices included. */
  get sizeBytes(): number {
    return this.#partBytes + this.#at - this.#start;
  }

  /** The written bytes, in order. The writer must not be used afterwards. */
  finish(): Buffer[] {
    this.#closePart();
    return this.#parts;
  }

  bool(value: boolean): void {
    const at = this.reserve(1);
    this.buffer[at] = value ? 1 : 0;
  }

  int8(value: number): void {
    if ((value << 24) >> 24 !== value) outOfRange('int8', value);
    const at = this.reserve(1);
    this.buffer[at] = value;
  }

  int16(value: number): void {
    if ((value << 16) >> 16 !== value) outOfRange('int16', value);
    this.#half(value);
  }

  uint16(value: number): void {
    if ((value & 0xffff) !== value) outOfRange('uint16', value);
    this.#half(value);
  }

  int32(value: number): void {
    if ((value | 0) !== value) outOfRange('int32', value);
    this.#word(value);
  }

  uint32(value: number): void {
    if (value >>> 0 !== value) outOfRange('uint32', value);
    this.#word(value);
  }

  int64(value: number): void {
    if (!Number.isSafeInteger(value)) outOfRange('int64', value);
    this.#word(Math.floor(value / TWO_TO_32));
    this.#word(value | 0);
  }

  float64(value: number): void {
    if (typeof value !== 'number') outOfRange('float64', value);
    const at = this.reserve(8);
    this.buffer.writeDoubleBE(value, at);
  }

  unsignedVarint(value: number): void {
    if (value >>> 0 !== value) outOfRange('unsigned varint', value);
    if (value > 0x7f) {
      this.#longVarint(value);
      return;
    }
    const at = this.reserve(1);
    this.buffer[at] = value;
  }

  #longVarint(value: number): void {
    let next = this.reserve(5);
    const buffer = this.buffer;
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) buffer[next++] = (rest & 0x7f) | 0x80;
    buffer[next++] = rest;
    this.#at = next;
  }

  varint(value: number): void {
    if ((value | 0) !== value) outOfRange('varint', value);
    this.unsignedVarint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  string(value: string): void {
    if (value.length <= SHORT_CHARACTERS && this.#shortText(value, 2)) return;
    const length = stringBytes(value);
    this.#half(length);
    this.#text(value, length);
  }

  nullableString(value: string | null): void {
    if (value === null) this.#half(-1);
    else this.string(value);
  }

  compactString(value: string): void {
    if (value.length <= SHORT_CHARACTERS && this.#shortText(value, 1)) return;
    const length = stringBytes(value);
    this.unsignedVarint(length + 1);
    this.#text(value, length);
  }

  compactNullableString(value: string | null): void {
    if (value === null) this.unsignedVarint(0);
    else this.compactString(value);
  }

  uuid(value: string): void {
    const at = this.reserve(UUID_BYTES);
    writeUuid(this.buffer, at, value);
  }

  bytes(value: Uint8Array): void {
    this.int32(value.length);
    this.raw(value);
  }

  nullableBytes(value: Uint8Array | null): void {
    if (value === null) this.#word(-1);
    else this.bytes(value);
  }

  compactBytes(value: Uint8Array): void {
    this.unsignedVarint(value.length + 1);
    this.raw(value);
  }

  compactNullableBytes(value: Uint8Array | null): void {
    if (value === null) this.unsignedVarint(0);
    else this.compactBytes(value);
  }

  records(value: RecordSet): void {
    this.int32(recordBytes(value));
    this.#foreign(value);
  }

  nullableRecords(value: RecordSet | null): void {
    if (value === null) this.#word(-1);
    else this.records(value);
  }

  compactRecords(value: RecordSet): void {
    this.unsignedVarint(recordBytes(value) + 1);
    this.#foreign(value);
  }

  compactNullableRecords(value: RecordSet | null): void {
    if (value === null) this.unsignedVarint(0);
    else this.compactRecords(value);
  }

  /** -1 stands for null. */
  arrayCount(count: number): void {
    this.int32(count);
  }

  compactArrayCount(count: number): void {
    this.unsignedVarint(count + 1);
  }

  /** Copies bytes without a length before them. */
  raw(value: Uint8Array): void {
    const at = this.reserve(value.length);
    this.buffer.set(value, at);
  }

  /** Begins a tagged field; what is given back goes to `endTag`. */
  beginTag(tag: number): number {
    this.unsignedVarint(tag);
    this.reserve(1);
    return this.sizeBytes;
  }

  /** Ends a tagged field: its size, known only now, is put before it. */
  endTag(mark: number): void {
    const length = this.sizeBytes - mark;
    if (length > this.#at - this.#start) {
      throw new RangeError('a foreign slice cannot stand in a tagged field');
    }
    const lengthBytes = varintBytes(length);
    if (lengthBytes > 1) this.reserve(lengthBytes - 1);
    const end = this.#at;
    const from = end - length - lengthBytes + 1;
    this.buffer.copyWithin(from + lengthBytes - 1, from, from + length);
    this.#at = from - 1;
    this.unsignedVarint(length);
    this.#at = end;
  }

  #half(value: number): void {
    const at = this.reserve(2);
    const buffer = this.buffer;
    buffer[at] = value >>> 8;
    buffer[at + 1] = value;
  }

  #word(value: number): void {
    const at = this.reserve(4);
    const buffer = this.buffer;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
  }

  /**
   * Writes a short ASCII string behind its length of so many bytes: 2 (an int16), or 1 (compact).
   * Gives false, and has written nothing, for other text: its length must be known first.
   */
  #shortText(value: string, lengthBytes: 1 | 2): boolean {
    const length = value.length;
    const start = this.reserve(lengthBytes + length);
    const buffer = this.buffer;
    const at = start + lengthBytes;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.#at = start;
        return false;
      }
      buffer[at + i] = code;
    }
    if (lengthBytes === 2) {
      buffer[start] = 0;
      buffer[start + 1] = length;
    } else buffer[start] = length + 1;
    return true;
  }

  #text(value: string, length: number): void {
    const at = this.reserve(length);
    this.buffer.write(value, at, length, length === value.length ? 'latin1' : 'utf8');
  }

  #foreign(value: RecordSet): void {
    if (!Array.isArray(value)) this.#slice(value as Buffer);
    else for (const slice of value as readonly Buffer[]) this.#slice(slice);
  }

  #slice(slice: Buffer): void {
    if (slice.length < COPY_BELOW_BYTES) {
      this.raw(slice);
      return;
    }
    this.#closePart();
    this.#parts.push(slice);
    this.#partBytes += slice.length;
  }

  #closePart(): void {
    if (this.#at === this.#start) return;
    this.#parts.push(this.buffer.subarray(this.#start, this.#at));
    this.#partBytes += this.#at - this.#start;
    this.#start = this.#at;
  }

  /** Room for so many bytes; gives the position of the first. */
  reserve(count: number): number {
    if (this.#at + count > this.buffer.length) this.#grow(count);
    const at = this.#at;
    this.#at = at + count;
    return at;
  }

  /** Only the part being written moves; finished parts stay where they are. */
  #grow(count: number): void {
    const written = this.#at - this.#start;
    const larger = Buffer.allocUnsafe(2 * Math.max(written + count, this.buffer.length));
    this.buffer.copy(larger, 0, this.#start, this.#at);
    this.buffer = larger;
    this.#start = 0;
    this.#at = written;
  }
}

/** Refuses a value that does not fit its kind. */
export function outOfRange(kind: string, value: unknown): never {
  throw new RangeError(`${String(value)} is no ${kind}`);
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** The six bits of each character of base64url; above 63 for other characters. */
const SIX_BITS = new Uint8Array(128).fill(0xff);
for (let bits = 0; bits < BASE64URL.length; bits++) SIX_BITS[BASE64URL.charCodeAt(bits)] = bits;

/** Writes the 16 bytes of a uuid given as base64url text. */
export function writeUuid(buffer: Buffer, at: number, value: string): void {
  if (value.length !== UUID_CHARACTERS) outOfRange('uuid', value);
  let seen = 0;
  let bits = 0;
  let next = at;
  for (let i = 0; i < UUID_CHARACTERS; i++) {
    // A character beyond the table has no entry: undefined must not pass as 0.
    const six = SIX_BITS[value.charCodeAt(i)] ?? 0xff;
    seen |= six;
    bits = (bits << 6) | six;
    if ((i & 3) === 3) {
      buffer[next] = bits >>> 16;
      buffer[next + 1] = bits >>> 8;
      buffer[next + 2] = bits;
      next += 3;
    }
  }
  // Two characters are left over: twelve bits, of which eight are the last byte.
  buffer[next] = bits >>> 4;
  if (seen > 63) outOfRange('uuid', value);
}

function varintBytes(value: number): number {
  let count = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) count++;
  return count;
}

function stringBytes(value: string): number {
  const length = Buffer.byteLength(value);
  if (length > MAX_STRING_BYTES) throw new RangeError(`string of ${length} bytes`);
  return length;
}

function recordBytes(value: RecordSet): number {
  if (!Array.isArray(value)) return (value as Buffer).length;
  let sum = 0;
  for (const slice of value as readonly Buffer[]) sum += slice.length;
  return sum;
}

/**
 * The records inside a batch of magic 2, once they are uncompressed: a cursor that walks them with
 * every length checked and without making objects.
 *
 * ```
 * record: length varint, attributes int8, timestampDelta varlong, offsetDelta varint,
 *         keyLength varint, key, valueLength varint, value, headerCount varint, headers
 * header: keyLength varint, key, valueLength varint, value
 * ```
 * Varints are zigzag; a length of -1 means null, which a header's key cannot be.
 * Source: Kafka's documentation, "Record"; DefaultRecord.
 */

/** A varint has at most so many bytes; the last one's upper bits are lost, as in Kafka. */
const MAX_VARLONG_BYTES = 10;

/** Records whose bytes contradict their own lengths, or the batch's header. */
export class InvalidRecords extends Error {
  /** Index within the batch of the record at fault. */
  readonly recordIndex: number;

  constructor(recordIndex: number, reason: string) {
    super(`record ${recordIndex}: ${reason}`);
    this.name = 'InvalidRecords';
    this.recordIndex = recordIndex;
  }
}

export interface RecordHeader {
  readonly key: string;
  readonly value: Buffer | null;
}

/**
 * Walks the records between two positions of a buffer. After `next()` gave true, the fields say
 * where the record's parts lie; they are overwritten by the next call. A length of -1 is null.
 */
export class RecordCursor {
  readonly buffer: Buffer;
  readonly end: number;
  /** Index of the current record. */
  index = -1;
  recordAt = 0;
  recordEnd: number;
  timestampDelta = 0;
  offsetDelta = 0;
  keyAt = 0;
  keyBytes = -1;
  valueAt = 0;
  valueBytes = -1;
  headersAt = 0;
  headerCount = 0;
  #position: number;

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    this.buffer = buffer;
    this.end = end;
    this.recordEnd = start;
    this.#position = start;
  }

  /** Goes on to the next record and checks all of it; false after the last one. */
  next(): boolean {
    if (!this.nextTime()) return false;
    const { buffer, recordEnd } = this;
    let at = this.#position;
    // Lengths of one byte are read here, without a call, and without looking at the record's end:
    // whoever goes past it is found below.
    let byte = buffer[at]!;
    let length: number;
    if (byte < 0x80) {
      length = (byte >>> 1) ^ -(byte & 1);
      at++;
    } else {
      length = this.#readLongVarint(at);
      at = this.#position;
    }
    if (length < -1 || length > recordEnd - at) this.#failLength('key', length, at);
    this.keyAt = at;
    this.keyBytes = length;
    if (length > 0) at += length;
    byte = buffer[at]!;
    if (byte < 0x80) {
      length = (byte >>> 1) ^ -(byte & 1);
      at++;
    } else {
      length = this.#readLongVarint(at);
      at = this.#position;
    }
    if (length < -1 || length > recordEnd - at) this.#failLength('value', length, at);
    this.valueAt = at;
    this.valueBytes = length;
    if (length > 0) at += length;
    this.#position = at;
    if (buffer[at] === 0) {
      this.headerCount = 0;
      this.#position = this.headersAt = at + 1;
    } else this.#passHeaders();
    if (this.#position !== recordEnd) this.#fail('its length is not that of its parts');
    return true;
  }

  /** Goes on to the next record, of which only offset and time are read; false after the last. */
  nextTime(): boolean {
    const start = this.recordEnd;
    if (start >= this.end) return false;
    this.index++;
    this.recordAt = start;
    this.recordEnd = this.end;
    this.#position = start;
    const length = this.#readVarint();
    const end = this.#position + length;
    if (length < 0 || end > this.end) this.#fail(`length ${length} leads out of the batch`);
    this.recordEnd = end;
    this.#position++;
    this.timestampDelta = this.#readVarlong();
    this.offsetDelta = this.#readVarint();
    if (this.#position > end) this.#fail('it ends within a number');
    return true;
  }

  key(): Buffer | null {
    return this.keyBytes < 0 ? null : this.buffer.subarray(this.keyAt, this.keyAt + this.keyBytes);
  }

  value(): Buffer | null {
    return this.valueBytes < 0
      ? null
      : this.buffer.subarray(this.valueAt, this.valueAt + this.valueBytes);
  }

  headers(): RecordHeader[] {
    const headers: RecordHeader[] = [];
    this.#position = this.headersAt;
    for (let left = this.headerCount; left > 0; left--) {
      const keyBytes = this.#passBytes('header key', 0);
      const key = this.buffer.toString('utf8', this.#position - keyBytes, this.#position);
      const bytes = this.#passBytes('header value', -1);
      const value = bytes < 0 ? null : this.buffer.subarray(this.#position - bytes, this.#position);
      headers.push({ key, value });
    }
    return headers;
  }

  #passHeaders(): void {
    const count = this.#readVarint();
    if (count < 0 || count > this.recordEnd - this.#position) {
      this.#fail(`header count ${count} in ${this.recordEnd - this.#position} bytes`);
    }
    this.headerCount = count;
    this.headersAt = this.#position;
    for (let left = count; left > 0; left--) {
      this.#passBytes('header key', 0);
      this.#passBytes('header value', -1);
    }
  }

  /** Reads a length and steps over so many bytes; gives the length. */
  #passBytes(part: string, least: number): number {
    const length = this.#readVarint();
    if (length < least || length > this.recordEnd - this.#position) {
      this.#fail(`${part} length ${length} with ${this.recordEnd - this.#position} bytes left`);
    }
    if (length > 0) this.#position += length;
    return length;
  }

  #readVarint(): number {
    const byte = this.buffer[this.#position]!;
    if (byte < 0x80) {
      this.#position++;
      return (byte >>> 1) ^ -(byte & 1);
    }
    return this.#readLongVarint();
  }

  #readLongVarint(start = this.#position): number {
    const { buffer, recordEnd } = this;
    let at = start;
    let raw = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (at >= recordEnd) this.#fail('it ends within a number');
      const byte = buffer[at++]!;
      raw |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#position = at;
        return (raw >>> 1) ^ -(raw & 1);
      }
    }
    return this.#fail('a varint of more than 5 bytes');
  }

  #readVarlong(): number {
    const { buffer, recordEnd } = this;
    const start = this.#position;
    let at = start;
    let raw = 0;
    // Four groups of seven bits fit the integers of the machine; what is longer is read anew.
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= recordEnd) this.#fail('it ends within a number');
      const byte = buffer[at++]!;
      raw |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#position = at;
        return (raw >>> 1) ^ -(raw & 1);
      }
    }
    for (; at - start < MAX_VARLONG_BYTES; at++) {
      if (at >= recordEnd) this.#fail('it ends within a number');
      if (buffer[at]! >= 0x80) continue;
      this.#position = at + 1;
      return wideVarlong(buffer, start, at + 1);
    }
    return this.#fail('a varlong of more than 10 bytes');
  }

  #failLength(part: string, length: number, at: number): never {
    return this.#fail(`${part} length ${length} with ${this.recordEnd - at} bytes left`);
  }

  #fail(reason: string): never {
    throw new InvalidRecords(this.index, reason);
  }
}

/** The value of a zigzag varlong of any width, rounded to a double beyond 2^53. */
function wideVarlong(buffer: Buffer, start: number, end: number): number {
  let raw = 0n;
  for (let at = end - 1; at >= start; at--) raw = (raw << 7n) | BigInt(buffer[at]! & 0x7f);
  raw = BigInt.asUintN(64, raw);
  return Number((raw >> 1n) ^ -(raw & 1n));
}

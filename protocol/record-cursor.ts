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
    this.keyBytes = this.#passBytes('key', -1);
    this.keyAt = this.#position - Math.max(this.keyBytes, 0);
    this.valueBytes = this.#passBytes('value', -1);
    this.valueAt = this.#position - Math.max(this.valueBytes, 0);
    this.#passHeaders();
    if (this.#position !== this.recordEnd) this.#fail('its length is not that of its parts');
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
    const { buffer, recordEnd } = this;
    let position = this.#position;
    let raw = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (position >= recordEnd) this.#fail('it ends within a number');
      const byte = buffer[position++]!;
      raw |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#position = position;
        return (raw >>> 1) ^ -(raw & 1);
      }
    }
    return this.#fail('a varint of more than 5 bytes');
  }

  #readVarlong(): number {
    const { buffer, recordEnd } = this;
    const start = this.#position;
    let position = start;
    let raw = 0;
    let scale = 1;
    for (let count = 0; count < MAX_VARLONG_BYTES; count++) {
      if (position >= recordEnd) this.#fail('it ends within a number');
      const byte = buffer[position++]!;
      raw += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) {
        this.#position = position;
        // Seven groups of seven bits are exact in a double; more are read anew.
        if (count >= 7) return wideVarlong(buffer, start, position);
        return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
      }
    }
    return this.#fail('a varlong of more than 10 bytes');
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

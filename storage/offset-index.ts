/**
 * The `.index` of a segment: where in the file a batch lies, about one entry for every
 * `index.interval.bytes`. An entry is the last offset of a batch, relative to the segment's base
 * (int32), and the position of its first byte (int32); both rise.
 * It is a cache: whatever it says is checked against the batches, and it can be made anew.
 * Source: Kafka's OffsetIndex.
 */

import { EntryTable } from './entry-table.ts';

export const OFFSET_ENTRY_BYTES = 8;

/** A batch's last offset and its position; from a look-up: a place at or before the batch asked for. */
export interface OffsetPosition {
  readonly offset: number;
  readonly position: number;
}

export class OffsetIndex {
  readonly baseOffset: number;
  readonly table: EntryTable;

  constructor(baseOffset: number, stored?: Buffer) {
    this.baseOffset = baseOffset;
    this.table = new EntryTable(OFFSET_ENTRY_BYTES, stored);
  }

  /** Why the bytes of a file cannot be the index of a segment of that size; undefined when they can. */
  static fault(bytes: Buffer, segmentBytes: number): string | undefined {
    if (bytes.length % OFFSET_ENTRY_BYTES !== 0) return 'its size is not a multiple of 8';
    let offset = -1;
    let position = -1;
    for (let at = 0; at < bytes.length; at += OFFSET_ENTRY_BYTES) {
      const nextOffset = bytes.readInt32BE(at);
      const nextPosition = bytes.readInt32BE(at + 4);
      if (nextOffset <= offset || nextPosition <= position) return `it does not rise at ${at}`;
      offset = nextOffset;
      position = nextPosition;
    }
    if (position >= segmentBytes) return `it points to ${position} of ${segmentBytes} bytes`;
    return undefined;
  }

  append(lastOffset: number, position: number): void {
    const relative = lastOffset - this.baseOffset;
    if (relative < 0 || relative > 0x7fff_ffff) {
      throw new RangeError(`offset ${lastOffset} does not fit a segment from ${this.baseOffset}`);
    }
    const last = this.last;
    if (last !== undefined && (lastOffset <= last.offset || position <= last.position)) {
      throw new RangeError(`index entry ${lastOffset} at ${position} after ${last.offset}`);
    }
    const at = this.table.add();
    this.table.bytes.writeInt32BE(relative, at);
    this.table.bytes.writeInt32BE(position, at + 4);
  }

  entry(index: number): OffsetPosition {
    const at = index * OFFSET_ENTRY_BYTES;
    const { bytes } = this.table;
    return {
      offset: this.baseOffset + bytes.readInt32BE(at),
      position: bytes.readInt32BE(at + 4),
    };
  }

  get last(): OffsetPosition | undefined {
    return this.table.count === 0 ? undefined : this.entry(this.table.count - 1);
  }

  /** The last entry at or below an offset; the segment's start when there is none. */
  lookup(offset: number): OffsetPosition {
    const relative = offset - this.baseOffset;
    const count = this.table.partition((bytes, at) => bytes.readInt32BE(at) <= relative);
    return count === 0 ? { offset: this.baseOffset, position: 0 } : this.entry(count - 1);
  }

  /** Position of the first entry above an offset; undefined when there is none. */
  positionAbove(offset: number): number | undefined {
    const relative = offset - this.baseOffset;
    const index = this.table.partition((bytes, at) => bytes.readInt32BE(at) <= relative);
    return index === this.table.count ? undefined : this.entry(index).position;
  }

  /** Position of the last entry at or below a position; 0 when there is none. */
  positionAtOrBelow(position: number): number {
    const count = this.table.partition((bytes, at) => bytes.readInt32BE(at + 4) <= position);
    return count === 0 ? 0 : this.entry(count - 1).position;
  }

  /** Keeps the entries of batches that lie before a position. */
  truncateAt(position: number): void {
    this.table.truncate(this.table.partition((bytes, at) => bytes.readInt32BE(at + 4) < position));
  }
}

/**
 * The `.timeindex` of a segment: the largest timestamp so far (int64) and the last offset of the
 * first batch that has it, relative to the segment's base (int32). An entry comes with one of the
 * offset index when the largest timestamp has grown, and once more when the segment is closed, so
 * that the last entry of a closed segment is its largest timestamp.
 * Source: Kafka's TimeIndex.
 */

import { NO_TIMESTAMP, readInt64, writeInt64 } from '../protocol/record-batch.ts';
import { EntryTable } from './entry-table.ts';

export const TIME_ENTRY_BYTES = 12;

export interface TimestampOffset {
  readonly timestamp: number;
  readonly offset: number;
}

export class TimeIndex {
  readonly baseOffset: number;
  readonly table: EntryTable;

  constructor(baseOffset: number, stored?: Buffer) {
    this.baseOffset = baseOffset;
    this.table = new EntryTable(TIME_ENTRY_BYTES, stored);
  }

  /** Why the bytes of a file cannot be a time index; undefined when they can. */
  static fault(bytes: Buffer): string | undefined {
    if (bytes.length % TIME_ENTRY_BYTES !== 0) return 'its size is not a multiple of 12';
    let timestamp = NO_TIMESTAMP;
    let offset = -1;
    for (let at = 0; at < bytes.length; at += TIME_ENTRY_BYTES) {
      const nextTimestamp = readInt64(bytes, at);
      const nextOffset = bytes.readInt32BE(at + 8);
      if (nextTimestamp <= timestamp || nextOffset <= offset) return `it does not rise at ${at}`;
      timestamp = nextTimestamp;
      offset = nextOffset;
    }
    return undefined;
  }

  /** Adds an entry when the timestamp is above the last one's. */
  maybeAppend(timestamp: number, offset: number): void {
    if (timestamp <= this.last.timestamp) return;
    const at = this.table.add();
    writeInt64(this.table.bytes, timestamp, at);
    this.table.bytes.writeInt32BE(offset - this.baseOffset, at + 8);
  }

  entry(index: number): TimestampOffset {
    const at = index * TIME_ENTRY_BYTES;
    const { bytes } = this.table;
    return {
      timestamp: readInt64(bytes, at),
      offset: this.baseOffset + bytes.readInt32BE(at + 8),
    };
  }

  /** The last entry, or no timestamp at the segment's base. */
  get last(): TimestampOffset {
    return this.table.count === 0
      ? { timestamp: NO_TIMESTAMP, offset: this.baseOffset }
      : this.entry(this.table.count - 1);
  }

  /** The last entry at or below a time; the segment's base when there is none. */
  lookup(timestamp: number): TimestampOffset {
    const count = this.table.partition((bytes, at) => readInt64(bytes, at) <= timestamp);
    return count === 0
      ? { timestamp: NO_TIMESTAMP, offset: this.baseOffset }
      : this.entry(count - 1);
  }

  /** The last entry whose offset is below one; no timestamp when there is none. */
  lastBelowOffset(offset: number): TimestampOffset {
    const relative = offset - this.baseOffset;
    const count = this.table.partition((bytes, at) => bytes.readInt32BE(at + 8) < relative);
    return count === 0
      ? { timestamp: NO_TIMESTAMP, offset: this.baseOffset }
      : this.entry(count - 1);
  }

  /** Keeps the entries whose offset is at or below one. */
  truncateAbove(offset: number): void {
    const relative = offset - this.baseOffset;
    this.table.truncate(this.table.partition((bytes, at) => bytes.readInt32BE(at + 8) <= relative));
  }
}

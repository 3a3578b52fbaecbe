/**
 * Bytes of the journal. A file is a header of 512 bytes and then groups, one behind the other; a
 * group is what one turn wrote for all partitions.
 *
 * ```
 * file    magic 8 | crc u32 | sequence i64 | generation 8 | device f64 | bootId: length u8, text
 *         | ... previousBytes i64, the header's last 8 bytes
 * group   magic u32 | crc u32 | groupBytes u32 | headerBytes u32 | entries u32
 *         | syncedSequence i64 | syncedPosition i64 | entry* | payload* | zeros to a multiple of 8
 * entry   1 | topicId 16 | partition i32 | previousEnd i64 | end i64 | payloadBytes u32
 *         2 | topicId 16 | partition i32 | leaseEnd i64
 * ```
 * The group's crc covers the file's generation, the group's position and its header with all
 * entries, so that what an earlier use of the file left behind is never taken for new. The payload
 * is record batches, each under its own checksum; the fields that lie before what that checksum
 * covers follow from the entry (offsets run on from previousEnd, a wrong length breaks the sum).
 * syncedSequence and syncedPosition: all groups before are fsynced; damage there is corruption,
 * damage behind it is a torn tail.
 */

import { crc32c } from '../protocol/crc32c.ts';
import { readInt64, writeInt64 } from '../protocol/record-batch.ts';

export const JOURNAL_HEADER_BYTES = 512;
export const GROUP_ALIGNMENT = 8;
export const GENERATION_BYTES = 8;

const PREVIOUS_BYTES_AT = JOURNAL_HEADER_BYTES - 8;
const FILE_MAGIC = Buffer.from('TRJRNL\0\x01', 'latin1');
const GROUP_MAGIC = 0x54524a47;
const GROUP_MAGIC_BYTES = Buffer.from('TRJG', 'latin1');
const GROUP_HEADER_BYTES = 36;
const BATCHES_ENTRY_BYTES = 41;
const LEASE_ENTRY_BYTES = 29;
const UUID_BYTES = 16;

export interface JournalFileHeader {
  /** Rises by one with each use of a file. */
  readonly sequence: number;
  readonly generation: Buffer;
  /** Device under the data folder when the file was begun. */
  readonly device: number;
  readonly bootId: string;
  /** Where the groups of the file before end, in which no more are written; 0 without one. */
  readonly previousBytes: number;
}

export function encodeFileHeader(header: JournalFileHeader): Buffer {
  const bytes = Buffer.alloc(JOURNAL_HEADER_BYTES);
  FILE_MAGIC.copy(bytes);
  writeInt64(bytes, header.sequence, 12);
  header.generation.copy(bytes, 20);
  bytes.writeDoubleBE(header.device, 28);
  const bootId = Buffer.from(header.bootId, 'latin1').subarray(0, 255);
  bytes.writeUInt8(bootId.length, 36);
  bootId.copy(bytes, 37);
  writeInt64(bytes, header.previousBytes, PREVIOUS_BYTES_AT);
  bytes.writeUInt32BE(crc32c(bytes.subarray(12)), 8);
  return bytes;
}

/** Undefined when the bytes are not a journal file's header. */
export function decodeFileHeader(bytes: Buffer): JournalFileHeader | undefined {
  if (bytes.length < JOURNAL_HEADER_BYTES || !bytes.subarray(0, 8).equals(FILE_MAGIC)) return;
  const header = bytes.subarray(0, JOURNAL_HEADER_BYTES);
  if (header.readUInt32BE(8) !== crc32c(header.subarray(12))) return undefined;
  return {
    sequence: readInt64(header, 12),
    generation: Buffer.from(header.subarray(20, 28)),
    device: header.readDoubleBE(28),
    bootId: header.toString('latin1', 37, 37 + header.readUInt8(36)),
    previousBytes: readInt64(header, PREVIOUS_BYTES_AT),
  };
}

/** Up to where the journal is known to be fsynced. */
export interface SyncedMark {
  readonly sequence: number;
  readonly position: number;
}

export interface BatchesEntry {
  readonly kind: 'batches';
  /** 16 bytes. */
  readonly topicId: Buffer;
  readonly partition: number;
  /** The partition's end before these batches. */
  readonly previousEnd: number;
  readonly end: number;
  readonly payloadBytes: number;
}

export interface LeaseEntry {
  readonly kind: 'lease';
  readonly topicId: Buffer;
  readonly partition: number;
  /** Offsets below this may be given out. */
  readonly leaseEnd: number;
}

export type JournalEntry = BatchesEntry | LeaseEntry;

function entryBytes(entry: JournalEntry): number {
  return entry.kind === 'batches' ? BATCHES_ENTRY_BYTES : LEASE_ENTRY_BYTES;
}

/** What the crc is seeded with: the file's use and the place in it. */
function placeSum(generation: Buffer, position: number): number {
  const place = Buffer.allocUnsafe(GENERATION_BYTES + 8);
  generation.copy(place);
  writeInt64(place, position, GENERATION_BYTES);
  return crc32c(place);
}

/** Bytes that go before the payloads, and how many zeros go behind them. */
export function encodeGroup(
  entries: readonly JournalEntry[],
  generation: Buffer,
  position: number,
  synced: SyncedMark,
): { header: Buffer; padding: number; groupBytes: number } {
  let headerBytes = GROUP_HEADER_BYTES;
  let payloadBytes = 0;
  for (const entry of entries) {
    headerBytes += entryBytes(entry);
    if (entry.kind === 'batches') payloadBytes += entry.payloadBytes;
  }
  const bytes = headerBytes + payloadBytes;
  const padding = (GROUP_ALIGNMENT - (bytes % GROUP_ALIGNMENT)) % GROUP_ALIGNMENT;
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt32BE(GROUP_MAGIC, 0);
  header.writeUInt32BE(bytes + padding, 8);
  header.writeUInt32BE(headerBytes, 12);
  header.writeUInt32BE(entries.length, 16);
  writeInt64(header, synced.sequence, 20);
  writeInt64(header, synced.position, 28);
  let at = GROUP_HEADER_BYTES;
  for (const entry of entries) at = encodeEntry(header, entry, at);
  header.writeUInt32BE(crc32c(header.subarray(8), placeSum(generation, position)), 4);
  return { header, padding, groupBytes: bytes + padding };
}

function encodeEntry(header: Buffer, entry: JournalEntry, start: number): number {
  header.writeUInt8(entry.kind === 'batches' ? 1 : 2, start);
  entry.topicId.copy(header, start + 1);
  header.writeInt32BE(entry.partition, start + 17);
  if (entry.kind === 'lease') {
    writeInt64(header, entry.leaseEnd, start + 21);
    return start + LEASE_ENTRY_BYTES;
  }
  writeInt64(header, entry.previousEnd, start + 21);
  writeInt64(header, entry.end, start + 29);
  header.writeUInt32BE(entry.payloadBytes, start + 37);
  return start + BATCHES_ENTRY_BYTES;
}

/** A group as read back; its payloads stand one behind the other from `payloadPosition` on. */
export interface JournalGroup {
  readonly groupBytes: number;
  readonly payloadPosition: number;
  readonly entries: readonly JournalEntry[];
  readonly synced: SyncedMark;
}

/**
 * The group at `at` of a piece of a file; undefined when none stands there. `position` is the place
 * in the file, `fileBytes` the file's size: a group must end within the file, and its header with
 * all entries within the piece.
 */
export function decodeGroup(
  piece: Buffer,
  at: number,
  position: number,
  fileBytes: number,
  generation: Buffer,
): JournalGroup | undefined {
  const head = decodeGroupSize(piece, at);
  if (head === undefined || head.groupBytes > fileBytes - position) return undefined;
  if (head.headerBytes > piece.length - at) return undefined;
  const sum = crc32c(piece.subarray(at + 8, at + head.headerBytes), placeSum(generation, position));
  if (sum !== piece.readUInt32BE(at + 4)) return undefined;
  const entries: JournalEntry[] = [];
  const count = piece.readUInt32BE(at + 16);
  let entryAt = at + GROUP_HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const entry = decodeEntry(piece, entryAt);
    entries.push(entry);
    entryAt += entryBytes(entry);
  }
  return {
    groupBytes: head.groupBytes,
    payloadPosition: position + head.headerBytes,
    entries,
    synced: { sequence: readInt64(piece, at + 20), position: readInt64(piece, at + 28) },
  };
}

/** What the first bytes of a group say of its size, unchecked; undefined when it is no group. */
export function decodeGroupSize(
  piece: Buffer,
  at: number,
): { groupBytes: number; headerBytes: number } | undefined {
  const isGroup = piece.length - at >= GROUP_HEADER_BYTES && piece.readUInt32BE(at) === GROUP_MAGIC;
  if (!isGroup) return undefined;
  const groupBytes = piece.readUInt32BE(at + 8);
  const headerBytes = piece.readUInt32BE(at + 12);
  const isSized = headerBytes >= GROUP_HEADER_BYTES && headerBytes <= groupBytes;
  return isSized ? { groupBytes, headerBytes } : undefined;
}

/** Where the next bytes that could begin a group stand in a piece of a file; -1 when nowhere. */
export function findGroup(piece: Buffer, from: number): number {
  for (let at = piece.indexOf(GROUP_MAGIC_BYTES, from); at >= 0; ) {
    if (at % GROUP_ALIGNMENT === 0) return at;
    at = piece.indexOf(GROUP_MAGIC_BYTES, at + 1);
  }
  return -1;
}

function decodeEntry(file: Buffer, at: number): JournalEntry {
  // Copied: a reader of the journal reuses its buffer while it keeps the entries.
  const topicId = Buffer.from(file.subarray(at + 1, at + 1 + UUID_BYTES));
  const partition = file.readInt32BE(at + 17);
  if (file.readUInt8(at) === 2) {
    return { kind: 'lease', topicId, partition, leaseEnd: readInt64(file, at + 21) };
  }
  return {
    kind: 'batches',
    topicId,
    partition,
    previousEnd: readInt64(file, at + 21),
    end: readInt64(file, at + 29),
    payloadBytes: file.readUInt32BE(at + 37),
  };
}

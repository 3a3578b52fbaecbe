/**
 * Kafka's producer snapshot: the file `<offset, 20 digits>.snapshot`, which holds the state of the
 * producers made by the batches below that offset.
 *
 * ```
 * version int16 = 1, crc uint32 (CRC-32C of all that follows), count int32, entries
 * entry: producerId int64, epoch int16, lastSequence int32, lastOffset int64, offsetDelta int32,
 *        timestamp int64, coordinatorEpoch int32, currentTxnFirstOffset int64
 * ```
 * Kafka keeps one batch of each producer. The up to four before it follow the entries, under the
 * same checksum, where Kafka's reader does not look, so that a restart does not narrow the window in
 * which a repeated batch is known:
 * ```
 * mark uint32, count int32, then per batch: producerId int64, lastSequence int32,
 *        lastOffset int64, offsetDelta int32, timestamp int64
 * ```
 * Source: ProducerSnapshot.json, ProducerStateManager.
 */

import { crc32c } from '../protocol/crc32c.ts';
import { readInt64, writeInt64 } from '../protocol/record-batch.ts';
import { CorruptLog } from './errors.ts';
import { BATCHES_KEPT, type BatchMetadata, type ProducerEntry } from './producer-state.ts';

const VERSION = 1;
const CRC_AT = 2;
const COUNT_AT = 6;
const HEAD_BYTES = 10;
const ENTRY_BYTES = 46;
/** "TRpb": the earlier batches follow. */
const EARLIER_MARK = 0x54527062;
const EARLIER_HEAD_BYTES = 8;
const EARLIER_BYTES = 32;

/** The file's bytes for the given producers. */
export function encodeSnapshot(entries: Iterable<ProducerEntry>): Buffer {
  const all = [...entries];
  let earlier = 0;
  for (const { batches } of all) earlier += Math.max(batches.length - 1, 0);
  const earlierAt = HEAD_BYTES + all.length * ENTRY_BYTES;
  const earlierBytes = earlier > 0 ? EARLIER_HEAD_BYTES + earlier * EARLIER_BYTES : 0;
  const file = Buffer.allocUnsafe(earlierAt + earlierBytes);
  file.writeInt16BE(VERSION, 0);
  file.writeInt32BE(all.length, COUNT_AT);
  for (let index = 0; index < all.length; index++) {
    writeEntry(file, HEAD_BYTES + index * ENTRY_BYTES, all[index]!);
  }
  if (earlier > 0) writeEarlier(file, earlierAt, all, earlier);
  file.writeUInt32BE(crc32c(file.subarray(COUNT_AT)), CRC_AT);
  return file;
}

function writeEntry(file: Buffer, at: number, entry: ProducerEntry): void {
  const last = entry.batches.at(-1);
  writeInt64(file, entry.producerId, at);
  file.writeInt16BE(entry.epoch, at + 8);
  file.writeInt32BE(last?.lastSequence ?? -1, at + 10);
  writeInt64(file, last?.lastOffset ?? -1, at + 14);
  file.writeInt32BE(last?.offsetDelta ?? 0, at + 22);
  writeInt64(file, entry.lastTimestamp, at + 26);
  file.writeInt32BE(entry.coordinatorEpoch, at + 34);
  writeInt64(file, entry.currentTxnFirstOffset, at + 38);
}

function writeEarlier(file: Buffer, start: number, all: ProducerEntry[], count: number): void {
  file.writeUInt32BE(EARLIER_MARK, start);
  file.writeInt32BE(count, start + 4);
  let at = start + EARLIER_HEAD_BYTES;
  for (const { producerId, batches } of all) {
    for (const batch of batches.slice(0, -1)) {
      writeInt64(file, producerId, at);
      file.writeInt32BE(batch.lastSequence, at + 8);
      writeInt64(file, batch.lastOffset, at + 12);
      file.writeInt32BE(batch.offsetDelta, at + 20);
      writeInt64(file, batch.timestamp, at + 24);
      at += EARLIER_BYTES;
    }
  }
}

/**
 * The producers in a snapshot file, as last heard of at `nowMs`. Throws CorruptLog with the reason;
 * the state is then to be made of an older snapshot and the log.
 */
export function decodeSnapshot(file: Buffer, nowMs: number): ProducerEntry[] {
  if (file.length < HEAD_BYTES) throw new CorruptLog(`snapshot of ${file.length} bytes`);
  const version = file.readInt16BE(0);
  if (version !== VERSION) throw new CorruptLog(`snapshot of version ${version}`);
  const stored = file.readUInt32BE(CRC_AT);
  const computed = crc32c(file.subarray(COUNT_AT));
  if (stored !== computed) {
    throw new CorruptLog(`snapshot with checksum ${stored}, its bytes have ${computed}`);
  }
  const count = file.readInt32BE(COUNT_AT);
  const earlierAt = HEAD_BYTES + count * ENTRY_BYTES;
  if (count < 0 || earlierAt > file.length) {
    throw new CorruptLog(`snapshot of ${file.length} bytes says that it has ${count} producers`);
  }
  const producers = new Map<number, ProducerEntry>();
  for (let at = HEAD_BYTES; at < earlierAt; at += ENTRY_BYTES) {
    const entry = readEntry(file, at, nowMs);
    producers.set(entry.producerId, entry);
  }
  readEarlier(file, earlierAt, producers);
  return [...producers.values()];
}

function readEntry(file: Buffer, at: number, nowMs: number): ProducerEntry {
  const lastOffset = readInt64(file, at + 14);
  const lastTimestamp = readInt64(file, at + 26);
  const batches: BatchMetadata[] = [];
  if (lastOffset >= 0) {
    batches.push({
      lastSequence: file.readInt32BE(at + 10),
      lastOffset,
      offsetDelta: file.readInt32BE(at + 22),
      timestamp: lastTimestamp,
    });
  }
  return {
    producerId: readInt64(file, at),
    epoch: file.readInt16BE(at + 8),
    coordinatorEpoch: file.readInt32BE(at + 34),
    lastTimestamp,
    currentTxnFirstOffset: Math.max(readInt64(file, at + 38), -1),
    seenMs: nowMs,
    batches,
  };
}

function readEarlier(file: Buffer, start: number, producers: Map<number, ProducerEntry>): void {
  if (file.length < start + EARLIER_HEAD_BYTES) return;
  if (file.readUInt32BE(start) !== EARLIER_MARK) return;
  const count = file.readInt32BE(start + 4);
  const end = start + EARLIER_HEAD_BYTES + count * EARLIER_BYTES;
  if (count < 0 || end > file.length) {
    throw new CorruptLog(`snapshot of ${file.length} bytes says it has ${count} earlier batches`);
  }
  for (let at = start + EARLIER_HEAD_BYTES; at < end; at += EARLIER_BYTES) {
    const batches = producers.get(readInt64(file, at))?.batches;
    if (batches === undefined || batches.length === 0 || batches.length >= BATCHES_KEPT) continue;
    // Oldest first, and the newest is there already.
    batches.splice(-1, 0, {
      lastSequence: file.readInt32BE(at + 8),
      lastOffset: readInt64(file, at + 12),
      offsetDelta: file.readInt32BE(at + 20),
      timestamp: readInt64(file, at + 24),
    });
  }
}

/**
 * Snapshots of the metadata in KRaft's form: a file `<end offset, 20 digits>-<epoch, 10 digits>`
 * `.checkpoint` beside the log's segments, which holds record batches: a control batch with a
 * SnapshotHeaderRecord, batches of metadata records, a control batch with a SnapshotFooterRecord.
 * Offsets count from 0 within the file. A snapshot without its footer was not finished.
 * Source: KIP-630; Kafka's Snapshots, RecordsSnapshotWriter.
 */

import { buildBatch, type RecordInput } from '../protocol/batch-builder.ts';
import { codec } from '../protocol/compile.ts';
import {
  SnapshotFooterRecord,
  SnapshotHeaderRecord,
} from '../protocol/messages/control-records.ts';
import { batchBytes, batchFault, isControl } from '../protocol/record-batch.ts';
import { readRecords } from '../protocol/records.ts';
import type { Input, Message } from '../protocol/schema.ts';
import { Writer } from '../protocol/writer.ts';
import type { Disk } from '../storage/env.ts';
import { CorruptLog } from '../storage/errors.ts';
import {
  decodeMetadataRecord,
  encodeMetadataRecord,
  type MetadataRecord,
  type NewMetadataRecord,
} from './metadata-records.ts';

/** What a snapshot speaks of: the log below `endOffset`. */
export interface SnapshotId {
  readonly endOffset: number;
  readonly epoch: number;
}

/** Types of control records, as they stand in the key. */
const SNAPSHOT_HEADER = 3;
const SNAPSHOT_FOOTER = 4;
/** Records of one batch: a batch stays far below what a reader takes at once. */
const RECORDS_PER_BATCH = 1000;
const SUFFIX = '.checkpoint';
const UNFINISHED_SUFFIX = '.checkpoint.part';

export function snapshotFileName({ endOffset, epoch }: SnapshotId): string {
  return `${String(endOffset).padStart(20, '0')}-${String(epoch).padStart(10, '0')}${SUFFIX}`;
}

function parseFileName(name: string): SnapshotId | undefined {
  const match = /^(\d{20})-(\d{10})\.checkpoint$/.exec(name);
  return match === null ? undefined : { endOffset: Number(match[1]), epoch: Number(match[2]) };
}

function controlRecord<M extends Message>(
  type: number,
  message: M,
  value: Input<M>,
  timestamp: number,
): RecordInput {
  const key = Buffer.alloc(4);
  key.writeInt16BE(type, 2);
  const writer = new Writer(32);
  codec(message, 0).encode(writer, value);
  return { key, value: Buffer.concat(writer.finish()), timestamp };
}

/** The bytes of a snapshot, batch by batch. */
export function snapshotBatches(
  id: SnapshotId,
  records: Iterable<NewMetadataRecord>,
  nowMs: number,
): Buffer[] {
  const batches: Buffer[] = [];
  let offset = 0;
  const add = (inputs: readonly RecordInput[], control: boolean) => {
    batches.push(
      buildBatch({ baseOffset: offset, leaderEpoch: id.epoch, control, records: inputs }),
    );
    offset += inputs.length;
  };
  const head = { version: 0, lastContainedLogTimestamp: nowMs };
  add([controlRecord(SNAPSHOT_HEADER, SnapshotHeaderRecord, head, nowMs)], true);
  let pending: RecordInput[] = [];
  for (const record of records) {
    pending.push({ key: null, value: encodeMetadataRecord(record), timestamp: nowMs });
    if (pending.length < RECORDS_PER_BATCH) continue;
    add(pending, false);
    pending = [];
  }
  if (pending.length > 0) add(pending, false);
  add([controlRecord(SNAPSHOT_FOOTER, SnapshotFooterRecord, { version: 0 }, nowMs)], true);
  return batches;
}

/** Writes a snapshot; it is there, whole and durable, when this resolves. */
export async function writeSnapshot(
  disk: Disk,
  folder: string,
  id: SnapshotId,
  batches: readonly Buffer[],
): Promise<void> {
  const path = `${folder}/${snapshotFileName(id)}`;
  const unfinished = `${path}.part`;
  await disk.makeDir(folder);
  await disk.remove(unfinished);
  const file = await disk.open(unfinished, 'create');
  try {
    await file.write(batches, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(unfinished, path);
  await disk.syncDir(folder);
}

/** Snapshots in a folder, the newest first. */
export async function listSnapshots(disk: Disk, folder: string): Promise<SnapshotId[]> {
  const ids: SnapshotId[] = [];
  for (const name of await disk.list(folder)) {
    const id = parseFileName(name);
    if (id !== undefined) ids.push(id);
  }
  return ids.sort((a, b) => b.endOffset - a.endOffset || b.epoch - a.epoch);
}

/** Removes what was not finished, and all snapshots older than one. */
export async function removeOldSnapshots(
  disk: Disk,
  folder: string,
  newest: SnapshotId,
): Promise<void> {
  const name = snapshotFileName(newest);
  for (const other of await disk.list(folder)) {
    const old = parseFileName(other) !== undefined && other < name;
    if (old || other.endsWith(UNFINISHED_SUFFIX)) await disk.remove(`${folder}/${other}`);
  }
}

/** Reads a snapshot whole. Throws CorruptLog, with file, position and reason. */
export async function readSnapshot(
  disk: Disk,
  folder: string,
  id: SnapshotId,
): Promise<MetadataRecord[]> {
  const path = `${folder}/${snapshotFileName(id)}`;
  const bytes = await disk.readFile(path);
  if (bytes === undefined) throw new CorruptLog(`${path} is not there`);
  const records: MetadataRecord[] = [];
  let finished = false;
  for (let at = 0; at < bytes.length; at += batchBytes(bytes, at)) {
    const fault = finished ? 'something follows the footer' : batchFault(bytes, at);
    if (fault !== undefined) throw new CorruptLog(`${path} at ${at}: ${fault}`);
    const control = isControl(bytes, at);
    for (const { key, value } of readRecords(bytes, at)) {
      if (control) finished ||= key !== null && key.readInt16BE(2) === SNAPSHOT_FOOTER;
      else if (value !== null) keep(records, value);
    }
  }
  if (!finished) throw new CorruptLog(`${path}: it has no footer`);
  return records;
}

function keep(records: MetadataRecord[], value: Buffer): void {
  const record = decodeMetadataRecord(value);
  if (record !== undefined) records.push(record);
}

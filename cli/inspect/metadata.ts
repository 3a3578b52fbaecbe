/** The topics of a data folder: what snapshot, log and journal of its metadata say. */

import { MetadataImage } from '../../broker/metadata-image.ts';
import { decodeMetadataRecord } from '../../broker/metadata-records.ts';
import { listSnapshots, readSnapshot } from '../../broker/metadata-snapshot.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { InvalidRecords, readRecords } from '../../protocol/records.ts';
import { CorruptLog } from '../../storage/errors.ts';
import type { DataFolder, FoundLog } from '../../storage/inspect/data-folder.ts';
import type { Findings } from '../../storage/inspect/findings.ts';
import type { JournalInspection } from '../../storage/inspect/journal.ts';
import { type PlacedBatch, readBatches } from '../../storage/inspect/read-batches.ts';
import { METADATA_TOPIC, METADATA_TOPIC_ID } from '../../storage/store.ts';
import { buffers, disk } from './source.ts';

/** What cannot be read is a finding, and left out. */
export async function readMetadata(
  folder: DataFolder,
  journal: JournalInspection,
  findings: Findings,
): Promise<MetadataImage> {
  const image = new MetadataImage();
  const log = folder.logs.find(({ topic }) => topic === METADATA_TOPIC);
  let end = log === undefined ? 0 : await applySnapshot(log, image, findings);
  if (log !== undefined) {
    for await (const item of readBatches(disk, buffers, log, end)) {
      if (item.kind === 'batch') end = apply(item, image, findings);
      else findings.damage(item.file, item.position, item.reason);
    }
  }
  for await (const batch of journal.batchesOf(METADATA_TOPIC_ID, 0)) {
    if (batch.header.baseOffset >= end) end = apply(batch, image, findings);
  }
  return image;
}

/** Gives the offset from which on the log goes on. */
async function applySnapshot(
  { folder }: FoundLog,
  image: MetadataImage,
  findings: Findings,
): Promise<number> {
  const [newest] = await listSnapshots(disk, folder);
  if (newest === undefined) return 0;
  try {
    for (const record of await readSnapshot(disk, folder, newest)) image.apply(record);
    return newest.endOffset;
  } catch (error) {
    if (!(error instanceof CorruptLog)) throw error;
    findings.damage(folder, undefined, error.message);
    return 0;
  }
}

/** Gives the offset after the batch. */
function apply(
  { header, bytes, file, position }: PlacedBatch,
  image: MetadataImage,
  findings: Findings,
): number {
  const end = header.lastOffset + 1;
  if (header.control) return end;
  try {
    for (const { value } of readRecords(bytes, 0)) {
      const record = value === null ? undefined : decodeMetadataRecord(value);
      if (record !== undefined) image.apply(record);
    }
  } catch (error) {
    if (!(error instanceof InvalidRecords || error instanceof ProtocolError)) throw error;
    findings.damage(file, position, error.message);
  }
  return end;
}

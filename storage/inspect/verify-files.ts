/** What can be said of a log's folder beside its segments: names, small files, metadata snapshots. */

import path from 'node:path';
import { isControl } from '../../protocol/record-batch.ts';
import { PARTITION_METADATA_FILE, parsePartitionMetadata } from '../meta-properties.ts';
import { walkChecked } from '../segment-scan.ts';
import type { FoundLog } from './data-folder.ts';
import type { VerifyTools } from './verify-log.ts';

/** `endOffset`: the log's, as its segments have it. */
export async function verifyLogFiles(
  tools: VerifyTools,
  log: FoundLog,
  endOffset: number,
): Promise<void> {
  const { disk, findings, isWhole } = tools;
  const { folder, recoveryPoint, logStartOffset } = log;
  const place = (name: string) => path.join(folder, name);
  for (const name of log.passing) {
    findings.note(place(name), undefined, 'a file on its way in or out; a start clears it up');
  }
  for (const name of log.orphans) {
    findings.note(place(name), undefined, 'there is no segment for it; a start removes it');
  }
  for (const name of log.foreign) {
    findings.note(place(name), undefined, 'a file that is no part of a log; it is left alone');
  }
  const metadata = await disk.readFile(place(PARTITION_METADATA_FILE));
  if (metadata !== undefined && parsePartitionMetadata(metadata) === undefined) {
    findings.damage(place(PARTITION_METADATA_FILE), 0, 'it has no topic id of version 0');
  }
  const isKnown = log.segments.length > 0 && isWhole;
  if (isKnown && recoveryPoint !== undefined && recoveryPoint > endOffset) {
    const reason = `the recovery point is ${recoveryPoint}, the log ends at ${endOffset}`;
    findings.damage(folder, undefined, reason);
  }
  if (isKnown && logStartOffset !== undefined && logStartOffset > endOffset) {
    const reason = `the log start is ${logStartOffset}, the log ends at ${endOffset}`;
    findings.damage(folder, undefined, reason);
  }
  for (const name of log.metadataSnapshots) await verifyMetadataSnapshot(tools, place(name));
}

/** A snapshot of the metadata is record batches, control ones at both ends. */
async function verifyMetadataSnapshot(tools: VerifyTools, snapshot: string): Promise<void> {
  const { disk, buffers, findings } = tools;
  const file = await disk.open(snapshot, 'read');
  try {
    const { sizeBytes: end } = await file.stat();
    let isFinished = false;
    const range = { file, baseOffset: 0, start: 0, end };
    const stop = await walkChecked(range, buffers, (window, at, position) => {
      isFinished = position > 0 && isControl(window, at);
      return true;
    });
    if (stop.fault !== undefined) findings.damage(snapshot, stop.position, stop.fault);
    else if (!isFinished) findings.damage(snapshot, stop.position, 'it has no footer');
  } finally {
    await file.close();
  }
}

/** Reads the batches of a run back from the journal, each under its own checksum. */

import { type BatchHeader, batchFault, readBatchHeader } from '../protocol/record-batch.ts';
import type { JournaledRun } from './journal-replay.ts';

export interface JournaledBatch {
  readonly bytes: Buffer;
  readonly header: BatchHeader;
}

/**
 * The batches of a run from an offset on, and what is wrong with the first one that is not sound:
 * its checksum, or an offset that does not follow the one before.
 */
export async function readRun(
  run: JournaledRun,
  from: number,
): Promise<{ batches: JournaledBatch[]; fault: string | undefined }> {
  const payload = Buffer.allocUnsafeSlow(run.sizeBytes);
  await run.file.file.read(payload, 0, payload.length, run.position);
  const batches: JournaledBatch[] = [];
  let expected = run.previousEnd;
  for (let at = 0; at < payload.length; ) {
    const fault = batchFault(payload, at);
    if (fault !== undefined) return { batches, fault };
    const header = readBatchHeader(payload, at);
    if (header.baseOffset !== expected) {
      return { batches, fault: `offset ${header.baseOffset} where ${expected} was due` };
    }
    expected = header.lastOffset + 1;
    const bytes = payload.subarray(at, at + header.sizeBytes);
    if (header.baseOffset >= from) batches.push({ bytes, header });
    at += header.sizeBytes;
  }
  const fault = expected === run.end ? undefined : `the run ends at ${expected}, not ${run.end}`;
  return { batches, fault };
}

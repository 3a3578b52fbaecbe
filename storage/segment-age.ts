/**
 * The largest timestamp of a segment, for who deletes by it. Indexes have no checksums, and one that
 * has lost its last entries would make a segment look older than it is. So an index is believed only
 * where the file was last written at about that time; elsewhere all headers are read.
 */

import { maxTimestamp, NO_TIMESTAMP } from '../protocol/record-batch.ts';
import type { LogContext } from './log-context.ts';
import type { Segment } from './segment.ts';
import { TIME_INDEX_SUFFIX } from './segment-names.ts';
import { SegmentReader } from './segment-reader.ts';
import { TimeIndex } from './time-index.ts';

const TRUSTED_WITHIN_MS = 3_600_000;

/** Where no record has a time: when the file was written last. */
export async function newestTimestamp(context: LogContext, segment: Segment): Promise<number> {
  const { sizeBytes, knownAge } = segment;
  if (knownAge?.sizeBytes === sizeBytes) return knownAge.newestMs;
  const newestMs = await findNewest(context, segment);
  segment.knownAge = { sizeBytes, newestMs };
  return newestMs;
}

async function findNewest(context: LogContext, segment: Segment): Promise<number> {
  const { modifiedMs } = await segment.use((file) => file.stat());
  const indexed = await indexedTimestamp(context, segment);
  if (Math.abs(modifiedMs - indexed) <= TRUSTED_WITHIN_MS) return indexed;
  let newest = NO_TIMESTAMP;
  await new SegmentReader(context, segment).walk(segment.baseOffset, (window, at) => {
    newest = Math.max(newest, maxTimestamp(window, at));
    return true;
  });
  return newest > NO_TIMESTAMP ? newest : Math.round(modifiedMs);
}

/** Without taking the indexes of a log into memory that nobody else asks for. */
async function indexedTimestamp({ env }: LogContext, segment: Segment): Promise<number> {
  if (segment.loadedIndexes !== undefined) return segment.loadedIndexes.largest.timestamp;
  const stored = await env.disk.readFile(segment.pathOf(TIME_INDEX_SUFFIX));
  if (stored === undefined || TimeIndex.fault(stored) !== undefined) return NO_TIMESTAMP;
  return new TimeIndex(segment.baseOffset, stored).last.timestamp;
}

/**
 * Puts a cleaned segment in the place of those that it was made of, in one step of the log. What a
 * crash leaves of it is the old segments or the new one, never both and never neither:
 *
 * 1. The `.cleaned` files are there, whole and synced, and their names too.
 * 2. They are renamed to `.swap`, and that is synced: from here on the next start finishes the swap.
 *    As long as one is still `.cleaned`, it takes all of them away instead.
 * 3. The old files are renamed to `.deleted`, and that is synced.
 * 4. The new log loses its mark, and that is synced; then its indexes lose theirs. In this order
 *    there is no moment at which a start would take an index of the new segment for one of the old.
 *
 * Readers have the old segments until all is done; they finish as with every segment that leaves.
 * Source: Kafka's LocalLog.replaceSegments, LogLoader.
 */

import { type CleanedSegment, CleaningAborted } from './cleaner/cleaning-job.ts';
import { isOutOfDescriptors } from './errors.ts';
import type { Generations } from './generations.ts';
import { SIDE_SUFFIXES } from './log-folder.ts';
import { Segment } from './segment.ts';
import type { SegmentList } from './segment-list.ts';
import { CLEANED_SUFFIX, LOG_SUFFIX, SWAP_SUFFIX } from './segment-names.ts';
import type { SegmentRemover } from './segment-remover.ts';

const RETRY_MS = 200;

export interface SwapParts {
  readonly list: SegmentList;
  readonly generations: Generations;
  readonly remover: SegmentRemover;
  /** The disk may have either state now: the log takes nothing more until it was opened anew. */
  fail(error: unknown): void;
}

/**
 * Swaps, or takes the files away and throws CleaningAborted when the segments that were cleaned are
 * not in the log any more as they were.
 */
export async function swapSegments(parts: SwapParts, cleaned: CleanedSegment): Promise<void> {
  const { list, generations } = parts;
  const { disk } = list.context.env;
  const replaced = findReplaced(list, cleaned);
  const made = makeSegment(list, cleaned, replaced);
  if (made === undefined) {
    await takeAway(list, cleaned);
    throw new CleaningAborted();
  }
  const { files } = list.context;
  const held: Segment[] = [];
  const release = () => {
    for (const segment of held) files.release(segment.file);
  };
  try {
    // While their names change they could not be read, and without them aborted records would show.
    for (const segment of replaced) {
      await segment.txns();
      await files.acquire(segment.file);
      held.push(segment);
    }
    await generations.forget(replaced);
    await disk.syncDir(list.folder.path);
    for (const suffix of [...suffixesOf(cleaned)].reverse()) {
      const target = made.pathOf(suffix);
      await disk.rename(target + CLEANED_SUFFIX, target + SWAP_SUFFIX);
    }
  } catch (error) {
    release();
    for (const segment of replaced) segment.hasLeft = false;
    await takeAway(list, cleaned).catch((left: unknown) => parts.fail(left));
    throw error;
  }
  try {
    await finish(parts, cleaned, made, replaced);
  } catch (error) {
    parts.fail(error);
    throw error;
  } finally {
    release();
  }
}

/** Half done it cannot be left: where there is no descriptor for the folder, one is waited for. */
async function syncNames({ context, folder }: SegmentList): Promise<void> {
  const { disk, clock } = context.env;
  for (;;) {
    try {
      await disk.syncDir(folder.path);
      return;
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error;
      await new Promise<void>((resolve) => clock.setTimer(RETRY_MS, resolve));
    }
  }
}

async function finish(
  { list, remover }: SwapParts,
  cleaned: CleanedSegment,
  made: Segment,
  replaced: readonly Segment[],
): Promise<void> {
  const { disk } = list.context.env;
  await syncNames(list);
  for (const segment of replaced) await remover.removeSegment(segment);
  await syncNames(list);
  const [log, ...indexes] = suffixesOf(cleaned).map((suffix) => made.pathOf(suffix));
  await disk.rename(log! + SWAP_SUFFIX, log!);
  await syncNames(list);
  for (const index of indexes) await disk.rename(index + SWAP_SUFFIX, index);
  await syncNames(list);
  const at = list.segments.indexOf(replaced[0]!);
  list.segments.splice(at, replaced.length, made);
}

/** The segments that were cleaned; none when one has left or grown, or another came between. */
function findReplaced(list: SegmentList, { bases, oldBytes }: CleanedSegment): Segment[] {
  const { segments } = list;
  const first = segments.findIndex((segment) => segment.baseOffset === bases[0]);
  if (first < 0) return [];
  const found = segments.slice(first, first + bases.length);
  let bytes = 0;
  for (const segment of found) bytes += segment.sizeBytes;
  const areSame =
    found.length === bases.length &&
    bytes === oldBytes &&
    found.every(
      (segment, index) =>
        segment.baseOffset === bases[index] && segment.isClosed && !segment.hasLeft,
    );
  return areSame ? found : [];
}

function makeSegment(
  list: SegmentList,
  { sizeBytes, hasTxnIndex }: CleanedSegment,
  replaced: readonly Segment[],
): Segment | undefined {
  const first = replaced[0];
  const next = list.segments[list.segments.indexOf(replaced.at(-1)!) + 1];
  if (first === undefined || next === undefined) return undefined;
  const nextOffset = next.baseOffset;
  const facts = { sizeBytes, nextOffset, hasTxnIndex, isClosed: true };
  const made = new Segment(list.context, list.folder, first.baseOffset, facts);
  made.setOptions(list.options);
  return made;
}

/** The log first. */
function suffixesOf({ hasTxnIndex }: CleanedSegment): string[] {
  const [index, timeIndex, txnIndex] = SIDE_SUFFIXES;
  return hasTxnIndex ? [LOG_SUFFIX, index, timeIndex, txnIndex] : [LOG_SUFFIX, index, timeIndex];
}

async function takeAway(list: SegmentList, cleaned: CleanedSegment): Promise<void> {
  const { disk } = list.context.env;
  const files = new Segment(list.context, list.folder, cleaned.bases[0]!);
  // What is still `.cleaned` tells a start that the rest is not whole, so it goes last.
  for (const mark of [SWAP_SUFFIX, CLEANED_SUFFIX]) {
    for (const suffix of suffixesOf(cleaned)) await disk.remove(files.pathOf(suffix) + mark);
  }
}

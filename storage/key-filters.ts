/** The key filters of all segments of a log: whether some segment may have a key. */

import type { Segment } from './segment.ts';
import type { SegmentFilter } from './segment-filter.ts';
import type { SegmentList } from './segment-list.ts';

/** Filters read for one question; a log that has more of them answers "maybe". */
const LOADED_MAX_BYTES = 16 * 1024 * 1024;

export class KeyFilters {
  readonly #list: SegmentList;

  constructor(list: SegmentList) {
    this.#list = list;
  }

  /** False only when no segment has a record of the key with these hashes. */
  mayHave(first: number, second: number): boolean {
    return this.#list.segments.some(({ filter }) => filter.mayHave(first, second));
  }

  /** Reads the filters that are not in memory, and has those made that are nowhere. */
  async load(): Promise<void> {
    const { segments, context } = this.#list;
    let heldBytes = 0;
    for (const { filter } of [...segments].reverse()) {
      await filter.load();
      if (!filter.isWhole) context.filterBuilder.ask(filter);
      heldBytes += filter.heldBytes;
      if (heldBytes > LOADED_MAX_BYTES) return;
    }
  }
}

/** The log is closed, or some of its segments leave it. */
export async function forgetKeyFilters(
  { context }: SegmentList,
  segments: readonly Segment[],
): Promise<void> {
  const filters: SegmentFilter[] = [];
  for (const { knownFilter } of segments) if (knownFilter !== undefined) filters.push(knownFilter);
  if (filters.length === 0) return;
  for (const filter of filters) context.filters.forget(filter);
  await context.filterBuilder.forget(filters);
}

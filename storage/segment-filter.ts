/**
 * Which keys a segment may have: its key filter, kept beside the `.log` in a file of our own.
 *
 * The filter of a segment that is written to grows with it, as long as all that is written says
 * which keys it has. The file is written once the segment's bytes are synced, when it is closed or
 * the log is; it is itself not synced, and needs not be: it carries a checksum and says of which
 * bytes it speaks. Where it is missing, damaged or speaks of others, every key is a "maybe" until
 * the filter was made anew from the segment (filter-builder.ts).
 */

import type { Disk } from './env.ts';
import type { CachedIndexes } from './index-cache.ts';
import { type FilteredRange, KeyFilter } from './key-filter.ts';
import type { LogContext } from './log-context.ts';
import type { Segment } from './segment.ts';
import type { BatchExtent } from './segment-indexes.ts';
import { KEY_FILTER_SUFFIX } from './segment-names.ts';

/** A filter that is being made. */
export interface FilterWork {
  readonly filter: KeyFilter;
  /** Nothing has been written meanwhile of which the keys are not known. */
  readonly isWanted: () => boolean;
  /** All that lay there is in it; false when that is of no use any more. */
  readonly finish: () => boolean;
}

export class SegmentFilter implements CachedIndexes {
  readonly segment: Segment;
  readonly context: LogContext;
  #filter: KeyFilter | undefined;
  /** The filter speaks of all bytes of the segment. */
  #isWhole = false;
  #isBuilding = false;
  /** There is no file, or none that is of use. */
  #hasNoFile = false;
  #isStored = false;

  constructor(context: LogContext, segment: Segment) {
    this.context = context;
    this.segment = segment;
  }

  get heldBytes(): number {
    return this.#filter?.heldBytes ?? 0;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Memory is short: it is read, or made, again when it is needed. */
  dropIndexes(): void {
    this.#filter = undefined;
    this.#isWhole = false;
    this.#isBuilding = false;
  }

  mayHave(first: number, second: number): boolean {
    const isSure = this.#isWhole && this.segment.damage.length === 0;
    return !isSure || this.#filter!.mayHave(first, second);
  }

  get #range(): FilteredRange {
    const { baseOffset, nextOffset: endOffset, sizeBytes } = this.segment;
    return { baseOffset, endOffset, sizeBytes };
  }

  get #path(): string {
    return this.segment.pathOf(KEY_FILTER_SUFFIX);
  }

  /** Batches were written from a position on. */
  note(batches: readonly BatchExtent[], start: number): void {
    if (start === 0) {
      this.#filter = new KeyFilter();
      this.#isWhole = true;
    }
    if (this.#filter === undefined) return;
    this.#isStored = false;
    for (const { keyHashes } of batches) {
      if (keyHashes === undefined) {
        this.dropIndexes();
        this.context.filters.forget(this);
        return;
      }
      this.#filter.addAll(keyHashes);
    }
    this.context.filters.touch(this);
  }

  /** Reads the file, if there may be one that is of use. */
  async load(): Promise<void> {
    if (this.#isWhole || this.#isBuilding || this.#hasNoFile) return;
    this.#hasNoFile = true;
    const bytes = await this.context.env.disk.readFile(this.#path);
    if (bytes === undefined || this.#isWhole || this.#isBuilding) return;
    const filter = KeyFilter.decode(bytes, this.#range);
    if (typeof filter === 'string') {
      const facts = { file: this.#path, reason: filter };
      this.context.env.log.info(facts, 'a key filter is of no use and is made anew when needed');
      return;
    }
    this.#hasNoFile = false;
    this.#isStored = true;
    this.#take(filter);
  }

  #take(filter: KeyFilter): void {
    this.#filter = filter;
    this.#isWhole = true;
    this.context.filters.touch(this);
  }

  /** Writes the file of a segment that is synced. That it cannot be written costs no data. */
  async store(): Promise<void> {
    if (!this.#isWhole || this.#isStored || this.segment.suffix !== '') return;
    const { disk, log } = this.context.env;
    try {
      await writeAnew(disk, this.#path, this.#filter!.encode(this.#range));
      this.#isStored = true;
      this.#hasNoFile = false;
    } catch (error) {
      log.warn({ err: error, file: this.#path }, 'a key filter could not be written');
    }
  }

  /** Begins to make the filter from the segment; what is written meanwhile is noted in it too. */
  build(): FilterWork {
    const filter = new KeyFilter();
    this.#filter = filter;
    this.#isWhole = false;
    this.#isBuilding = true;
    const isWanted = () => this.#isBuilding && this.#filter === filter;
    const finish = () => {
      if (!isWanted()) return false;
      this.#isBuilding = false;
      this.#take(filter);
      return true;
    };
    return { filter, isWanted, finish };
  }

  /** What was begun is given up. */
  abandon(): void {
    if (!this.#isWhole) this.dropIndexes();
  }
}

async function writeAnew(disk: Disk, path: string, contents: Buffer): Promise<void> {
  await disk.remove(path);
  const file = await disk.open(path, 'create');
  try {
    await file.write([contents], 0);
  } finally {
    await file.close();
  }
}

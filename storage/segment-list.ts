/** The segments of one log in order, and what their reader, writer and remover share. */

import type { LogContext } from './log-context.ts';
import type { LogFolder, Segment } from './segment.ts';
import type { LogOptions } from './types.ts';

/** Whose log it is. */
export interface LogPlace {
  readonly dataDir: string;
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
}

export class SegmentList {
  readonly context: LogContext;
  readonly place: LogPlace;
  readonly folder: LogFolder;
  readonly segments: Segment[];
  options: LogOptions;
  /** Whether the partition's folder was made. */
  hasFolder: boolean;
  /** Where a log without segments begins. */
  readonly #startOffset: number;

  constructor(
    context: LogContext,
    place: LogPlace,
    folder: LogFolder,
    options: LogOptions,
    segments: readonly Segment[],
    startOffset: number,
  ) {
    this.context = context;
    this.place = place;
    this.folder = folder;
    this.options = options;
    this.segments = [...segments];
    this.hasFolder = segments.length > 0;
    this.#startOffset = startOffset;
  }

  /** The last segment, the only one that grows. */
  get active(): Segment | undefined {
    return this.segments.at(-1);
  }

  /** Offset after the last batch written. */
  get endOffset(): number {
    return this.active?.nextOffset ?? this.#startOffset;
  }

  get sizeBytes(): number {
    let size = 0;
    for (const segment of this.segments) size += segment.sizeBytes;
    return size;
  }

  /** The segment that an offset belongs to, and those behind it, as they are now. */
  from(offset: number): Segment[] {
    const { segments } = this;
    let low = 0;
    let high = segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (segments[middle]!.baseOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return segments.slice(Math.max(0, low - 1));
  }
}

/**
 * Makes key filters anew from their segments, in the background: one at a time, a piece at a time,
 * with pauses, so that nobody notices. Who asks goes on with "maybe" until the filter is there.
 */

import {
  baseOffset,
  batchBytes,
  codec as codecOf,
  isControl,
  lastOffset,
} from '../protocol/record-batch.ts';
import { InvalidRecords, payloadOf, RecordCursor } from '../protocol/records.ts';
import type { Clock, Env, Logger } from './env.ts';
import { CorruptLog } from './errors.ts';
import type { KeyFilter } from './key-filter.ts';
import { HashCollector } from './key-hash.ts';
import type { SegmentFilter } from './segment-filter.ts';
import { SegmentReader } from './segment-reader.ts';

/** Read at once, and then a pause: some 20 MB/s at most. */
const PIECE_BYTES = 1024 * 1024;
const PAUSE_MS = 50;
/** Segments that may wait; who is turned away asks again. */
const MAX_WAITING = 1000;

interface Compressed {
  readonly codec: number;
  readonly payload: Buffer;
}

export class FilterBuilder {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #waiting = new Set<SegmentFilter>();
  #current: SegmentFilter | undefined;
  #working: Promise<void> | undefined;
  /** Ends the pause between two readings before its time. */
  #endPause: () => void = () => {};
  /** The reading that goes on at present. */
  #reading: Promise<void> = Promise.resolve();

  constructor({ clock, log }: Env) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Has the filter made, if it is not on its way already. */
  ask(filter: SegmentFilter): void {
    if (filter === this.#current || this.#waiting.size >= MAX_WAITING) return;
    this.#waiting.add(filter);
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** The filters are not needed any more; resolves when their segments are not read. */
  async forget(filters: readonly SegmentFilter[]): Promise<void> {
    for (const filter of filters) this.#waiting.delete(filter);
    if (this.#current === undefined || !filters.includes(this.#current)) return;
    this.#current.abandon();
    this.#endPause();
    await this.#reading;
  }

  async #work(): Promise<void> {
    for (const filter of this.#waiting) {
      this.#waiting.delete(filter);
      this.#current = filter;
      try {
        await this.#build(filter);
      } catch (error) {
        filter.abandon();
        const facts = { err: error, segment: filter.segment.path };
        this.#log.warn(facts, 'a key filter could not be made');
      }
      this.#current = undefined;
    }
  }

  async #build(segmentFilter: SegmentFilter): Promise<void> {
    const { segment } = segmentFilter;
    const { nextOffset: end } = segment;
    const { filter, isWanted, finish } = segmentFilter.build();
    for (let from = segment.baseOffset; from < end && isWanted(); ) {
      const reading = this.#addPiece(segmentFilter, filter, from, end);
      this.#reading = reading.then(
        () => undefined,
        () => undefined,
      );
      const next = await reading;
      // Nothing sound is left; what is damaged is noted in the segment, which is then not believed.
      if (next === from) break;
      from = next;
      if (from < end) await this.#pause();
    }
    if (finish() && segment.isClosed) await segmentFilter.store();
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(PAUSE_MS, resolve);
      this.#endPause = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** Adds the keys of some batches from an offset on; gives the offset to go on from. */
  async #addPiece(
    { segment, context }: SegmentFilter,
    filter: KeyFilter,
    from: number,
    end: number,
  ): Promise<number> {
    const hashes = new HashCollector();
    const compressed: Compressed[] = [];
    let next = from;
    let sizeBytes = 0;
    await new SegmentReader(context, segment).scan(from, (window, at) => {
      if (baseOffset(window, at) >= end) return false;
      next = lastOffset(window, at) + 1;
      sizeBytes += batchBytes(window, at);
      const codec = codecOf(window, at);
      const payload = payloadOf(window, at);
      if (isControl(window, at)) return true;
      if (codec === 0) addKeys(filter, hashes, payload);
      else compressed.push({ codec, payload: Buffer.from(payload) });
      return sizeBytes < PIECE_BYTES;
    });
    for (const { codec, payload } of compressed) {
      try {
        addKeys(filter, hashes, await context.decompress(codec, payload));
      } catch (error) {
        if (!(error instanceof CorruptLog)) throw error;
        // Nobody will ever know what keys lie there.
        filter.fill();
      }
    }
    filter.addAll(hashes.take());
    return next;
  }
}

/** Records that contradict themselves may have any key. */
function addKeys(filter: KeyFilter, hashes: HashCollector, payload: Buffer): void {
  const cursor = new RecordCursor(payload);
  try {
    while (cursor.next()) {
      const { keyAt, keyBytes } = cursor;
      if (keyBytes >= 0) hashes.add(payload, keyAt, keyAt + keyBytes);
    }
  } catch (error) {
    if (!(error instanceof InvalidRecords)) throw error;
    filter.fill();
  }
}

/**
 * Reads whole batches of one segment: index look-up and a short walk to the batch that contains the
 * offset, then one large positioned read, checksums, and a cut at the last whole batch. What is no
 * sound batch is an error for who asks for just that, and an end for who comes from before it;
 * never wrong data.
 */

import {
  BATCH_HEADER_BYTES,
  baseOffset,
  batchBytes,
  isCrcRight,
  lastOffset,
  recordCount,
} from '../protocol/record-batch.ts';
import { SharedBuffer } from './buffer-pool.ts';
import type { DiskFile } from './env.ts';
import { SegmentRuns } from './run-cache.ts';
import { type BatchPlace, DamagedRange, SegmentPlaces } from './segment-places.ts';
import {
  headerFault,
  isStoredCrcRight,
  reachFault,
  successorFault,
  TRUSTED_BATCH_BYTES,
} from './segment-scan.ts';

/** Less is read as cheaply as it is shared. */
const LEAST_SHARED_BYTES = 64 * 1024;

/** What is asked of one segment. */
export interface SegmentRequest {
  readonly from: number;
  readonly maxBytes: number;
  /** Batches that reach this offset are not given. */
  readonly limit: number;
  readonly atLeastOne: boolean;
}

/** Batches that were read; `held` is released when `bytes` are not needed any more. */
export interface SegmentRun {
  readonly held: SharedBuffer;
  readonly bytes: Buffer;
  readonly position: number;
  readonly firstOffset: number;
  readonly recordBytes: number;
  readonly nextOffset: number;
}

/** Result of going through the batches in a buffer. */
interface Taken {
  sizeBytes: number;
  recordBytes: number;
  nextOffset: number;
  /** Why it ended before the buffer did, when something is wrong there. */
  fault: string | undefined;
  /** Size of the batch that was cut by the buffer's end. */
  cutBytes: number | undefined;
}

export class SegmentReader extends SegmentPlaces {
  /**
   * Reads what is asked for. `end`: the segment has no batch from there on. `full`: there is one,
   * but it reaches the limit or is too large.
   */
  async read(request: SegmentRequest): Promise<SegmentRun | 'end' | 'full'> {
    for (;;) {
      const now = this.readNow(request);
      if (now === 'cold') return this.#readCold(request);
      if (now !== 'later') return now;
      await this.context.pageCache.nextTurn();
    }
  }

  /**
   * The same of what is in memory; `cold`: it is not, or there is more to be found out than that;
   * `later`: enough was read in this turn.
   */
  readNow(request: SegmentRequest): SegmentRun | 'full' | 'cold' | 'later' {
    const { from } = request;
    const kept = this.#findKept(request);
    if (kept !== undefined) return kept;
    const position = from === this.segment.baseOffset ? 0 : this.segment.knownPlace(from);
    if (position === undefined || position >= this.end) return 'cold';
    if (!this.segment.written?.holds(position)) return 'cold';
    const { buffers, pageCache, files } = this.context;
    const file = files.openNow(this.segment.file);
    if (file === undefined) return 'cold';
    const wanted = Math.min(request.maxBytes + BATCH_HEADER_BYTES, this.end - position);
    if (!pageCache.hasRoom(wanted)) return 'later';
    const isTrusted = this.segment.written.isAsWritten(file);
    const place = { position, due: from };
    const buffer = buffers.acquire(wanted);
    let isKept = false;
    try {
      const count = pageCache.read(file, buffer, wanted, position);
      const taken = this.#take(buffer.subarray(0, count), place, request, isTrusted);
      if (taken.sizeBytes > 0) {
        isKept = true;
        return this.#runOf(new SharedBuffer(buffer, buffers), place, request, taken, isTrusted);
      }
      return taken.fault === undefined && taken.cutBytes === undefined ? 'full' : 'cold';
    } finally {
      if (!isKept) buffers.release(buffer);
    }
  }

  /** What another reader has read from there: all of it, or what the limits leave. */
  #findKept(request: SegmentRequest): SegmentRun | 'full' | undefined {
    const { runs } = this.segment;
    const run = runs && this.context.runs.find(runs, request.from);
    if (run === undefined) return undefined;
    if (run.recordBytes <= request.maxBytes && run.nextOffset <= request.limit) {
      run.held.retain();
      return run;
    }
    const place = { position: run.position, due: run.firstOffset };
    const taken = this.#take(run.bytes, place, request, true);
    if (taken.sizeBytes === 0) return taken.fault === undefined ? 'full' : undefined;
    run.held.retain();
    return this.#runOf(run.held, place, request, taken, true);
  }

  /** Two that want the same at once: the second one waits for what the first one reads. */
  async #readCold(request: SegmentRequest): Promise<SegmentRun | 'end' | 'full'> {
    this.segment.runs ??= new SegmentRuns();
    const { readings } = this.segment.runs;
    const { from } = request;
    const other = readings.get(from);
    if (other !== undefined) {
      other.isAwaited = true;
      await other.ended;
      return this.#findKept(request) ?? this.#readFile(request);
    }
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const reading = { ended, isAwaited: false };
    readings.set(from, reading);
    try {
      const run = await this.#readFile(request);
      if (typeof run !== 'string' && reading.isAwaited) {
        this.context.runs.keep(this.segment.runs, from, run);
      }
      return run;
    } finally {
      readings.delete(from);
      end();
    }
  }

  #readFile(request: SegmentRequest): Promise<SegmentRun | 'end' | 'full'> {
    return this.segment.use(async (file) => {
      const place = await this.findIn(file, request.from);
      return place === undefined ? 'end' : this.#readAt(file, place, request);
    });
  }

  async #readAt(
    file: DiskFile,
    place: BatchPlace,
    request: SegmentRequest,
  ): Promise<SegmentRun | 'full'> {
    const { buffers } = this.context;
    const left = this.end - place.position;
    // One header more than asked for, so that the last batch is held against its successor.
    let wanted = Math.min(request.maxBytes + BATCH_HEADER_BYTES, left);
    for (;;) {
      const buffer = buffers.acquire(wanted);
      let isKept = false;
      try {
        const count = await file.read(buffer, 0, wanted, place.position);
        const taken = this.#take(buffer.subarray(0, count), place, request, false);
        if (count < wanted) taken.fault ??= `the file ends at ${place.position + count}`;
        if (taken.sizeBytes > 0) {
          isKept = true;
          const held = new SharedBuffer(buffer, buffers);
          return this.#runOf(held, place, request, taken, false);
        }
        if (taken.fault !== undefined) {
          const first = place.due ?? request.from;
          throw new DamagedRange(await this.findDamage(file, place.position, first, taken.fault));
        }
        const { cutBytes } = taken;
        if (cutBytes === undefined) return 'full';
        if (cutBytes > request.maxBytes && !request.atLeastOne) return 'full';
        await this.#checkLarge(file, place, request, cutBytes);
        wanted = Math.min(cutBytes + BATCH_HEADER_BYTES, left);
      } finally {
        if (!isKept) buffers.release(buffer);
      }
    }
  }

  /** Memory is given to a large batch only once its length is known to be no lie. */
  async #checkLarge(
    file: DiskFile,
    place: BatchPlace,
    request: SegmentRequest,
    sizeBytes: number,
  ): Promise<void> {
    if (sizeBytes <= TRUSTED_BATCH_BYTES) return;
    if (await isStoredCrcRight(file, place.position, sizeBytes, this.context.buffers)) return;
    const first = place.due ?? request.from;
    throw new DamagedRange(await this.findDamage(file, place.position, first, 'wrong checksum'));
  }

  #runOf(
    held: SharedBuffer,
    place: BatchPlace,
    request: SegmentRequest,
    taken: Taken,
    isTrusted: boolean,
  ): SegmentRun {
    const { position } = place;
    const segment = this.segment;
    if (!isTrusted) segment.markVerified(position, position + taken.sizeBytes);
    const wasThere = segment.rememberPlace(taken.nextOffset, position + taken.sizeBytes);
    const run = {
      held,
      bytes: held.buffer.subarray(0, taken.sizeBytes),
      position,
      firstOffset: baseOffset(held.buffer, 0),
      recordBytes: taken.recordBytes,
      nextOffset: taken.nextOffset,
    };
    this.#share(request.from, run, wasThere);
    return run;
  }

  /** Keeps it for others where a second reader has come; `wasThere`: somebody has read up to there. */
  #share(from: number, run: SegmentRun, wasThere: boolean): void {
    const segment = this.segment;
    if (run.bytes.length < LEAST_SHARED_BYTES || !(wasThere || segment.runs?.isShared)) return;
    segment.runs ??= new SegmentRuns();
    segment.runs.isShared = true;
    this.context.runs.keep(segment.runs, from, run);
  }

  /**
   * Goes through the batches at the buffer's start, which lies at the place. `isTrusted`: their
   * checksums are known to be right.
   */
  #take(buffer: Buffer, place: BatchPlace, request: SegmentRequest, isTrusted: boolean): Taken {
    const taken: Taken = {
      sizeBytes: 0,
      recordBytes: 0,
      nextOffset: request.from,
      fault: undefined,
      cutBytes: undefined,
    };
    let due = place.due;
    for (let at = 0; at < buffer.length; ) {
      taken.fault = this.#fault(buffer, at, place.position + at, due);
      if (taken.fault !== undefined) break;
      const size = batchBytes(buffer, at);
      const last = lastOffset(buffer, at);
      if (last >= request.limit) break;
      const isEmpty = recordCount(buffer, at) === 0;
      const isFree = isEmpty || (taken.recordBytes === 0 && request.atLeastOne);
      if (!isFree && taken.recordBytes + size > request.maxBytes) break;
      if (size > buffer.length - at) {
        taken.cutBytes = size;
        break;
      }
      const position = place.position + at;
      const isKnown = isTrusted || this.segment.isVerified(position, position + size);
      if (!isKnown && !isCrcRight(buffer, at)) {
        taken.fault = 'wrong checksum';
        break;
      }
      at += size;
      due = last + 1;
      taken.sizeBytes = at;
      taken.nextOffset = due;
      if (!isEmpty) taken.recordBytes += size;
    }
    return taken;
  }

  #fault(
    buffer: Buffer,
    at: number,
    position: number,
    due: number | undefined,
  ): string | undefined {
    const left = this.end - position;
    if (left < BATCH_HEADER_BYTES) return 'fewer bytes than a batch header';
    // The header that was read only to be looked at may itself be cut: then it is not taken.
    if (buffer.length - at < BATCH_HEADER_BYTES) return `the file ends at ${position}`;
    const base = this.segment.baseOffset;
    const fault =
      headerFault(buffer, at, left, base, due ?? base) ?? reachFault(buffer, at, this.endOffset);
    if (fault !== undefined || baseOffset(buffer, at) === due) return fault;
    const next = at + batchBytes(buffer, at);
    if (next + 8 > buffer.length) return undefined;
    return successorFault(buffer, at, buffer.subarray(next));
  }
}

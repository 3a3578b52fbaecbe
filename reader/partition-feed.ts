/**
 * One partition of a reading: what was fetched of it and not taken yet, in order, and the two ends
 * of that: from where the next Fetch asks, and up to where the user has taken.
 *
 * - At most two answers stand in the queue; of locations, the one behind the first is opened too,
 *   so that its first piece is read while the other is decoded.
 * - Every batch is checked: checksum, form, order. A location whose bytes are not there or not
 *   sound is asked for again from the offset that was taken last; nothing was given of it that was
 *   not sound, so nothing is missed and nothing given twice.
 */

import * as recordBatch from '../protocol/record-batch.ts';
import { codecOf, ReadBatch } from './batch.ts';
import { LocationFault, ReadError } from './errors.ts';
import { filePieces, type Location, ReadAhead, type UrlAgents, urlPieces } from './located.ts';
import type { LocationWay, Settings } from './options.ts';
import type { ReadStats } from './stats.ts';
import type { Place } from './token.ts';
import { type AbortedTransaction, Visibility } from './visibility.ts';
import type { Ways } from './ways.ts';

/** Answers that are fetched ahead. */
const MOST_QUEUED = 2;

/** What the partitions of a reading share. */
export interface FeedHost {
  readonly settings: Settings;
  readonly stats: ReadStats;
  readonly ways: Ways;
  readonly agents: UrlAgents;
  /** There is something to take. */
  arrived(): void;
  /** There is room for another answer. */
  drained(): void;
  /** The topic has got partitions. */
  added(places: readonly Place[]): void;
  /** The reading cannot go on; what was fetched is still to be taken. */
  fail(error: Error): void;
}

interface Piece {
  /** What was asked for: its first batch may begin before. */
  readonly from: number;
  readonly nextOffset: number;
  readonly visibility: Visibility;
  /** Of an answer with records. */
  readonly records?: Buffer;
  readonly location?: Location;
  way?: LocationWay | undefined;
  source?: ReadAhead;
}

export class PartitionFeed {
  readonly index: number;
  readonly #host: FeedHost;
  /** From where the next Fetch asks, and the epoch of the batch before it. */
  askOffset: number;
  askEpoch: number;
  isAsked = false;
  /** It was refused a moment ago. */
  isResting = false;
  /** Refusals in a row, and when the first of them was. */
  failures = 0;
  failingSince = 0;
  /** Changes when what was fetched is thrown away: answers to older requests are void. */
  round = 0;
  /** Reading ends here; undefined when it follows. */
  endAt: number | undefined;
  /** Of the answers: who got something is asked last. */
  turn = 0;
  /** An answer without anything may be for lack of room: asked alone, it says that there is nothing. */
  isToBeAskedAlone = false;

  #queue: Piece[] = [];
  #chunk: Buffer | undefined;
  #at = 0;
  /** Offset after the last batch seen in the first piece; -1 before its first one. */
  #seenTo = -1;
  #isLoading = false;
  #takenOffset: number;
  #takenEpoch: number;

  constructor(host: FeedHost, { partition, offset, epoch }: Place, endAt: number | undefined) {
    this.#host = host;
    this.index = partition;
    this.askOffset = offset;
    this.askEpoch = epoch;
    this.#takenOffset = offset;
    this.#takenEpoch = epoch;
    this.endAt = endAt;
  }

  /** Where the user stands: after the last batch that was taken. */
  get place(): Place {
    return { partition: this.index, offset: this.#takenOffset, epoch: this.#takenEpoch };
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** All up to the end was asked for and taken. */
  get isDone(): boolean {
    return this.isEmpty && this.#isAtEnd;
  }

  get #isAtEnd(): boolean {
    return this.endAt !== undefined && this.askOffset >= this.endAt;
  }

  /** There is room for another answer, and nothing speaks against asking for it. */
  get wants(): boolean {
    if (this.isAsked || this.isResting || this.#isAtEnd) return false;
    return this.#queue.length < MOST_QUEUED;
  }

  /** Takes records of an answer; gives the offset after them. */
  addRecords(records: Buffer, aborted: readonly AbortedTransaction[] | null): number {
    let end = 0;
    let last = -1;
    while (end + recordBatch.LOG_OVERHEAD <= records.length) {
      const size = recordBatch.batchBytes(records, end);
      // The last batch may be cut; it comes whole with the next answer.
      if (size < recordBatch.BATCH_HEADER_BYTES || end + size > records.length) break;
      last = end;
      end += size;
    }
    const nextOffset = last < 0 ? -1 : recordBatch.lastOffset(records, last) + 1;
    if (nextOffset <= this.askOffset) {
      throw this.#corrupt(`the answer holds nothing from offset ${this.askOffset} on`);
    }
    const whole = records.subarray(0, end);
    this.#host.stats.recordBytes += end;
    const epoch = recordBatch.leaderEpoch(records, last);
    const visibility = new Visibility(aborted);
    this.#add({ from: this.askOffset, nextOffset, records: whole, visibility }, epoch);
    return nextOffset;
  }

  addLocation(location: Location, aborted: readonly AbortedTransaction[] | null): void {
    const { nextOffset, lastEpoch } = location;
    if (nextOffset <= this.askOffset) {
      throw this.#corrupt(`the location holds nothing from offset ${this.askOffset} on`);
    }
    const visibility = new Visibility(aborted);
    this.#add({ from: this.askOffset, nextOffset, location, visibility }, lastEpoch);
  }

  #add(piece: Piece, lastEpoch: number): void {
    this.#queue.push(piece);
    this.askOffset = piece.nextOffset;
    this.askEpoch = lastEpoch;
    this.#open(piece);
    this.#load();
    this.#host.arrived();
  }

  /** Goes on at another place: what was fetched and not taken is void. */
  restart(offset: number, epoch: number): void {
    this.#discard();
    this.#takenOffset = offset;
    this.#takenEpoch = epoch;
    this.askOffset = offset;
    this.askEpoch = epoch;
    this.#host.drained();
  }

  /** Goes on at another place behind what was fetched, which is still given. */
  goTo(offset: number): void {
    this.askOffset = offset;
    this.askEpoch = NO_EPOCH;
    if (this.isEmpty) this.restart(offset, NO_EPOCH);
    else this.#host.drained();
    this.#host.arrived();
  }

  /** Asks again for what was not taken yet. */
  askAgain(epoch = this.#takenEpoch): void {
    this.restart(this.#takenOffset, epoch);
  }

  close(): void {
    this.#discard();
  }

  #discard(): void {
    this.round++;
    for (const { source } of this.#queue) source?.close();
    this.#queue = [];
    this.#chunk = undefined;
    this.#seenTo = -1;
    this.#isLoading = false;
  }

  /**
   * The next batch that the user may see, if it is there; a promise where its codec is to be loaded.
   * Throws ReadError CORRUPT.
   */
  take(): ReadBatch | Promise<ReadBatch> | undefined {
    for (;;) {
      const chunk = this.#chunk;
      const piece = this.#queue[0];
      if (piece === undefined || chunk === undefined) return undefined;
      if (this.#at >= chunk.length) {
        this.#chunk = undefined;
        if (piece.records === undefined) this.#load();
        else this.#finish(piece);
        continue;
      }
      const at = this.#at;
      const fault = recordBatch.batchFault(chunk, at) ?? this.#disorder(piece, chunk, at);
      if (fault !== undefined) {
        this.#spoiled(piece, fault);
        return undefined;
      }
      const taken = this.#takeAt(piece, chunk, at);
      if (taken !== undefined) return taken;
    }
  }

  /** Steps over one sound batch; gives it when there is something in it for the user. */
  #takeAt(piece: Piece, chunk: Buffer, at: number): ReadBatch | Promise<ReadBatch> | undefined {
    const from = Math.max(this.#takenOffset, piece.from);
    const next = recordBatch.lastOffset(chunk, at) + 1;
    if (this.endAt !== undefined && recordBatch.baseOffset(chunk, at) >= this.endAt) {
      this.#at = chunk.length;
      this.#discard();
      this.#host.drained();
      return undefined;
    }
    const codec = codecOf(chunk, at);
    const isShown = piece.visibility.shows(chunk, at) && recordBatch.recordCount(chunk, at) > 0;
    this.#at = at + recordBatch.batchBytes(chunk, at);
    this.#seenTo = next;
    this.#takenOffset = Math.max(from, next);
    this.#takenEpoch = recordBatch.leaderEpoch(chunk, at);
    if (!isShown || next <= from) return undefined;
    const { maxBatchBytes } = this.#host.settings;
    if (codec instanceof Promise) {
      return codec.then(
        (ready) => new ReadBatch(this.index, chunk, at, from, ready, maxBatchBytes),
      );
    }
    return new ReadBatch(this.index, chunk, at, from, codec, maxBatchBytes);
  }

  /** What is wrong with the offsets of the next batch. */
  #disorder({ location }: Piece, chunk: Buffer, at: number): string | undefined {
    const base = recordBatch.baseOffset(chunk, at);
    if (base < this.#seenTo) return `offset ${base} behind ${this.#seenTo}`;
    if (this.#seenTo < 0 && location !== undefined && base !== location.firstOffset) {
      return `the first batch is ${base} and not ${location.firstOffset}`;
    }
    return undefined;
  }

  /** Begins to read a location. */
  #open(piece: Piece): void {
    const { location } = piece;
    if (location === undefined) return;
    const { settings, ways, agents } = this.#host;
    piece.way = ways.to(location);
    if (piece.way === undefined) return;
    piece.source = new ReadAhead(
      piece.way === 'file'
        ? filePieces(location, settings.chunkBytes)
        : urlPieces(location, settings.chunkBytes, agents),
    );
    settings.onEvent?.({
      kind: 'open',
      partition: this.index,
      offset: location.firstOffset,
      way: piece.way,
      name: piece.way === 'file' ? location.path : location.url,
      bytes: location.length,
    });
  }

  /** Has the next bytes of the first piece ready to be taken. */
  #load(): void {
    const piece = this.#queue[0];
    if (piece === undefined || this.#chunk !== undefined || this.#isLoading) return;
    if (piece.records !== undefined) {
      this.#setChunk(piece.records);
      return;
    }
    const { source } = piece;
    if (source === undefined) {
      this.#spoiled(piece, new LocationFault('unreachable', 'there is no way to the location'));
      return;
    }
    const { round } = this;
    this.#isLoading = true;
    source.next().then(
      (chunk) => {
        if (round === this.round) this.#loaded(piece, chunk);
      },
      (error: unknown) => {
        if (round === this.round) this.#spoiled(piece, error);
      },
    );
  }

  #loaded(piece: Piece, chunk: Buffer | undefined): void {
    const { stats } = this.#host;
    this.#isLoading = false;
    if (chunk !== undefined) {
      if (piece.way === 'file') stats.fileBytes += chunk.length;
      else stats.urlBytes += chunk.length;
      this.#setChunk(chunk);
      this.#host.arrived();
    } else if (this.#seenTo === piece.nextOffset) this.#finish(piece);
    else this.#spoiled(piece, `it ends at ${this.#seenTo} and not at ${piece.nextOffset}`);
  }

  #setChunk(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** The first piece is taken to its end. */
  #finish(piece: Piece): void {
    piece.source?.close();
    this.#queue.shift();
    this.#seenTo = -1;
    this.#takenOffset = Math.max(this.#takenOffset, piece.nextOffset);
    this.#load();
    this.#host.drained();
    // Whoever waits for the end of all looks again.
    this.#host.arrived();
  }

  /** The first piece cannot be used any further. */
  #spoiled({ location, way }: Piece, reason: unknown): void {
    if (location === undefined) {
      this.#host.fail(this.#corrupt(String(reason)));
      this.#discard();
      return;
    }
    const fault = reason instanceof Error ? reason : new LocationFault('unsound', String(reason));
    if (!(fault instanceof LocationFault)) {
      this.#host.fail(fault);
      this.#discard();
      return;
    }
    const { stats, ways, settings } = this.#host;
    stats.askedAgain++;
    const { message } = fault;
    const offset = this.#takenOffset;
    if (way !== undefined) ways.failed(way, fault.failure, location, `${this.index} ${offset}`);
    settings.onEvent?.({ kind: 'again', partition: this.index, offset, reason: message });
    this.askAgain();
    this.#host.arrived();
  }

  #corrupt(reason: string): ReadError {
    const offset = this.#takenOffset;
    const message = `partition ${this.index} at offset ${offset}: ${reason}`;
    return new ReadError('CORRUPT', message, { partition: this.index, offset });
  }
}

/** The epoch of a place whose last batch was not seen. */
export const NO_EPOCH = -1;

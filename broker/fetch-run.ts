/**
 * One Fetch on its way: reads its partitions in order, waits when that gave too little, reads again,
 * and in the end knows what to answer.
 *
 * - Sizes: partitions are read until `max_bytes` are there; the first batch of the first partition
 *   that has data is given even when it is larger than the limits (KIP-74). Batches without records
 *   count nothing and are read over: a reader would ask for the same offset again for ever.
 * - Waiting: until `min_bytes` are there over all partitions, each counted up to its own limit, but
 *   not when there is an error or an epoch diverges. A wait ends for bytes, at the deadline, with
 *   the connection, with a topic, with the broker; the read then runs again.
 * - Locations: who asks for them gets, of a partition whose next records are persisted, where they
 *   lie and no records; limits of their own bound them, and their bytes count towards `min_bytes`.
 * - Memory: what is read from files is bounded by what the budget allows (one read for each answer
 *   while it is short: a reader that takes no answers must not be given megabytes), counted until the
 *   answer is made. Slices of memory are shared. All are given back when the answer has left.
 *
 * Only what the disk must be asked for makes a promise; reads of one fetch follow one another.
 * A wait that ends is answered in the turn in which it does.
 * Source: Kafka's ReplicaManager.fetchMessages, readFromLog, DelayedFetch; KIP-74, KIP-320, KIP-595.
 */

import { ErrorCode } from '../protocol/errors.ts';
import type { AbortedTransaction, LogSlice } from '../storage/types.ts';
import type { RequestContext } from './api.ts';
import { leaderEpochFault, NO_LEADER_EPOCH } from './epoch-check.ts';
import type { LocationTeller } from './fetch-location.ts';
import type { FetchContext } from './fetch-sessions.ts';
import type { FetchSlice } from './fetch-slice.ts';
import { Later } from './later.ts';
import type { Partition } from './partition.ts';
import { reportPartitionError, reportPartitionFault } from './partition-errors.ts';
import type { Waiting, WatchEnd } from './watchers.ts';

/** What is read from a file at least, however short memory is. */
export const LEAST_READ_BYTES = 64 * 1024;

export interface FetchLimits {
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  readonly readCommitted: boolean;
  /** Given when the asker takes locations in place of persisted records. */
  readonly locating: LocationTeller | undefined;
  /** A broker's id when the asker says that it is a replica; there are none here. */
  readonly replicaId: number;
}

/** `A` is what `answer` makes of the slices when they are ready. */
export class FetchRun<A> extends Later<A> implements Waiting {
  readonly context: RequestContext;
  readonly session: FetchContext;
  readonly slices: readonly FetchSlice[];
  /** Those whose partition is there. */
  readonly #readable: readonly FetchSlice[];
  readonly #limits: FetchLimits;
  readonly #answer: (run: FetchRun<A>) => A;
  /** On the monotonic clock; 0 before the first wait. */
  #deadlineMs = 0;
  /** Bytes given so far in this reading; the first batch of all is given whatever its size. */
  #givenBytes = 0;
  #wantsFirst = true;
  /** The same of what was located. */
  #locatedBytes = 0;
  /** Counted in the memory budget, until the answer is made. */
  #fileBytes = 0;
  /** Memory is short: what there is, is the answer, and who wants more asks again. */
  #isCut = false;
  /** The wait is over: whatever there is, is the answer. */
  #isLast = false;

  constructor(
    context: RequestContext,
    session: FetchContext,
    slices: readonly FetchSlice[],
    limits: FetchLimits,
    answer: (run: FetchRun<A>) => A,
  ) {
    super();
    this.context = context;
    this.session = session;
    this.slices = slices;
    this.#limits = limits;
    this.#answer = answer;
    // Thousands of these may wait, so that a second array for nothing is worth avoiding.
    const isWhole = slices.every(({ partition }) => partition !== undefined);
    this.#readable = isWhole ? slices : slices.filter(({ partition }) => partition !== undefined);
  }

  /** The slices in the order in which Kafka answers: what was read, then what is not there. */
  get ordered(): readonly FetchSlice[] {
    if (this.#readable === this.slices) return this.slices;
    return [...this.#readable, ...this.slices.filter(({ partition }) => partition === undefined)];
  }

  /** Reads and waits; gives itself when there is something to wait for. */
  start(): A | this {
    const reading = this.#read();
    if (reading === undefined && this.#isEnough()) return this.#answer(this);
    if (reading === undefined) this.#park();
    else this.#after(reading);
    return this;
  }

  watchEnded(reason: WatchEnd): void {
    if (reason === 'closed') {
      // Nobody is there to be answered.
      this.release();
      this.#conclude();
      return;
    }
    if (reason !== 'bytes') this.#isLast = true;
    try {
      const reading = this.#read();
      if (reading === undefined) this.#proceed();
      else this.#after(reading);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  /** Gives all buffers back. */
  release(): void {
    for (const slice of this.slices) {
      const reads = slice.letGo();
      slice.sizeBytes = 0;
      for (const read of reads) read.release();
    }
    this.answered();
  }

  /** From here on the answer counts its bytes itself. */
  answered(): void {
    if (this.#fileBytes > 0) this.context.services.memory.give('reads', this.#fileBytes);
    this.#fileBytes = 0;
  }

  #countFileBytes(change: number): void {
    const { memory } = this.context.services;
    this.#fileBytes += change;
    if (change >= 0) memory.take('reads', change);
    else memory.give('reads', -change);
  }

  #after(reading: Promise<void>): void {
    reading.then(() => this.#proceed()).catch((error: unknown) => this.#giveUp(error));
  }

  #proceed(): void {
    if (this.#isEnough()) this.#conclude();
    else this.#park();
  }

  #conclude(): void {
    let answer: A;
    try {
      answer = this.#answer(this);
    } catch (error) {
      this.#giveUp(error);
      return;
    }
    this.resolve(answer);
  }

  #giveUp(error: unknown): void {
    this.release();
    this.fail(error);
  }

  #isEnough(): boolean {
    const { minBytes, maxWaitMs } = this.#limits;
    if (this.#isLast || this.#isCut || maxWaitMs <= 0 || this.#readable.length === 0) return true;
    let bytes = 0;
    for (const slice of this.#readable) {
      if (slice.errorCode !== ErrorCode.NONE || slice.diverges) return true;
      bytes += slice.readBytes;
    }
    return bytes >= minBytes;
  }

  #park(): void {
    const { services, connection } = this.context;
    const nowMs = services.env.clock.monotonic();
    if (this.#deadlineMs === 0) this.#deadlineMs = nowMs + this.#limits.maxWaitMs;
    const waitMs = Math.max(0, this.#deadlineMs - nowMs);
    for (const slice of this.#readable) {
      for (const read of slice.letGo()) read.release();
    }
    this.answered();
    services.watchers.wait(this, this.#readable, this.#limits.minBytes, waitMs, connection);
  }

  // Reading.

  #read(): Promise<void> | undefined {
    this.#givenBytes = 0;
    this.#wantsFirst = true;
    this.#locatedBytes = 0;
    this.#isCut = false;
    const slices = this.#readable;
    for (let i = 0; i < slices.length; i++) {
      const reading = this.#readSlice(slices[i]!);
      if (reading !== undefined) return this.#readRest(i + 1, reading);
    }
    return undefined;
  }

  async #readRest(from: number, reading: Promise<void>): Promise<void> {
    await reading;
    for (let i = from; i < this.#readable.length; i++) await this.#readSlice(this.#readable[i]!);
  }

  #readSlice(slice: FetchSlice): Promise<void> | undefined {
    slice.reset();
    try {
      if (!this.#open(slice, slice.partition!)) return undefined;
      return this.#give(slice, slice.partition!);
    } catch (error) {
      this.#refuse(slice, error);
      return undefined;
    }
  }

  #give(slice: FetchSlice, partition: Partition): Promise<void> | undefined {
    const { locating } = this.#limits;
    return locating === undefined || slice.nextOffset >= partition.log.persistedOffset
      ? this.#fill(slice, partition)
      : this.#locate(slice, partition, locating);
  }

  /** Finds out where the records lie; what has no location is read. */
  async #locate(slice: FetchSlice, partition: Partition, locating: LocationTeller): Promise<void> {
    try {
      const isFirst = this.#locatedBytes === 0;
      const leftBytes = locating.maxBytes - this.#locatedBytes;
      const roomBytes = Math.min(leftBytes, locating.partitionMaxBytes);
      if (roomBytes <= 0 && !isFirst) return;
      const found = await partition.log.locate(slice.nextOffset, roomBytes, slice.end);
      const location = found && locating.tell(partition, found);
      if (location === undefined) {
        await this.#fill(slice, partition);
        return;
      }
      if (location.length > roomBytes && !isFirst) return;
      slice.place(location);
      await this.#finish(slice, partition);
      if (await this.#isStale(slice, partition, location.generation)) {
        slice.unplace();
        await this.#fill(slice, partition);
      } else this.#locatedBytes += location.length;
    } catch (error) {
      this.#refuse(slice, error);
    }
  }

  /** Takes the marks of this moment; false when there is nothing to read. */
  #open(slice: FetchSlice, partition: Partition): boolean {
    const { log } = partition;
    const fault = this.#fault(slice, partition);
    if (fault !== ErrorCode.NONE) {
      slice.fail(fault);
      return false;
    }
    slice.highWatermark = log.highWatermark;
    slice.lastStableOffset = log.lastStableOffset;
    slice.logStartOffset = log.logStartOffset;
    if (this.#limits.readCommitted) slice.aborted = [];
    if (slice.diverges) return false;
    slice.end = this.#limits.readCommitted ? slice.lastStableOffset : slice.highWatermark;
    slice.readPosition = slice.list.position;
    return slice.fetchOffset < slice.end;
  }

  /**
   * Whether compaction came between a location and its aborted transactions, which then belong to
   * other bytes.
   */
  async #isStale(slice: FetchSlice, { log }: Partition, generation: string): Promise<boolean> {
    if (slice.aborted === null) return false;
    const now = await log.locate(slice.fetchOffset, 1, slice.end);
    return now?.generation !== generation;
  }

  /** What speaks against the read, as an error code; notes a diverging epoch. */
  #fault(slice: FetchSlice, partition: Partition): number {
    const { log } = partition;
    if (partition.isDeleted) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    const claimed = slice.asked.currentLeaderEpoch;
    const fault = leaderEpochFault(log, claimed);
    if (fault !== ErrorCode.NONE) return fault;
    if (this.#limits.replicaId >= 0) {
      // Not one of the partition's replicas, as Kafka says it to an asker that knows the epoch.
      return claimed === NO_LEADER_EPOCH
        ? ErrorCode.NOT_LEADER_OR_FOLLOWER
        : ErrorCode.UNKNOWN_LEADER_EPOCH;
    }
    const { fetchOffset, lastFetchedEpoch } = slice;
    if (slice.limitBytes < 0 || this.#limits.maxBytes < 0) return ErrorCode.UNKNOWN_SERVER_ERROR;
    let reason: string | undefined;
    if (fetchOffset < log.logStartOffset || fetchOffset > log.endOffset) {
      reason = `offset ${fetchOffset} is not in [${log.logStartOffset}, ${log.endOffset}]`;
    }
    if (lastFetchedEpoch >= 0) {
      const known = log.endOffsetForEpoch(lastFetchedEpoch);
      if (known === undefined) reason = `leader epoch ${lastFetchedEpoch} is not known`;
      else if (
        fetchOffset >= log.logStartOffset &&
        (known.leaderEpoch < lastFetchedEpoch || known.endOffset < fetchOffset)
      ) {
        slice.divergingEpoch = { epoch: known.leaderEpoch, endOffset: known.endOffset };
        return ErrorCode.NONE;
      }
    }
    if (reason === undefined) return ErrorCode.NONE;
    const code = ErrorCode.OFFSET_OUT_OF_RANGE;
    reportPartitionFault(this.context, partition.topic.name, partition.index, code, reason);
    return code;
  }

  /** Reads until the slice has what it may have; a promise from where the disk is asked. */
  #fill(slice: FetchSlice, partition: Partition): Promise<void> | undefined {
    const { log } = partition;
    while (this.#wantsMore(slice, partition)) {
      const { nextOffset, end } = slice;
      const roomBytes = this.#roomBytes(slice, partition);
      const read = log.read(nextOffset, roomBytes, end, this.#wantsFirst);
      if (read instanceof Promise) return this.#fillFromDisk(slice, partition, read, roomBytes);
      const before = slice.sizeBytes;
      const goesOn = this.#take(slice, read);
      if (nextOffset < log.persistedOffset) this.#countFileBytes(slice.sizeBytes - before);
      if (!goesOn) break;
    }
    return this.#finish(slice, partition);
  }

  /** All is read: what remains is to know which of its transactions were aborted. */
  #finish(slice: FetchSlice, partition: Partition): Promise<void> | undefined {
    if (slice.aborted === null || slice.sizeBytes === 0) return undefined;
    const { fetchOffset, nextOffset } = slice;
    const found = partition.log.abortedTransactions(fetchOffset, nextOffset);
    if (found instanceof Promise) return this.#takeAborted(slice, found);
    slice.aborted = found;
    return undefined;
  }

  async #fillFromDisk(
    slice: FetchSlice,
    partition: Partition,
    reading: Promise<LogSlice>,
    roomBytes: number,
  ): Promise<void> {
    // Counted before it is there: many that read at once must not each be allowed the same bytes.
    this.#countFileBytes(roomBytes);
    try {
      const read = await reading;
      const before = slice.sizeBytes;
      const goesOn = this.#take(slice, read);
      this.#countFileBytes(slice.sizeBytes - before - roomBytes);
      await (goesOn ? this.#fill(slice, partition) : this.#finish(slice, partition));
    } catch (error) {
      // What was read before is good; who goes on from there gets the error.
      if (slice.sizeBytes === 0) this.#refuse(slice, error);
      else await this.#finish(slice, partition);
    }
  }

  async #takeAborted(slice: FetchSlice, finding: Promise<AbortedTransaction[]>): Promise<void> {
    try {
      slice.aborted = await finding;
    } catch (error) {
      this.#refuse(slice, error);
    }
  }

  #wantsMore(slice: FetchSlice, { log }: Partition): boolean {
    if (slice.nextOffset >= slice.end) return false;
    if (this.#wantsFirst) return true;
    const leftBytes = this.#leftBytes(slice);
    // Memory is asked as long as anything may fit; the disk not again for a small rest.
    const isInMemory = slice.nextOffset >= log.persistedOffset;
    if (leftBytes <= 0 || isInMemory) return leftBytes > 0;
    if (this.context.services.memory.isShort) this.#isCut = true;
    return !this.#isCut && leftBytes >= slice.recordBytes;
  }

  /** What the limits leave for a slice. */
  #leftBytes(slice: FetchSlice): number {
    const answerBytes = this.#limits.maxBytes - this.#givenBytes;
    return Math.max(0, Math.min(slice.limitBytes - slice.recordBytes, answerBytes));
  }

  /** How much is read at once: from files, not more than memory is there for. */
  #roomBytes(slice: FetchSlice, { log }: Partition): number {
    const leftBytes = this.#leftBytes(slice);
    if (slice.nextOffset >= log.persistedOffset || leftBytes <= LEAST_READ_BYTES) return leftBytes;
    return this.context.services.memory.allowance(leftBytes, LEAST_READ_BYTES);
  }

  /** Takes what was read; false when nothing more is to be had. */
  #take(slice: FetchSlice, read: LogSlice): boolean {
    if (read.nextOffset <= slice.nextOffset) {
      read.release();
      return false;
    }
    if (read.recordBytes === 0) {
      // Batches that compaction has emptied: stepped over.
      read.release();
      slice.nextOffset = read.nextOffset;
      return true;
    }
    slice.add(read);
    this.#givenBytes += read.recordBytes;
    this.#wantsFirst = false;
    return true;
  }

  #refuse(slice: FetchSlice, error: unknown): void {
    const reads = slice.letGo();
    const partition = slice.partition!;
    const { name } = partition.topic;
    slice.fail(reportPartitionError(this.context, name, partition.index, error));
    for (const read of reads) read.release();
  }
}

/**
 * Deletes what is too old or too much, log by log, every `log.retention.check.interval.ms`. The log
 * start is recorded before a file goes. Where all of a log has expired, also what its last segment
 * and its memory hold, the memory is flushed and the segment rolled first; whatever came meanwhile
 * stays. A round waits for no flush, so that a full disk finds room again.
 */

import type { Env } from './env.ts';
import { LogDeleted } from './errors.ts';
import { type Chore, type ChoreContext, PeriodicChore } from './housekeeping.ts';
import { inParallel } from './in-parallel.ts';
import type { PartitionLog } from './partition-log.ts';
import { type Expired, findExpired, type RetainedPart } from './retention-rules.ts';
import type { StoreEvents } from './store-events.ts';
import { WallClockWatch } from './wall-clock-watch.ts';

/** Logs looked at side by side; those of which something goes share the writing of log starts. */
const PARALLELISM = 32;
/** The first round waits for the start's own work to be over, as in Kafka. */
const FIRST_ROUND_MS = 30_000;

export class Retention implements Chore {
  readonly #env: Env;
  readonly #logs: ReadonlyMap<string, PartitionLog>;
  readonly #events: StoreEvents;
  readonly #rounds: PeriodicChore;
  readonly #clock: WallClockWatch;
  /** Logs whose last segment goes as soon as their memory is flushed. */
  readonly #emptying = new Set<PartitionLog>();
  /** What goes on beside the rounds, once the memory is flushed. */
  readonly #dropping = new Set<Promise<void>>();
  /** Logs whose records of the future were reported. */
  readonly #withFuture = new WeakSet<PartitionLog>();
  #isStopped = false;

  constructor({ env, options, logs }: ChoreContext, events: StoreEvents) {
    this.#env = env;
    this.#logs = logs;
    this.#events = events;
    const { retentionCheckMs } = options;
    const firstMs = Math.min(FIRST_ROUND_MS, retentionCheckMs);
    this.#rounds = new PeriodicChore(env, 'retention', retentionCheckMs, () => this.run(), firstMs);
    this.#clock = new WallClockWatch(env);
  }

  /** The wall clock has jumped: nothing is deleted for its age. */
  get isSuspended(): boolean {
    return this.#clock.isSuspended;
  }

  start(): void {
    this.#rounds.start();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#rounds.stop();
    await Promise.all(this.#dropping);
  }

  /** Goes through all logs once. */
  async run(): Promise<void> {
    const nowMs = this.#clock.now();
    await inParallel([...this.#logs.values()], PARALLELISM, async (log) => {
      if (!this.#isStopped) await this.#check(log, nowMs);
    });
  }

  async #check(log: PartitionLog, nowMs: number | undefined): Promise<void> {
    // What is being cleaned now is looked at the next time.
    if (log.failure !== undefined || log.upkeep !== undefined) return;
    log.upkeep = 'retention';
    try {
      await this.#report(log, 'start', () => log.dropSegmentsBefore(log.logStartOffset));
      const parts = partsOf(log);
      const expired = await findExpired(parts, {
        options: log.options,
        highWatermark: log.highWatermark,
        nowMs,
        onFuture: (_part, newestMs) => this.#warnOfFuture(log, newestMs),
      });
      if (expired === undefined) return;
      const isAll = expired.endOffset === parts.at(-1)!.endOffset;
      const closedEnd = isAll ? parts.at(-2)?.endOffset : expired.endOffset;
      if (closedEnd !== undefined) {
        await this.#report(log, expired.reason, () => log.dropSegmentsBefore(closedEnd));
      }
      if (isAll) await this.#empty(log, expired);
    } catch (error) {
      this.#failed(log, error);
    } finally {
      log.upkeep = undefined;
    }
  }

  /** Ends the last segment so that it can go too; waits for memory that is still to be flushed. */
  #empty(log: PartitionLog, expired: Expired): Promise<void> | undefined {
    if (this.#emptying.has(log)) return undefined;
    if (log.persistedOffset >= expired.endOffset) return this.#dropAll(log, expired);
    this.#emptying.add(log);
    log
      .flush()
      .then(() => this.#dropFlushed(log, expired))
      .catch((error: unknown) => this.#failed(log, error))
      .finally(() => this.#emptying.delete(log));
    return undefined;
  }

  /** A stop waits for this, and not for the flush, which goes on without the chores. */
  async #dropFlushed(log: PartitionLog, expired: Expired): Promise<void> {
    // Who goes through the log at this time is left alone; the next round finds it flushed.
    if (log.upkeep !== undefined) return;
    log.upkeep = 'retention';
    const dropping = this.#dropAll(log, expired)
      .catch((error: unknown) => this.#failed(log, error))
      .finally(() => {
        log.upkeep = undefined;
        this.#dropping.delete(dropping);
      });
    this.#dropping.add(dropping);
    await dropping;
  }

  async #dropAll(log: PartitionLog, { endOffset, reason }: Expired): Promise<void> {
    if (this.#isStopped || log.failure !== undefined) return;
    await log.segments.roll();
    await this.#report(log, reason, () => log.dropSegmentsBefore(endOffset));
  }

  /** Counts what a step takes out of a log. */
  async #report(log: PartitionLog, reason: Expired['reason'], drop: () => Promise<void>) {
    const before = log.segments.segments();
    await drop();
    const first = log.segments.firstOffset;
    const gone = before.filter(({ baseOffset }) => baseOffset < first);
    if (gone.length === 0) return;
    let sizeBytes = 0;
    for (const segment of gone) sizeBytes += segment.sizeBytes;
    this.#events.onExpired(reason, gone.length, sizeBytes);
    const { topic, partition, logStartOffset } = log;
    const facts = { topic, partition, reason, segments: gone.length, sizeBytes, logStartOffset };
    this.#env.log.info(facts, 'the oldest segments of a log were deleted');
  }

  #warnOfFuture(log: PartitionLog, newestMs: number): void {
    if (this.#withFuture.has(log)) return;
    this.#withFuture.add(log);
    const { topic, partition } = log;
    const facts = { topic, partition, newestMs };
    this.#env.log.warn(
      facts,
      'records have times in the future: they are kept until these are old',
    );
  }

  #failed(log: PartitionLog, error: unknown): void {
    if (error instanceof LogDeleted || this.#isStopped) return;
    const { topic, partition } = log;
    this.#env.log.error({ err: error, topic, partition }, 'old segments could not be deleted');
  }
}

/** The segments of a log, the last one with what is in memory; none for an empty log. */
function partsOf(log: PartitionLog): RetainedPart[] {
  const parts: RetainedPart[] = log.segments
    .segments()
    .map(({ endOffset, sizeBytes, newestTimestamp: newestMs }) => ({
      endOffset,
      sizeBytes,
      newestMs,
    }));
  const inMemory = log.memoryExtent();
  const last = parts.at(-1);
  if (inMemory.sizeBytes > 0) {
    if (last !== undefined) parts.pop();
    parts.push({
      endOffset: log.endOffset,
      sizeBytes: (last?.sizeBytes ?? 0) + inMemory.sizeBytes,
      newestMs: async () => Math.max(inMemory.newestMs(), (await last?.newestMs()) ?? 0),
    });
  } else if (last?.sizeBytes === 0) {
    parts.pop();
  }
  return parts;
}

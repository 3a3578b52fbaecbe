/**
 * The log cleaner: again and again the dirtiest compacted logs are looked for and cleaned, a few at
 * once, until none is due; then it rests for `log.cleaner.backoff.ms`.
 *
 * A log that cannot be cleaned (damage, a full disk) is left as it is, reported, counted, and tried
 * again after a while. How far a log was cleaned is recorded after each pass, so that a start goes
 * on from there; what a pass had put in place before it ended is in place.
 * Source: Kafka's LogCleaner, LogCleanerManager.
 */

import type { Timer } from '../env.ts';
import { StorageError } from '../errors.ts';
import type { Chore, ChoreContext } from '../housekeeping.ts';
import type { PartitionLog } from '../partition-log.ts';
import { CleanerCheckpoint } from './cleaner-checkpoint.ts';
import type { CleanerOptions } from './cleaner-options.ts';
import { CleanerRecord } from './cleaner-record.ts';
import { type Cleaners, CleaningAborted, type CleaningRun } from './cleaning-job.ts';
import { type CleaningPlan, planCleaning } from './cleaning-plan.ts';
import { LogPass } from './log-pass.ts';

/** A log that could not be cleaned is tried again after so long. */
const RETRY_MS = 600_000;

/** What a store is given to clean its logs with. */
export interface CleanerParts {
  readonly cleaners: Cleaners;
  /** As they are now: they may change while the broker runs. */
  options(): CleanerOptions;
}

/** Makes the producers and the recovery point of a log durable; false when it cannot be done now. */
export type SecureLog = (log: PartitionLog) => Promise<boolean>;

/** A pass that runs; `run` from when there is something to be aborted. */
interface Running {
  run: CleaningRun | undefined;
  ended: Promise<void>;
}

interface Candidate {
  readonly log: PartitionLog;
  readonly plan: CleaningPlan;
}

export class LogCleaner implements Chore {
  readonly record = new CleanerRecord();
  readonly #context: ChoreContext;
  readonly #parts: CleanerParts;
  readonly #secure: SecureLog;
  readonly #checkpoint: CleanerCheckpoint;
  /** Logs that are being cleaned. */
  readonly #running = new Map<PartitionLog, Running>();
  #timer: Timer | undefined;
  #round: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(context: ChoreContext, parts: CleanerParts, secure: SecureLog) {
    this.#context = context;
    this.#parts = parts;
    this.#secure = secure;
    this.#checkpoint = new CleanerCheckpoint(context.env, context.options.dataDir);
  }

  /** Logs that are being cleaned now. */
  get running(): number {
    return this.#running.size;
  }

  start(): void {
    this.#round = this.#runRound(() => this.#checkpoint.keepOnly(this.#context.logs.values()));
  }

  #rest(): void {
    if (this.#isStopped) return;
    const { backoffMs } = this.#parts.options();
    this.#timer = this.#context.env.clock.setTimer(backoffMs, () => {
      this.#round = this.#runRound(() => this.cleanAll());
    });
  }

  async #runRound(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#context.env.log.error({ err: error }, 'looking for logs to clean failed');
    }
    this.#rest();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    for (const { run } of this.#running.values()) run?.abort();
    await this.#round;
    await this.#parts.cleaners.close();
  }

  /** The log is no more: ends its cleaning and drops, durably, what is recorded of it. */
  async forget(log: PartitionLog): Promise<void> {
    const running = this.#running.get(log);
    running?.run?.abort();
    await running?.ended;
    this.record.forget(log);
    await this.#checkpoint.forget(log.topic, log.partition);
  }

  /** Cleans all logs that are due, the dirtiest first, until none is. */
  async cleanAll(): Promise<void> {
    const { options, cleaners } = this.#parts;
    /** Of which nothing could be cleaned now: they have to wait for the next time. */
    const passedOver = new Set<PartitionLog>();
    let hasCleaned = false;
    const isOn = () => !this.#isStopped && options().isEnabled && options().threads > 0;
    while (isOn()) {
      const due = await this.#findDue(passedOver);
      if (due.length === 0) break;
      hasCleaned = true;
      const work = async () => {
        for (let next = due.shift(); next !== undefined && isOn(); next = due.shift()) {
          if (!(await this.#clean(next.log))) passedOver.add(next.log);
        }
      };
      await Promise.all(Array.from({ length: options().threads }, work));
    }
    if (hasCleaned) await cleaners.idle();
  }

  /**
   * Cleans one log below an offset, whether it is due or not: false when nothing could be cleaned.
   * Throws StorageError where the log is not one to be cleaned now.
   */
  cleanNow(log: PartitionLog, below: number): Promise<boolean> {
    const { topic, partition, options, upkeep } = log;
    const name = `${topic}-${partition}`;
    if (!options.compacts) throw new StorageError(`${name}: its cleanup.policy is not compact`);
    if (upkeep !== undefined) throw new StorageError(`${name} is busy: ${upkeep}`);
    return this.#clean(log, below);
  }

  async #findDue(passedOver: ReadonlySet<PartitionLog>): Promise<Candidate[]> {
    const { env, logs } = this.#context;
    const candidates: Candidate[] = [];
    for (const log of logs.values()) {
      if (!log.options.compacts || log.failure !== undefined || passedOver.has(log)) continue;
      if (this.record.isUncleanable(log, env.clock.monotonic())) continue;
      try {
        candidates.push({ log, plan: await this.#plan(log) });
      } catch (error) {
        this.#failed(log, error);
      }
    }
    this.record.surveyed(candidates, env.clock.now());
    const due = candidates.filter(({ plan }) => plan.isDue);
    return due.sort((a, b) => b.plan.dirtyRatio - a.plan.dirtyRatio);
  }

  async #plan(log: PartitionLog, below = Number.POSITIVE_INFINITY): Promise<CleaningPlan> {
    const { topic, partition, options, segments, logStartOffset, endOffset } = log;
    const all = segments.segments();
    const closed = all.slice(0, -1).map((segment, index) => ({
      baseOffset: segment.baseOffset,
      nextOffset: all[index + 1]!.baseOffset,
      sizeBytes: segment.sizeBytes,
      firstTimestamp: segment.firstTimestamp,
      newestTimestamp: segment.newestTimestamp,
    }));
    const stableOffset = Math.min(log.lastStableOffset, log.persistedOffset, below);
    const checkpoint = await this.#checkpoint.get(topic, partition);
    return planCleaning(
      { options, closed, logStartOffset, endOffset, stableOffset, checkpoint },
      this.#context.env.clock.now(),
    );
  }

  /** One pass over a log; whatever becomes of it is recorded. False when it did not end well. */
  async #clean(log: PartitionLog, below?: number): Promise<boolean> {
    if (log.upkeep !== undefined) return false;
    log.upkeep = 'cleaning';
    const running: Running = { run: undefined, ended: Promise.resolve() };
    const begun = (run: CleaningRun) => {
      running.run = run;
      if (this.#isStopped || !this.#isThere(log)) run.abort();
    };
    const passed = this.#pass(log, begun, below).catch((error: unknown) => {
      this.#failed(log, error);
      return false;
    });
    running.ended = passed.then(() => {
      this.#running.delete(log);
      log.upkeep = undefined;
    });
    this.#running.set(log, running);
    await running.ended;
    return passed;
  }

  #isThere(log: PartitionLog): boolean {
    for (const other of this.#context.logs.values()) if (other === log) return true;
    return false;
  }

  async #pass(
    log: PartitionLog,
    begun: (run: CleaningRun) => void,
    below: number | undefined,
  ): Promise<boolean> {
    const { env } = this.#context;
    const plan = await this.#plan(log, below);
    const isWanted = below === undefined ? plan.isDue : plan.dirtyBytes > 0;
    if (!isWanted || !this.#isThere(log) || !(await this.#secure(log))) return false;
    const options = this.#parts.options();
    const pass = new LogPass(env, log, plan, options);
    const started = env.clock.monotonic();
    const stats = await pass.run(this.#parts.cleaners, begun);
    if (stats === undefined) return false;
    if (stats.endOffset <= plan.firstDirtyOffset) {
      throw new Error('the pass did not get anywhere: log.cleaner.dedupe.buffer.size is too small');
    }
    await this.#checkpoint.set(log.topic, log.partition, stats.endOffset);
    const seconds = (env.clock.monotonic() - started) / 1000;
    this.record.cleaned(log, stats, seconds);
    const { topic, partition } = log;
    const { firstDirtyOffset: from } = plan;
    env.log.info({ topic, partition, from, ...stats, seconds }, 'a log was cleaned');
    if (stats.recordsWithoutKey > 0) {
      const facts = { topic, partition, records: stats.recordsWithoutKey };
      env.log.warn(facts, 'records without a key were dropped from a compacted log');
    }
    return true;
  }

  #failed(log: PartitionLog, error: unknown): void {
    if (error instanceof CleaningAborted || this.#isStopped || !this.#isThere(log)) return;
    const { env } = this.#context;
    const { topic, partition } = log;
    this.record.failed(log, env.clock.monotonic() + RETRY_MS);
    const facts = { err: error, topic, partition, retryMs: RETRY_MS };
    env.log.error(facts, 'a log could not be cleaned and is left as it is for a while');
  }
}

/**
 * One pass over one log, on the partition's side: says what is to be cleaned, and puts in place what
 * a cleaning has made, group by group.
 */

import type { Env } from '../env.ts';
import type { PartitionLog } from '../partition-log.ts';
import type { CleanerOptions } from './cleaner-options.ts';
import type { Cleaners, CleaningJob, CleaningRun, CleaningStats } from './cleaning-job.ts';
import type { CleaningPlan } from './cleaning-plan.ts';
import { HASH_KEY_BYTES } from './key-hash.ts';

/** What the records of a compressed batch may become, unless the batch itself is large. */
const MAX_RECORDS_BYTES = 64 * 1024 * 1024;
const LEAST_BUFFER_BYTES = 4096;

export class LogPass {
  readonly #env: Env;
  readonly #log: PartitionLog;
  readonly #plan: CleaningPlan;
  readonly #options: CleanerOptions;

  constructor(env: Env, log: PartitionLog, plan: CleaningPlan, options: CleanerOptions) {
    this.#env = env;
    this.#log = log;
    this.#plan = plan;
    this.#options = options;
  }

  /** Undefined when there was nothing left to clean. `begun` is told what can be aborted. */
  async run(
    cleaners: Cleaners,
    begun: (run: CleaningRun) => void,
  ): Promise<CleaningStats | undefined> {
    if (this.#plan.segments.length === 0) return undefined;
    const run = cleaners.begin(await this.#job());
    begun(run);
    try {
      await run.map();
      for (let group = await run.cleanNext(); group !== undefined; group = await run.cleanNext()) {
        if (group.cleaned !== undefined) await this.#log.segments.replace(group.cleaned);
      }
      return await run.stats();
    } finally {
      await run.end();
    }
  }

  async #job(): Promise<CleaningJob> {
    const { segments, firstDirtyOffset } = this.#plan;
    const { options } = this.#log;
    const { threads, dedupeBufferBytes, ioBufferBytes, loadFactor } = this.#options;
    const from = segments[0]!.baseOffset;
    const to = segments.at(-1)!.nextOffset;
    return {
      folder: this.#log.segments.folder,
      segments: segments.map(({ baseOffset, nextOffset, sizeBytes }) => ({
        baseOffset,
        nextOffset,
        sizeBytes,
      })),
      firstDirtyOffset,
      aborted: await this.#log.abortedWithin(from, to),
      lastOfProducers: this.#lastOfProducers(),
      nowMs: this.#env.clock.now(),
      deleteRetentionMs: options.deleteRetentionMs,
      segmentBytes: options.segmentBytes,
      segmentIndexBytes: options.segmentIndexBytes,
      indexIntervalBytes: options.indexIntervalBytes,
      mapBytes: Math.floor(dedupeBufferBytes / threads),
      mapLoadFactor: loadFactor,
      bufferBytes: Math.max(Math.floor(ioBufferBytes / threads / 2), LEAST_BUFFER_BYTES),
      maxBytesPerSecond: this.#options.maxBytesPerSecond / threads,
      maxRecordsBytes: MAX_RECORDS_BYTES,
      secret: new Uint8Array(this.#env.random.bytes(HASH_KEY_BYTES)),
    };
  }

  /** As the files know them: what is only in memory may be lost yet. */
  #lastOfProducers() {
    return [...this.#log.flushedProducers.entries()].map((entry) => ({
      producerId: entry.producerId,
      producerEpoch: entry.epoch,
      lastOffset: entry.batches.at(-1)?.lastOffset ?? -1,
    }));
  }
}

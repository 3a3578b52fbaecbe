/**
 * Brings a log's sealed chunks to its segments in two stages: written in order, then synced, and only
 * then told to the log, which lets them leave memory. A run that failed comes again with the same
 * chunks; what of it the segments have already is passed over.
 */

import { readBatchHeader } from '../protocol/record-batch.ts';
import { LogDeleted } from './errors.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import { type Chunk, joinBatches, type MemoryTail } from './memory-tail.ts';
import type { CompletedTransaction, ProducerStates } from './producer-state.ts';
import { TailCompactor } from './tail-compactor.ts';
import type { CompactableLog } from './tail-rule.ts';
import type { WritePath } from './write-path.ts';

/** The log whose chunks are persisted. */
export interface PersistedLog extends CompactableLog {
  readonly epochs: LeaderEpochs;
  /** State at what the flush has reached. */
  readonly flushedProducers: ProducerStates;
  fail(error: Error): void;
  /** The segments have all below an offset, not synced yet. */
  onSegmentsWrote(end: number): void;
  /** Everything below an offset is in fsynced segments; the chunks leave memory. */
  onPersisted(chunks: readonly Chunk[], end: number): void;
}

export class LogPersister {
  readonly #path: WritePath;
  readonly #log: PersistedLog;
  readonly #tail: MemoryTail;
  #compactor: TailCompactor | undefined;
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();

  constructor(path: WritePath, log: PersistedLog, tail: MemoryTail) {
    this.#path = path;
    this.#log = log;
    this.#tail = tail;
  }

  /** See FlushTarget. */
  write(chunks: readonly Chunk[]): Promise<void> {
    const writing = this.#guard(() => this.#write(chunks));
    this.#writing = writing.catch(() => {
      // Told to the queue, which asked for it; this copy is only waited for.
    });
    return writing;
  }

  /** See FlushTarget. */
  sync(chunks: readonly Chunk[]): Promise<void> {
    const syncing = this.#guard(() => this.#sync(chunks));
    this.#syncing = syncing.catch(() => {
      // As above.
    });
    return syncing;
  }

  /** Resolves when nothing is being persisted. */
  async settled(): Promise<void> {
    await Promise.all([this.#writing, this.#syncing]);
  }

  async #guard(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      const { failure } = this.#log.segments;
      if (failure !== undefined) this.#log.fail(failure);
      throw error;
    }
  }

  async #write(chunks: readonly Chunk[]): Promise<void> {
    const { segments } = this.#log;
    // The producers' state is that of all batches, also of those of which nothing is left.
    const aborted = chunks.map((chunk) => this.#abortedIn(chunk));
    await this.#compact(chunks);
    const batches = chunks.length === 1 ? chunks[0]!.batches : chunks.flatMap((c) => c.batches);
    await segments.append(joinBatches(batches), batches, aborted.flat());
    this.#log.onSegmentsWrote(chunks.at(-1)!.endOffset);
  }

  async #sync(chunks: readonly Chunk[]): Promise<void> {
    const { segments, epochs } = this.#log;
    const { clock } = this.#path.env;
    const end = chunks.at(-1)!.endOffset;
    const started = clock.monotonic();
    await segments.sync((isNameSynced) => epochs.save(end, isNameSynced));
    this.#path.onSegmentSync(clock.monotonic() - started);
    const { failure } = this.#log;
    if (failure instanceof LogDeleted) throw failure;
    this.#log.onPersisted(chunks, end);
  }

  async #compact(chunks: readonly Chunk[]): Promise<void> {
    if (this.#log.options.compactsTail) {
      this.#compactor ??= new TailCompactor(this.#path, this.#log, this.#tail);
      await this.#compactor.compact(chunks);
    } else this.#compactor = undefined;
  }

  /** The state for the files runs ahead once, also when writing a chunk is tried again. */
  #abortedIn(chunk: Chunk): readonly CompletedTransaction[] {
    const { flushedProducers } = this.#log;
    if (flushedProducers.endOffset >= chunk.endOffset) return chunk.aborted;
    const nowMs = this.#path.env.clock.now();
    for (const { bytes, hasProducer, lastOffset } of chunk.batches) {
      if (!hasProducer) {
        flushedProducers.passOver(lastOffset + 1);
        continue;
      }
      const completed = flushedProducers.append(readBatchHeader(bytes, 0), bytes, 0, nowMs);
      if (completed?.aborted === true) chunk.aborted.push(completed);
    }
    return chunk.aborted;
  }
}

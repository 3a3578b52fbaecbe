/**
 * Seals open chunks that are old, and the largest when all together are too large or memory is
 * short. Its timer runs only while there are open chunks.
 */

import type { Env, Timer } from './env.ts';
import type { FlushQueue } from './flush-queue.ts';
import type { OpenChunks } from './open-chunks.ts';
import type { StoreOptions } from './store-options.ts';

const CHECK_MS = 500;

export class ChunkSealer {
  readonly #env: Env;
  readonly #options: StoreOptions;
  readonly #openChunks: OpenChunks;
  readonly #queue: FlushQueue;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(env: Env, options: StoreOptions, openChunks: OpenChunks, queue: FlushQueue) {
    this.#env = env;
    this.#options = options;
    this.#openChunks = openChunks;
    this.#queue = queue;
  }

  /** More memory is held by open chunks. */
  grown(): void {
    const { tailMaxBytes } = this.#options;
    if (this.#openChunks.sizeBytes > tailMaxBytes) this.#openChunks.sealLargest(tailMaxBytes / 2);
    if (this.#isStopped) return;
    this.#timer ??= this.#env.clock.setTimer(CHECK_MS, () => this.#sealOld());
  }

  /** Memory is short: the chunks that pin most go to segments, unless some are on their way. */
  makeRoom(): void {
    if (this.#queue.sizeBytes > 0) return;
    this.#openChunks.sealLargest(this.#openChunks.sizeBytes / 2);
  }

  #sealOld(): void {
    this.#timer = undefined;
    this.#openChunks.sealOpenedBefore(this.#env.clock.monotonic() - this.#options.chunkMaxMs);
    if (this.#openChunks.sizeBytes > 0) this.grown();
  }

  /** No timer any more; what is too large is still sealed. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }
}

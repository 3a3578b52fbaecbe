/**
 * Sealed chunks on their way to segments, of a fixed size in bytes: when it is full the sources are
 * held back, internal ones only when a reserve is used up too. Partitions are persisted in the order
 * in which they came, a few at once, each with all its sealed chunks in one write.
 *
 * Only sealed chunks count, and draining needs nothing that a source could hold, so the queue always
 * empties; open chunks are sealed by age, size, memory or journal pressure.
 */

import type { Env, Timer } from './env.ts';
import { HoldTimeout, LogFailed } from './errors.ts';
import type { Chunk } from './memory-tail.ts';

/** A log whose chunks are persisted. */
export interface FlushTarget {
  /** Persists the chunks, oldest first, and takes them out of memory. */
  persist(chunks: readonly Chunk[]): Promise<void>;
  /** Set when the log takes nothing any more; its chunks stay where they are. */
  readonly failure: Error | undefined;
}

export interface FlushQueueOptions {
  readonly limitBytes: number;
  readonly reserveBytes: number;
  readonly parallelism: number;
  readonly holdMaxMs: number;
  /** Whether something other than the queue has no room (memory, journal). */
  readonly isBlocked: () => boolean;
}

/** Most that is persisted of one log in one write. */
const RUN_MAX_BYTES = 8 * 1024 * 1024;
const RETRY_MS = 500;
/** Logs persisted at once before a stop, when there are no clients to be disturbed. */
const LAST_PARALLELISM = 16;

interface Held {
  readonly bytes: number;
  readonly internal: boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly timer: Timer;
}

interface Waiting {
  readonly chunks: Chunk[];
  isBusy: boolean;
}

export class FlushQueue {
  readonly #env: Env;
  readonly #options: FlushQueueOptions;
  readonly #waiting = new Map<FlushTarget, Waiting>();
  #urgent: FlushTarget[] = [];
  #ready: FlushTarget[] = [];
  readonly #held: Held[] = [];
  #idle: (() => void)[] = [];
  #bytes = 0;
  #chunks = 0;
  #running = 0;
  #parallelism: number;
  #failing: Error | undefined;
  /** Persisting failed and has not succeeded since. */
  #hasFailed = false;
  #retry: Timer | undefined;

  constructor(env: Env, options: FlushQueueOptions) {
    this.#env = env;
    this.#options = options;
    this.#parallelism = options.parallelism;
  }

  /** Bytes kept alive by sealed chunks. */
  get sizeBytes(): number {
    return this.#bytes;
  }

  get chunks(): number {
    return this.#chunks;
  }

  /** Sources that are held back at present. */
  get held(): number {
    return this.#held.length;
  }

  /** Chunks of one log that wait; those that are being persisted are not among them. */
  waitingOf(target: FlushTarget): readonly Chunk[] {
    return this.#waiting.get(target)?.chunks ?? [];
  }

  /** Why persisting fails at present. */
  get failure(): Error | undefined {
    return this.#failing;
  }

  /** Takes a sealed chunk. `urgent`: an acknowledgement waits for it. */
  push(target: FlushTarget, chunk: Chunk, urgent: boolean): void {
    this.#bytes += chunk.heldBytes;
    this.#chunks++;
    let waiting = this.#waiting.get(target);
    if (waiting === undefined) {
      waiting = { chunks: [], isBusy: false };
      this.#waiting.set(target, waiting);
    }
    waiting.chunks.push(chunk);
    if (!waiting.isBusy) (urgent ? this.#urgent : this.#ready).push(target);
    this.#run();
  }

  /** A log is gone or takes nothing any more: its chunks no longer count. */
  forget(target: FlushTarget): void {
    const waiting = this.#waiting.get(target);
    if (waiting === undefined) return;
    for (const chunk of waiting.chunks) this.#discount(chunk.heldBytes);
    waiting.chunks.length = 0;
    if (!waiting.isBusy) this.#waiting.delete(target);
    this.wake();
  }

  #discount(bytes: number): void {
    this.#bytes -= bytes;
    this.#chunks--;
  }

  /** See LogStore.admit. */
  admit(bytes: number, internal: boolean): Promise<void> | undefined {
    if (this.#held.length === 0 && this.#hasRoom(internal)) return undefined;
    if (internal && this.#hasRoom(true)) return undefined;
    if (this.#failing !== undefined) return Promise.reject(this.#failing);
    return new Promise((resolve, reject) => {
      const timer = this.#env.clock.setTimer(this.#options.holdMaxMs, () => {
        this.#held.splice(this.#held.indexOf(held), 1);
        reject(new HoldTimeout(`no room for ${bytes} bytes in ${this.#options.holdMaxMs} ms`));
      });
      const held: Held = { bytes, internal, resolve, reject, timer };
      this.#held.push(held);
    });
  }

  #hasRoom(internal: boolean): boolean {
    const { limitBytes, reserveBytes, isBlocked } = this.#options;
    if (this.#bytes >= (internal ? limitBytes + reserveBytes : limitBytes)) return false;
    return internal || !isBlocked();
  }

  /**
   * Lets in those held back for whom there is room, oldest first. What each brings is counted as if
   * it were sealed at once, so that a crowd does not rush in through one gap; those for whom the
   * gap is too small then look again in the next turn.
   */
  wake(): void {
    let granted = 0;
    const room = this.#options.limitBytes - this.#bytes;
    while (this.#held.length > 0) {
      const held = this.#held[0]!;
      if (!this.#hasRoom(held.internal)) return;
      if (granted > 0 && granted + held.bytes > room) {
        this.#env.clock.defer(() => this.wake());
        return;
      }
      granted += held.bytes;
      this.#held.shift();
      held.timer.cancel();
      held.resolve();
    }
  }

  /** Writing fails: those held back are refused at once. */
  refuseHeld(error: Error): void {
    for (const held of this.#held.splice(0)) {
      held.timer.cancel();
      held.reject(error);
    }
  }

  /**
   * For a stop: resolves when nothing is queued and nothing is being persisted; at once when
   * persisting fails.
   */
  drained(): Promise<void> {
    this.#parallelism = Math.max(this.#parallelism, LAST_PARALLELISM);
    this.#run();
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #isIdle(): boolean {
    return this.#running === 0 && (this.#chunks === 0 || this.#failing !== undefined);
  }

  /** Ends the retries. */
  close(): void {
    this.#retry?.cancel();
  }

  #run(): void {
    if (this.#failing !== undefined) return;
    while (this.#running < this.#parallelism) {
      const target = this.#urgent.shift() ?? this.#ready.shift();
      if (target === undefined) return;
      const waiting = this.#waiting.get(target);
      if (waiting === undefined || waiting.isBusy || waiting.chunks.length === 0) continue;
      waiting.isBusy = true;
      this.#running++;
      this.#persist(target, waiting).catch((error: Error) => {
        this.#env.log.error({ err: error }, 'the flush queue failed');
      });
    }
  }

  async #persist(target: FlushTarget, waiting: Waiting): Promise<void> {
    const run = takeRun(waiting.chunks);
    const bytes = run.map((chunk) => chunk.heldBytes);
    try {
      await target.persist(run);
      for (const held of bytes) this.#discount(held);
      this.#hasFailed = false;
    } catch (error) {
      this.#persistFailed(target, waiting, run, bytes, error as Error);
    }
    waiting.isBusy = false;
    this.#running--;
    if (waiting.chunks.length > 0) this.#ready.push(target);
    else this.#waiting.delete(target);
    this.#run();
    this.wake();
    if (this.#isIdle()) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #persistFailed(
    target: FlushTarget,
    waiting: Waiting,
    run: readonly Chunk[],
    bytes: readonly number[],
    error: Error,
  ): void {
    if (target.failure !== undefined) {
      for (const held of bytes) this.#discount(held);
      for (const chunk of waiting.chunks) this.#discount(chunk.heldBytes);
      waiting.chunks.length = 0;
      return;
    }
    waiting.chunks.unshift(...run);
    if (this.#failing !== undefined) return;
    const { log } = this.#env;
    if (this.#hasFailed) log.debug({ err: error }, 'chunks still cannot be persisted');
    else log.error({ err: error }, 'chunks cannot be persisted; sources are refused');
    this.#hasFailed = true;
    this.#failing = new LogFailed(`chunks cannot be persisted: ${error.message}`, { cause: error });
    this.refuseHeld(this.#failing);
    this.#retry = this.#env.clock.setTimer(RETRY_MS, () => {
      this.#failing = undefined;
      this.#run();
      this.wake();
    });
  }
}

function takeRun(chunks: Chunk[]): Chunk[] {
  const run = [chunks.shift()!];
  let bytes = run[0]!.sizeBytes;
  while (chunks.length > 0 && bytes + chunks[0]!.sizeBytes <= RUN_MAX_BYTES) {
    const next = chunks.shift()!;
    run.push(next);
    bytes += next.sizeBytes;
  }
  return run;
}

/**
 * Sealed chunks on their way to segments, of a fixed size in bytes: when it is full the sources are
 * held back (held-sources.ts), internal ones only when a reserve is used up too. Partitions are
 * written in the order in which they came, a few at once, each with all its sealed chunks in one
 * write, and then synced, a few at once too. While one is being synced its next chunks are written
 * already, so that who waits for the write alone does not wait for the disk, and a sync covers all
 * that came meanwhile.
 *
 * Only sealed chunks count, and draining needs nothing that a source could hold, so the queue always
 * empties; open chunks are sealed by age, size, memory or journal pressure.
 */

import type { Env, Timer } from './env.ts';
import { LogFailed } from './errors.ts';
import { HeldSources } from './held-sources.ts';
import type { Chunk } from './memory-tail.ts';

/** A log whose chunks are persisted. */
export interface FlushTarget {
  /** Writes the chunks, oldest first, to the segments; again when it failed. */
  write(chunks: readonly Chunk[]): Promise<void>;
  /** Makes chunks that were written durable, oldest first, and takes them out of memory. */
  sync(chunks: readonly Chunk[]): Promise<void>;
  /** Whether chunks may be written while those before them are being synced. */
  readonly overlapsSync: boolean;
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

/** Most that is written of one log in one write. */
const RUN_MAX_BYTES = 8 * 1024 * 1024;
/** A log that has so much unsynced is written to again after its sync: others share the disk. */
const UNSYNCED_MAX_BYTES = 8 * 1024 * 1024;
const RETRY_MS = 500;
/** The share of the limit by which small requests may exceed it, rather than wait for large ones. */
export const LIGHT_ALLOWANCE = 1 / 16;
/** Logs persisted at once before a stop, when there are no clients to be disturbed. */
const LAST_PARALLELISM = 64;
/** Of many that wait each has little: one more at once for so many, up to a limit. */
const CROWD = 8;
const CROWD_PARALLELISM = 6;

/** What there is of one log; what is being written or synced stands in neither list. */
interface Waiting {
  readonly target: FlushTarget;
  /** To be written, oldest first. */
  readonly chunks: Chunk[];
  /** Written and to be synced, oldest first. */
  readonly written: Chunk[];
  /** Bytes written and not synced. */
  unsyncedBytes: number;
  isUrgent: boolean;
  isWriting: boolean;
  isSyncing: boolean;
  /** Stands in a list of the stage. */
  isListed: { write: boolean; sync: boolean };
}

/** Logs that wait for one of the two stages, and how many are in it. */
class Stage {
  #urgent: Waiting[] = [];
  #ready: Waiting[] = [];
  readonly #name: 'write' | 'sync';
  running = 0;

  constructor(name: 'write' | 'sync') {
    this.#name = name;
  }

  /** Logs that wait for it. */
  get size(): number {
    return this.#urgent.length + this.#ready.length;
  }

  add(waiting: Waiting): void {
    if (waiting.isListed[this.#name]) return;
    waiting.isListed[this.#name] = true;
    (waiting.isUrgent ? this.#urgent : this.#ready).push(waiting);
  }

  next(): Waiting | undefined {
    const waiting = this.#urgent.shift() ?? this.#ready.shift();
    if (waiting !== undefined) waiting.isListed[this.#name] = false;
    return waiting;
  }
}

export class FlushQueue {
  readonly #env: Env;
  readonly #options: FlushQueueOptions;
  readonly #waiting = new Map<FlushTarget, Waiting>();
  readonly #writes = new Stage('write');
  readonly #syncs = new Stage('sync');
  readonly #held: HeldSources;
  #idle: (() => void)[] = [];
  #bytes = 0;
  #chunks = 0;
  #parallelism: number;
  #failing: Error | undefined;
  /** Persisting failed and has not succeeded since. */
  #hasFailed = false;
  #retry: Timer | undefined;

  constructor(env: Env, options: FlushQueueOptions) {
    this.#env = env;
    this.#options = options;
    this.#parallelism = options.parallelism;
    const { limitBytes, holdMaxMs } = options;
    this.#held = new HeldSources(env.clock, holdMaxMs, limitBytes * LIGHT_ALLOWANCE);
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
    return this.#held.size;
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
      waiting = newWaiting(target);
      this.#waiting.set(target, waiting);
    }
    waiting.chunks.push(chunk);
    if (urgent) waiting.isUrgent = true;
    this.#list(waiting);
    this.#run();
  }

  /** A log is gone or takes nothing any more: its chunks no longer count. */
  forget(target: FlushTarget): void {
    const waiting = this.#waiting.get(target);
    if (waiting === undefined) return;
    this.#drop(waiting);
    if (!waiting.isWriting && !waiting.isSyncing) this.#waiting.delete(target);
    this.wake();
  }

  #drop(waiting: Waiting): void {
    for (const chunk of waiting.chunks.splice(0)) this.#discount(chunk.heldBytes);
    for (const chunk of waiting.written.splice(0)) this.#discount(chunk.heldBytes);
  }

  #discount(bytes: number): void {
    this.#bytes -= bytes;
    this.#chunks--;
  }

  /** See LogStore.admit. */
  admit(bytes: number, internal: boolean, source?: object): Promise<void> | undefined {
    if (this.#held.size === 0 && this.#hasRoom(internal)) return undefined;
    if (internal && this.#hasRoom(true)) return undefined;
    if (this.#failing !== undefined) return Promise.reject(this.#failing);
    if (!this.#options.isBlocked() && this.#held.passes(bytes, source)) return undefined;
    return this.#held.hold(bytes, internal, source);
  }

  #hasRoom(internal: boolean): boolean {
    const { limitBytes, reserveBytes, isBlocked } = this.#options;
    if (this.#bytes >= (internal ? limitBytes + reserveBytes : limitBytes)) return false;
    return internal || !isBlocked();
  }

  /**
   * Lets in those held back for whom there is room, in turn. What each brings is counted as if
   * it were sealed at once, so that a crowd does not rush in through one gap; those for whom the
   * gap is too small then look again in the next turn.
   */
  wake(): void {
    let granted = 0;
    const room = this.#options.limitBytes - this.#bytes;
    for (let held = this.#held.first; held !== undefined; held = this.#held.first) {
      if (!this.#hasRoom(held.internal)) return;
      if (granted > 0 && granted + held.bytes > room) {
        this.#env.clock.defer(() => this.wake());
        return;
      }
      granted += held.bytes;
      this.#held.admitFirst();
    }
  }

  /** Writing fails: those held back are refused at once. */
  refuseHeld(error: Error): void {
    this.#held.refuseAll(error);
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
    const isAtRest = this.#writes.running === 0 && this.#syncs.running === 0;
    return isAtRest && (this.#chunks === 0 || this.#failing !== undefined);
  }

  /** Ends the retries. */
  close(): void {
    this.#retry?.cancel();
  }

  /** Puts a log where it can go on. */
  #list(waiting: Waiting): void {
    const { target, chunks, written, unsyncedBytes, isWriting, isSyncing } = waiting;
    if (written.length > 0 && !isSyncing) this.#syncs.add(waiting);
    if (chunks.length === 0 || isWriting) return;
    const limit = target.overlapsSync ? UNSYNCED_MAX_BYTES : 1;
    if (unsyncedBytes < limit) this.#writes.add(waiting);
  }

  #run(): void {
    if (this.#failing !== undefined) return;
    const failed = (error: Error) => this.#env.log.error({ err: error }, 'the flush queue failed');
    while (this.#syncs.running < this.#parallelismOf(this.#syncs)) {
      const waiting = this.#syncs.next();
      if (waiting === undefined) break;
      if (waiting.isSyncing || waiting.written.length === 0) continue;
      this.#sync(waiting).catch(failed);
    }
    while (this.#writes.running < this.#parallelismOf(this.#writes)) {
      const waiting = this.#writes.next();
      if (waiting === undefined) break;
      if (waiting.isWriting || waiting.chunks.length === 0) continue;
      this.#write(waiting).catch(failed);
    }
  }

  #parallelismOf(stage: Stage): number {
    const wanted = this.#options.parallelism + Math.floor(stage.size / CROWD);
    return Math.max(this.#parallelism, Math.min(wanted, CROWD_PARALLELISM));
  }

  async #write(waiting: Waiting): Promise<void> {
    const run = takeRun(waiting.chunks);
    const bytes = runBytes(run);
    waiting.isWriting = true;
    waiting.unsyncedBytes += bytes;
    this.#writes.running++;
    try {
      await waiting.target.write(run);
      // Compaction may have left less of it than was taken.
      waiting.unsyncedBytes += runBytes(run) - bytes;
      waiting.written.push(...run);
    } catch (error) {
      waiting.unsyncedBytes -= bytes;
      waiting.chunks.unshift(...run);
      this.#stageFailed(error as Error, waiting);
    }
    waiting.isWriting = false;
    this.#writes.running--;
    this.#goOn(waiting);
  }

  async #sync(waiting: Waiting): Promise<void> {
    const run = waiting.written.splice(0);
    const bytes = runBytes(run);
    const heldBytes = run.map((chunk) => chunk.heldBytes);
    waiting.isSyncing = true;
    this.#syncs.running++;
    try {
      await waiting.target.sync(run);
      for (const held of heldBytes) this.#discount(held);
      this.#held.persisted(bytes);
      waiting.unsyncedBytes -= bytes;
      this.#hasFailed = false;
    } catch (error) {
      waiting.written.unshift(...run);
      this.#stageFailed(error as Error, waiting);
    }
    waiting.isSyncing = false;
    this.#syncs.running--;
    this.#goOn(waiting);
  }

  #goOn(waiting: Waiting): void {
    if (waiting.target.failure !== undefined) this.#drop(waiting);
    const { chunks, written, isWriting, isSyncing } = waiting;
    if (chunks.length === 0 && written.length === 0) {
      waiting.isUrgent = false;
      if (!isWriting && !isSyncing) this.#waiting.delete(waiting.target);
    } else this.#list(waiting);
    this.#run();
    this.wake();
    if (this.#isIdle()) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #stageFailed(error: Error, { target }: Waiting): void {
    if (target.failure !== undefined || this.#failing !== undefined) return;
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

function newWaiting(target: FlushTarget): Waiting {
  return {
    target,
    chunks: [],
    written: [],
    unsyncedBytes: 0,
    isUrgent: false,
    isWriting: false,
    isSyncing: false,
    isListed: { write: false, sync: false },
  };
}

function runBytes(run: readonly Chunk[]): number {
  let bytes = 0;
  for (const chunk of run) bytes += chunk.sizeBytes;
  return bytes;
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

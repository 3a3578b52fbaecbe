/**
 * Where work on compressed batches is done: in a few worker threads, started at the first use and
 * ended when idle, so that their memory is given back; or inline, for a simulated world.
 */

import { Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../storage/env.ts';
import { CorruptLog } from '../storage/errors.ts';
import { type CodecJob, type JobFault, type JobResult, runCodecJob } from './codec-job.ts';
import { decompressedBatchBytes } from './validation-rules.ts';

export interface Codecs {
  /** Does the job; the promise rejects only for a bug of ours, or after `close`. */
  run<J extends CodecJob>(job: J): Promise<JobResult<J>>;
  close(): Promise<void>;
}

/** The uncompressed records of a batch that is stored. Throws CorruptLog where they are none. */
export async function inflate(codecs: Codecs, codec: number, payload: Buffer): Promise<Buffer> {
  const maxBytes = decompressedBatchBytes(payload.length);
  const result = await codecs.run({ kind: 'decompress', payload, codec, maxBytes });
  if ('fault' in result) throw new CorruptLog(`compressed records: ${result.message}`);
  const { buffer, byteOffset, byteLength } = result.payload;
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Compresses records that were taken from a batch uncompressed. */
export async function deflate(codecs: Codecs, codec: number, payload: Buffer): Promise<Buffer> {
  const maxBytes = payload.length;
  const result = await codecs.run({ kind: 'compress', payload, codec, maxBytes });
  if ('fault' in result) throw new CorruptLog(`records to be compressed: ${result.message}`);
  const { buffer, byteOffset, byteLength } = result.payload;
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Where the memory of running jobs is counted. */
export interface JobMemory {
  take(user: 'decompression', sizeBytes: number): void;
  give(user: 'decompression', sizeBytes: number): void;
}

export interface WorkerCodecsOptions {
  readonly clock: Clock;
  readonly memory?: JobMemory;
  /** Told of each payload that would have become larger than it may. */
  readonly onTooLarge?: () => void;
  /** Threads at most; two keep one connection's large batch from holding up all others. */
  readonly workers?: number;
  /** A thread without work ends after so long. */
  readonly idleMs?: number;
}

/** What nearly all batches stay below when they are decompressed. */
const ORDINARY_BYTES = 16 * 1024 * 1024;
const DEFAULT_WORKERS = 2;
const DEFAULT_IDLE_MS = 30_000;
/** Records become some times their size: what a running job is counted as. */
const EXPECTED_RATIO = 4;

interface Waiting {
  readonly job: CodecJob;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  current: Waiting | undefined;
  idle: Timer | undefined;
}

type Reply = { readonly result: unknown } | { readonly error: Error };

export class WorkerCodecs implements Codecs {
  readonly #clock: Clock;
  readonly #memory: JobMemory | undefined;
  readonly #onTooLarge: () => void;
  readonly #maxThreads: number;
  readonly #idleMs: number;
  readonly #threads = new Set<Thread>();
  /** Each holds a frame that the connection's limits have admitted: bounded by those. */
  readonly #waiting: Waiting[] = [];
  /** The end of the large jobs so far. */
  #large: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: WorkerCodecsOptions) {
    this.#clock = options.clock;
    this.#memory = options.memory;
    this.#onTooLarge = options.onTooLarge ?? (() => {});
    this.#maxThreads = options.workers ?? DEFAULT_WORKERS;
    this.#idleMs = options.idleMs ?? DEFAULT_IDLE_MS;
  }

  get threadCount(): number {
    return this.#threads.size;
  }

  /**
   * Output of ordinary size is made in any thread. What turns out to be larger is begun anew, one
   * such job at a time, so that bombs do not take the memory of all threads at once.
   */
  async run<J extends CodecJob>(job: J): Promise<JobResult<J>> {
    const result = await this.#runBounded(job);
    if (isTooLarge(result)) this.#onTooLarge();
    return result;
  }

  async #runBounded<J extends CodecJob>(job: J): Promise<JobResult<J>> {
    if (job.kind === 'compress' || job.maxBytes <= ORDINARY_BYTES) return this.#enqueue(job);
    const result = await this.#enqueue({ ...job, maxBytes: ORDINARY_BYTES });
    if (!isTooLarge(result)) return result;
    const large = this.#large.then(() => this.#enqueue(job));
    this.#large = large.then(
      () => {},
      () => {},
    );
    return large;
  }

  #enqueue<J extends CodecJob>(job: J): Promise<JobResult<J>> {
    if (this.#closed) return Promise.reject(new Error('the codec threads have been stopped'));
    const { promise, resolve, reject } = withResolvers<JobResult<J>>();
    this.#waiting.push({ job, resolve: resolve as (result: unknown) => void, reject });
    this.#startNext();
    return promise;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const threads = [...this.#threads];
    for (const { reject } of this.#waiting.splice(0)) reject(stopped());
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }

  #startNext(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#idleThread();
      if (thread === undefined) return;
      this.#start(thread, this.#waiting.shift()!);
    }
  }

  #idleThread(): Thread | undefined {
    for (const thread of this.#threads) if (thread.current === undefined) return thread;
    return this.#threads.size < this.#maxThreads ? this.#startThread() : undefined;
  }

  #start(thread: Thread, waiting: Waiting): void {
    thread.idle?.cancel();
    thread.idle = undefined;
    thread.current = waiting;
    this.#memory?.take('decompression', expectedBytes(waiting.job));
    // Copied, since handing over would take the frame away from those who still need it.
    const payload = new Uint8Array(waiting.job.payload);
    thread.worker.ref();
    thread.worker.postMessage({ ...waiting.job, payload }, [payload.buffer]);
  }

  #startThread(): Thread {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const url = new URL(`./codec-worker.${ending}`, import.meta.url);
    // Nothing that the process was started with (loaders, coverage) is of use in there.
    const worker = new Worker(url, { execArgv: [], name: 'codecs' });
    const thread: Thread = { worker, current: undefined, idle: undefined };
    worker.on('message', (reply: Reply) => this.#finish(thread, reply));
    worker.on('error', (error) => this.#gone(thread, error));
    worker.on('exit', () => this.#gone(thread, stopped()));
    this.#threads.add(thread);
    return thread;
  }

  #finish(thread: Thread, reply: Reply): void {
    const finished = this.#settle(thread);
    if ('error' in reply) finished?.reject(reply.error);
    else finished?.resolve(reply.result);
    const wasLarge = finished !== undefined && finished.job.maxBytes > ORDINARY_BYTES;
    if (wasLarge && finished.job.kind !== 'compress') this.#end(thread);
    this.#startNext();
    if (thread.current !== undefined || !this.#threads.has(thread)) return;
    thread.worker.unref();
    thread.idle = this.#clock.setTimer(this.#idleMs, () => void thread.worker.terminate());
  }

  /**
   * Lets a thread go whose memory has grown: much of it, that of zstd's WebAssembly above all, would
   * stay as long as the thread does.
   */
  #end(thread: Thread): void {
    this.#threads.delete(thread);
    void thread.worker.terminate();
  }

  /** A thread has ended: what it was doing fails, the others' work goes on in new ones. */
  #gone(thread: Thread, error: Error): void {
    if (!this.#threads.delete(thread)) return;
    thread.idle?.cancel();
    this.#settle(thread)?.reject(error);
    if (!this.#closed) this.#startNext();
  }

  #settle(thread: Thread): Waiting | undefined {
    const { current } = thread;
    if (current === undefined) return undefined;
    thread.current = undefined;
    this.#memory?.give('decompression', expectedBytes(current.job));
    return current;
  }
}

/** Does all jobs in the caller's thread: deterministic, for simulations and small tools. */
export class InlineCodecs implements Codecs {
  run<J extends CodecJob>(job: J): Promise<JobResult<J>> {
    return runCodecJob(job);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function isTooLarge(result: unknown): boolean {
  return (result as Partial<JobFault>).fault === 'too large';
}

function expectedBytes(job: CodecJob): number {
  return Math.min(job.payload.length * EXPECTED_RATIO, job.maxBytes);
}

function stopped(): Error {
  return new Error('the codec thread has ended');
}

/** Promise.withResolvers, which Node 20 does not have. */
function withResolvers<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

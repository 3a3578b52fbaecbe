/**
 * Runs cleanings in worker threads, started when there is something to clean and ended when there is
 * not, so that the memory of their maps is given back.
 */

import { Worker } from 'node:worker_threads';
import { CorruptLog } from '../errors.ts';
import type { CleanerCall } from './cleaner-worker.ts';
import {
  type Cleaners,
  CleaningAborted,
  type CleaningJob,
  type CleaningRun,
  type CleaningStats,
  type GroupResult,
} from './cleaning-job.ts';

interface Reply {
  readonly result?: unknown;
  readonly error?: { name: string; code?: string; message: string; stack?: string };
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

const YOUNG_MEBIBYTES = 4;

/** One thread; its calls are answered in their order. */
class Thread {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  isBusy = false;
  #failure: Error | undefined;

  constructor(ended: () => void) {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const url = new URL(`./cleaner-worker.${ending}`, import.meta.url);
    // Nothing that the process was started with (loaders, coverage) is of use in there.
    // Its large memory lies outside of the heap; what is on the heap is short-lived and little.
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MEBIBYTES };
    this.#worker = new Worker(url, { execArgv: [], name: 'cleaner', resourceLimits });
    this.#worker.on('message', (reply: Reply) => this.#answered(reply));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => {
      this.#fail(new Error('the cleaner thread has ended'));
      ended();
    });
  }

  call(message: CleanerCall): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(message);
    });
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #answered({ result, error }: Reply): void {
    const waiting = this.#waiting.shift();
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(errorOf(error));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

/** An error as it was thrown in the thread. */
function errorOf({ name, code, message, stack }: NonNullable<Reply['error']>): Error {
  if (name === CleaningAborted.name) return new CleaningAborted();
  const error = name === CorruptLog.name ? new CorruptLog(message) : new Error(message);
  if (stack !== undefined) error.stack = stack;
  return code === undefined ? error : Object.assign(error, { code });
}

class ThreadRun implements CleaningRun {
  readonly #thread: Thread;
  readonly #control = new Int32Array(new SharedArrayBuffer(4));
  readonly #begun: Promise<unknown>;

  constructor(thread: Thread, job: CleaningJob) {
    this.#thread = thread;
    const control = this.#control.buffer as SharedArrayBuffer;
    this.#begun = thread.call({ call: 'begin', job, control });
    // Told by the first call that comes.
    this.#begun.catch(() => {});
  }

  async map(): Promise<void> {
    await this.#begun;
    await this.#thread.call({ call: 'map' });
  }

  async cleanNext(): Promise<GroupResult | undefined> {
    return (await this.#thread.call({ call: 'cleanNext' })) as GroupResult | undefined;
  }

  async stats(): Promise<CleaningStats> {
    return (await this.#thread.call({ call: 'stats' })) as CleaningStats;
  }

  abort(): void {
    Atomics.store(this.#control, 0, 1);
    Atomics.notify(this.#control, 0);
  }

  async end(): Promise<void> {
    this.abort();
    try {
      await this.#thread.call({ call: 'end' });
    } finally {
      this.#thread.isBusy = false;
    }
  }
}

export class CleanerThreads implements Cleaners {
  readonly #threads = new Set<Thread>();

  begin(job: CleaningJob): CleaningRun {
    const thread = [...this.#threads].find(({ isBusy }) => !isBusy) ?? this.#start();
    thread.isBusy = true;
    return new ThreadRun(thread, job);
  }

  #start(): Thread {
    const thread = new Thread(() => this.#threads.delete(thread));
    this.#threads.add(thread);
    return thread;
  }

  /** Ends the threads that have nothing to do. */
  async idle(): Promise<void> {
    const idle = [...this.#threads].filter(({ isBusy }) => !isBusy);
    for (const thread of idle) this.#threads.delete(thread);
    await Promise.all(idle.map((thread) => thread.terminate()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => thread.terminate()));
  }
}

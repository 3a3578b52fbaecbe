/** Makes a load in a thread: it starts when it is made, and tells what became of it when stopped. */

import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Crowd } from './crowd.ts';
import { Deaf } from './deaf.ts';
import { Flood } from './flood.ts';
import type { Load, LoadCounts, LoadName, LoadOrder } from './load.ts';

const LOADS: Record<LoadName, new (order: LoadOrder) => Load> = {
  flood: Flood,
  crowd: Crowd,
  deaf: Deaf,
};

export class LoadThread {
  readonly #worker: Worker;

  constructor(order: LoadOrder) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: order });
  }

  /** Resolves when all of the load is there. */
  async start(): Promise<void> {
    await once(this.#worker, 'message');
  }

  /** Ends the load; resolves when its sockets are closed. */
  async stop(): Promise<LoadCounts> {
    const answer = once(this.#worker, 'message');
    this.#worker.postMessage('stop');
    const [counts] = (await answer) as [LoadCounts];
    await this.#worker.terminate();
    return counts;
  }
}

async function run(order: LoadOrder): Promise<void> {
  const port = parentPort!;
  const load = new LOADS[order.name](order);
  await load.start();
  port.postMessage('started');
  await once(port, 'message');
  port.postMessage(load.stop());
}

if (!isMainThread) await run(workerData as LoadOrder);

/**
 * The thread behind cleaner-threads.ts: one cleaning at a time. It makes the world of its cleaning
 * itself: the disk, the clock, and a word of shared memory by which it is told to end. Those who serve
 * clients go before it.
 */

import { performance } from 'node:perf_hooks';
import { parentPort } from 'node:worker_threads';
import { nodeDisk, workInBackground } from '../node-disk.ts';
import { CleanerPace } from './cleaner-pace.ts';
import { Cleaning } from './cleaning.ts';
import type { CleaningJob } from './cleaning-job.ts';

/** What the thread is asked; answered in order. */
export type CleanerCall =
  | { readonly call: 'begin'; readonly job: CleaningJob; readonly control: SharedArrayBuffer }
  | { readonly call: 'map' | 'cleanNext' | 'stats' | 'end' };

const port = parentPort;
if (port === null) throw new Error('cleaner-worker runs as a worker thread only');

workInBackground();
const disk = nodeDisk();
let cleaning: Cleaning | undefined;

function begin(job: CleaningJob, control: Int32Array): void {
  const pace = new CleanerPace(job.maxBytesPerSecond, {
    now: () => performance.now(),
    sleep: (ms) => {
      // The thread has nothing else to do, and wakes up when it is told to end.
      Atomics.wait(control, 0, 0, ms);
      return Promise.resolve();
    },
    isAborted: () => Atomics.load(control, 0) !== 0,
  });
  cleaning = new Cleaning(disk, job, pace, () => undefined);
}

function answer(message: CleanerCall): Promise<unknown> | undefined {
  if (message.call === 'begin') begin(message.job, new Int32Array(message.control));
  else if (message.call === 'end') cleaning = undefined;
  else return cleaning?.[message.call]();
  return undefined;
}

port.on('message', (message: CleanerCall) => {
  // What begin throws is told as what its promise is rejected with.
  const run = async () => answer(message);
  run().then(
    (result) => port.postMessage({ result }),
    (error: Error) => {
      const { name, code } = error as NodeJS.ErrnoException;
      port.postMessage({ error: { name, code, message: error.message, stack: error.stack } });
    },
  );
});

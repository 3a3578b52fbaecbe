/** The thread behind codec-pool.ts: one job at a time, in the order in which they come. */

import { parentPort } from 'node:worker_threads';
import { type CodecJob, runCodecJob } from './codec-job.ts';

const port = parentPort;
if (port === null) throw new Error('codec-worker runs as a worker thread only');

port.on('message', (job: CodecJob) => {
  void runCodecJob(job).then(
    (result) => {
      const own = 'payload' in result ? ownMemory(result.payload) : undefined;
      if (own === undefined) port.postMessage({ result });
      else port.postMessage({ result: { ...result, payload: own } }, [own.buffer]);
    },
    // A bug of ours: told to whoever waits, with its stack.
    (error: Error) => port.postMessage({ error }),
  );
});

/**
 * Bytes in an ArrayBuffer of exactly their size, which can be handed over: a slice of a larger one
 * would take all of that along, and the pool of small Buffers must not leave this thread.
 */
function ownMemory(bytes: Uint8Array | undefined): Uint8Array<ArrayBuffer> | undefined {
  return bytes === undefined ? undefined : new Uint8Array(bytes);
}

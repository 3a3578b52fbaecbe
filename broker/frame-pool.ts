/**
 * Memory of requests' frames, used again: fresh memory costs more than filling it, and what is freed
 * outside of the heap makes the collector run. A frame is given back when nothing refers to it any
 * more: after decoding, or, where the request's records are slices of it (Produce), with the answer.
 * One that is not given back, of a connection that broke, is left to the collector.
 */

import { BufferPool } from '../storage/buffer-pool.ts';

/** Free frames kept, while they are needed now and then: what some dozen of large requests take. */
export const FRAME_KEEP_BYTES = 64 * 1024 * 1024;
const SMALLEST_FRAME_BYTES = 256;

export class FramePool {
  private readonly pool = new BufferPool(FRAME_KEEP_BYTES, SMALLEST_FRAME_BYTES);

  /** A buffer of just so many bytes with whatever contents. */
  acquire(sizeBytes: number): Buffer {
    return this.pool.acquire(sizeBytes).subarray(0, sizeBytes);
  }

  /** Takes back what `acquire` gave; nobody may use it, or a slice of it, from now on. */
  release(frame: Buffer): void {
    this.pool.release(Buffer.from(frame.buffer));
  }

  /** Lets go of what nobody has needed since the last call. */
  trim(): void {
    this.pool.trim();
  }
}

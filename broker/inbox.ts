/**
 * What comes in on a connection: chunks of the socket, frames for the connection, one at a time
 * and only when asked. The memory of each frame is counted when its length is known, before it is
 * read; a large one waits for room. Counted memory passes to whoever takes the frame.
 */

import { Framer } from '../protocol/frame.ts';
import type { Clock } from '../storage/env.ts';
import type { MemoryBudget } from './memory-budget.ts';

/** A frame that has begun must come at this rate, after a first allowance. */
const FRAME_ALLOWANCE_MS = 30_000;
const FRAME_BYTES_PER_MS = 32;

/** Whom an inbox tells that a frame had to wait for memory, and now there is some. */
export interface InboxOwner {
  memoryGranted(): void;
}

export class Inbox {
  private readonly framer: Framer;
  private readonly memory: MemoryBudget;
  private readonly clock: Clock;
  private readonly owner: InboxOwner;
  /** Frames of the last chunk that were not asked for yet. */
  private frames: Iterator<Buffer, void> | undefined;
  /** Size of the frame that is coming, 0 between two frames. */
  private comingBytes = 0;
  private cancelWait: (() => void) | undefined;
  /** A frame that came whole before there was room for it. */
  private early: Buffer | undefined;
  /** Start of the time in which the coming frame is measured, and the bytes since. */
  private measuredSinceMs = 0;
  private measuredBytes = 0;

  constructor(maxFrameBytes: number, memory: MemoryBudget, clock: Clock, owner: InboxOwner) {
    this.memory = memory;
    this.clock = clock;
    this.owner = owner;
    this.framer = new Framer(maxFrameBytes, (sizeBytes, frameBytes) => {
      if (this.comingBytes === 0) this.announce(frameBytes);
      return Buffer.allocUnsafeSlow(sizeBytes);
    });
  }

  get waitsForMemory(): boolean {
    return this.cancelWait !== undefined;
  }

  /** Whether a chunk may be taken: all frames of the last one are gone, and memory is there. */
  get wantsMore(): boolean {
    return this.frames === undefined && this.early === undefined && !this.waitsForMemory;
  }

  take(chunk: Buffer): void {
    if (!this.wantsMore) throw new Error('a chunk was taken before the last one was used up');
    this.measuredBytes += chunk.length;
    this.frames = this.framer.push(chunk);
  }

  /** The next whole frame, if there is one. Throws MalformedFrame: nothing can be read any more. */
  next(): Buffer | undefined {
    if (this.waitsForMemory) return undefined;
    const frame = this.early ?? this.read();
    if (frame === undefined) return undefined;
    if (this.waitsForMemory) {
      this.early = frame;
      return undefined;
    }
    this.early = undefined;
    this.comingBytes = 0;
    return frame;
  }

  /** Whether a frame has begun and does not come at the least rate. */
  isSlow(nowMs: number): boolean {
    if (this.comingBytes === 0 || !this.wantsMore) return false;
    const allowedMs = FRAME_ALLOWANCE_MS + this.measuredBytes / FRAME_BYTES_PER_MS;
    return nowMs - this.measuredSinceMs > allowedMs;
  }

  /** Time in which the socket was not read is not the peer's. */
  measureAnew(): void {
    this.measuredSinceMs = this.clock.monotonic();
    this.measuredBytes = 0;
  }

  /** Gives the memory of the coming frame back. */
  close(): void {
    const waiting = this.cancelWait !== undefined;
    this.cancelWait?.();
    this.cancelWait = undefined;
    if (this.comingBytes > 0 && !waiting) this.memory.giveFrame(this.comingBytes);
    this.comingBytes = 0;
    this.frames = undefined;
    this.early = undefined;
  }

  private read(): Buffer | undefined {
    if (this.frames === undefined) return undefined;
    const step = this.frames.next();
    if (step.done !== true) return step.value;
    this.frames = undefined;
    return undefined;
  }

  private announce(frameBytes: number): void {
    this.comingBytes = frameBytes;
    this.measureAnew();
    if (this.memory.tryTakeFrame(frameBytes)) return;
    this.cancelWait = this.memory.waitForFrame(frameBytes, () => {
      this.cancelWait = undefined;
      this.owner.memoryGranted();
    });
  }
}

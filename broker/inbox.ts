/**
 * What comes in on a connection: chunks of the socket, frames for the connection, one at a time
 * and only when asked. A frame's memory is counted as it comes, before the connection gets it; a
 * large one is read on when the budget has room. Counted memory passes to whoever takes the frame.
 */

import { Framer } from '../protocol/frame.ts';
import type { Clock } from '../storage/env.ts';
import type { FramePool } from './frame-pool.ts';
import { FRAME_FLOOR_BYTES, type FrameReader, type MemoryBudget } from './memory-budget.ts';

/** A frame that has begun must come at this rate, after a first allowance. */
const FRAME_ALLOWANCE_MS = 30_000;
/** The allowance when memory is short: others wait for what this frame holds. */
const SHORT_ALLOWANCE_MS = 5_000;
/** The allowance of the one frame that is read on while others wait for their turn. */
const FAVOURED_ALLOWANCE_MS = 1_000;
const FRAME_BYTES_PER_MS = 32;

export class Inbox implements FrameReader {
  private readonly framer: Framer;
  private readonly memory: MemoryBudget;
  private readonly clock: Clock;
  private readonly owner: FrameReader;
  /** Size of the frame that is coming, 0 between two frames; and what is counted of it. */
  private comingBytes = 0;
  private countedBytes = 0;
  private isWaiting = false;
  /** Start of the time in which the coming frame is measured, and the bytes since. */
  private measuredSinceMs = 0;
  private measuredBytes = 0;

  /** `owner` is told when the inbox had to wait for memory and now there is some. */
  constructor(
    maxFrameBytes: number,
    memory: MemoryBudget,
    pool: FramePool,
    clock: Clock,
    owner: FrameReader,
  ) {
    this.memory = memory;
    this.clock = clock;
    this.owner = owner;
    const allocate = (sizeBytes: number, frameBytes: number) => {
      if (this.comingBytes === 0) this.announce(frameBytes);
      return pool.acquire(sizeBytes);
    };
    this.framer = new Framer(maxFrameBytes, allocate, (part) => pool.release(part));
  }

  get waitsForMemory(): boolean {
    return this.isWaiting;
  }

  /** Whether a chunk may be taken: all frames of the last one are gone, and memory is there. */
  get wantsMore(): boolean {
    return !this.framer.hasInput && !this.isWaiting;
  }

  /** Takes a chunk, whose memory is the caller's again after `keep`. */
  take(chunk: Buffer): void {
    if (this.isWaiting) throw new Error('a chunk was taken while memory is waited for');
    this.measuredBytes += chunk.length;
    this.framer.feed(chunk);
  }

  /** Copies what was not asked for yet of the last chunk. */
  keep(): void {
    this.framer.keep();
  }

  /** The next whole frame, if there is one. Throws MalformedFrame: nothing can be read any more. */
  next(): Buffer | undefined {
    if (!this.framer.hasInput) return undefined;
    const frame = this.framer.next();
    if (frame === undefined) {
      if (this.comingBytes > FRAME_FLOOR_BYTES) this.countComing();
      return undefined;
    }
    this.memory.take('frames', frame.length - this.countedBytes);
    this.endComing();
    return frame;
  }

  /** Whether a frame has begun and does not come at the least rate. */
  isSlow(nowMs: number): boolean {
    if (this.comingBytes === 0 || !this.wantsMore) return false;
    const allowedMs = this.allowanceMs() + this.measuredBytes / FRAME_BYTES_PER_MS;
    return nowMs - this.measuredSinceMs > allowedMs;
  }

  /** Time in which the socket was not read is not the peer's. */
  measureAnew(): void {
    this.measuredSinceMs = this.clock.monotonic();
    this.measuredBytes = 0;
  }

  memoryGranted(): void {
    this.isWaiting = false;
    this.owner.memoryGranted();
  }

  /** Gives the memory of the coming frame back. */
  close(): void {
    const { countedBytes } = this;
    this.framer.drop();
    this.isWaiting = false;
    this.endComing();
    this.memory.give('frames', countedBytes);
  }

  private announce(frameBytes: number): void {
    this.comingBytes = frameBytes;
    this.measureAnew();
    if (frameBytes > FRAME_FLOOR_BYTES) return;
    this.countedBytes = frameBytes;
    this.memory.take('frames', frameBytes);
  }

  /**
   * Counts what has come of a large frame, and asks whether more may. Of which little has come
   * holds little, and is not asked for: who only announces much takes nobody's turn.
   */
  private countComing(): void {
    const { receivedBytes } = this.framer;
    this.memory.take('frames', receivedBytes - this.countedBytes);
    this.countedBytes = receivedBytes;
    this.isWaiting = receivedBytes > FRAME_FLOOR_BYTES && !this.memory.mayReadOn(this);
  }

  private allowanceMs(): number {
    if (this.memory.holdsUpOthers(this)) return FAVOURED_ALLOWANCE_MS;
    return this.memory.isShort ? SHORT_ALLOWANCE_MS : FRAME_ALLOWANCE_MS;
  }

  private endComing(): void {
    if (this.comingBytes > FRAME_FLOOR_BYTES) this.memory.doneReading(this);
    this.comingBytes = 0;
    this.countedBytes = 0;
  }
}

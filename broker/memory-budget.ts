/**
 * One budget of memory for what clients make the broker hold: frames, answers that were not taken
 * yet, reads from files, decompression. The tails and the flush queue of the storage draw on the
 * same limit and report their bytes. Bytes are those of the buffers kept alive.
 *
 * Over the limit, sockets with a large frame are not read until there is room. It cannot come to
 * a deadlock: a frame up to `FRAME_FLOOR_BYTES` never waits, so heartbeats, commits and fetches go
 * on; of the large frames one may always be held, whatever else is; and what the broker does of
 * itself (flushing, answering, internal topics) is counted where it can be but never waits here.
 * The bound is therefore the limit, plus one frame, plus the floor for each connection.
 */

import type { Clock, Timer } from '../storage/env.ts';

/** A frame up to this size is read whatever the budget says. */
export const FRAME_FLOOR_BYTES = 64 * 1024;
/** The share of the limit above which memory is short. */
const SHORT_ABOVE = 0.75;
/** How often waiting connections are looked at while only the storage can make room. */
const RECHECK_MS = 20;

export const MEMORY_USERS = ['frames', 'answers', 'reads', 'decompression'] as const;
export type MemoryUser = (typeof MEMORY_USERS)[number];

interface Waiter {
  readonly sizeBytes: number;
  readonly granted: () => void;
}

export class MemoryBudget {
  readonly limitBytes: number;
  private readonly clock: Clock;
  private readonly used = new Map<MemoryUser, number>(MEMORY_USERS.map((user) => [user, 0]));
  private ownBytes = 0;
  private largeFrames = 0;
  private readonly waiters = new Set<Waiter>();
  private recheck: Timer | undefined;
  private storageBytes: () => number = () => 0;
  private makeRoom: () => void = () => {};

  constructor(limitBytes: number, clock: Clock) {
    this.limitBytes = limitBytes;
    this.clock = clock;
  }

  /** The storage's share, asked for when it matters, and what to call when memory is short. */
  attachStorage(bytes: () => number, makeRoom: () => void): void {
    this.storageBytes = bytes;
    this.makeRoom = makeRoom;
  }

  get usedBytes(): number {
    return this.ownBytes + this.storageBytes();
  }

  /** Somebody waits, or will soon: who holds memory for nothing should let it go. */
  get isShort(): boolean {
    return this.waiters.size > 0 || this.usedBytes > SHORT_ABOVE * this.limitBytes;
  }

  bytesOf(user: MemoryUser): number {
    return this.used.get(user) as number;
  }

  /** Frames that wait for room. */
  get waiting(): number {
    return this.waiters.size;
  }

  /** Counts bytes that are there in any case. */
  take(user: MemoryUser, sizeBytes: number): void {
    this.used.set(user, (this.used.get(user) as number) + sizeBytes);
    this.ownBytes += sizeBytes;
  }

  give(user: MemoryUser, sizeBytes: number): void {
    const left = (this.used.get(user) as number) - sizeBytes;
    if (left < 0) throw new RangeError(`more memory given back than taken: ${user} ${left}`);
    this.used.set(user, left);
    this.ownBytes -= sizeBytes;
    if (this.waiters.size > 0) this.grantWaiters();
  }

  /**
   * How much of what is wanted should be held now: a reader of segments asks before it allocates.
   * A quarter of what is free at most, so that many readers at once share, but never below `least`.
   */
  allowance(wantedBytes: number, leastBytes: number): number {
    const free = this.limitBytes - this.usedBytes;
    return Math.max(leastBytes, Math.min(wantedBytes, Math.floor(free / 4)));
  }

  /** Takes the memory of a frame; false when it has to wait (`waitForFrame`). */
  tryTakeFrame(sizeBytes: number): boolean {
    if (sizeBytes > FRAME_FLOOR_BYTES) {
      if (this.waiters.size > 0 || !this.fits(sizeBytes)) return false;
      this.largeFrames += 1;
    }
    this.take('frames', sizeBytes);
    return true;
  }

  /** Takes the memory of a frame as soon as there is room, in the order asked. Gives how to cancel. */
  waitForFrame(sizeBytes: number, granted: () => void): () => void {
    const waiter = { sizeBytes, granted };
    this.waiters.add(waiter);
    this.makeRoom();
    this.armRecheck();
    return () => {
      if (this.waiters.delete(waiter)) this.grantWaiters();
    };
  }

  /** Gives back what `tryTakeFrame` or `waitForFrame` took for a frame of this size. */
  giveFrame(sizeBytes: number): void {
    if (sizeBytes > FRAME_FLOOR_BYTES) this.largeFrames -= 1;
    this.give('frames', sizeBytes);
  }

  private fits(sizeBytes: number): boolean {
    return this.largeFrames === 0 || this.usedBytes + sizeBytes <= this.limitBytes;
  }

  private grantWaiters(): void {
    for (const waiter of this.waiters) {
      if (!this.fits(waiter.sizeBytes)) break;
      this.waiters.delete(waiter);
      this.largeFrames += 1;
      this.take('frames', waiter.sizeBytes);
      waiter.granted();
    }
    if (this.waiters.size === 0) {
      this.recheck?.cancel();
      this.recheck = undefined;
    }
  }

  /** The storage frees memory without saying so: look again while somebody waits. */
  private armRecheck(): void {
    if (this.recheck !== undefined) return;
    this.recheck = this.clock.setTimer(RECHECK_MS, () => {
      this.recheck = undefined;
      this.grantWaiters();
      if (this.waiters.size > 0) {
        this.makeRoom();
        this.armRecheck();
      }
    });
  }
}

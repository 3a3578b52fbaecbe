/**
 * One budget of memory for what clients make the broker hold: frames, answers that were not taken
 * yet, reads from files, decompression. The tails and the flush queue of the storage draw on the
 * same limit and report their bytes. Bytes are those of the buffers kept alive; of a frame that is
 * coming, those that have come, so that who only announces much holds nothing.
 *
 * Over the limit, sockets with a large frame are not read on until there is room. It cannot come to
 * a deadlock: a frame up to `FRAME_FLOOR_BYTES`, and so much of a larger one, never waits, so heartbeats,
 * commits and fetches go on; one of the large frames is favoured and read to its end, whatever the budget says; and what
 * the broker does of itself (flushing, answering, internal topics) is counted where it can be but
 * never waits here. The bound is therefore the limit, plus one frame, plus a chunk or a small frame
 * for each connection.
 */

import type { Clock, Timer } from '../storage/env.ts';

/** The most that comes of a socket at once; also what a connection that is not read on may hold. */
export const SOCKET_READ_BYTES = 128 * 1024;
/** A frame up to this size is read whatever the budget says. */
export const FRAME_FLOOR_BYTES = 64 * 1024;
/** The share of the limit above which memory is short. */
const SHORT_ABOVE = 0.75;
/** How often waiting readers are looked at while only the storage can make room. */
const RECHECK_MS = 20;

export const MEMORY_USERS = ['frames', 'answers', 'reads', 'decompression'] as const;
export type MemoryUser = (typeof MEMORY_USERS)[number];

/** Who reads a large frame; told when it may go on after `mayReadOn` said no. */
export interface FrameReader {
  memoryGranted(): void;
}

export class MemoryBudget {
  readonly limitBytes: number;
  private readonly clock: Clock;
  private readonly used = new Map<MemoryUser, number>(MEMORY_USERS.map((user) => [user, 0]));
  private ownBytes = 0;
  private readonly waiters = new Set<FrameReader>();
  /** The one that reads on whatever the budget says. */
  private favoured: FrameReader | undefined;
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

  /** Readers of large frames that wait for room. */
  get waiting(): number {
    return this.waiters.size;
  }

  /** Somebody waits, or will soon: who holds memory for nothing should let it go. */
  get isShort(): boolean {
    return this.waiters.size > 0 || this.usedBytes > SHORT_ABOVE * this.limitBytes;
  }

  /** Whether a reader has the turn that others wait for. */
  holdsUpOthers(reader: FrameReader): boolean {
    return this.favoured === reader && this.waiters.size > 0;
  }

  bytesOf(user: MemoryUser): number {
    return this.used.get(user) as number;
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
    if (this.waiters.size > 0) this.grant();
  }

  /**
   * How much of what is wanted should be held now: a reader of segments asks before it allocates.
   * A quarter of what is free at most, so that many readers at once share, but never below `least`.
   */
  allowance(wantedBytes: number, leastBytes: number): number {
    const free = this.limitBytes - this.usedBytes;
    return Math.max(leastBytes, Math.min(wantedBytes, Math.floor(free / 4)));
  }

  /** Whether one more chunk of a large frame may be read; when not, the reader is told later. */
  mayReadOn(reader: FrameReader): boolean {
    if (this.favoured === reader || this.usedBytes <= this.limitBytes) return true;
    if (this.favoured === undefined) {
      this.favoured = reader;
      return true;
    }
    this.waiters.add(reader);
    this.makeRoom();
    this.armRecheck();
    return false;
  }

  /** The frame is whole, or will never be. */
  doneReading(reader: FrameReader): void {
    this.waiters.delete(reader);
    if (this.favoured !== reader) return;
    this.favoured = undefined;
    this.grant();
  }

  /** Lets readers go on as they came: those that there is room for, and the favoured one. */
  private grant(): void {
    let roomBytes = this.limitBytes - this.usedBytes;
    for (const reader of this.waiters) {
      if (roomBytes < 0) {
        if (this.favoured !== undefined) break;
        this.favoured = reader;
      }
      roomBytes -= FRAME_FLOOR_BYTES;
      this.waiters.delete(reader);
      reader.memoryGranted();
    }
    if (this.waiters.size > 0) return;
    this.recheck?.cancel();
    this.recheck = undefined;
  }

  /** The storage frees memory without saying so: look again while somebody waits. */
  private armRecheck(): void {
    if (this.recheck !== undefined) return;
    this.recheck = this.clock.setTimer(RECHECK_MS, () => {
      this.recheck = undefined;
      this.grant();
      if (this.waiters.size > 0) {
        this.makeRoom();
        this.armRecheck();
      }
    });
  }
}

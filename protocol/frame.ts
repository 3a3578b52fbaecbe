/**
 * Frames out of chunks: each message on a connection stands behind the int32 number of its bytes.
 *
 * A frame gets memory of its own (chunks belong to the socket, and records stay slices of their
 * frame), asked for only after its length was held against the limit; a large frame's memory is
 * asked for in full when its first part has really come.
 */

import { MalformedFrame } from './reader.ts';

/** Bytes of the length before each frame. */
export const FRAME_SIZE_BYTES = 4;
/** What a mere length can make us ask for. */
const FIRST_PART_BYTES = 1024 * 1024;

/** A frame above the limit: sound perhaps, and not taken. */
export class OversizedFrame extends MalformedFrame {}

/** Gives a Buffer of just that many bytes for (the first part of) a frame of so many. */
export type AllocateFrame = (sizeBytes: number, frameBytes: number) => Buffer;

const allocateSlow: AllocateFrame = (sizeBytes) => Buffer.allocUnsafeSlow(sizeBytes);
const leaveToCollector = () => {};

export class Framer {
  /** Larger frames are refused; may be changed between two frames. */
  maxFrameBytes: number;
  readonly #allocate: AllocateFrame;
  readonly #discard: (part: Buffer) => void;
  #chunk: Buffer | undefined;
  #at = 0;
  /** The length as far as it has come. */
  #sizeBytesRead = 0;
  #size = 0;
  /** The frame as far as it has come; undefined between two frames. */
  #frame: Buffer | undefined;
  #filled = 0;

  /** `discard` is given the first part of a frame once its bytes are in the whole frame's memory. */
  constructor(
    maxFrameBytes: number,
    allocate: AllocateFrame = allocateSlow,
    discard: (part: Buffer) => void = leaveToCollector,
  ) {
    this.maxFrameBytes = maxFrameBytes;
    this.#allocate = allocate;
    this.#discard = discard;
  }

  /** Bytes that have come of the frame that is not whole yet. */
  get receivedBytes(): number {
    return this.#filled;
  }

  /** Memory held by the frame that has not come whole. */
  get pendingBytes(): number {
    return this.#frame?.length ?? 0;
  }

  /** Whether a chunk was given that `next` has not used up. */
  get hasInput(): boolean {
    return this.#chunk !== undefined;
  }

  /** Gives the chunk that `next` takes frames out of; the one before must be used up. */
  feed(chunk: Buffer): void {
    if (this.#chunk !== undefined) throw new Error('a chunk was given before the last was used up');
    this.#chunk = chunk;
    this.#at = 0;
  }

  /**
   * The next frame that is whole; undefined once the chunk is used up. Throws MalformedFrame at a
   * length that is not positive or above the limit: what follows cannot be read.
   */
  next(): Buffer | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined) return undefined;
    while (this.#at < chunk.length) {
      if (this.#frame === undefined) {
        this.#at = this.#readSize(chunk, this.#at);
        continue;
      }
      this.#at = this.#fill(this.#frame, chunk, this.#at);
      if (this.#filled === this.#size) return this.#takeFrame();
    }
    this.#chunk = undefined;
    return undefined;
  }

  /** The chunk's memory is about to be used otherwise: what is left of it is copied. */
  keep(): void {
    if (this.#chunk === undefined) return;
    this.#chunk = Buffer.from(this.#chunk.subarray(this.#at));
    this.#at = 0;
  }

  /** Forgets the chunk and the frame that was coming: nothing more is read. */
  drop(): void {
    this.#chunk = undefined;
    this.#frame = undefined;
    this.#filled = 0;
  }

  /** All frames that are whole with one more chunk. To be run to its end. */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    this.feed(chunk);
    for (let frame = this.next(); frame !== undefined; frame = this.next()) yield frame;
  }

  #readSize(chunk: Buffer, from: number): number {
    let at = from;
    while (this.#sizeBytesRead < FRAME_SIZE_BYTES && at < chunk.length) {
      this.#size = (this.#size << 8) | chunk[at++]!;
      this.#sizeBytesRead++;
    }
    if (this.#sizeBytesRead < FRAME_SIZE_BYTES) return at;
    if (this.#size <= 0 || this.#size > this.maxFrameBytes) {
      this.#chunk = undefined;
      const Fault = this.#size <= 0 ? MalformedFrame : OversizedFrame;
      throw new Fault(`frame of ${this.#size} bytes, ${this.maxFrameBytes} are allowed`);
    }
    this.#frame = this.#allocate(Math.min(this.#size, FIRST_PART_BYTES), this.#size);
    return at;
  }

  #fill(frame: Buffer, chunk: Buffer, from: number): number {
    let room = frame;
    if (this.#filled === frame.length) {
      room = this.#allocate(this.#size, this.#size);
      room.set(frame);
      this.#frame = room;
      this.#discard(frame);
    }
    const until = Math.min(chunk.length, from + room.length - this.#filled);
    chunk.copy(room, this.#filled, from, until);
    this.#filled += until - from;
    return until;
  }

  #takeFrame(): Buffer {
    const frame = this.#frame!;
    this.#frame = undefined;
    this.#filled = 0;
    this.#size = 0;
    this.#sizeBytesRead = 0;
    return frame;
  }
}

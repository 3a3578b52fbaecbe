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

/** Gives a Buffer of just that many bytes for (the first part of) a frame of so many. */
export type AllocateFrame = (sizeBytes: number, frameBytes: number) => Buffer;

const allocateSlow: AllocateFrame = (sizeBytes) => Buffer.allocUnsafeSlow(sizeBytes);

export class Framer {
  /** Larger frames are refused; may be changed between two frames. */
  maxFrameBytes: number;
  readonly #allocate: AllocateFrame;
  /** The length as far as it has come. */
  #sizeBytesRead = 0;
  #size = 0;
  /** The frame as far as it has come; undefined between two frames. */
  #frame: Buffer | undefined;
  #filled = 0;

  constructor(maxFrameBytes: number, allocate: AllocateFrame = allocateSlow) {
    this.maxFrameBytes = maxFrameBytes;
    this.#allocate = allocate;
  }

  /** Bytes that have come of the frame that is not whole yet. */
  get receivedBytes(): number {
    return this.#filled;
  }

  /** Memory held by the frame that has not come whole. */
  get pendingBytes(): number {
    return this.#frame?.length ?? 0;
  }

  /**
   * Takes a chunk and yields the frames that are now whole. It must be run to its end; who stops
   * before gives the connection up. Throws MalformedFrame, after the frames before, at a length
   * that is not positive or above the limit: what follows cannot be read.
   */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#frame === undefined) {
        at = this.#readSize(chunk, at);
        continue;
      }
      at = this.#fill(this.#frame, chunk, at);
      if (this.#filled === this.#size) yield this.#takeFrame();
    }
  }

  #readSize(chunk: Buffer, from: number): number {
    let at = from;
    while (this.#sizeBytesRead < FRAME_SIZE_BYTES && at < chunk.length) {
      this.#size = (this.#size << 8) | chunk[at++]!;
      this.#sizeBytesRead++;
    }
    if (this.#sizeBytesRead < FRAME_SIZE_BYTES) return at;
    if (this.#size <= 0 || this.#size > this.maxFrameBytes) {
      throw new MalformedFrame(`frame of ${this.#size} bytes, ${this.maxFrameBytes} are allowed`);
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

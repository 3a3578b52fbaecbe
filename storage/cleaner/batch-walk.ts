/**
 * Hands the batches of a segment to a visitor, each whole and its checksum right. A cleaning never
 * steps over what is damaged: it would be gone for good, and with it what can still be repaired.
 */

import { crc32c } from '../../protocol/crc32c.ts';
import {
  BATCH_HEADER_BYTES,
  batchBytes,
  isCrcRight,
  lastOffset,
  storedCrc,
} from '../../protocol/record-batch.ts';
import type { DiskFile } from '../env.ts';
import { CorruptLog } from '../errors.ts';
import { headerFault, reachFault, TRUSTED_BATCH_BYTES } from '../segment-scan.ts';
import type { Pace, SegmentInput } from './cleaning-job.ts';

const ATTRIBUTES_AT = 21;

/** What looks at the batches. */
export interface BatchVisitor {
  /**
   * A batch at `at` of the window and at `position` of the file, whose bytes may be changed. Nothing
   * of the window is to be kept. A promise only where something must be waited for.
   */
  batch(window: Buffer, at: number, position: number): Promise<void> | undefined;
  /** Those of a window are through: true when that was enough. */
  windowEnded(): Promise<boolean>;
}

export class BatchWalk {
  readonly #bufferBytes: number;
  readonly #pace: Pace;
  #window: Buffer;

  constructor(bufferBytes: number, pace: Pace) {
    this.#bufferBytes = Math.max(bufferBytes, BATCH_HEADER_BYTES);
    this.#pace = pace;
    this.#window = Buffer.allocUnsafeSlow(this.#bufferBytes);
  }

  /** Goes through a segment's batches, until the visitor has enough. Throws CorruptLog. */
  async run(file: DiskFile, segment: SegmentInput, visitor: BatchVisitor): Promise<void> {
    const { sizeBytes } = segment;
    let nextOffset = segment.baseOffset;
    let hasEnough = false;
    for (let position = 0; position < sizeBytes && !hasEnough; ) {
      const length = Math.min(this.#window.length, sizeBytes - position);
      const count = file.readSync(this.#window, 0, length, position);
      if (count < length) fail(file, position + count, 'the file ends there');
      let at = 0;
      let cutBytes = 0;
      while (count - at >= BATCH_HEADER_BYTES) {
        const size = batchBytes(this.#window, at);
        this.#checkHeader(file, segment, at, position, nextOffset);
        if (size > count - at) {
          cutBytes = size;
          break;
        }
        if (!isCrcRight(this.#window, at)) fail(file, position + at, 'wrong checksum');
        nextOffset = lastOffset(this.#window, at) + 1;
        const waits = visitor.batch(this.#window, at, position + at);
        if (waits !== undefined) await waits;
        at += size;
      }
      if (at === 0 && cutBytes === 0) fail(file, position, 'fewer bytes than a batch header');
      if (at === 0) this.#widen(file, position, cutBytes);
      position += at;
      hasEnough = await visitor.windowEnded();
      await this.#pace.spent(at);
    }
    if (this.#window.length > this.#bufferBytes) {
      this.#window = Buffer.allocUnsafeSlow(this.#bufferBytes);
    }
  }

  #checkHeader(
    file: DiskFile,
    { baseOffset, nextOffset, sizeBytes }: SegmentInput,
    at: number,
    position: number,
    due: number,
  ): void {
    const left = sizeBytes - position - at;
    const fault =
      headerFault(this.#window, at, left, baseOffset, due) ??
      reachFault(this.#window, at, nextOffset);
    if (fault !== undefined) fail(file, position + at, fault);
  }

  /** Makes room for a batch; for a large one only when its length is known to be no lie. */
  #widen(file: DiskFile, position: number, size: number): void {
    if (size > TRUSTED_BATCH_BYTES && !this.#isStoredCrcRight(file, position, size)) {
      fail(file, position, 'wrong checksum');
    }
    this.#window = Buffer.allocUnsafeSlow(size);
  }

  #isStoredCrcRight(file: DiskFile, position: number, size: number): boolean {
    const piece = this.#window;
    let expected = 0;
    let sum = 0;
    for (let done = 0; done < size; ) {
      const length = Math.min(piece.length, size - done);
      if (file.readSync(piece, 0, length, position + done) < length) return false;
      if (done === 0) expected = storedCrc(piece, 0);
      sum = crc32c(piece.subarray(done === 0 ? ATTRIBUTES_AT : 0, length), sum);
      done += length;
    }
    return sum === expected;
  }
}

function fail(file: DiskFile, position: number, reason: string): never {
  throw new CorruptLog(`${file.path} at ${position}: ${reason}`);
}

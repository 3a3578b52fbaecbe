/** Memory of frames that shows who uses it for too long. */

import { FramePool } from '../../broker/frame-pool.ts';

/** Makes whoever uses a frame, or a slice of one, after it was given back see nonsense. */
export class PoisoningFrames extends FramePool {
  override release(frame: Buffer): void {
    frame.fill(0xdb);
    super.release(frame);
  }
}

/**
 * When a log needs a new lease on offsets. The lease in force lies in the marks; this knows the end
 * of the newest one asked for, which may still be on its way to the disk.
 */

export class OffsetLease {
  #asked: number;

  /** No lease beyond the log's end. */
  constructor(end: number) {
    this.#asked = end;
  }

  /** The end of a lease to be recorded when less than half of one is left, else undefined. */
  due(end: number, leaseRecords: number): number | undefined {
    if (this.#asked - end >= leaseRecords / 2) return undefined;
    this.#asked = end + leaseRecords;
    return this.#asked;
  }

  /** Whether one is on its way beyond the one in force. */
  isOnItsWay(inForce: number): boolean {
    return this.#asked > inForce;
  }

  /** From here on, as if nothing more had been asked for. */
  reset(end: number): void {
    this.#asked = end;
  }
}

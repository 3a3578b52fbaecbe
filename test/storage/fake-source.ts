/** A log without files, as the journal sees it: for tests of the journal alone. */

import type { JournalRun, JournalSource } from '../../storage/journal.ts';

export class FakeSource implements JournalSource {
  readonly topicIdBytes: Buffer;
  readonly partition: number;
  readonly syncDelayMs = Number.MAX_SAFE_INTEGER;
  failure: Error | undefined;
  persistedOffset = 0;
  wantsSync = true;
  pending: Buffer[] = [];
  taken = 0;
  lease: number | undefined;
  keepsLease = false;
  written = 0;
  durable = 0;
  leased = 0;
  renewals = 0;
  readonly errors: Error[] = [];

  constructor(topic: number, partition: number) {
    this.topicIdBytes = Buffer.alloc(16, topic);
    this.partition = partition;
  }

  get pendingBytes(): number {
    return this.pending.reduce((sum, buffer) => sum + buffer.length, 0);
  }

  takeRun(): JournalRun | undefined {
    if (this.pending.length === 0) return undefined;
    const buffers = this.pending;
    const sizeBytes = this.pendingBytes;
    const previousEnd = this.taken;
    this.pending = [];
    this.taken += buffers.length;
    return { previousEnd, end: this.taken, buffers, sizeBytes, batches: buffers.length };
  }

  takeLease(): number | undefined {
    const lease = this.lease;
    this.lease = undefined;
    return lease;
  }

  onWritten(end: number): void {
    this.written = end;
  }

  onDurable(end: number): void {
    this.durable = end;
  }

  onLeaseDurable(leaseEnd: number): void {
    this.leased = leaseEnd;
  }

  giveUpLease(): boolean {
    return !this.keepsLease;
  }

  renewLease(): void {
    this.renewals++;
  }

  onWriteFailed(error: Error): void {
    this.pending = [];
    this.taken = this.written;
    this.errors.push(error);
  }

  onSyncFailed(error: Error): void {
    this.failure = error;
  }
}

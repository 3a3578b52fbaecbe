/**
 * A coordinator's own topic as it sees it, in memory: real batches, and durability in the test's
 * hand. The same topic can be given to a second coordinator, as after a restart.
 */

import type { KeyedRecord } from '../../../broker/groups/offset-records.ts';
import { readGroupRecord } from '../../../broker/groups/offset-records.ts';
import type { TransactionalProducer, TransactionMarker } from '../../../broker/partition.ts';
import { batchBytes, lastOffset } from '../../../protocol/record-batch.ts';
import {
  type BatchOptions,
  buildBatch,
  controlBatch,
  MarkerType,
  readRecords,
} from '../../../protocol/records.ts';

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class FakePartition {
  readonly batches: Buffer[] = [];
  readonly log = { logStartOffset: 0, endOffset: 0, leaderEpoch: 0 };
  /** While set, appended records do not become durable. */
  isHeld = false;
  /** While set, appending fails with it. */
  failure: Error | undefined;
  private waiting: Waiting[] = [];

  async appendRecords(
    records: readonly KeyedRecord[],
    producer?: TransactionalProducer,
  ): Promise<{ baseOffset: number }> {
    if (this.failure !== undefined) throw this.failure;
    producer?.check();
    const baseOffset = this.append({
      records: records.map((record) => ({ ...record, timestamp: 1_700_000_000_000 })),
      ...(producer === undefined ? {} : { ...producer, baseSequence: 0, transactional: true }),
    });
    return this.durable(baseOffset);
  }

  async appendMarker(marker: TransactionMarker): Promise<{ baseOffset: number }> {
    if (this.failure !== undefined) throw this.failure;
    const type = marker.isCommit ? MarkerType.commit : MarkerType.abort;
    const baseOffset = this.log.endOffset;
    this.appendBatch(controlBatch({ ...marker, type, timestamp: 1_700_000_000_000, baseOffset }));
    return this.durable(baseOffset);
  }

  private async durable(baseOffset: number): Promise<{ baseOffset: number }> {
    if (this.isHeld) {
      await new Promise<void>((resolve, reject) => this.waiting.push({ resolve, reject }));
    }
    return { baseOffset };
  }

  /** Puts any batch into the log, as if it had always been there. */
  append(options: BatchOptions): number {
    const baseOffset = this.log.endOffset;
    this.appendBatch(buildBatch({ ...options, baseOffset }));
    return baseOffset;
  }

  appendBatch(batch: Buffer): void {
    this.batches.push(batch);
    this.log.endOffset = lastOffset(batch, 0) + 1;
  }

  /** What was held becomes durable, or fails, in order. */
  release(error?: Error): void {
    this.isHeld = false;
    const waiting = this.waiting;
    this.waiting = [];
    for (const { resolve, reject } of waiting) {
      if (error === undefined) resolve();
      else reject(error);
    }
  }

  async scan(from: number, visit: (buffer: Buffer, at: number) => void): Promise<void> {
    for (const batch of this.batches) {
      if (lastOffset(batch, 0) < from) continue;
      await Promise.resolve();
      // The memory of a batch is only lent: what is read from it later is not what it was.
      const lent = Buffer.alloc(3 + batchBytes(batch, 0));
      batch.copy(lent, 3);
      visit(lent, 3);
      lent.fill(0xee);
    }
  }

  /** All records, decoded, in order. */
  get records() {
    return this.batches.flatMap((batch) =>
      [...readRecords(batch, 0)].map(({ key, value }) => readGroupRecord(key, value)),
    );
  }
}

export class FakeOffsetsTopic {
  readonly partitions: FakePartition[];
  readonly config = { get: () => this.maxMessageBytes };
  maxMessageBytes = 1_048_588;

  constructor(partitions: number) {
    this.partitions = Array.from({ length: partitions }, () => new FakePartition());
  }
}

export class FakeTopics {
  readonly configs: Readonly<Record<string, string>>[] = [];
  /** While set, making the topic fails with it. */
  failure: Error | undefined;
  topic: FakeOffsetsTopic | undefined;
  /** Other topics that are there. */
  readonly names = new Set(['t', 'u']);

  readonly #name: string;

  constructor(name = '__consumer_offsets') {
    this.#name = name;
  }

  get(name: string): FakeOffsetsTopic | undefined {
    if (name === this.#name) return this.topic;
    return this.names.has(name) ? new FakeOffsetsTopic(1) : undefined;
  }

  async ensureInternal(
    name: string,
    partitions: number,
    configs: Readonly<Record<string, string>>,
  ): Promise<FakeOffsetsTopic> {
    await Promise.resolve();
    if (this.failure !== undefined) throw this.failure;
    if (name !== this.#name) throw new Error(`an unexpected topic ${name}`);
    if (this.topic === undefined) {
      this.configs.push(configs);
      this.topic = new FakeOffsetsTopic(partitions);
    }
    return this.topic;
  }
}

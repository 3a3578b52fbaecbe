/** A transaction coordinator over a topic in memory, with the clock and the markers in the test's hand. */

import { Metrics } from '../../../broker/metrics.ts';
import type { TransactionMarker } from '../../../broker/partition.ts';
import {
  type ClientVersion,
  type ProducerIdAndEpoch,
  TransactionCoordinator,
} from '../../../broker/transactions/coordinator.ts';
import type { TransactionOptions } from '../../../broker/transactions/options.ts';
import type { TopicPartition } from '../../../broker/transactions/partition-set.ts';
import {
  readTransactionKey,
  readTransactionValue,
} from '../../../broker/transactions/transaction-records.ts';
import { readRecords } from '../../../protocol/records.ts';
import type { Env } from '../../../storage/env.ts';
import { FakeTopics } from '../groups/fake-offsets-topic.ts';
import { keptLog, settle } from '../harness.ts';
import { ManualClock } from '../manual-clock.ts';

export const TP = { topic: 't', partition: 0 };
export const OTHER = { topic: 'u', partition: 1 };

const OPTIONS: TransactionOptions = {
  maxTimeoutMs: 900_000,
  topicPartitions: 3,
  topicSegmentBytes: 1024,
  abortCheckIntervalMs: 100,
  idExpirationMs: 10_000_000,
  expirationCheckIntervalMs: 1_000_000,
  addWaitMs: 100,
  writeTimeoutMs: 5000,
  stateLimitBytes: 1_000_000,
};

interface HeldMarker {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class TransactionWorld {
  readonly clock = new ManualClock();
  readonly topics = new FakeTopics('__transaction_state');
  readonly metrics = new Metrics();
  readonly lines;
  readonly options: TransactionOptions;
  /** Markers that were written, as `t-0 commit 7/3`. */
  readonly markers: string[] = [];
  /** While set, markers for a topic wait. */
  heldTopic: string | undefined;
  /** While set, markers fail with it. */
  markerFailure: Error | undefined;
  coordinator: TransactionCoordinator;
  #held: HeldMarker[] = [];
  #lastProducerId = 6;
  readonly #env: Env;

  constructor(options: Partial<TransactionOptions> = {}) {
    this.options = { ...OPTIONS, ...options };
    const { log, lines } = keptLog();
    this.lines = lines;
    this.#env = { clock: this.clock, log } as unknown as Env;
    this.coordinator = this.#make();
  }

  static async loaded(options: Partial<TransactionOptions> = {}): Promise<TransactionWorld> {
    const world = new TransactionWorld(options);
    await world.coordinator.load();
    return world;
  }

  /** Another coordinator over the same topic, as after the end of the process. */
  async restart(): Promise<void> {
    this.#held = [];
    void this.coordinator.close();
    this.coordinator = this.#make();
    await this.coordinator.load();
    await settle();
  }

  #make(): TransactionCoordinator {
    return new TransactionCoordinator({
      env: this.#env,
      topics: this.topics,
      options: this.options,
      metrics: this.metrics,
      producerIds: { next: async () => ++this.#lastProducerId },
      markers: { writeMarker: (at, marker) => this.#writeMarker(at, marker) },
    });
  }

  async #writeMarker({ topic, partition }: TopicPartition, marker: TransactionMarker) {
    const { producerId, producerEpoch, isCommit } = marker;
    if (this.markerFailure !== undefined) throw this.markerFailure;
    if (this.heldTopic === topic) {
      await new Promise<void>((resolve, reject) => this.#held.push({ resolve, reject }));
    }
    const outcome = isCommit ? 'commit' : 'abort';
    this.markers.push(`${topic}-${partition} ${outcome} ${producerId}/${producerEpoch}`);
  }

  /** What was held goes on. */
  async release(): Promise<void> {
    this.heldTopic = undefined;
    for (const { resolve } of this.#held.splice(0)) resolve();
    await settle();
  }

  async init(id = 'x', timeoutMs = 60_000, expected?: ProducerIdAndEpoch) {
    return this.coordinator.initProducerId(id, { timeoutMs, expected });
  }

  add(client: ProducerIdAndEpoch, partitions = [TP], clientVersion: ClientVersion = 0) {
    return this.coordinator.addPartitions('x', client, partitions, clientVersion);
  }

  end(client: ProducerIdAndEpoch, isCommit: boolean, clientVersion: ClientVersion = 0) {
    return this.coordinator.endTransaction('x', { ...client, isCommit, clientVersion });
  }

  /** The state of the id, as `Ongoing 7/3`. */
  get shown(): string {
    const state = this.coordinator.describe('x');
    if (typeof state === 'string') return state;
    return `${state.name} ${state.producerId}/${state.producerEpoch}`;
  }

  /** States of all records in the topic, in their order; null for one that forgets. */
  get recorded(): (string | null)[] {
    const batches = this.topics.topic?.partitions.flatMap(({ batches }) => batches) ?? [];
    return batches.flatMap((batch) =>
      [...readRecords(batch, 0)].map(({ key, value }) => {
        if (readTransactionKey(key!) === undefined) throw new Error('an unknown key');
        return value === null ? null : readTransactionValue(value).name;
      }),
    );
  }

  /** All partitions of the topic. */
  get partitions() {
    return this.topics.topic?.partitions ?? [];
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(left, 100));
      await settle();
    }
  }
}

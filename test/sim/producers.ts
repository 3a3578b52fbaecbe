/** Simulated producers: those that repeat what was not acknowledged, and those that do not. */

import { loadCodec } from '../../protocol/compression.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/init-producer-id.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { Codec } from '../../protocol/record-batch.ts';
import { buildBatch } from '../../protocol/records.ts';
import { Disconnected } from './client.ts';
import type { Sent } from './history.ts';
import { Worker } from './worker.ts';

const produce = { request: ProduceRequest, response: ProduceResponse, version: 9 };
const initProducerId = {
  request: InitProducerIdRequest,
  response: InitProducerIdResponse,
  version: 4,
};
const BATCHES_IN_FLIGHT = 3;
export const CODECS = [
  Codec.none,
  Codec.none,
  Codec.none,
  Codec.gzip,
  Codec.snappy,
  Codec.lz4,
  Codec.zstd,
] as const;

export interface Identity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** A record as it is to be sent. */
export interface Draft {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

interface Batch {
  readonly records: readonly Sent[];
  readonly bytes: Buffer;
}

export abstract class Producer extends Worker {
  #order = 0;
  /** Some producers send records that fill chunks, journal files and segments. */
  protected readonly largestBytes: number = this.random.pick([2000, 20_000, 20_000, 120_000]);
  /** Share of records that are as large. */
  protected readonly largeShare: number = 0.05;

  /** The next batch, of what `draft` gives for each position. */
  protected async makeBatch(acks: 1 | -1, identity: Identity | undefined): Promise<Batch> {
    const count = 1 + this.random.below(4);
    const baseSequence = identity === undefined ? -1 : this.#order;
    const records: Sent[] = [];
    for (let index = 0; index < count; index++) {
      const order = this.#order++;
      const size = this.random.chance(this.largeShare) ? this.largestBytes : this.random.below(900);
      const value = Buffer.from(`${this.name}:${order} ${'x'.repeat(size)}`);
      const { place, name: producer } = this;
      const madeMs = this.world.clock.monotonic();
      const record: Sent = { place, producer, order, value, acks, madeMs };
      records.push(record);
      this.history.sent(record);
    }
    const drafts = records.map(({ value }) => ({ key: null, value }));
    return { records, bytes: await this.encode(drafts, baseSequence, identity) };
  }

  protected async encode(
    drafts: readonly Draft[],
    baseSequence: number,
    identity: Identity | undefined,
  ): Promise<Buffer> {
    const codec = this.random.pick(CODECS);
    const { compress } = await loadCodec(codec);
    const timestamp = this.world.clock.now();
    return buildBatch({
      ...identity,
      baseSequence,
      records: drafts.map((draft) => ({ ...draft, timestamp })),
      compression: { codec, compress },
    });
  }

  protected identify(): Promise<Identity> {
    return this.until(async () => {
      const answer = await this.client.call(initProducerId, {
        transactionalId: null,
        transactionTimeoutMs: 60_000,
      });
      return answer.errorCode === 0 ? answer : this.isToRepeat(answer.errorCode, 'InitProducerId');
    });
  }

  /** Sends one batch; gives its base offset, or the error. */
  protected async send(bytes: Buffer, acks: 1 | -1): Promise<{ code: number; offset: number }> {
    const { topic, partition } = this.place;
    const { responses } = await this.client.call(produce, {
      acks,
      timeoutMs: 30_000,
      topicData: [{ name: topic, partitionData: [{ index: partition, records: bytes }] }],
    });
    const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
    return { code: errorCode, offset: baseOffset };
  }

  protected acknowledged({ records }: Batch, baseOffset: number): void {
    const { acks, order } = records[0]!;
    this.note(`acknowledged ${order} at ${baseOffset}`);
    for (const [index, record] of records.entries()) {
      record.offset = baseOffset + index;
      record.powerCuts = this.world.powerCuts;
    }
    const isVisible = acks === -1 || this.place.visibility === 'written';
    if (isVisible) this.shared.watchers.visible(this.place, baseOffset);
  }
}

/** Sends so many batches, several in flight, and each until it is acknowledged by acks=all. */
export class IdempotentProducer extends Producer {
  /** Largest pause between two rounds. */
  readonly pauseMs: number = this.random.pick([50, 150, 400]);

  /** Where the first record of each batch is that was acknowledged, by its order. */
  readonly #told = new Map<number, number>();

  async run(batches: number): Promise<void> {
    const identity = await this.identify();
    this.note(`is producer ${identity.producerId}`);
    let window: Batch[] = [];
    for (let left = batches; left > 0 || window.length > 0; ) {
      for (; left > 0 && window.length < BATCHES_IN_FLIGHT; left--) {
        window.push(await this.makeBatch(-1, identity));
      }
      const rest = await this.#sendAll(window);
      await this.pause(rest.length < window.length ? this.pauseMs : 600);
      window = rest;
    }
  }

  /** Sends batches one behind the other; gives those that were not acknowledged. */
  async #sendAll(window: readonly Batch[]): Promise<Batch[]> {
    const calls = window.map(({ bytes }) => this.send(bytes, -1));
    const rest: Batch[] = [];
    let hasFailed = false;
    for (const [index, outcome] of (await Promise.allSettled(calls)).entries()) {
      const batch = window[index]!;
      if (outcome.status === 'rejected') {
        if (!(outcome.reason instanceof Disconnected)) throw outcome.reason;
        hasFailed = true;
        rest.push(batch);
        continue;
      }
      const { code, offset } = outcome.value;
      if (code === 0) {
        this.#placed(batch, offset);
        this.acknowledged(batch, offset);
        continue;
      }
      // Behind a batch that was refused, the next one leaves a gap.
      const isGap = hasFailed && code === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER;
      if (!isGap) this.isToRepeat(code, `batch of ${batch.records[0]!.order}`);
      hasFailed = true;
      rest.push(batch);
    }
    return rest;
  }

  /**
   * A batch may be acknowledged before the one that it follows: both are in the log, and the mark
   * came to pass them while they were asked for again. But it comes behind it.
   */
  #placed({ records }: Batch, offset: number): void {
    const { order } = records[0]!;
    for (const [other, at] of this.#told) {
      if (other < order === at < offset) continue;
      this.violate('order', `the batch of ${order} is at ${offset}, that of ${other} at ${at}`);
    }
    this.#told.set(order, offset);
  }
}

/** Sends one batch after the other by acks=1 and repeats none. */
export class PlainProducer extends Producer {
  async run(batches: number): Promise<void> {
    for (let left = batches; left > 0; left--) {
      const batch = await this.makeBatch(1, undefined);
      const { lives } = this.world;
      try {
        const { code, offset } = await this.send(batch.bytes, 1);
        if (code === 0) this.acknowledged(batch, offset);
        else this.#refused(batch, code, lives);
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error;
        await this.pause(600);
      }
      await this.pause(150);
    }
  }

  /** What is refused cannot be in the log, unless a sync has failed: then nobody can know. */
  #refused({ records }: Batch, code: number, lives: number): void {
    this.isToRepeat(code, `batch of ${records[0]!.order}`);
    this.note(`was refused ${records[0]!.order}`);
    const isCertain = this.world.lives === lives && !this.world.hasSyncFailed;
    if (isCertain) for (const record of records) record.isRefused = true;
  }
}

/**
 * Simulated clients: producers that repeat what was not acknowledged, producers that do not, and
 * consumers that read, commit and ask for what they committed. Each is a loop on the simulated clock.
 */

import { loadCodec } from '../../protocol/compression.ts';
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/init-producer-id.ts';
import {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../protocol/messages/offset-commit.ts';
import { OffsetFetchRequest, OffsetFetchResponse } from '../../protocol/messages/offset-fetch.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { Codec } from '../../protocol/record-batch.ts';
import { buildBatch } from '../../protocol/records.ts';
import { Disconnected, SimClient } from './client.ts';
import { type History, nameOf, type Place, type Seen, type Sent, takeBatches } from './history.ts';
import type { SeededRandom } from './random.ts';
import type { SimWorld } from './world.ts';

const produce = { request: ProduceRequest, response: ProduceResponse, version: 9 };
const fetch = { request: FetchRequest, response: FetchResponse, version: 12 };
const initProducerId = {
  request: InitProducerIdRequest,
  response: InitProducerIdResponse,
  version: 4,
};
const offsetCommit = { request: OffsetCommitRequest, response: OffsetCommitResponse, version: 8 };
const offsetFetch = { request: OffsetFetchRequest, response: OffsetFetchResponse, version: 7 };

/** Errors after which a client tries again. */
const TRY_AGAIN: ReadonlySet<number> = new Set([
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
]);
const BATCHES_IN_FLIGHT = 3;
const CODECS = [Codec.none, Codec.none, Codec.gzip, Codec.snappy, Codec.lz4] as const;

/** What all clients of one run share. */
export interface Run {
  readonly world: SimWorld;
  readonly history: History;
}

export abstract class Worker {
  readonly name: string;
  readonly place: Place;
  protected readonly world: SimWorld;
  protected readonly history: History;
  protected readonly client: SimClient;
  protected readonly random: SeededRandom;

  constructor({ world, history }: Run, name: string, place: Place) {
    this.name = name;
    this.place = place;
    this.world = world;
    this.history = history;
    this.client = new SimClient(world, name);
    this.random = world.random.fork();
  }

  protected pause(maxMs: number): Promise<void> {
    return this.world.sleep(this.random.below(maxMs));
  }

  protected note(text: string): void {
    this.history.note(`${this.world.clock.monotonic().toFixed(3)} ${this.name} ${text}`);
  }

  protected violate(what: string): void {
    this.history.violate(`${this.world.clock.monotonic().toFixed(3)} ${this.name}: ${what}`);
  }

  /** Tries until it works; whatever is no lost connection is thrown. */
  protected async until<T>(attempt: () => Promise<T | undefined>): Promise<T> {
    for (;;) {
      try {
        const result = await attempt();
        if (result !== undefined) return result;
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error;
      }
      await this.pause(400);
    }
  }

  /** A call that was answered with an error is to be repeated; few errors are lawful. */
  protected isToRepeat(code: number, what: string): undefined {
    if (!TRY_AGAIN.has(code)) this.violate(`${what} was answered ${errorName(code)}`);
  }
}

interface Batch {
  readonly records: readonly Sent[];
  readonly bytes: Buffer;
}

abstract class Producer extends Worker {
  #order = 0;
  /** Some producers send records that fill chunks, journal files and segments. */
  readonly #largest = this.random.pick([2000, 30_000, 150_000]);

  protected async makeBatch(
    acks: 1 | -1,
    identity: { producerId: number; producerEpoch: number } | undefined,
  ): Promise<Batch> {
    const count = 1 + this.random.below(4);
    const baseSequence = identity === undefined ? -1 : this.#order;
    const records: Sent[] = [];
    for (let index = 0; index < count; index++) {
      const order = this.#order++;
      const size = this.random.chance(0.05) ? this.#largest : this.random.below(900);
      const value = Buffer.from(`${this.name}:${order} ${'x'.repeat(size)}`);
      const record: Sent = { place: this.place, producer: this.name, order, value, acks };
      records.push(record);
      this.history.sent(record);
    }
    const codec = this.random.pick(CODECS);
    const { compress } = await loadCodec(codec);
    const timestamp = this.world.clock.now();
    const bytes = buildBatch({
      ...identity,
      baseSequence,
      records: records.map(({ value }) => ({ key: null, value, timestamp })),
      compression: { codec, compress },
    });
    return { records, bytes };
  }

  /** Sends one batch; gives its base offset, or the error. */
  protected async send({ bytes }: Batch, acks: 1 | -1): Promise<{ code: number; offset: number }> {
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
    this.note(`acknowledged ${records[0]!.order} at ${baseOffset}`);
    for (const [index, record] of records.entries()) {
      record.offset = baseOffset + index;
      record.powerCuts = this.world.powerCuts;
    }
  }
}

/** Sends so many batches, several in flight, and each until it is acknowledged by acks=all. */
export class IdempotentProducer extends Producer {
  async run(batches: number): Promise<void> {
    const identity = await this.until(async () => {
      const answer = await this.client.call(initProducerId, {
        transactionalId: null,
        transactionTimeoutMs: 60_000,
      });
      return answer.errorCode === 0 ? answer : this.isToRepeat(answer.errorCode, 'InitProducerId');
    });
    this.note(`is producer ${identity.producerId}`);
    const window: Batch[] = [];
    for (let left = batches; left > 0 || window.length > 0; ) {
      for (; left > 0 && window.length < BATCHES_IN_FLIGHT; left--) {
        window.push(await this.makeBatch(-1, identity));
      }
      const done = await this.#sendAll(window);
      window.splice(0, done);
      await this.pause(done > 0 ? 150 : 600);
    }
  }

  /** Sends batches one behind the other; gives how many of them were acknowledged. */
  async #sendAll(window: readonly Batch[]): Promise<number> {
    const calls = window.map((batch) => this.send(batch, -1));
    let done = 0;
    let hasFailed = false;
    for (const [index, outcome] of (await Promise.allSettled(calls)).entries()) {
      if (outcome.status === 'rejected') {
        if (!(outcome.reason instanceof Disconnected)) throw outcome.reason;
        hasFailed = true;
        continue;
      }
      const { code, offset } = outcome.value;
      if (code === 0) {
        if (hasFailed) this.violate(`batch ${index} was taken, one before it was not`);
        this.acknowledged(window[index]!, offset);
        done++;
        continue;
      }
      // Behind a batch that was refused, the next one leaves a gap.
      const isGap = hasFailed && code === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER;
      if (!isGap) this.isToRepeat(code, `batch of ${window[index]!.records[0]!.order}`);
      hasFailed = true;
    }
    return done;
  }
}

/** Sends one batch after the other by acks=1 and repeats none. */
export class PlainProducer extends Producer {
  async run(batches: number): Promise<void> {
    for (let left = batches; left > 0; left--) {
      const batch = await this.makeBatch(1, undefined);
      try {
        const { code, offset } = await this.send(batch, 1);
        if (code === 0) this.acknowledged(batch, offset);
        else this.isToRepeat(code, `batch of ${batch.records[0]!.order}`);
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error;
        await this.pause(600);
      }
      await this.pause(150);
    }
  }
}

/** Reads a partition from its start. */
export class Reader extends Worker {
  position = 0;
  /** All that it was given. */
  readonly taken: Seen[] = [];
  #stopsAt = Number.POSITIVE_INFINITY;

  /** Ends the loop when this offset is reached. */
  stopAt(offset: number): void {
    this.#stopsAt = offset;
  }

  async run(): Promise<void> {
    while (this.position < this.#stopsAt) {
      await this.until(() => this.#poll());
      await this.polled();
    }
  }

  /** What is done between two fetches. */
  protected async polled(): Promise<void> {}

  async #poll(): Promise<true | undefined> {
    const { topic, partition } = this.place;
    const { responses } = await this.client.call(fetch, {
      maxWaitMs: 300,
      minBytes: this.random.pick([1, 1, 5000]),
      maxBytes: this.random.pick([1, 20_000, 2 ** 20]),
      topics: [
        {
          topic,
          partitions: [{ partition, fetchOffset: this.position, partitionMaxBytes: 30_000 }],
        },
      ],
    });
    const { errorCode, records } = responses[0]!.partitions[0]!;
    if (errorCode !== 0) return this.isToRepeat(errorCode, `fetch at ${this.position}`);
    const taken = await takeBatches(records ?? Buffer.alloc(0), this.position);
    if (taken.fault !== undefined) {
      this.violate(`fetch at ${this.position} of ${nameOf(this.place)}: ${taken.fault}`);
    }
    for (const record of taken.records) {
      this.taken.push(record);
      this.history.seen(this.name, this.place, record, this.world.powerCuts);
    }
    if (taken.nextOffset > this.position) this.note(`read up to ${taken.nextOffset}`);
    this.position = taken.nextOffset;
    return true;
  }
}

/** A reader in a group of its own, which commits now and then how far it has come. */
export class Consumer extends Reader {
  #committed = -1;

  override async run(): Promise<void> {
    await super.run();
    await this.until(() => this.#askCommitted());
  }

  protected override async polled(): Promise<void> {
    if (this.random.chance(0.2)) await this.until(() => this.#commit());
    if (this.random.chance(0.1)) await this.until(() => this.#askCommitted());
    await this.pause(60);
  }

  async #commit(): Promise<true | undefined> {
    const { topic: name, partition: partitionIndex } = this.place;
    const committedOffset = this.position;
    const { topics } = await this.client.call(offsetCommit, {
      groupId: this.name,
      memberId: '',
      topics: [
        { name, partitions: [{ partitionIndex, committedOffset, committedMetadata: null }] },
      ],
    });
    const { errorCode } = topics[0]!.partitions[0]!;
    if (errorCode !== 0) return this.isToRepeat(errorCode, 'a commit');
    this.note(`committed ${committedOffset}`);
    this.#committed = committedOffset;
    return true;
  }

  async #askCommitted(): Promise<true | undefined> {
    const { topic: name, partition } = this.place;
    const { topics, errorCode } = await this.client.call(offsetFetch, {
      groupId: this.name,
      topics: [{ name, partitionIndexes: [partition] }],
    });
    const answer = topics[0]?.partitions[0];
    const code = errorCode || (answer?.errorCode ?? 0);
    if (code !== 0 || answer === undefined) return this.isToRepeat(code, 'OffsetFetch');
    const { committedOffset } = answer;
    if (committedOffset < this.#committed || committedOffset > this.position) {
      this.violate(`committed ${this.#committed}, at ${this.position}, found ${committedOffset}`);
    }
    return true;
  }
}

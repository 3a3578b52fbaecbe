/** Simulated consumers: they read, commit how far they have come, and ask for what they committed. */

import { ErrorCode } from '../../protocol/errors.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { ListOffsetsRequest, ListOffsetsResponse } from '../../protocol/messages/list-offsets.ts';
import {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../protocol/messages/offset-commit.ts';
import { OffsetFetchRequest, OffsetFetchResponse } from '../../protocol/messages/offset-fetch.ts';
import { batchBytes, lastOffset } from '../../protocol/record-batch.ts';
import type { Decoded } from '../../protocol/schema.ts';
import { checkPhantom } from './checkers/logs.ts';
import { type Lawful, takeBatches } from './checkers/polls.ts';
import { nameOf, type Seen } from './history.ts';
import { Worker } from './worker.ts';

const fetch = { request: FetchRequest, response: FetchResponse, version: 12 };
const offsetCommit = { request: OffsetCommitRequest, response: OffsetCommitResponse, version: 8 };
const listOffsets = { request: ListOffsetsRequest, response: ListOffsetsResponse, version: 7 };
const offsetFetch = { request: OffsetFetchRequest, response: OffsetFetchResponse, version: 7 };

/** The timestamp by which ListOffsets means the log's start. */
const EARLIEST = -2;

type Answer = Decoded<typeof FetchResponse>['responses'][number]['partitions'][number];

/** Size of the records, where they are all that there was: else more of them counted. */
function bytesOfAll({ records, highWatermark }: Answer): number | undefined {
  if (records === null || records.length === 0) return 0;
  let last = -1;
  for (let at = 0; at < records.length; at += batchBytes(records, at)) {
    last = lastOffset(records, at);
  }
  return last + 1 < highWatermark ? undefined : records.length;
}

/** Reads a partition from its start. */
export class Reader extends Worker {
  position = 0;
  /** All that it was given. */
  readonly taken: Seen[] = [];
  /** Whether records may be deleted before it comes to them. */
  readonly mayBeOvertaken: boolean = false;
  protected readonly isolationLevel: 0 | 1 = 0;
  /** Whether the topic is compacted. */
  protected readonly isCompacted: boolean = false;
  #stopsAt = Number.POSITIVE_INFINITY;

  /** Ends the loop when this offset is reached. */
  stopAt(offset: number): void {
    this.#stopsAt = offset;
  }

  async run(): Promise<void> {
    while (this.position < this.#stopsAt) {
      await this.until(() => this.poll());
      await this.polled();
    }
  }

  /** What is done between two fetches. */
  protected async polled(): Promise<void> {}

  protected async poll(): Promise<true | undefined> {
    const answer = await this.fetch();
    const { errorCode } = answer;
    if (errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) return this.#overtaken();
    if (errorCode !== 0) return this.isToRepeat(errorCode, `fetch at ${this.position}`);
    await this.take(await this.recordsOf(answer));
    return true;
  }

  /** What it wants to read is not there: on most topics that cannot be. Others start anew. */
  async #overtaken(): Promise<undefined> {
    if (!this.mayBeOvertaken) {
      this.violate('error', `fetch at ${this.position} was answered OFFSET_OUT_OF_RANGE`);
      return undefined;
    }
    const { topic, partition } = this.place;
    const { topics } = await this.client.call(listOffsets, {
      replicaId: -1,
      topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: EARLIEST }] }],
    });
    const { errorCode, offset } = topics[0]!.partitions[0]!;
    if (errorCode !== 0) return this.isToRepeat(errorCode, 'ListOffsets');
    if (offset < this.position) {
      this.violate('start', `${this.position} is out of range, the log starts at ${offset}`);
    }
    this.note(`was overtaken at ${this.position} by ${offset}`);
    this.position = offset;
    return undefined;
  }

  /** The bytes of an answer. */
  protected recordsOf({ records }: Answer): Promise<Buffer> | Buffer {
    return records ?? Buffer.alloc(0);
  }

  protected async fetch(locate?: { maxBytes: number; hostId: string }): Promise<Answer> {
    const { topic, partition } = this.place;
    const { position, isolationLevel } = this;
    const maxWaitMs = this.random.pick([300, 300, 2000]);
    const minBytes = this.random.pick([1, 1, 5000]);
    const maxBytes = this.random.pick([1, 20_000, 2 ** 20]);
    const poll = { reader: this.name, place: this.place, position, minBytes, maxBytes, maxWaitMs };
    const isWatched = isolationLevel === 0 && locate === undefined;
    const answered = isWatched ? this.shared.watchers.sent(poll) : () => {};
    const asked = { partition, fetchOffset: position, partitionMaxBytes: 30_000 };
    const { responses } = await this.client.call(fetch, {
      maxWaitMs,
      minBytes,
      maxBytes,
      isolationLevel,
      topics: [{ topic, partitions: [asked] }],
      ...(locate === undefined ? {} : { locate }),
    });
    const answer = responses[0]!.partitions[0]!;
    answered(answer.errorCode === 0 ? bytesOfAll(answer) : undefined);
    return answer;
  }

  protected async take(bytes: Buffer): Promise<void> {
    const { world, shared, place } = this;
    const taken = await takeBatches(bytes, this.position, this.lawful);
    if (taken.fault !== undefined) {
      this.violate('poll', `fetch at ${this.position} of ${nameOf(place)}: ${taken.fault}`);
    }
    for (const record of taken.records) {
      this.taken.push(record);
      this.given(record);
      shared.sightings.seen(this.name, place, record, world.powerCuts);
    }
    if (taken.nextOffset > this.position) this.note(`read up to ${taken.nextOffset}`);
    this.position = taken.nextOffset;
  }

  protected given(record: Seen): void {
    checkPhantom(this.history, this.name, this.place, record);
  }

  protected get lawful(): Lawful {
    const hasGaps = this.world.powerCuts > 0 && this.place.visibility === 'written';
    return { gaps: this.isCompacted, control: this.isCompacted || hasGaps };
  }
}

/** A reader in a group of its own, which commits now and then how far it has come. */
export class Consumer extends Reader {
  override async run(): Promise<void> {
    await super.run();
    await this.until(() => this.#askCommitted());
  }

  protected override async polled(): Promise<void> {
    if (this.random.chance(0.2)) await this.until(() => this.#commit());
    if (this.random.chance(0.1)) await this.until(() => this.#askCommitted());
    await this.pause(100);
  }

  async #commit(): Promise<true | undefined> {
    const { topic: name, partition: partitionIndex } = this.place;
    const committedOffset = this.position;
    const commit = this.shared.commits.begun(this.name, nameOf(this.place), committedOffset);
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
    commit.done();
    return true;
  }

  async #askCommitted(): Promise<true | undefined> {
    const { topic: name, partition } = this.place;
    const told = this.shared.commits.asked(this.name, nameOf(this.place));
    const { topics, errorCode } = await this.client.call(offsetFetch, {
      groupId: this.name,
      topics: [{ name, partitionIndexes: [partition] }],
    });
    const answer = topics[0]?.partitions[0];
    const code = errorCode || (answer?.errorCode ?? 0);
    if (code !== 0 || answer === undefined) return this.isToRepeat(code, 'OffsetFetch');
    told(answer.committedOffset);
    return true;
  }
}

/** Goes on from the log's start when what it wants was deleted. */
export class OvertakenConsumer extends Consumer {
  override readonly mayBeOvertaken = true;
}

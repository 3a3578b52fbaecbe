/** Simulated administrators: topics come and go, and a partition loses its oldest records. */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import {
  DeleteRecordsRequest,
  DeleteRecordsResponse,
} from '../../protocol/messages/delete-records.ts';
import {
  DeleteTopicsRequest,
  DeleteTopicsResponse,
} from '../../protocol/messages/delete-topics.ts';
import { ListOffsetsRequest, ListOffsetsResponse } from '../../protocol/messages/list-offsets.ts';
import { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts';
import type { Place } from './history.ts';
import { Worker } from './workload.ts';

const createTopics = { request: CreateTopicsRequest, response: CreateTopicsResponse, version: 5 };
const deleteTopics = { request: DeleteTopicsRequest, response: DeleteTopicsResponse, version: 5 };
const deleteRecords = {
  request: DeleteRecordsRequest,
  response: DeleteRecordsResponse,
  version: 2,
};
const listOffsets = { request: ListOffsetsRequest, response: ListOffsetsResponse, version: 7 };
const metadata = { request: MetadataRequest, response: MetadataResponse, version: 9 };

export const LATEST = -1;
export const EARLIEST = -2;

/** Asks and does what administrators do, until it is done. */
export class Administrator extends Worker {
  /** Creates a topic; done also when an attempt before had got through. */
  async create(name: string, partitions: number, configs: Record<string, string>): Promise<void> {
    await this.until(async () => {
      const { topics } = await this.client.call(createTopics, {
        topics: [
          {
            name,
            numPartitions: partitions,
            replicationFactor: 1,
            assignments: [],
            configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
          },
        ],
      });
      const code = topics[0]!.errorCode;
      if (code === ErrorCode.NONE || code === ErrorCode.TOPIC_ALREADY_EXISTS) return true;
      return this.isToRepeat(code, `creating ${name}`);
    });
    this.note(`created ${name}`);
  }

  async delete(name: string): Promise<void> {
    await this.until(async () => {
      const { responses } = await this.client.call(deleteTopics, {
        topicNames: [name],
        timeoutMs: 30_000,
      });
      const code = responses[0]!.errorCode;
      if (code === ErrorCode.NONE || code === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) return true;
      return this.isToRepeat(code, `deleting ${name}`);
    });
    this.note(`deleted ${name}`);
  }

  /** First or next offset of a partition. */
  offset({ topic, partition }: Place, timestamp: number): Promise<number> {
    return this.until(async () => {
      const { topics } = await this.client.call(listOffsets, {
        replicaId: -1,
        topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }],
      });
      const { errorCode, offset } = topics[0]!.partitions[0]!;
      return errorCode === 0 ? offset : this.isToRepeat(errorCode, `offset of ${topic}`);
    });
  }

  /** Names of all topics. */
  topics(): Promise<Set<string>> {
    return this.until(async () => {
      const { topics } = await this.client.call(metadata, { topics: null });
      return new Set(topics.map(({ name }) => name!));
    });
  }
}

/** Creates topics and deletes some of them; what was answered must hold. */
export class Keeper extends Administrator {
  readonly #there = new Set<string>();
  readonly #gone = new Set<string>();

  async run(count: number): Promise<void> {
    for (let made = 0; made < count; made++) {
      const name = `made-${made}`;
      await this.create(name, 1 + this.random.below(3), {});
      this.#there.add(name);
      await this.pause(400);
      if (!this.random.chance(0.6)) continue;
      this.#there.delete(name);
      await this.delete(name);
      this.#gone.add(name);
      await this.pause(300);
    }
  }

  async check(): Promise<void> {
    const found = await this.topics();
    for (const name of this.#there) if (!found.has(name)) this.violate(`${name} is gone`);
    for (const name of this.#gone) if (found.has(name)) this.violate(`${name} is there again`);
  }
}

/** Deletes the oldest records now and then; what is gone stays gone. */
export class Trimmer extends Administrator {
  /** Up to here records were deleted for certain, and up to here at most. */
  start = 0;
  most = 0;

  async run(times: number): Promise<void> {
    for (let left = times; left > 0; left--) {
      const end = await this.offset(this.place, LATEST);
      const offset = this.most + this.random.below(Math.max(end - this.most, 0) + 1);
      this.most = offset;
      await this.until(() => this.#deleteBefore(offset));
      await this.check();
      await this.pause(500);
    }
  }

  async #deleteBefore(offset: number): Promise<true | undefined> {
    const { topic: name, partition: partitionIndex } = this.place;
    const { topics } = await this.client.call(deleteRecords, {
      topics: [{ name, partitions: [{ partitionIndex, offset }] }],
      timeoutMs: 30_000,
    });
    const { errorCode, lowWatermark } = topics[0]!.partitions[0]!;
    if (errorCode !== 0) return this.isToRepeat(errorCode, `deleting before ${offset}`);
    if (lowWatermark !== offset) this.violate(`deleted before ${offset}, told ${lowWatermark}`);
    this.note(`trimmed to ${offset}`);
    this.start = offset;
    return true;
  }

  async check(): Promise<void> {
    const found = await this.offset(this.place, EARLIEST);
    if (found < this.start || found > this.most) {
      this.violate(`the log starts at ${found}, trimmed to ${this.start} (at most ${this.most})`);
    }
  }
}

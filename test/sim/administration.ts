/** A simulated administrator: makes topics, deletes them, asks for offsets, and reads what is there. */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import {
  DeleteTopicsRequest,
  DeleteTopicsResponse,
} from '../../protocol/messages/delete-topics.ts';
import { ListOffsetsRequest, ListOffsetsResponse } from '../../protocol/messages/list-offsets.ts';
import { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts';
import { checkAcknowledged, checkOrder, type WholeLog } from './checkers/logs.ts';
import { nameOf, type Place } from './history.ts';
import { Reader } from './readers.ts';
import { Worker } from './worker.ts';

const createTopics = { request: CreateTopicsRequest, response: CreateTopicsResponse, version: 5 };
const deleteTopics = { request: DeleteTopicsRequest, response: DeleteTopicsResponse, version: 5 };
const listOffsets = { request: ListOffsetsRequest, response: ListOffsetsResponse, version: 7 };
const metadata = { request: MetadataRequest, response: MetadataResponse, version: 9 };

export const LATEST = -1;
export const EARLIEST = -2;

/** Reads all that there is, where retention goes on, too. */
class Auditor extends Reader {
  override readonly mayBeOvertaken = true;
}

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

  /** Reads a partition from its start and holds it against what was sent, acknowledged and seen. */
  async audit(place: Place): Promise<WholeLog> {
    const { shared, world, history } = this;
    const reader = new Auditor(shared, `auditor-${nameOf(place)}`, place);
    reader.position = await this.offset(place, EARLIEST);
    const end = await this.offset(place, LATEST);
    reader.stopAt(end);
    await reader.run();
    reader.leave();
    // Retention may have moved it meanwhile.
    const start = await this.offset(place, EARLIEST);
    const log = { place, records: reader.taken, start, powerCuts: world.powerCuts };
    checkAcknowledged(history, log);
    checkOrder(history, log);
    shared.sightings.checkGhosts(log);
    this.note(`${nameOf(place)} has ${log.records.length} records from ${start} to ${end}`);
    return log;
  }
}

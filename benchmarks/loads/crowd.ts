/**
 * Very many connections that each do a little: most wait in a fetch, some ask for metadata now and
 * then, few produce a small record each second.
 */

import { encodeRequest } from '../../protocol/header.ts';
import { FetchRequest } from '../../protocol/messages/fetch.ts';
import { MetadataRequest } from '../../protocol/messages/metadata.ts';
import { ProduceRequest } from '../../protocol/messages/produce.ts';
import { timedBatch } from '../client/batches.ts';
import { CLIENT_ID } from '../client/connection.ts';
import { LeanSockets } from './lean-sockets.ts';
import { type Load, type LoadCounts, type LoadOrder, NOTHING } from './load.ts';

const HEADER = { correlationId: 1, clientId: CLIENT_ID };
const METADATA_VERSION = 8;
const FETCH_VERSION = 12;
const PRODUCE_VERSION = 9;
const MAX_WAIT_MS = 20_000;
const MAX_BYTES = 64 * 1024;
const RECORD_BYTES = 100;
const TIMEOUT_MS = 30_000;

/** What one of the crowd says over and over, and how long it rests after the answer. */
interface Habit {
  readonly request: Buffer;
  readonly restMs: number;
}

export class Crowd implements Load {
  readonly #order: LoadOrder;
  readonly #sockets: LeanSockets;
  readonly #parked: readonly Habit[];
  readonly #asking: Habit;
  readonly #producing: readonly Habit[];
  readonly #timers = new Set<NodeJS.Timeout>();
  #answers = 0;

  constructor(order: LoadOrder) {
    this.#order = order;
    const all = Array.from({ length: order.partitions }, (_, partition) => partition);
    // The first half of the partitions is written to, and waited for is the other one.
    this.#parked = all.slice(all.length / 2).map((partition) => fetching(order.topic, partition));
    this.#producing = all.slice(0, all.length / 2).map((index) => producing(order.topic, index));
    this.#asking = { request: asking(order.topic), restMs: 10_000 };
    const { host, port } = order;
    this.#sockets = new LeanSockets({
      host,
      port,
      begin: (socket, index) => socket.write(this.#habit(index).request),
      onData: (socket, index) => {
        this.#answers += 1;
        const { request, restMs } = this.#habit(index);
        const timer = setTimeout(() => {
          this.#timers.delete(timer);
          if (!socket.destroyed) socket.write(request);
        }, restMs);
        this.#timers.add(timer);
      },
    });
  }

  start(): Promise<void> {
    return this.#sockets.open(this.#order.connections);
  }

  stop(): LoadCounts {
    for (const timer of this.#timers) clearTimeout(timer);
    const counts = { ...NOTHING, answers: this.#answers, closed: this.#sockets.closed };
    this.#sockets.close();
    return counts;
  }

  /** Of a hundred one produces, nine ask, ninety wait. */
  #habit(index: number): Habit {
    const share = index % 100;
    const turn = Math.floor(index / 100);
    if (share === 0) return this.#producing[turn % this.#producing.length]!;
    if (share < 10) return this.#asking;
    return this.#parked[index % this.#parked.length]!;
  }
}

function asking(topic: string): Buffer {
  const value = { topics: [{ name: topic }] };
  const header = { ...HEADER, apiVersion: METADATA_VERSION };
  return Buffer.concat(encodeRequest(MetadataRequest, header, value));
}

function fetching(topic: string, partition: number): Habit {
  const partitions = [{ partition, fetchOffset: 0, partitionMaxBytes: MAX_BYTES }];
  const value = {
    maxWaitMs: MAX_WAIT_MS,
    minBytes: 1,
    maxBytes: MAX_BYTES,
    topics: [{ topic, partitions }],
  };
  const header = { ...HEADER, apiVersion: FETCH_VERSION };
  return { request: Buffer.concat(encodeRequest(FetchRequest, header, value)), restMs: 0 };
}

function producing(topic: string, index: number): Habit {
  const partitionData = [{ index, records: timedBatch(RECORD_BYTES) }];
  const value = { acks: -1, timeoutMs: TIMEOUT_MS, topicData: [{ name: topic, partitionData }] };
  const header = { ...HEADER, apiVersion: PRODUCE_VERSION };
  return { request: Buffer.concat(encodeRequest(ProduceRequest, header, value)), restMs: 1000 };
}

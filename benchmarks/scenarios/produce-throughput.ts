/** How many bytes a second a broker takes, with as many requests under way as clients have. */

import { type BatchShape, makeBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
import { type Acks, type PartitionBatch, PreparedProduce } from '../client/producer.ts';
import { createTopic, deleteTopic, endOffsets } from '../client/topics.ts';
import { sleep } from '../pace.ts';
import {
  type Figures,
  freshTopic,
  higher,
  Meter,
  type Scenario,
  type Target,
  throughputFigures,
} from '../scenario.ts';

/** Clients send up to five requests before they wait for an answer. */
const IN_FLIGHT = 5;
const WARM_UP_MS = 1_000;
/** Unanswered requests (acks=0) are held back while so many bytes have not left the process. */
const UNSENT_LIMIT_BYTES = 4 * 1024 * 1024;
const DIFFERENT_BATCHES = 4;

export interface ProduceShape extends BatchShape {
  readonly partitions: number;
  /** Batches of one request, for partitions one after the other, as clients group them. */
  readonly perRequest: number;
  readonly connections: number;
  readonly acks: Acks;
}

function scenario(name: string, about: string, shape: ProduceShape): Scenario {
  return { name, about, run: (target, { seconds }) => measureProduce(target, seconds, shape) };
}

/** Batches as large as Java clients make them by default, on one connection. */
export const batches16k = {
  recordBytes: 1024,
  recordCount: 15,
  codec: 'none',
  connections: 1,
  partitions: 12,
  perRequest: 12,
} as const;
const batches64k = { ...batches16k, recordCount: 60, connections: 4 } as const;

export const produceThroughput: readonly Scenario[] = [
  scenario('bulk-1-acks1', '1 partition, 1 KiB records, 16 KiB batches, 1 connection, acks=1', {
    ...batches16k,
    partitions: 1,
    perRequest: 1,
    acks: 1,
  }),
  scenario('bulk-12-acks1', '12 partitions, 1 KiB records, 16 KiB batches, acks=1', {
    ...batches16k,
    acks: 1,
  }),
  scenario('bulk-12-acksall', '12 partitions, 1 KiB records, 16 KiB batches, acks=all', {
    ...batches16k,
    acks: -1,
  }),
  scenario('bulk-12-lz4', '12 partitions, 100 B records, 16 KiB batches of lz4, acks=1', {
    ...batches16k,
    recordBytes: 100,
    recordCount: 300,
    codec: 'lz4',
    acks: 1,
  }),
  scenario('bulk-1000-acksall', 'as bulk-12-acksall, over 1 000 partitions in turn', {
    ...batches16k,
    partitions: 1000,
    acks: -1,
  }),
  scenario('produce-1-acks1', '1 partition, 1 KiB records in 64 KiB batches, acks=1', {
    ...batches64k,
    partitions: 1,
    perRequest: 1,
    acks: 1,
  }),
  scenario('produce-12-acks1', '12 partitions, 1 KiB records in 64 KiB batches, acks=1', {
    ...batches64k,
    acks: 1,
  }),
  scenario('produce-12-acksall', '12 partitions, 1 KiB records in 64 KiB batches, acks=all', {
    ...batches64k,
    acks: -1,
  }),
  scenario('produce-12-acks0', '12 partitions, 1 KiB records in 64 KiB batches, acks=0', {
    ...batches64k,
    acks: 0,
  }),
  scenario('produce-12-gzip', '12 partitions, 1 KiB records in gzip batches, acks=1', {
    ...batches64k,
    acks: 1,
    codec: 'gzip',
  }),
  scenario('produce-small', '12 partitions, one record of 100 bytes a batch, acks=all', {
    recordBytes: 100,
    recordCount: 1,
    codec: 'none',
    connections: 32,
    partitions: 12,
    perRequest: 1,
    acks: -1,
  }),
];

/** What a broker takes of one kind of batches, on a topic of their own. */
export async function measureProduce(
  target: Target,
  measuredSeconds: number,
  shape: ProduceShape,
): Promise<Figures> {
  const control = await WireConnection.open(target.host, target.port);
  const topic = freshTopic('produce');
  await createTopic(control, topic, shape.partitions);
  const load = new Load(topic, shape);
  const connections = await Promise.all(
    Array.from({ length: shape.connections }, () => WireConnection.open(target.host, target.port)),
  );
  const ended = Promise.all(connections.map((connection, index) => load.drive(connection, index)));
  try {
    await Promise.race([sleep(WARM_UP_MS), ended]);
    const first = await load.taken(control);
    const meter = new Meter(target);
    await Promise.race([sleep(measuredSeconds * 1000), ended]);
    const usage = meter.read();
    const batches = (await load.taken(control)) - first;
    load.stopped = true;
    await ended;
    return {
      ...throughputFigures(batches * load.batchBytes, usage),
      records: higher((batches * shape.recordCount) / usage.seconds, '1/s'),
    };
  } finally {
    load.stopped = true;
    await deleteTopic(control, topic);
    for (const connection of [...connections, control]) connection.close();
  }
}

/** The requests that go over all partitions in turn, as many as the turn has, and two rounds. */
function requestsOf(shape: ProduceShape, batches: readonly Buffer[]): PartitionBatch[][] {
  const { partitions, perRequest } = shape;
  let turn = 1;
  while ((turn * perRequest) % partitions !== 0) turn += 1;
  // More than are under way at once, and each batch at each place.
  const count = turn * Math.ceil((2 * IN_FLIGHT) / turn);
  return Array.from({ length: count }, (_, request) =>
    Array.from({ length: perRequest }, (_, place) => ({
      index: (request * perRequest + place) % partitions,
      records: batches[(request + place) % batches.length]!,
    })),
  );
}

/** Keeps connections busy until it is stopped. */
class Load {
  stopped = false;
  readonly batchBytes: number;
  readonly #topic: string;
  readonly #shape: ProduceShape;
  readonly #requests: readonly (readonly PartitionBatch[])[];
  #acknowledged = 0;

  constructor(topic: string, shape: ProduceShape) {
    this.#topic = topic;
    this.#shape = shape;
    const batches = Array.from({ length: DIFFERENT_BATCHES }, () => makeBatch(shape));
    this.#requests = requestsOf(shape, batches);
    const bytes = batches.reduce((sum, batch) => sum + batch.length, 0);
    this.batchBytes = bytes / DIFFERENT_BATCHES;
  }

  /** Batches that the broker has taken; with acks=0 it must be asked. */
  async taken(control: WireConnection): Promise<number> {
    if (this.#shape.acks !== 0) return this.#acknowledged;
    const ends = await endOffsets(control, this.#topic, this.#shape.partitions);
    return ends.reduce((sum, end) => sum + end, 0) / this.#shape.recordCount;
  }

  /** Resolves when it was stopped and every request is answered. */
  drive(connection: WireConnection, index: number): Promise<void> {
    const prepared = new PreparedProduce(this.#topic, this.#shape.acks, this.#requests, index);
    if (this.#shape.acks === 0) return this.#pour(connection, prepared);
    const { perRequest } = this.#shape;
    return new Promise((resolve, reject) => {
      let inFlight = 0;
      const send = () => {
        inFlight += 1;
        prepared.send(connection, acknowledged, reject);
      };
      const acknowledged = () => {
        this.#acknowledged += perRequest;
        inFlight -= 1;
        if (!this.stopped) send();
        else if (inFlight === 0) resolve();
      };
      for (let count = 0; count < IN_FLIGHT; count += 1) send();
    });
  }

  #pour(connection: WireConnection, prepared: PreparedProduce): Promise<void> {
    return new Promise((resolve, reject) => {
      const more = () => {
        if (this.stopped) {
          // Its answer comes when all that was sent before has been taken.
          endOffsets(connection, this.#topic, this.#shape.partitions).then(() => resolve(), reject);
          return;
        }
        while (connection.unsentBytes < UNSENT_LIMIT_BYTES) {
          prepared.send(connection, () => {}, reject);
        }
        connection.whenDrained(more);
      };
      more();
    });
  }
}

/** How many bytes a second a broker takes, with as many requests under way as clients have. */

import { type BatchShape, makeBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
import { type Acks, type PartitionBatch, produce } from '../client/producer.ts';
import { createTopic, deleteTopic, endOffsets } from '../client/topics.ts';
import { sleep } from '../pace.ts';
import { processStats } from '../process-stats.ts';
import {
  type Figures,
  freshTopic,
  higher,
  type Scenario,
  type Settings,
  type Target,
  throughputFigures,
} from '../scenario.ts';

/** Clients send up to five requests before they wait for an answer. */
const IN_FLIGHT = 5;
const WARM_UP_MS = 1_000;
/** Unanswered requests (acks=0) are held back while so many bytes have not left the process. */
const UNSENT_LIMIT_BYTES = 4 * 1024 * 1024;
const DIFFERENT_BATCHES = 4;

interface Shape extends BatchShape {
  readonly partitions: number;
  readonly connections: number;
  readonly acks: Acks;
}

function scenario(name: string, about: string, shape: Shape): Scenario {
  return { name, about, run: (target, settings) => run(target, settings, shape) };
}

const usual = { recordBytes: 1024, recordCount: 60, codec: 'none', connections: 4 } as const;

export const produceThroughput: readonly Scenario[] = [
  scenario('produce-1-acks1', '1 partition, 1 KiB records in 64 KiB batches, acks=1', {
    ...usual,
    partitions: 1,
    acks: 1,
  }),
  scenario('produce-12-acks1', '12 partitions, 1 KiB records in 64 KiB batches, acks=1', {
    ...usual,
    partitions: 12,
    acks: 1,
  }),
  scenario('produce-12-acksall', '12 partitions, 1 KiB records in 64 KiB batches, acks=all', {
    ...usual,
    partitions: 12,
    acks: -1,
  }),
  scenario('produce-12-acks0', '12 partitions, 1 KiB records in 64 KiB batches, acks=0', {
    ...usual,
    partitions: 12,
    acks: 0,
  }),
  scenario('produce-12-gzip', '12 partitions, 1 KiB records in gzip batches, acks=1', {
    ...usual,
    partitions: 12,
    acks: 1,
    codec: 'gzip',
  }),
  scenario('produce-small', '12 partitions, one record of 100 bytes a batch, acks=all', {
    recordBytes: 100,
    recordCount: 1,
    codec: 'none',
    connections: 32,
    partitions: 12,
    acks: -1,
  }),
];

async function run(target: Target, settings: Settings, shape: Shape): Promise<Figures> {
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
    const before = processStats(target.pid);
    const first = await load.taken(control);
    const began = performance.now();
    await Promise.race([sleep(settings.seconds * 1000), ended]);
    const seconds = (performance.now() - began) / 1000;
    const batches = (await load.taken(control)) - first;
    const figures = throughputFigures(batches * load.batchBytes, seconds, before, target);
    figures.records = higher((batches * shape.recordCount) / seconds, '1/s');
    load.stopped = true;
    await ended;
    return figures;
  } finally {
    load.stopped = true;
    await deleteTopic(control, topic);
    for (const connection of [...connections, control]) connection.close();
  }
}

/** Keeps connections busy until it is stopped. */
class Load {
  stopped = false;
  readonly batchBytes: number;
  readonly #topic: string;
  readonly #shape: Shape;
  readonly #batches: readonly Buffer[];
  #acknowledged = 0;

  constructor(topic: string, shape: Shape) {
    this.#topic = topic;
    this.#shape = shape;
    this.#batches = Array.from({ length: DIFFERENT_BATCHES }, () => makeBatch(shape));
    const bytes = this.#batches.reduce((sum, batch) => sum + batch.length, 0);
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
    if (this.#shape.acks === 0) return this.#pour(connection, index);
    return new Promise((resolve, reject) => {
      let turn = index;
      let inFlight = 0;
      const send = () => {
        const batches = this.#request(turn);
        turn += 1;
        inFlight += 1;
        const acknowledged = () => {
          this.#acknowledged += batches.length;
          inFlight -= 1;
          if (!this.stopped) send();
          else if (inFlight === 0) resolve();
        };
        produce(connection, this.#topic, this.#shape.acks, batches, acknowledged, reject);
      };
      for (let count = 0; count < IN_FLIGHT; count += 1) send();
    });
  }

  #pour(connection: WireConnection, index: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let turn = index;
      const more = () => {
        if (this.stopped) {
          // Its answer comes when all that was sent before has been taken.
          endOffsets(connection, this.#topic, this.#shape.partitions).then(() => resolve(), reject);
          return;
        }
        while (connection.unsentBytes < UNSENT_LIMIT_BYTES) {
          produce(connection, this.#topic, 0, this.#request(turn), () => {}, reject);
          turn += 1;
        }
        connection.whenDrained(more);
      };
      more();
    });
  }

  /** Large batches go to all partitions in one request, as clients group them; small ones to one. */
  #request(turn: number): PartitionBatch[] {
    const { partitions, recordCount } = this.#shape;
    const records = this.#batches[turn % DIFFERENT_BATCHES]!;
    if (recordCount === 1) return [{ index: turn % partitions, records }];
    return Array.from({ length: partitions }, (_, index) => ({ index, records }));
  }
}

/** What grows along each curve, and how a point of it is measured. */

import { WireConnection } from './client/connection.ts';
import { read } from './client/reader.ts';
import type { SkimmedTopic } from './client/skimming-reader.ts';
import { createTopic, deleteTopic } from './client/topics.ts';
import { processStats } from './process-stats.ts';
import { type Figures, freshTopic, Latencies, lower, type Target } from './scenario.ts';
import { measureDelivery } from './scenarios/end-to-end.ts';
import { fillAlike, measureReaders } from './scenarios/hot-reads.ts';
import { batches16k, measureProduce } from './scenarios/produce-throughput.ts';
import { measureSerial } from './scenarios/serial.ts';
import { settle } from './settle.ts';

export interface CurvePanel {
  readonly title: string;
  readonly unit: string;
  /** Name of a figure, and what it is called where a panel has several. */
  readonly figures: Readonly<Record<string, string>>;
}

/** A broker on which points are measured. */
export interface OpenCurve {
  measure(x: number, seconds: number): Promise<Figures>;
  close(): Promise<void>;
}

export interface Curve {
  readonly name: string;
  readonly title: string;
  readonly xTitle: string;
  readonly points: readonly number[];
  readonly panels: readonly CurvePanel[];
  open(target: Target): Promise<OpenCurve>;
}

const PER_REQUEST = 12;
const SERIAL_PARTITIONS = 12;
const DELIVERIES = { perSecond: 20, recordBytes: 1024, recordCount: 1, acks: 1 } as const;
const SIZED_PARTITIONS = 12;
const LOOK_UPS = 500;
const LOOK_UP_BYTES = 64 * 1024;
const GIGABYTE = 1e9;

/** Producing over so many partitions, twelve batches of 16 KiB a request. */
const partitions: Curve = {
  name: 'partitions',
  title: 'Producing with acks=all over 1 to 10 000 partitions in turn',
  xTitle: 'partitions',
  points: [1, 10, 100, 1000, 10_000],
  panels: [
    { title: 'Throughput', unit: 'MB/s', figures: { throughput: '' } },
    { title: 'Processor time', unit: 'CPU-s/GB', figures: { 'broker CPU': '' } },
  ],
  open: async (target) => ({
    measure: (x, seconds) => {
      const perRequest = Math.min(x, PER_REQUEST);
      const shape = { ...batches16k, partitions: x, perRequest, acks: -1 } as const;
      return measureProduce(target, seconds, shape);
    },
    close: async () => {},
  }),
};

/** Producers that wait for each answer, each on a connection of its own. */
const connections: Curve = {
  name: 'connections',
  title: 'Serial producers with acks=1 on 1 to 10 000 connections',
  xTitle: 'connections',
  points: [1, 10, 100, 1000, 10_000],
  panels: [
    { title: 'Requests', unit: 'requests/s', figures: { requests: '' } },
    { title: 'Processor time', unit: 'µs/request', figures: { 'broker CPU': '' } },
  ],
  open: async (target) => ({
    measure: async (x, seconds) => {
      const control = await WireConnection.open(target.host, target.port);
      const topic = freshTopic('connections');
      await createTopic(control, topic, SERIAL_PARTITIONS);
      try {
        return await measureSerial(target, topic, SERIAL_PARTITIONS, x, 1, seconds);
      } finally {
        await deleteTopic(control, topic);
        control.close();
      }
    },
    close: async () => {},
  }),
};

/** Consumers that all wait for the same records. */
const consumers: Curve = {
  name: 'consumers',
  title: `${DELIVERIES.perSecond} records of 1 KiB a second to each of 1 to 1 000 waiting consumers`,
  xTitle: 'consumers',
  points: [1, 10, 100, 1000],
  panels: [
    { title: 'From the send to a consumer', unit: 'ms', figures: { p50: 'p50', p99: 'p99' } },
    { title: 'Processor time', unit: 'CPU-s/GB', figures: { 'broker CPU': '' } },
  ],
  open: async (target) => ({
    measure: (x, seconds) => measureDelivery(target, seconds, { ...DELIVERIES, consumers: x }),
    close: async () => {},
  }),
};

/** A topic that grows: read from its start by one consumer, and looked into at any place. */
const size: Curve = {
  name: 'size',
  title: 'Reading a topic of 0.1 to 10 GB in 12 partitions',
  xTitle: 'GB of the topic',
  points: [0.1, 1, 10],
  panels: [
    { title: 'Reading from the start', unit: 'MB/s', figures: { throughput: '' } },
    { title: 'A fetch at a random offset', unit: 'ms', figures: { p50: 'p50', p99: 'p99' } },
    { title: 'Memory of the broker', unit: 'MiB', figures: { 'broker memory': '' } },
  ],
  open: async (target) => {
    const control = await WireConnection.open(target.host, target.port);
    const name = freshTopic('size');
    await createTopic(control, name, SIZED_PARTITIONS);
    let filledBytes = 0;
    return {
      measure: async (x, seconds) => {
        const missing = x * GIGABYTE - filledBytes;
        const topic = await fillAlike(control, name, SIZED_PARTITIONS, missing);
        filledBytes = x * GIGABYTE;
        await settle([]);
        const reading = await measureReaders(target, topic, 1, seconds);
        const { p50, p99 } = (await lookUps(control, topic)).figures();
        const resident = processStats(target.pid)?.residentMebibytes;
        const memory = resident === undefined ? {} : { 'broker memory': lower(resident, 'MiB') };
        return { ...reading, p50: p50!, p99: p99!, ...memory };
      },
      close: async () => {
        await deleteTopic(control, name);
        control.close();
      },
    };
  },
};

/** Fetches from anywhere, one after the other. */
async function lookUps(connection: WireConnection, topic: SkimmedTopic): Promise<Latencies> {
  const latencies = new Latencies();
  for (let count = 0; count < LOOK_UPS; count += 1) {
    const partition = count % topic.ends.length;
    const offset = Math.floor(Math.random() * topic.ends[partition]!);
    const began = performance.now();
    await read(connection, {
      topic: topic.topic,
      from: new Map([[partition, offset]]),
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: LOOK_UP_BYTES,
      onBatch: () => {},
      goOn: () => false,
    });
    latencies.add(performance.now() - began);
  }
  return latencies;
}

export const CURVES: Readonly<Record<string, Curve>> = {
  partitions,
  connections,
  consumers,
  size,
};

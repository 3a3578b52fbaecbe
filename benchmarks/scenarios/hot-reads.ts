/**
 * Consumers that read, over and over, what was just produced and lies in memory: the broker's own or
 * the page cache. The reader steps over the records without looking at them (skimming-reader.ts), so
 * that it is the broker that is measured. `located`: Tailrace tells where the bytes are, and readers
 * take them from the file themselves; Apache Kafka, which has no such answer, serves plain Fetches.
 */

import { makeBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
import { LocatedReader } from '../client/located-reader.ts';
import { PreparedProduce } from '../client/producer.ts';
import { type SkimmedTopic, SkimmingReader } from '../client/skimming-reader.ts';
import { createTopic, deleteTopic, endOffsets } from '../client/topics.ts';
import { hostId } from '../host.ts';
import { sleep } from '../pace.ts';
import {
  type Figures,
  freshTopic,
  Meter,
  type Scenario,
  type Settings,
  type Target,
  throughputFigures,
} from '../scenario.ts';

const BATCH = { recordBytes: 1024, recordCount: 15, codec: 'none' } as const;
const WARM_UP_MS = 1_000;
const IN_FLIGHT = 5;

interface Shape {
  readonly partitions: number;
  readonly readers: number;
  readonly isLocated: boolean;
}

function scenario(name: string, about: string, shape: Shape): Scenario {
  return { name, about, run: (target, settings) => run(target, settings, shape) };
}

export const hotReads: readonly Scenario[] = [
  scenario('hot-1', '1 consumer reads 1 partition that was just produced', {
    partitions: 1,
    readers: 1,
    isLocated: false,
  }),
  scenario('hot-8', '8 consumers read 12 partitions that were just produced', {
    partitions: 12,
    readers: 8,
    isLocated: false,
  }),
  scenario('hot-8-located', 'as hot-8, by location from the files; Apache Kafka plainly', {
    partitions: 12,
    readers: 8,
    isLocated: true,
  }),
];

async function run(target: Target, settings: Settings, shape: Shape): Promise<Figures> {
  const control = await WireConnection.open(target.host, target.port);
  const name = freshTopic('hot');
  await createTopic(control, name, shape.partitions);
  try {
    const topic = await fillAlike(control, name, shape.partitions, settings.catchUpBytes);
    const { readers, isLocated } = shape;
    if (isLocated && isTailrace(target)) return await located(target, settings, topic, readers);
    return await measureReaders(target, topic, readers, settings.seconds);
  } finally {
    await deleteTopic(control, name);
    control.close();
  }
}

function isTailrace(target: Target): boolean {
  return target.name.startsWith('tailrace');
}

/** Fills a topic with batches that are all alike. */
export async function fillAlike(
  connection: WireConnection,
  topic: string,
  partitions: number,
  sizeBytes: number,
): Promise<SkimmedTopic> {
  const records = makeBatch(BATCH);
  const request = Array.from({ length: partitions }, (_, index) => ({ index, records }));
  const prepared = new PreparedProduce(topic, 1, new Array(IN_FLIGHT + 1).fill(request));
  let left = Math.ceil(sizeBytes / (records.length * partitions));
  const send = async () => {
    while (left > 0) {
      left -= 1;
      await new Promise<void>((resolve, reject) => prepared.send(connection, resolve, reject));
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, send));
  const ends = await endOffsets(connection, topic, partitions);
  return { topic, ends, batchBytes: records.length, recordCount: BATCH.recordCount };
}

/** What so many readers take of a topic that is filled. */
export async function measureReaders(
  target: Target,
  topic: SkimmedTopic,
  count: number,
  seconds: number,
): Promise<Figures> {
  const readers = Array.from(
    { length: count },
    () => new SkimmingReader(target.host, target.port, topic),
  );
  const total = () => readers.reduce((sum, { bytes }) => sum + bytes, 0);
  const ended = Promise.all(readers.map((reader) => reader.run()));
  await Promise.race([sleep(WARM_UP_MS), ended]);
  const before = total();
  const meter = new Meter(target);
  await Promise.race([sleep(seconds * 1000), ended]);
  const usage = meter.read();
  const bytes = total() - before;
  for (const reader of readers) reader.stopped = true;
  await ended;
  return throughputFigures(bytes, usage);
}

/** Readers of the files: each reads all of the topic anew until the time is over. */
async function located(
  target: Target,
  settings: Settings,
  { topic, ends }: SkimmedTopic,
  count: number,
): Promise<Figures> {
  const connections: WireConnection[] = [];
  const options = { topic, ends, way: 'file', hostId: hostId() } as const;
  try {
    for (let opened = 0; opened < count; opened += 1) {
      connections.push(await WireConnection.open(target.host, target.port));
    }
    await new LocatedReader(connections[0]!, options).untilPersisted();
    const meter = new Meter(target);
    const deadline = performance.now() + settings.seconds * 1000;
    const readAnew = async (connection: WireConnection) => {
      let bytes = 0;
      while (performance.now() < deadline) {
        const read = await new LocatedReader(connection, options).run();
        if (read.located < read.total) throw new Error('not all of it was located');
        bytes += read.total;
      }
      return bytes;
    };
    const bytes = await Promise.all(connections.map(readAnew));
    return throughputFigures(
      bytes.reduce((sum, one) => sum + one, 0),
      meter.read(),
    );
  } finally {
    for (const connection of connections) connection.close();
  }
}

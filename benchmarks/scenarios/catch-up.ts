/** How fast consumers read a log that is already there, from its beginning. */

import { makeBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
import { produce } from '../client/producer.ts';
import { read } from '../client/reader.ts';
import { createTopic, deleteTopic, endOffsets } from '../client/topics.ts';
import { processStats } from '../process-stats.ts';
import {
  type Figures,
  freshTopic,
  type Scenario,
  type Settings,
  type Target,
  throughputFigures,
} from '../scenario.ts';

const PARTITIONS = 8;
const BATCH = { recordBytes: 1024, recordCount: 60, codec: 'none' } as const;
const MAX_WAIT_MS = 500;
/** What kafkajs and the Java client ask for by default lies between 1 and 50 MiB an answer. */
const MAX_BYTES = 8 * 1024 * 1024;

function scenario(name: string, readers: number): Scenario {
  return {
    name,
    about: `${readers} ${readers === 1 ? 'consumer reads' : 'consumers read'} 8 partitions from the start`,
    run: (target, settings) => run(target, settings, readers),
  };
}

export const catchUp: readonly Scenario[] = [scenario('catch-up-1', 1), scenario('catch-up-8', 8)];

async function run(target: Target, settings: Settings, readers: number): Promise<Figures> {
  const control = await WireConnection.open(target.host, target.port);
  const topic = freshTopic('catch-up');
  await createTopic(control, topic, PARTITIONS);
  const connections: WireConnection[] = [];
  try {
    await fill(control, topic, settings.catchUpBytes);
    const ends = await endOffsets(control, topic, PARTITIONS);
    for (let count = 0; count < readers; count += 1) {
      connections.push(await WireConnection.open(target.host, target.port));
    }
    const before = processStats(target.pid);
    const began = performance.now();
    const bytes = await Promise.all(
      connections.map((connection) => readToEnd(connection, topic, ends)),
    );
    const seconds = (performance.now() - began) / 1000;
    const total = bytes.reduce((sum, one) => sum + one, 0);
    return throughputFigures(total, seconds, before, target);
  } finally {
    await deleteTopic(control, topic);
    for (const connection of [...connections, control]) connection.close();
  }
}

async function fill(connection: WireConnection, topic: string, sizeBytes: number): Promise<void> {
  const records = makeBatch(BATCH);
  const request = Array.from({ length: PARTITIONS }, (_, index) => ({ index, records }));
  const requests = Math.ceil(sizeBytes / (records.length * PARTITIONS));
  for (let sent = 0; sent < requests; sent += 1) {
    await new Promise<void>((resolve, reject) => {
      produce(connection, topic, 1, request, resolve, reject);
    });
  }
}

async function readToEnd(
  connection: WireConnection,
  topic: string,
  ends: readonly number[],
): Promise<number> {
  let records = 0;
  let bytes = 0;
  const total = ends.reduce((sum, end) => sum + end, 0);
  await read(connection, {
    topic,
    from: new Map(ends.map((_, index) => [index, 0])),
    maxWaitMs: MAX_WAIT_MS,
    minBytes: 1,
    maxBytes: MAX_BYTES,
    onBatch: (buffer, at) => {
      bytes += buffer.readInt32BE(at + 8);
      records += BATCH.recordCount;
    },
    goOn: () => records < total,
  });
  return bytes;
}

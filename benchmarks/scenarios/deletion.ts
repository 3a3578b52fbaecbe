/**
 * What producers feel while gigabytes of another topic are removed: acknowledgements at a steady
 * rate, before the deletion, and from it until nothing of the topic's folders is left.
 */

import { readdirSync } from 'node:fs';
import { timedBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
import { produce } from '../client/producer.ts';
import { createTopic, deleteTopic } from '../client/topics.ts';
import { pace } from '../pace.ts';
import {
  type Figures,
  freshTopic,
  Latencies,
  lower,
  type Scenario,
  type Settings,
  type Target,
} from '../scenario.ts';
import { settle } from '../settle.ts';
import { fillAlike } from './hot-reads.ts';

const PER_SECOND = 1000;
const RECORD_BYTES = 1024;
const PARTITIONS = 12;
/** The topic that is removed is so many times what the catch-up reads. */
const SIZE_FACTOR = 6;
const REMOVAL_LIMIT_MS = 90_000;
/** The file system works on for a while after a removal. */
const AFTER_SECONDS = 2;

export const deletion: readonly Scenario[] = [
  {
    name: 'delete-beside',
    about: `${PER_SECOND} acks=all a second while a topic of gigabytes is removed`,
    run,
  },
];

async function run(target: Target, settings: Settings): Promise<Figures> {
  const { dataDir } = target;
  if (dataDir === undefined) throw new Error('removal is measured on brokers started here');
  const control = await WireConnection.open(target.host, target.port);
  const removed = freshTopic('removed');
  const other = freshTopic('beside');
  await createTopic(control, removed, PARTITIONS);
  await createTopic(control, other, PARTITIONS);
  const beside = await WireConnection.open(target.host, target.port);
  try {
    await fillAlike(control, removed, PARTITIONS, settings.catchUpBytes * SIZE_FACTOR);
    await settle([]);
    await acknowledge(beside, other, 1);
    const before = await acknowledge(beside, other, settings.seconds);
    const isThere = () => readdirSync(dataDir).some((name) => name.startsWith(removed));
    const began = performance.now();
    const meanwhile = new Latencies();
    const removal = deleteTopic(control, removed);
    while (isThere() && performance.now() < began + REMOVAL_LIMIT_MS) {
      await acknowledge(beside, other, 0.25, meanwhile);
    }
    await removal;
    const removedSeconds = (performance.now() - began) / 1000;
    await acknowledge(beside, other, AFTER_SECONDS, meanwhile);
    return {
      'p50 before': before.figures().p50!,
      'p99 before': before.figures().p99!,
      'p50 meanwhile': meanwhile.figures().p50!,
      'p99 meanwhile': meanwhile.figures().p99!,
      'max meanwhile': meanwhile.figures().max!,
      gone: lower(removedSeconds, 's'),
    };
  } finally {
    await deleteTopic(control, other);
    for (const connection of [control, beside]) connection.close();
  }
}

/** Sends batches at a steady rate; how long their acknowledgements took, from the real send. */
async function acknowledge(
  connection: WireConnection,
  topic: string,
  seconds: number,
  latencies = new Latencies(),
): Promise<Latencies> {
  const answers: Promise<void>[] = [];
  let turn = 0;
  await pace(PER_SECOND, seconds, () => {
    const batches = [{ index: turn++ % PARTITIONS, records: timedBatch(RECORD_BYTES) }];
    const sent = performance.now();
    answers.push(
      new Promise((resolve, reject) => {
        const acknowledged = () => {
          latencies.add(performance.now() - sent);
          resolve();
        };
        produce(connection, topic, -1, batches, acknowledged, reject);
      }),
    );
  });
  await Promise.all(answers);
  return latencies;
}

/** How long a broker takes to acknowledge, at a rate that leaves it room. */

import { timedBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
import { type Acks, produce } from '../client/producer.ts';
import { createTopic, deleteTopic } from '../client/topics.ts';
import { pace } from '../pace.ts';
import {
  type Figures,
  freshTopic,
  Latencies,
  type Scenario,
  type Settings,
  type Target,
} from '../scenario.ts';

const WARM_UP_SECONDS = 1;
const PARTITIONS = 12;
const CONNECTIONS = 4;
const RECORD_BYTES = 1024;

function scenario(name: string, perSecond: number, acks: Acks): Scenario {
  return {
    name,
    about: `${perSecond} records of 1 KiB a second, each a request of its own, acks=${acks === 1 ? '1' : 'all'}`,
    run: (target, settings) => run(target, settings, perSecond, acks),
  };
}

export const produceLatency: readonly Scenario[] = [
  scenario('latency-1k-acks1', 1_000, 1),
  scenario('latency-1k-acksall', 1_000, -1),
];

async function run(
  target: Target,
  settings: Settings,
  perSecond: number,
  acks: Acks,
): Promise<Figures> {
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => WireConnection.open(target.host, target.port)),
  );
  const topic = freshTopic('latency');
  await createTopic(connections[0]!, topic, PARTITIONS);
  try {
    let turn = 0;
    const during = async (seconds: number): Promise<Latencies> => {
      const latencies = new Latencies();
      const answers: Promise<void>[] = [];
      await pace(perSecond, seconds, () => {
        turn += 1;
        answers.push(sendOne(connections[turn % CONNECTIONS]!, topic, acks, turn, latencies));
      });
      await Promise.all(answers);
      return latencies;
    };
    await during(WARM_UP_SECONDS);
    return (await during(settings.seconds)).figures();
  } finally {
    await deleteTopic(connections[0]!, topic);
    for (const connection of connections) connection.close();
  }
}

/** Timed from the real send, so that what the loader's own timer is late does not count. */
function sendOne(
  connection: WireConnection,
  topic: string,
  acks: Acks,
  turn: number,
  latencies: Latencies,
): Promise<void> {
  const batches = [{ index: turn % PARTITIONS, records: timedBatch(RECORD_BYTES) }];
  const sent = performance.now();
  return new Promise((resolve, reject) => {
    const acknowledged = () => {
      latencies.add(performance.now() - sent);
      resolve();
    };
    produce(connection, topic, acks, batches, acknowledged, reject);
  });
}

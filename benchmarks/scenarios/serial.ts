/** Producers that wait for each answer before they send again: requests a second and their cost. */

import { makeBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
import { type Acks, PreparedProduce } from '../client/producer.ts';
import { createTopic, deleteTopic } from '../client/topics.ts';
import { sleep } from '../pace.ts';
import {
  type Figures,
  freshTopic,
  Latencies,
  Meter,
  requestFigures,
  type Scenario,
  type Settings,
  type Target,
} from '../scenario.ts';

const WARM_UP_MS = 1_000;
const PARTITIONS = 12;
const RECORD_BYTES = 100;

function scenario(name: string, connections: number, acks: Acks): Scenario {
  const of = connections === 1 ? '1 connection' : `${connections} connections`;
  return {
    name,
    about: `one record of 100 B a request, one request under way on ${of}, acks=${acks === 1 ? '1' : 'all'}`,
    run: (target, settings) => run(target, settings, connections, acks),
  };
}

export const serial: readonly Scenario[] = [
  scenario('serial-1-acks1', 1, 1),
  scenario('serial-1-acksall', 1, -1),
  scenario('serial-32-acks1', 32, 1),
  scenario('serial-32-acksall', 32, -1),
];

async function run(
  target: Target,
  settings: Settings,
  count: number,
  acks: Acks,
): Promise<Figures> {
  const control = await WireConnection.open(target.host, target.port);
  const topic = freshTopic('serial');
  await createTopic(control, topic, PARTITIONS);
  try {
    return await measureSerial(target, topic, PARTITIONS, count, acks, settings.seconds);
  } finally {
    await deleteTopic(control, topic);
    control.close();
  }
}

/** What so many connections reach on a topic that is there, each on one of its partitions. */
export async function measureSerial(
  target: Target,
  topic: string,
  partitions: number,
  count: number,
  acks: Acks,
  seconds: number,
): Promise<Figures> {
  const connections: WireConnection[] = [];
  try {
    while (connections.length < count) {
      connections.push(await WireConnection.open(target.host, target.port));
    }
    const records = makeBatch({ recordBytes: RECORD_BYTES, recordCount: 1, codec: 'none' });
    const state = { latencies: new Latencies(), stopped: false };
    const loops = connections.map((connection, index) => {
      const request = [{ index: index % partitions, records }];
      return sendInTurn(connection, new PreparedProduce(topic, acks, [request]), state);
    });
    const ended = Promise.all(loops);
    await Promise.race([sleep(WARM_UP_MS), ended]);
    state.latencies = new Latencies();
    const meter = new Meter(target);
    await Promise.race([sleep(seconds * 1000), ended]);
    const usage = meter.read();
    const { latencies } = state;
    state.stopped = true;
    await ended;
    return { ...requestFigures(latencies.count, usage), ...latencies.figures() };
  } finally {
    for (const connection of connections) connection.close();
  }
}

function sendInTurn(
  connection: WireConnection,
  request: PreparedProduce,
  state: { latencies: Latencies; stopped: boolean },
): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0;
    const send = () => {
      sent = performance.now();
      request.send(connection, acknowledged, reject);
    };
    const acknowledged = () => {
      state.latencies.add(performance.now() - sent);
      if (state.stopped) resolve();
      else send();
    };
    send();
  });
}

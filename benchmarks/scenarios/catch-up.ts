/** How fast consumers read a log that is already there, from its beginning. */

import { WireConnection } from '../client/connection.ts';
import { createTopic, deleteTopic } from '../client/topics.ts';
import { fillTopic, PARTITIONS, readTopic } from '../client/whole-topic.ts';
import {
  type Figures,
  freshTopic,
  Meter,
  type Scenario,
  type Settings,
  type Target,
  throughputFigures,
} from '../scenario.ts';

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
    const ends = await fillTopic(control, topic, settings.catchUpBytes);
    for (let count = 0; count < readers; count += 1) {
      connections.push(await WireConnection.open(target.host, target.port));
    }
    const meter = new Meter(target);
    const bytes = await Promise.all(
      connections.map((connection) => readTopic(connection, topic, ends)),
    );
    const usage = meter.read();
    const total = bytes.reduce((sum, one) => sum + one, 0);
    return throughputFigures(total, usage);
  } finally {
    await deleteTopic(control, topic);
    for (const connection of [...connections, control]) connection.close();
  }
}

/** A topic of many partitions made by one request, and removed again. */

import { WireConnection } from '../client/connection.ts';
import { createTopic, deleteTopic, endOffsets } from '../client/topics.ts';
import { processStats } from '../process-stats.ts';
import {
  type Figures,
  freshTopic,
  lower,
  Meter,
  type Scenario,
  type Settings,
  type Target,
} from '../scenario.ts';

const PARTITIONS = 1000;

export const creation: readonly Scenario[] = [
  {
    name: 'create-1000',
    about: `${PARTITIONS} partitions made by one request, until the last of them takes requests`,
    run: (target: Target, _settings: Settings) => measureCreation(target, PARTITIONS),
  },
];

/** Makes a topic and removes it; what both took. */
export async function measureCreation(target: Target, partitions: number): Promise<Figures> {
  const control = await WireConnection.open(target.host, target.port);
  const topic = freshTopic('created');
  const before = processStats(target.pid);
  const meter = new Meter(target);
  await createTopic(control, topic, partitions);
  const created = meter.read();
  await endOffsets(control, topic, partitions);
  const removing = performance.now();
  await deleteTopic(control, topic);
  const removeSeconds = (performance.now() - removing) / 1000;
  control.close();
  const figures: Figures = {
    made: lower(created.seconds, 's'),
    removed: lower(removeSeconds, 's'),
  };
  if (before !== undefined && created.broker !== undefined) {
    const more = created.broker.residentMebibytes - before.residentMebibytes;
    figures['broker CPU'] = lower(created.broker.cpuSeconds, 's');
    figures['memory more'] = lower(more, 'MiB');
  }
  return figures;
}

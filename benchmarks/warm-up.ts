/**
 * Load of all kinds and of those that are measured, one after the other until the time is over: the
 * JVM and V8 shall have compiled what they will run. A win over a cold JVM counts for nothing.
 */

import type { Scenario, Settings, Target } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

const GENERAL_LOADS = ['bulk-12-acks1', 'serial-32-acks1', 'end-to-end-10k', 'hot-8'];
/** What takes a time of its own, whatever it is told, and so is no load to warm up with. */
const NO_LOADS = /^(parked|overload|create|delete|compaction)/;
const SHORTEST_SECONDS = 0.5;
/** What a load takes beside its measurement. */
const BESIDE_SECONDS = 1;

export async function warmUp(
  target: Target,
  totalSeconds: number,
  settings: Settings,
  measured: readonly Scenario[],
): Promise<void> {
  const general = SCENARIOS.filter(({ name }) => GENERAL_LOADS.includes(name));
  const loads = [...new Set([...general, ...measured.filter(({ name }) => !NO_LOADS.test(name))])];
  const began = performance.now();
  const secondsLeft = () => totalSeconds - (performance.now() - began) / 1000;
  const share = totalSeconds / loads.length - BESIDE_SECONDS;
  do {
    for (const load of loads) {
      const seconds = Math.max(SHORTEST_SECONDS, Math.min(share, secondsLeft()));
      await load.run(target, { ...settings, seconds });
    }
  } while (secondsLeft() > BESIDE_SECONDS);
}

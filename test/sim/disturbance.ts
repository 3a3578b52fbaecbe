/** What goes wrong in a simulated world: processes end, power is cut, disks are full or fail. */

import type { SeededRandom } from './random.ts';
import type { Run } from './workload.ts';
import type { SimWorld } from './world.ts';

const TROUBLES = [
  'kill',
  'power cut',
  'stop',
  'crash',
  'crash with power cut',
  'full disk',
  'failed sync',
  'clock jump',
] as const;

/** Lets some things go wrong, one after the other; in the end a broker runs on a disk that works. */
export async function disturb(run: Run, random: SeededRandom): Promise<void> {
  const { world } = run;
  for (let left = 1 + random.below(4); left > 0; left--) {
    await world.sleep(random.below(1500));
    const trouble = random.pick(TROUBLES);
    note(run, trouble);
    if (trouble === 'full disk') await fillDisk(world, random);
    else if (trouble === 'clock jump') world.clock.jumpWall(random.below(1_800_000) - 900_000);
    else await restart(run, random, () => endProcess(world, random, trouble));
  }
}

async function endProcess(
  world: SimWorld,
  random: SeededRandom,
  trouble: Exclude<(typeof TROUBLES)[number], 'full disk' | 'clock jump'>,
): Promise<void> {
  switch (trouble) {
    case 'kill':
      return world.kill();
    case 'power cut':
      return world.powerCut();
    case 'stop':
      await world.stop();
      return;
    case 'crash':
      return crash(world, random);
    case 'crash with power cut':
      await crash(world, random);
      return world.powerCut();
    case 'failed sync':
      await failSync(world, random);
      return random.chance(0.5) ? world.powerCut() : world.kill();
  }
}

/** Lets the process end with one of the next calls of the disk, which may be done by half. */
async function crash(world: SimWorld, random: SeededRandom): Promise<void> {
  const last = world.disk.calls + 1 + random.below(60);
  world.disk.onCall = ({ number, bytes }) => {
    if (number < last) return undefined;
    if (random.chance(0.5)) return { ends: 'after' };
    return { ends: 'before', writtenBytes: random.below(bytes + 1) };
  };
  for (let tries = 0; tries < 50 && world.isRunning; tries++) await world.sleep(100);
  world.disk.onCall = undefined;
  if (world.isRunning) world.kill();
}

/** One sync fails: what it should have made durable is lost, though later ones succeed. */
async function failSync(world: SimWorld, random: SeededRandom): Promise<void> {
  world.hasFaults = true;
  let left = 1 + random.below(8);
  world.disk.onCall = ({ name }) => (name === 'sync' && --left === 0 ? { code: 'EIO' } : undefined);
  await world.sleep(500 + random.below(2000));
  world.disk.onCall = undefined;
}

/** For a while nothing can be written; the broker must get over it by itself. */
async function fillDisk(world: SimWorld, random: SeededRandom): Promise<void> {
  world.hasFaults = true;
  world.disk.onCall = ({ name, bytes }) =>
    name === 'write' ? { code: 'ENOSPC', writtenBytes: random.below(bytes + 1) } : undefined;
  await world.sleep(200 + random.below(3000));
  world.disk.onCall = undefined;
}

/** Ends the broker and starts it until it serves. */
export async function restart(
  run: Run,
  random: SeededRandom,
  end: () => Promise<unknown>,
): Promise<void> {
  const { world } = run;
  await end();
  while (!world.isRunning) {
    await world.sleep(random.below(500));
    // A start that ends early, too, once in a while.
    if (random.chance(0.2)) {
      const last = world.disk.calls + 1 + random.below(80);
      world.disk.onCall = ({ number }) => (number < last ? undefined : { ends: 'before' });
    }
    const isUp = await world.start();
    world.disk.onCall = undefined;
    note(run, isUp ? 'is up' : 'ended while starting');
  }
}

function note({ world, history }: Run, text: string): void {
  history.note(`${world.clock.monotonic().toFixed(3)} broker: ${text}`);
}

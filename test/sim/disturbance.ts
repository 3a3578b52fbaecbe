/**
 * What goes wrong in a simulated world: processes end, power is cut, disks are full, slow or fail,
 * connections break, stall or carry nothing any more, clocks jump, processes stand still.
 */

import type { CallName, DiskCall, Fate } from './disk.ts';
import type { SeededRandom } from './random.ts';
import type { Run } from './run.ts';
import type { SimWorld } from './world.ts';

type Work = (run: Run, random: SeededRandom) => Promise<void>;

/** Longest that the network keeps things back. */
const STALL_MS = 4000;
/** Time for what was kept back to be made up for. */
const RECOVERY_MS = 1000;
/** Longer than a client waits, and than a group's session lasts. */
const LONGEST_HOLD_MS = 15_000;
const NEEDS_DESCRIPTOR: ReadonlySet<CallName> = new Set(['open', 'readFile', 'list', 'syncDir']);

const TROUBLES = {
  kill: (run, random) => restart(run, random, async () => run.world.kill()),
  'power cut': (run, random) => restart(run, random, async () => run.world.powerCut()),
  stop: (run, random) => restart(run, random, () => stopOrderly(run)),
  'crash at a call': (run, random) => restart(run, random, () => crashAtCall(run, random)),
  'crash at a call, power cut': (run, random) =>
    restart(run, random, async () => {
      await crashAtCall(run, random);
      run.world.powerCut();
    }),
  'crash at an await': (run, random) => restart(run, random, () => crashAtAwait(run, random)),
  'crash at an await, power cut': (run, random) =>
    restart(run, random, async () => {
      await crashAtAwait(run, random);
      run.world.powerCut();
    }),
  'full disk': fillDisk,
  'failed writes': failWrites,
  'failed sync': (run, random) => restart(run, random, () => failSync(run, random)),
  'slow disk': slowDisk,
  'no descriptors': noDescriptors,
  'process held': holdProcess,
  'clock jump': async ({ world }, random) => {
    const hours = random.pick([0.25, 0.25, 3, 48]);
    world.clock.jumpWall((random.fraction() - 0.5) * hours * 3_600_000);
  },
  'connections cut': async (run, random) => {
    const share = random.pick([0.3, 1]);
    run.world.network.cut(() => random.chance(share));
  },
  'connections lost': async (run, random) => {
    const share = random.pick([0.2, 0.6]);
    run.watchers.troubled(run.world.clock.monotonic());
    run.world.network.lose(() => random.chance(share));
  },
  'network stalls': async (run, random) => {
    const ms = random.below(STALL_MS);
    run.watchers.troubled(run.world.clock.monotonic() + ms + RECOVERY_MS);
    run.world.network.stall(ms);
  },
} as const satisfies Record<string, Work>;

export type Trouble = keyof typeof TROUBLES;
export const ALL_TROUBLES = Object.keys(TROUBLES) as readonly Trouble[];

/** Lets some things go wrong, one after the other; in the end a broker runs on a disk that works. */
export async function disturb(
  run: Run,
  random: SeededRandom,
  troubles: readonly Trouble[],
): Promise<void> {
  for (let left = 1 + random.below(4); left > 0; left--) {
    await run.world.sleep(random.below(1500));
    const trouble = random.pick(troubles);
    run.history.note('world:', trouble);
    await TROUBLES[trouble](run, random);
  }
}

/** Whoever waits is answered at once by a broker that stops. */
export async function stopOrderly({ world, watchers, history }: Run): Promise<void> {
  watchers.troubled(world.clock.monotonic());
  const isStopped = await world.stop();
  if (!isStopped) return;
  for (const what of world.heldAtStop) history.violate('released', 'broker', `still has ${what}`);
}

/** Lets the process end with one of the next calls of the disk, which may be done by half. */
async function crashAtCall({ world }: Run, random: SeededRandom): Promise<void> {
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

/** Lets the process end between two of its steps, some awaits after one of the next disk calls. */
async function crashAtAwait({ world }: Run, random: SeededRandom): Promise<void> {
  const last = world.disk.calls + 1 + random.below(40);
  const awaits = random.below(60);
  let death: Promise<void> | undefined;
  world.disk.onCall = ({ number }) => {
    if (number >= last) death ??= world.killAfterAwaits(awaits);
    return undefined;
  };
  for (let tries = 0; tries < 50 && world.isRunning; tries++) await world.sleep(100);
  world.disk.onCall = undefined;
  await death;
  if (world.isRunning) world.kill();
}

/** One sync fails: what it should have made durable is lost, though later ones succeed. */
async function failSync({ world }: Run, random: SeededRandom): Promise<void> {
  world.hasFaults = true;
  let left = 1 + random.below(8);
  world.disk.onCall = ({ name }) => {
    if (name !== 'sync' || --left !== 0) return undefined;
    world.hasSyncFailed = true;
    return { code: 'EIO' };
  };
  await world.sleep(500 + random.below(2000));
  world.disk.onCall = undefined;
  if (random.chance(0.5)) world.powerCut();
  else world.kill();
}

/** For a while nothing can be written, no file be made; the broker must get over it by itself. */
function fillDisk({ world }: Run, random: SeededRandom): Promise<void> {
  return withFate(world, random, 3000, ({ name, bytes, path }) => {
    const isNew = name === 'open' && !world.disk.exists(path);
    if (name !== 'write' && !isNew) return undefined;
    return { code: 'ENOSPC', writtenBytes: random.below(bytes + 1) };
  });
}

/** For a while the process has as many files open as it may; what is open works on. */
function noDescriptors({ world }: Run, random: SeededRandom): Promise<void> {
  return withFate(world, random, 2000, ({ name }) =>
    NEEDS_DESCRIPTOR.has(name) ? { code: 'EMFILE' } : undefined,
  );
}

/** The process stands still, as after SIGSTOP, while clients lose their patience. */
async function holdProcess({ world, watchers }: Run, random: SeededRandom): Promise<void> {
  const forMs = random.pick([300, 3000, LONGEST_HOLD_MS]) * random.fraction();
  watchers.troubled(world.clock.monotonic() + forMs + RECOVERY_MS);
  world.network.troubles++;
  await world.hold(forMs);
}

/** Some writes fail. */
function failWrites({ world }: Run, random: SeededRandom): Promise<void> {
  return withFate(world, random, 1500, ({ name, bytes }) => {
    if (name !== 'write' || !random.chance(0.3)) return undefined;
    return { code: 'EIO', writtenBytes: random.below(bytes + 1) };
  });
}

async function withFate(
  world: SimWorld,
  random: SeededRandom,
  mostMs: number,
  fate: (call: DiskCall) => Fate | undefined,
): Promise<void> {
  world.hasFaults = true;
  world.disk.onCall = fate;
  await world.sleep(200 + random.below(mostMs));
  world.disk.onCall = undefined;
}

/** For a while writing and syncing take ten times as long, and reading takes time, too. */
async function slowDisk(run: Run, random: SeededRandom): Promise<void> {
  const { disk, clock } = run.world;
  const usual = disk.delayMs;
  const forMs = 500 + random.below(2500);
  run.watchers.troubled(clock.monotonic() + forMs + RECOVERY_MS);
  disk.delayMs = (call) => 10 * (usual?.(call) ?? 0) + random.below(20);
  await run.world.sleep(forMs);
  disk.delayMs = usual;
}

/** Ends the broker and starts it until it serves. */
export async function restart(
  run: Run,
  random: SeededRandom,
  end: () => Promise<unknown>,
): Promise<void> {
  const { world, history } = run;
  await end();
  while (!world.isRunning) {
    await world.sleep(random.below(500));
    const ended = random.chance(0.2) ? endEarly(run, random) : undefined;
    const isUp = await world.start();
    world.disk.onCall = undefined;
    await ended?.();
    history.note('broker:', isUp ? 'is up' : 'ended while starting');
  }
}

/** Ends the start early, at a call of the disk or an await; gives what waits for it. */
function endEarly({ world }: Run, random: SeededRandom): () => Promise<void> | undefined {
  const last = world.disk.calls + 1 + random.below(80);
  const isAtAwait = random.chance(0.5);
  let death: Promise<void> | undefined;
  world.disk.onCall = ({ number }) => {
    if (number < last) return undefined;
    if (!isAtAwait) return { ends: 'before' };
    death ??= world.killAfterAwaits(random.below(30));
    return undefined;
  };
  return () => death;
}

/**
 * One run of a simulated world: topics, clients at work, crashes and faults of all kinds, then
 * peace, in which everybody finishes, and everything that is left is held against the history.
 */

import { loadCodec } from '../../protocol/compression.ts';
import { StorageError } from '../../storage/errors.ts';
import { Administrator } from './administration.ts';
import type { CheckerName } from './checkers/names.ts';
import { type Budget, checkMemory, checkReleased } from './checkers/resources.ts';
import { checkRot } from './checkers/rot.ts';
import { ALL_TROUBLES, disturb, restart, stopOrderly, type Trouble } from './disturbance.ts';
import type { Violation } from './history.ts';
import { cleaned, compactedInMemory } from './parts/compacted.ts';
import { ExpiringPart } from './parts/expiring.ts';
import { GroupPart } from './parts/group.ts';
import { LedgerPart } from './parts/ledger.ts';
import { OverloadPart } from './parts/overload.ts';
import type { MakePart, Part } from './parts/part.ts';
import { PipelinePart } from './parts/pipeline.ts';
import { PlainPart } from './parts/plain.ts';
import { TopicsPart } from './parts/topics.ts';
import { TrimmedPart } from './parts/trimmed.ts';
import { CODECS } from './producers.ts';
import { SeededRandom } from './random.ts';
import { Run } from './run.ts';
import { SimWorld, type Tampering } from './world.ts';

const PARTS = {
  plain: (run) => new PlainPart(run),
  trimmed: (run) => new TrimmedPart(run),
  topics: (run) => new TopicsPart(run),
  ledger: (run) => new LedgerPart(run),
  pipeline: (run) => new PipelinePart(run),
  group: (run) => new GroupPart(run),
  cleaned,
  remembered: compactedInMemory,
  expiring: (run) => new ExpiringPart(run),
  overload: (run) => new OverloadPart(run),
} as const satisfies Record<string, MakePart>;

export type PartName = keyof typeof PARTS;

/** Everything is to be over after so much simulated time. */
const LIMIT_MS = 2 * 3_600_000;
/** All work is done in some seconds, and in a minute where much goes wrong. */
const WORK_MS = 600_000;
const DEFAULT_SIZE = 8;
/** The most that a run has of, and how often the one that costs most is among them. */
const MOST_PARTS = 3;
const OVERLOAD = 0.04;
/** How often bits are flipped at the end. */
const ROT = 0.4;
/** Hours that pass with nobody there, in some runs. */
const QUIET_HOURS = [0, 0, 0, 0, 0, 0, 0, 1] as const;

const BUDGET: Budget = { memoryBytes: 16_777_216, storageBytes: 3 * 1_048_576 };

export interface SimulationOptions {
  /** What is run; chosen by the seed when not given. */
  readonly parts?: readonly PartName[];
  readonly troubles?: readonly Trouble[];
  /** Batches of each producer. */
  readonly size?: number;
  readonly tampering?: Tampering;
  /** Ends the run as soon as this checker has found something. */
  readonly checker?: CheckerName;
}

export interface Outcome {
  readonly lines: readonly string[];
  readonly violations: readonly Violation[];
  readonly parts: readonly PartName[];
  readonly peaks: SimWorld['peaks'];
  readonly simulatedMs: number;
}

/** Settings that make small things of what is large, differently for each seed. */
function settingsOf(random: SeededRandom): Record<string, string> {
  return {
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.num.partitions': '1',
    'log.segment.bytes': '1048576',
    // Clocks jump, and producers repeat what they made before.
    'log.message.timestamp.after.max.ms': '9223372036854775807',
    'log.roll.ms': random.pick(['604800000', '3000']),
    'tail.chunk.bytes': '65536',
    'tail.chunk.max.ms': random.pick(['200', '2000', '10000']),
    'tail.max.bytes': '1048576',
    'flush.queue.bytes': '1048576',
    'flush.queue.reserve.bytes': '1048576',
    'journal.file.bytes': '1048576',
    'journal.max.bytes': '4194304',
    'journal.write.sync.max.bytes': random.pick(['0', '4096', '262144']),
    'journal.bypass.bytes': random.pick(['0', '16384', '524288']),
    'offset.lease.records': random.pick(['1024', '262144']),
    'memory.max.bytes': String(BUDGET.memoryBytes),
    'produce.hold.max.ms': random.pick(['1000', '30000']),
    'log.retention.check.interval.ms': '1000',
    'log.cleaner.backoff.ms': random.pick(['500', '4000']),
    'log.cleaner.dedupe.buffer.size': '2097152',
    'log.cleaner.io.buffer.size': '65536',
    'log.segment.delete.delay.ms': random.pick(['1000', '60000']),
    'log.flush.offset.checkpoint.interval.ms': random.pick(['2000', '60000']),
    'producer.id.expiration.ms': random.pick(['600000', '86400000']),
  };
}

function partsOf(random: SeededRandom): PartName[] {
  const names = (Object.keys(PARTS) as PartName[]).filter((name) => name !== 'overload');
  const chosen = new Set<PartName>();
  for (let left = 1 + random.below(MOST_PARTS); left > 0; left--) chosen.add(random.pick(names));
  if (random.chance(OVERLOAD)) chosen.add('overload');
  return [...chosen];
}

/** Runs the world of a seed. */
export async function simulate(seed: number, options: SimulationOptions = {}): Promise<Outcome> {
  for (const codec of CODECS) await loadCodec(codec);
  const chooser = new SeededRandom(~seed);
  const settings = settingsOf(chooser);
  const parts = options.parts ?? partsOf(chooser);
  const world = new SimWorld(seed, settings, options.tampering);
  const run = new Run(world, options.size ?? DEFAULT_SIZE);
  run.history.note('world:', `seed ${seed}, ${parts.join(', ')}`);
  run.history.awaited = options.checker;
  const chaos = world.random.fork();
  setPace(world, chaos.fork());
  try {
    const life = live(run, chaos, parts, options.troubles ?? ALL_TROUBLES);
    await world.clock.run(Promise.race([life, run.history.hopeless]), LIMIT_MS);
  } catch (error) {
    run.history.violate('answer', 'world', (error as Error).stack ?? String(error));
  }
  checkMemory(run, BUDGET);
  checkComplaints(run);
  const { lines, violations } = run.history;
  return { lines, violations, parts, peaks: world.peaks, simulatedMs: world.clock.monotonic() };
}

async function live(
  run: Run,
  chaos: SeededRandom,
  names: readonly PartName[],
  troubles: readonly Trouble[],
): Promise<void> {
  const { world } = run;
  if (!(await world.start())) throw new Error('the first start failed');
  const parts: Part[] = names.map((name) => PARTS[name](run));
  const admin = new Administrator(run, 'admin', { topic: '', partition: 0, visibility: 'written' });
  for (const part of parts) await part.create(admin);
  const work = Promise.all(parts.map((part) => part.work()));
  await Promise.race([Promise.all([work, disturb(run, chaos, troubles)]), tooLong(world)]);
  run.history.note('world:', 'peace');
  for (const part of parts) await part.finish(admin);
  await world.sleep(chaos.pick(QUIET_HOURS) * 3_600_000);
  for (const part of parts) await part.check(admin);
  await checkReleased(run);
  // What was closed in an orderly way opens as the same.
  await restart(run, chaos, () => stopOrderly(run));
  for (const part of parts) await part.check(admin);
  const places = parts.flatMap((part) => part.places ?? []);
  if (places.length > 0 && chaos.chance(ROT)) await checkRot(run, admin, places, chaos);
  await stopOrderly(run);
}

/** Clients whose work does not come to its end are a fault. */
async function tooLong(world: SimWorld): Promise<void> {
  await world.sleep(WORK_MS);
  throw new Error(`the work is not done after ${WORK_MS} ms`);
}

/** Calls of the disk take some time, now and then much. */
function setPace(world: SimWorld, random: SeededRandom): void {
  const syncMs = random.pick([0.2, 3, 30]);
  world.disk.delayMs = ({ name }) => {
    if (name === 'sync' || name === 'syncDir') {
      return random.chance(0.02) ? syncMs * 20 : syncMs * random.fraction();
    }
    return name === 'write' ? random.fraction() : 0;
  };
}

/** What a disk does may be logged as an error; what no disk has done may not. */
function checkComplaints({ world, history }: Run): void {
  for (const { text, error } of world.errors) {
    const isDiskError = error instanceof Error && 'code' in error;
    const isExplained = error === undefined || isDiskError || error instanceof StorageError;
    if (world.hasFaults && isExplained) continue;
    history.violate('complaint', 'broker', `${text} ${(error as Error | undefined)?.stack ?? ''}`);
  }
}

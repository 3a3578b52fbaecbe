/**
 * One run of a simulated world: topics, clients at work, crashes and faults of all kinds, then
 * peace, in which everybody finishes, and everything that is left is held against the history.
 */

import { StorageError } from '../../storage/errors.ts';
import { Administrator, EARLIEST, Keeper, LATEST, Trimmer } from './administration.ts';
import { disturb, restart } from './disturbance.ts';
import { History, nameOf, type Place } from './history.ts';
import { Ledger } from './ledger.ts';
import { SeededRandom } from './random.ts';
import { Consumer, IdempotentProducer, PlainProducer, Reader, type Run } from './workload.ts';
import { SimWorld } from './world.ts';

const READ_FROM_START: readonly Place[] = [
  { topic: 'plain', partition: 0, visibility: 'written' },
  { topic: 'plain', partition: 1, visibility: 'written' },
  { topic: 'safe', partition: 0, visibility: 'durable' },
];
const TRIMMED: Place = { topic: 'trimmed', partition: 0, visibility: 'written' };

/** Everything is to be over after so much simulated time. */
const LIMIT_MS = 3_600_000;

export interface Outcome {
  readonly lines: readonly string[];
  readonly violations: readonly string[];
}

/** Settings that make small things of what is large, differently for each seed. */
function settingsOf(random: SeededRandom): Record<string, string> {
  return {
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.num.partitions': '1',
    'log.segment.bytes': '1048576',
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
  };
}

/** Runs the world of a seed. */
export async function simulate(seed: number, batches = 12): Promise<Outcome> {
  const world = new SimWorld(seed, settingsOf(new SeededRandom(~seed)));
  const history = new History();
  const chaos = world.random.fork();
  slowDisk(world, chaos.fork());
  try {
    await world.clock.run(live({ world, history }, chaos, batches), LIMIT_MS);
  } catch (error) {
    history.violate((error as Error).stack ?? String(error));
  }
  for (const { text, error } of world.errors) {
    if (isLawful(world, error)) continue;
    history.violate(`the broker logged: ${text} ${(error as Error | undefined)?.stack ?? ''}`);
  }
  return history;
}

async function live(run: Run, chaos: SeededRandom, batches: number): Promise<void> {
  const { world } = run;
  if (!(await world.start())) throw new Error('the first start failed');
  const admin = new Administrator(run, 'admin', TRIMMED);
  await admin.create('plain', 2, {});
  await admin.create('safe', 1, { 'fetch.visibility': 'durable' });
  await admin.create('trimmed', 1, {});
  const places = [...READ_FROM_START, TRIMMED];
  const keeper = new Keeper(run, 'keeper', TRIMMED);
  const trimmer = new Trimmer(run, 'trimmer', TRIMMED);
  const work = places.flatMap((place) => [
    new IdempotentProducer(run, `once-${nameOf(place)}`, place).run(batches),
    new PlainProducer(run, `plain-${nameOf(place)}`, place).run(batches),
  ]);
  work.push(keeper.run(3), trimmer.run(3));
  const ledger = new Ledger(run);
  await ledger.create(admin);
  work.push(ledger.run(batches));
  const consumers = READ_FROM_START.map(
    (place) => new Consumer(run, `reader-${nameOf(place)}`, place),
  );
  const reading = Promise.all(consumers.map((consumer) => consumer.run()));
  await disturb(run, chaos);
  await Promise.all(work);
  await ledger.finish();
  for (const consumer of consumers) consumer.stopAt(await admin.offset(consumer.place, LATEST));
  await reading;
  const checkAll = async () => {
    await keeper.check();
    await trimmer.check();
    for (const place of places) await checkLog(run, admin, place);
    await ledger.check();
  };
  await checkAll();
  // What was closed in an orderly way opens as the same.
  await restart(run, chaos, () => world.stop());
  await checkAll();
}

/** Reads a partition from its start and holds it against the history. */
async function checkLog(run: Run, admin: Administrator, place: Place): Promise<void> {
  const { world, history } = run;
  const start = await admin.offset(place, EARLIEST);
  const end = await admin.offset(place, LATEST);
  const reader = new Reader(run, `auditor-${nameOf(place)}`, place);
  reader.position = start;
  reader.stopAt(end);
  await reader.run();
  history.checkLog(place, reader.taken, world.powerCuts, start);
  const count = reader.taken.length;
  history.note(`${nameOf(place)} has ${count} records from ${start} to ${end}`);
}

/** Calls of the disk take some time, now and then much. */
function slowDisk(world: SimWorld, random: SeededRandom): void {
  const syncMs = random.pick([0.2, 3, 30]);
  world.disk.delayMs = ({ name }) => {
    if (name === 'sync' || name === 'syncDir') {
      return random.chance(0.02) ? syncMs * 20 : syncMs * random.fraction();
    }
    return name === 'write' ? random.fraction() : 0;
  };
}

/** What a disk does may be logged as an error; what no disk has done may not. */
function isLawful(world: SimWorld, error: unknown): boolean {
  if (!world.hasFaults) return false;
  const isDiskError = error instanceof Error && 'code' in error;
  return error === undefined || isDiskError || error instanceof StorageError;
}

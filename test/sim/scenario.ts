/**
 * One run of a simulated world: topics, clients at work, crashes of all kinds, then peace, in which
 * everybody finishes, and everything that is left is held against the history.
 */

import { ErrorCode, errorName } from '../../protocol/errors.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import { ListOffsetsRequest, ListOffsetsResponse } from '../../protocol/messages/list-offsets.ts';
import { Disconnected, SimClient } from './client.ts';
import { History, nameOf, type Place } from './history.ts';
import { SeededRandom } from './random.ts';
import { Consumer, IdempotentProducer, PlainProducer, Reader, type Run } from './workload.ts';
import { SimWorld } from './world.ts';

const createTopics = { request: CreateTopicsRequest, response: CreateTopicsResponse, version: 5 };
const listOffsets = { request: ListOffsetsRequest, response: ListOffsetsResponse, version: 7 };
const LATEST = -1;

const PLACES: readonly Place[] = [
  { topic: 'plain', partition: 0, visibility: 'written' },
  { topic: 'plain', partition: 1, visibility: 'written' },
  { topic: 'safe', partition: 0, visibility: 'durable' },
];

/** Everything is to be over after so much simulated time. */
const LIMIT_MS = 3_600_000;

/** What the broker may complain about when sectors have got lost that were not synced. */
const LOGGED_AFTER_POWER_CUT = /damage in what was not synced|a batch in the journal is damaged/;

export interface Outcome {
  readonly lines: readonly string[];
  readonly violations: readonly string[];
}

/** Settings that make small things of what is large, differently for each seed. */
function settingsOf(random: SeededRandom): Record<string, string> {
  return {
    'offsets.topic.num.partitions': '1',
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
  const run: Run = { world, history };
  slowDisk(world, chaos.fork());
  await world.clock.run(prepare(run), LIMIT_MS);
  const producers = PLACES.flatMap((place) => [
    new IdempotentProducer(run, `once-${nameOf(place)}`, place).run(batches),
    new PlainProducer(run, `plain-${nameOf(place)}`, place).run(batches),
  ]);
  const consumers = PLACES.map((place) => new Consumer(run, `reader-${nameOf(place)}`, place));
  const reading = Promise.all(consumers.map((consumer) => consumer.run()));
  const finish = async () => {
    await disturb(run, chaos);
    await Promise.all(producers);
    for (const consumer of consumers) consumer.stopAt(await endOf(run, consumer.place));
    await reading;
    await checkAll(run);
    // What was closed in an orderly way opens as the same.
    await restart(run, () => world.stop());
    await checkAll(run);
  };
  try {
    await world.clock.run(finish(), LIMIT_MS);
  } catch (error) {
    history.violate((error as Error).stack ?? String(error));
  }
  for (const { text, error } of world.errors) {
    if (world.powerCuts > 0 && LOGGED_AFTER_POWER_CUT.test(text)) continue;
    history.violate(`the broker logged: ${text} ${(error as Error | undefined)?.stack ?? ''}`);
  }
  return history;
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

async function prepare({ world, history }: Run): Promise<void> {
  if (!(await world.start())) throw new Error('the first start failed');
  const topics = new Map(PLACES.map(({ topic, visibility }) => [topic, visibility]));
  const answer = await new SimClient(world, 'admin').call(createTopics, {
    topics: [...topics].map(([name, visibility]) => ({
      name,
      numPartitions: PLACES.filter(({ topic }) => topic === name).length,
      replicationFactor: 1,
      assignments: [],
      configs: [{ name: 'fetch.visibility', value: visibility }],
    })),
  });
  for (const { name, errorCode } of answer.topics) {
    if (errorCode !== ErrorCode.NONE) history.violate(`${name}: ${errorName(errorCode)}`);
  }
}

/** Ends the broker's process some times in all the ways there are, and starts it again. */
async function disturb(run: Run, random: SeededRandom): Promise<void> {
  const { world } = run;
  for (let left = 1 + random.below(4); left > 0; left--) {
    await world.sleep(random.below(1500));
    await restart(run, async () => {
      const way = random.pick([
        'kill',
        'power cut',
        'stop',
        'crash',
        'crash with power cut',
      ] as const);
      note(run, way);
      if (way === 'kill') world.kill();
      else if (way === 'power cut') world.powerCut();
      else if (way === 'stop') await world.stop();
      else {
        await crashWithin(world, random);
        if (way === 'crash with power cut') world.powerCut();
      }
    });
  }
}

/** Lets the process end with one of the next calls of the disk, which may be done by half. */
async function crashWithin(world: SimWorld, random: SeededRandom): Promise<void> {
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

/** Ends the broker and starts it until it serves. */
async function restart(run: Run, end: () => Promise<unknown>): Promise<void> {
  const { world } = run;
  await end();
  do {
    await world.sleep(world.random.below(500));
    if (world.isRunning) world.kill();
    // A start that crashes, too, once in a while.
    if (world.random.chance(0.2)) {
      const last = world.disk.calls + 1 + world.random.below(80);
      world.disk.onCall = ({ number }) => (number < last ? undefined : { ends: 'before' });
    }
    const isUp = await world.start();
    world.disk.onCall = undefined;
    note(run, isUp ? 'is up' : 'crashed while starting');
  } while (!world.isRunning);
}

function note({ world, history }: Run, text: string): void {
  history.note(`${world.clock.monotonic().toFixed(3)} broker ${text}`);
}

async function endOf({ world }: Run, { topic, partition }: Place): Promise<number> {
  const client = new SimClient(world, 'admin');
  for (;;) {
    try {
      const { topics } = await client.call(listOffsets, {
        replicaId: -1,
        topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: LATEST }] }],
      });
      return topics[0]!.partitions[0]!.offset;
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
      await world.sleep(200);
    }
  }
}

/** Reads all partitions from the start and holds them against the history. */
async function checkAll(run: Run): Promise<void> {
  const { world, history } = run;
  for (const place of PLACES) {
    const end = await endOf(run, place);
    const reader = new Reader(run, `auditor-${nameOf(place)}`, place);
    reader.stopAt(end);
    await reader.run();
    history.checkLog(place, reader.taken, world.powerCuts);
    note(run, `${nameOf(place)} has ${reader.taken.length} records up to ${end}`);
  }
}

/**
 * Many consumers that wait for something that seldom comes: each on a connection of its own (Apache
 * Kafka answers one request of a connection after the other), each on one of many quiet partitions.
 */

import { sentAt, timedBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
import { ParkedFetches } from '../client/parked-fetches.ts';
import { produce } from '../client/producer.ts';
import { read } from '../client/reader.ts';
import { createTopic, deleteTopic } from '../client/topics.ts';
import { sleep } from '../pace.ts';
import { processStats } from '../process-stats.ts';
import {
  type Figures,
  freshTopic,
  Latencies,
  lower,
  Meter,
  type Scenario,
  type Settings,
  type Target,
} from '../scenario.ts';

const PARTITIONS = 100;
/** Longer than the whole measurement: no fetch ends by its own timeout. */
const MAX_WAIT_MS = 300_000;
const SETTLE_MS = 2_000;
/** Long enough that a fifth of a percent is more than one tick. */
const IDLE_MS = 10_000;
const IDLE_STEP_MS = 100;
/** Less than two ticks of the clock that counts processor time. */
const IDLE_SECONDS = 0.015;
const IDLE_LIMIT_MS = 60_000;
const WAKE_UPS = 300;
const MAX_BYTES = 64 * 1024;
const RECORD_BYTES = 100;

function scenario(name: string, countOf: (settings: Settings) => number): Scenario {
  return {
    name,
    about: `fetches parked on ${PARTITIONS} quiet partitions, one connection each`,
    run: (target, settings) => run(target, countOf(settings)),
  };
}

export const parked: readonly Scenario[] = [
  scenario('parked-5000', ({ parkedFetches }) => Math.ceil(parkedFetches / 2)),
  scenario('parked-10000', ({ parkedFetches }) => parkedFetches),
];

async function run(target: Target, count: number): Promise<Figures> {
  const control = await WireConnection.open(target.host, target.port);
  const topic = freshTopic('parked');
  await createTopic(control, topic, PARTITIONS + 1);
  const { host, port } = target;
  const options = { host, port, topic, partitions: PARTITIONS, maxWaitMs: MAX_WAIT_MS };
  const crowd = new ParkedFetches(options);
  try {
    const before = processStats(target.pid);
    const meter = new Meter(target);
    const began = performance.now();
    await crowd.park(count);
    const opened = meter.read();
    const setUpSeconds = ((await untilIdle(target)) - began) / 1000;
    await sleep(SETTLE_MS);
    const parkedStats = processStats(target.pid);
    await sleep(IDLE_MS);
    const idle = processStats(target.pid);
    const figures: Figures = {
      'set up': lower(setUpSeconds, 's'),
      'loader CPU of it': lower(opened.loaderCpuSeconds, 's'),
    };
    if (before && parkedStats && idle) {
      const kibibytes = (parkedStats.residentMebibytes - before.residentMebibytes) * 1024;
      figures['broker CPU of it'] = lower(parkedStats.cpuSeconds - before.cpuSeconds, 's');
      figures['memory a fetch'] = lower(kibibytes / count, 'KiB');
      const used = idle.cpuSeconds - parkedStats.cpuSeconds;
      figures['idle CPU'] = lower((used / (IDLE_MS / 1000)) * 100, '%');
    }
    return { ...figures, ...(await wakeUps(control, crowd, target, topic)) };
  } finally {
    crowd.close();
    await deleteTopic(control, topic);
    control.close();
  }
}

/** When the broker was done with what it was sent: the moment from which it used next to nothing. */
async function untilIdle(target: Target): Promise<number> {
  const limit = performance.now() + IDLE_LIMIT_MS;
  for (;;) {
    const from = performance.now();
    const before = processStats(target.pid);
    if (before === undefined) return from;
    await sleep(IDLE_STEP_MS);
    const used = processStats(target.pid)!.cpuSeconds - before.cpuSeconds;
    if (used < IDLE_SECONDS || from > limit) return from;
  }
}

/** One record at a time, to a partition that one more consumer waits on. */
async function wakeUps(
  control: WireConnection,
  crowd: ParkedFetches,
  target: Target,
  topic: string,
): Promise<Figures> {
  const latencies = new Latencies();
  const woken = await WireConnection.open(target.host, target.port);
  let arrived: (() => void) | undefined;
  const reading = read(woken, {
    topic,
    from: new Map([[PARTITIONS, 0]]),
    maxWaitMs: MAX_WAIT_MS,
    minBytes: 1,
    maxBytes: MAX_BYTES,
    onBatch: (buffer, at) => {
      latencies.add(performance.now() - sentAt(buffer, at));
      arrived?.();
    },
    goOn: () => latencies.count < WAKE_UPS,
  });
  while (latencies.count < WAKE_UPS) {
    const next = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    await new Promise<void>((resolve, reject) => {
      const batches = [{ index: PARTITIONS, records: timedBatch(RECORD_BYTES) }];
      produce(control, topic, 1, batches, resolve, reject);
    });
    await Promise.race([next, reading, crowd.failed]);
  }
  await reading;
  woken.close();
  return latencies.figures();
}

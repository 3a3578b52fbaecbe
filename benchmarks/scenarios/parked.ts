/**
 * Many consumers that wait for something that seldom comes: each on a connection of its own (Apache
 * Kafka answers one request of a connection after the other), each on one of many quiet partitions.
 */

import { sentAt, timedBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
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
  type Scenario,
  type Settings,
  type Target,
} from '../scenario.ts';

const PARTITIONS = 100;
const OPENING_AT_ONCE = 200;
/** Longer than the whole measurement: no fetch ends by its own timeout. */
const MAX_WAIT_MS = 300_000;
const SETTLE_MS = 2_000;
const IDLE_MS = 3_000;
const IDLE_STEP_MS = 250;
const IDLE_SHARE = 0.1;
const IDLE_LIMIT_MS = 60_000;
const WAKE_UPS = 300;
const MAX_BYTES = 64 * 1024;
const RECORD_BYTES = 100;

export const parked: readonly Scenario[] = [
  {
    name: 'parked',
    about: `fetches parked on ${PARTITIONS} quiet partitions, one connection each`,
    run,
  },
];

async function run(target: Target, settings: Settings): Promise<Figures> {
  const control = await WireConnection.open(target.host, target.port);
  const topic = freshTopic('parked');
  await createTopic(control, topic, PARTITIONS + 1);
  const crowd = new Crowd(target, topic);
  try {
    const before = processStats(target.pid);
    const began = performance.now();
    await crowd.park(settings.parkedFetches);
    const setUpSeconds = ((await untilIdle(target)) - began) / 1000;
    await sleep(SETTLE_MS);
    const parkedStats = processStats(target.pid);
    await sleep(IDLE_MS);
    const idle = processStats(target.pid);
    const figures: Figures = { 'set up': lower(setUpSeconds, 's') };
    if (before && parkedStats && idle) {
      const kibibytes = (parkedStats.residentMebibytes - before.residentMebibytes) * 1024;
      figures['memory a fetch'] = lower(kibibytes / settings.parkedFetches, 'KiB');
      const used = idle.cpuSeconds - parkedStats.cpuSeconds;
      figures['idle CPU'] = lower((used / (IDLE_MS / 1000)) * 100, '%');
    }
    return { ...figures, ...(await wakeUps(control, crowd, target, topic)) };
  } finally {
    await crowd.close();
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
    if (used < (IDLE_SHARE * IDLE_STEP_MS) / 1000 || from > limit) return from;
  }
}

/** One record at a time, to a partition that one more consumer waits on. */
async function wakeUps(
  control: WireConnection,
  crowd: Crowd,
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

class Crowd {
  /** Rejects when a fetch ends that should still wait. */
  readonly failed: Promise<never>;
  readonly #target: Target;
  readonly #topic: string;
  readonly #connections: WireConnection[] = [];
  #fail: (error: Error) => void = () => {};
  #closing = false;

  constructor(target: Target, topic: string) {
    this.#target = target;
    this.#topic = topic;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Whoever waits for something else looks at it too; a failure before is not unhandled.
    this.failed.catch(() => {});
  }

  async park(count: number): Promise<void> {
    while (this.#connections.length < count) {
      const missing = Math.min(OPENING_AT_ONCE, count - this.#connections.length);
      const opened = Array.from({ length: missing }, () =>
        WireConnection.open(this.#target.host, this.#target.port),
      );
      for (const connection of await Promise.all(opened)) {
        this.#wait(connection, this.#connections.length % PARTITIONS);
        this.#connections.push(connection);
      }
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const connection of this.#connections) connection.close();
  }

  #wait(connection: WireConnection, partition: number): void {
    const reading = read(connection, {
      topic: this.#topic,
      from: new Map([[partition, 0]]),
      maxWaitMs: MAX_WAIT_MS,
      minBytes: 1,
      maxBytes: MAX_BYTES,
      onBatch: () => {},
      goOn: () => true,
    });
    reading.catch((error: Error) => {
      if (!this.#closing) this.#fail(error);
    });
  }
}

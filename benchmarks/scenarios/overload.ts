/**
 * More than a broker can serve: producers that offer three times what the disk takes, thousands of
 * connections that each do a little, consumers that ask for much and take nothing; each alone, and
 * all at once. Beside it clients that do nothing wrong: how long they wait before, under and after
 * it, what the broker holds meanwhile, and how soon all is as it was.
 */

import { tmpdir } from 'node:os';
import { BrokerWatch } from '../broker-watch.ts';
import { makeBatch } from '../client/batches.ts';
import { CLEAN_PARTITIONS, CleanClients } from '../client/clean-clients.ts';
import { WireConnection } from '../client/connection.ts';
import { produce } from '../client/producer.ts';
import { createTopic, deleteTopic } from '../client/topics.ts';
import { diskBytesPerSecond } from '../disk-rate.ts';
import { LOAD_NAMES, type LoadCounts, type LoadName } from '../loads/load.ts';
import { LoadThread } from '../loads/load-thread.ts';
import { sleep } from '../pace.ts';
import {
  type Figures,
  freshTopic,
  higher,
  lower,
  Meter,
  type Scenario,
  type Settings,
  type Target,
} from '../scenario.ts';

const PARTITIONS = 12;
const OFFERED_TO_TAKEN = 3;
const DEAF_SHARE = 10;
const FILL_BYTES = 128e6;
const FILL_RECORDS = 512;
const QUIET_MS = 3_000;
const WINDOW_MS = 500;
/** Latency is as it was when its p99 is within this factor and sum of what it was. */
const BACK_FACTOR = 2;
const BACK_MS = 10;
const BACK_LIMIT_MS = 60_000;
/** What was held is looked at so long after the load has gone. */
const LEFT_AFTER_MS = 10_000;
const SOCKETS_LEFT = 20;
const MEGABYTE = 1e6;

function scenario(name: string, about: string, loads: readonly LoadName[]): Scenario {
  return { name, about, run: (target, settings) => new Overload(target, settings, loads).run() };
}

export const overload: readonly Scenario[] = [
  scenario('overload-flood', 'producers offer three times what the disk takes', ['flood']),
  scenario('overload-crowd', '10 000 connections, each doing a little', ['crowd']),
  scenario('overload-deaf', '1 000 consumers that ask for much and take nothing', ['deaf']),
  scenario('overload-all', 'the flood, the crowd and the deaf at once', LOAD_NAMES),
];

let diskRate: Promise<number> | undefined;

class Overload {
  readonly #target: Target;
  readonly #settings: Settings;
  readonly #loads: readonly LoadName[];
  readonly #topics = new Map<LoadName, string>();

  constructor(target: Target, settings: Settings, loads: readonly LoadName[]) {
    this.#target = target;
    this.#settings = settings;
    this.#loads = loads;
  }

  async run(): Promise<Figures> {
    const { host, port, pid } = this.#target;
    const control = await WireConnection.open(host, port);
    const cleanTopic = freshTopic('clean');
    await createTopic(control, cleanTopic, CLEAN_PARTITIONS);
    for (const load of this.#loads) await this.#prepare(control, load);
    diskRate ??= diskBytesPerSecond(tmpdir());
    const bytesPerSecond = OFFERED_TO_TAKEN * (await diskRate);
    const clean = await CleanClients.start(host, port, cleanTopic);
    const watch = new BrokerWatch(pid);
    try {
      return await this.#measure(clean, watch, bytesPerSecond);
    } finally {
      watch.stop();
      await clean.stop();
      const topics = [cleanTopic, ...this.#topics.values()];
      for (const topic of topics) await deleteTopic(control, topic);
      control.close();
    }
  }

  async #prepare(control: WireConnection, load: LoadName): Promise<void> {
    const topic = freshTopic(load);
    this.#topics.set(load, topic);
    await createTopic(control, topic, PARTITIONS);
    if (load === 'deaf') await fill(control, topic);
  }

  async #measure(
    clean: CleanClients,
    watch: BrokerWatch,
    bytesPerSecond: number,
  ): Promise<Figures> {
    await sleep(WINDOW_MS);
    const before = clean.begin();
    await sleep(QUIET_MS);
    const held = { mebibytes: watch.mebibytes, sockets: watch.sockets };
    const meter = new Meter(this.#target);
    const under = clean.begin();
    const threads = this.#loads.map((name) => this.#thread(name, bytesPerSecond));
    await Promise.all(threads.map((thread) => thread.start()));
    const establishedSeconds = meter.read().seconds;
    await sleep(this.#settings.seconds * 1000);
    const { broker, seconds, loaderCpuSeconds } = meter.read();
    const counts = await Promise.all(threads.map((thread) => thread.stop()));
    const endedMs = performance.now();
    const usualMs = before.acknowledged.figures().p99!.value;
    const backSeconds = await secondsUntilBack(clean, usualMs * BACK_FACTOR + BACK_MS, endedMs);
    const released = await secondsUntilReleased(watch, held.sockets, endedMs);
    const after = clean.begin();
    await sleep(Math.max(QUIET_MS, endedMs + LEFT_AFTER_MS - performance.now()));
    clean.begin();
    await sleep(WINDOW_MS);
    return {
      ...before.figures('before'),
      ...under.figures('under load'),
      ...after.figures('after'),
      'load there after': lower(establishedSeconds, 's'),
      'latency back after': lower(backSeconds, 's'),
      'connections gone after': lower(released, 's'),
      'memory before': lower(held.mebibytes, 'MiB'),
      'memory, most': lower(watch.peakMebibytes, 'MiB'),
      'memory 10 s after': lower(watch.mebibytes, 'MiB'),
      'descriptors, most': lower(watch.peakDescriptors, ''),
      'broker CPU': lower(((broker?.cpuSeconds ?? Number.NaN) * 100) / seconds, '%'),
      'loader CPU': lower((loaderCpuSeconds * 100) / seconds, '%'),
      ...loadFigures(counts, seconds),
    };
  }

  #thread(name: LoadName, bytesPerSecond: number): LoadThread {
    const { host, port } = this.#target;
    const crowd = this.#settings.parkedFetches;
    const connections = name === 'deaf' ? Math.ceil(crowd / DEAF_SHARE) : crowd;
    const topic = this.#topics.get(name)!;
    return new LoadThread({
      name,
      host,
      port,
      topic,
      partitions: PARTITIONS,
      bytesPerSecond,
      connections,
    });
  }
}

function loadFigures(counts: readonly LoadCounts[], seconds: number): Figures {
  const sum = (key: keyof LoadCounts) => counts.reduce((total, count) => total + count[key], 0);
  return {
    offered: higher(sum('offeredBytes') / MEGABYTE / seconds, 'MB/s'),
    taken: higher(sum('takenBytes') / MEGABYTE / seconds, 'MB/s'),
    'load requests refused': lower(sum('refused'), ''),
    'load connections closed': lower(sum('closed'), ''),
  };
}

/** Something to be asked for. */
async function fill(control: WireConnection, topic: string): Promise<void> {
  const records = makeBatch({ recordBytes: 1024, recordCount: FILL_RECORDS, codec: 'none' });
  for (let sent = 0; sent * records.length < FILL_BYTES; sent += 1) {
    const batches = [{ index: sent % PARTITIONS, records }];
    await new Promise<void>((resolve, reject) => {
      produce(control, topic, -1, batches, resolve, reject);
    });
  }
}

/** Until the clean clients wait no longer than they used to. */
async function secondsUntilBack(
  clean: CleanClients,
  limitMs: number,
  endedMs: number,
): Promise<number> {
  for (;;) {
    const window = clean.begin();
    await sleep(WINDOW_MS);
    const { count } = window.acknowledged;
    const isBack = count > window.sent / 2 && window.acknowledged.figures().p99!.value <= limitMs;
    const passedMs = window.beganMs - endedMs;
    if (isBack || passedMs > BACK_LIMIT_MS) return Math.max(0, passedMs) / 1000;
  }
}

async function secondsUntilReleased(
  watch: BrokerWatch,
  sockets: number,
  endedMs: number,
): Promise<number> {
  for (;;) {
    const passedMs = performance.now() - endedMs;
    const isReleased = !(watch.sockets > sockets + SOCKETS_LEFT);
    if (isReleased || passedMs > BACK_LIMIT_MS) return passedMs / 1000;
    await sleep(WINDOW_MS / 10);
  }
}

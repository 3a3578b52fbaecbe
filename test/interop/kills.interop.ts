/**
 * A broker in a process of its own that is killed, stopped for a while, told to end and started
 * again, time after time, under clients that go on: nothing acknowledged may be missing, doubled or
 * out of order, what was read stays, and committed offsets never go back.
 *
 * TAILRACE_KILLS says how often it is killed, TAILRACE_SEED from which random numbers. Transactions
 * are held to the same in test/clients/exactly-once/.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { type ServedBroker, serve } from '../fuzz/served-broker.ts';
import { SeededRandom } from '../sim/random.ts';
import { verify, WitnessedLoad } from './witness.ts';

const KILLS = Number(process.env.TAILRACE_KILLS ?? 8);
const SEED = Number(process.env.TAILRACE_SEED ?? Date.now() % 1_000_000);
/** One in so many ends is a SIGTERM, one in so many lives is held for a while before. */
const TERM_EVERY = 4;
const HOLD_EVERY = 3;
const HELD_MS = 300;
const STOP_LIMIT_MS = 5000;
const SETTINGS = {
  'offsets.topic.num.partitions': '1',
  'tail.chunk.bytes': '65536',
  'tail.chunk.max.ms': '200',
  'journal.file.bytes': '1048576',
  'journal.max.bytes': '8388608',
  'log.cleaner.backoff.ms': '100',
};

const data = mkdtempSync(join(tmpdir(), 'tailrace-kills-'));
t.setTimeout(60_000 + KILLS * 10_000);

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What a start says of itself: whether the stop before was clean, and what it had to check. */
function opening(broker: ServedBroker): { wasClean: boolean; checkedBytes: number } {
  const line = broker
    .log()
    .split('\n')
    .find((text) => text.includes('the logs are open'));
  return JSON.parse(line ?? '{}');
}

t.test(`killed ${KILLS} times under load (seed ${SEED})`, async (t) => {
  t.setTimeout(60_000 + KILLS * 10_000);
  const random = new SeededRandom(SEED);
  let broker = await serve(SETTINGS, { dataDir: data, logLevel: 'info' });
  const { port } = broker;
  t.teardown(async () => {
    await broker.kill();
    rmSync(data, { recursive: true, force: true });
  });
  const load = new WitnessedLoad({
    open: () => WireConnection.open('127.0.0.1', port),
    now: () => performance.now(),
    comesBack: true,
  });
  await load.createTopics();
  const ended = load.run();
  let slowestStopMs = 0;
  for (let kills = 0, ends = 1; kills < KILLS; ends++) {
    await pause(50 + random.below(400));
    if (ends % HOLD_EVERY === 0) {
      broker.signal('SIGSTOP');
      await pause(HELD_MS);
      broker.signal('SIGCONT');
      await pause(50);
    }
    const isTerm = ends % TERM_EVERY === 0;
    if (isTerm) {
      const { exitCode, tookMs } = await broker.stop();
      t.equal(exitCode, 143, 'an orderly end');
      slowestStopMs = Math.max(slowestStopMs, tookMs);
    } else {
      await broker.kill();
      kills++;
    }
    broker = await serve(SETTINGS, { dataDir: data, port, logLevel: 'info' });
    const { wasClean, checkedBytes } = opening(broker);
    t.equal(wasClean, isTerm, isTerm ? 'the start sees the clean stop' : 'the start sees the kill');
    if (isTerm) t.equal(checkedBytes, 0, 'and checks nothing');
  }
  await pause(300);
  load.end();
  await ended;
  t.same(load.violations, []);
  t.ok(slowestStopMs < STOP_LIMIT_MS, `the slowest stop took ${Math.round(slowestStopMs)} ms`);
  const connection = await WireConnection.open('127.0.0.1', port);
  t.teardown(() => connection.close());
  t.same(await verify(load.facts, connection), []);
  let acknowledged = 0;
  for (const all of load.facts.records.values()) acknowledged += all.length;
  t.comment(
    `${acknowledged} records acknowledged, ${load.read} read, ` +
      `${load.facts.commits.length} commits, slowest stop ${Math.round(slowestStopMs)} ms`,
  );
  t.ok(acknowledged > KILLS && load.read > KILLS && load.facts.commits.length > KILLS);
});

/**
 * Power cuts with real processes: a broker under load is watched at the level of system calls; what
 * the disk could hold had the power failed at one of them is put into a folder, a broker is started
 * on it, and what had been promised until then must be there. A part of the cuts is in the start
 * after a cut, so that recovery itself is cut too.
 *
 * Needs gcc. TAILRACE_CUTS says how many cuts, TAILRACE_SEED from which random numbers.
 */

import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { serve } from '../fuzz/served-broker.ts';
import { SeededRandom } from '../sim/random.ts';
import { Replay, readTrace } from './power/replay.ts';
import { type Facts, verify, WitnessedLoad } from './witness.ts';

const CUTS = Number(process.env.TAILRACE_CUTS ?? 10);
const SEED = Number(process.env.TAILRACE_SEED ?? Date.now() % 1_000_000);
/** One run under load serves for so many cuts. */
const CUTS_A_RUN = 25;
const LOAD_MS = 2500;
const KEEP_CHANCES = [0, 0.1, 0.5, 0.9];
const SETTINGS = {
  'offsets.topic.num.partitions': '1',
  'tail.chunk.bytes': '65536',
  'tail.chunk.max.ms': '200',
  'journal.file.bytes': '1048576',
  'journal.max.bytes': '4194304',
  'log.cleaner.backoff.ms': '100',
  'offset.lease.records': '1024',
};

const source = fileURLToPath(new URL('../../../test/interop/power/trace.c', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'tailrace-power-'));
t.teardown(() => rmSync(work, { recursive: true, force: true }));
t.setTimeout(60_000 + CUTS * 20_000);

const library = join(work, 'trace.so');
const data = join(work, 'data');
let boots = 0;

execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl', '-lpthread']);

/** The environment in which a broker is traced, on a machine that has just come up. */
function traced(trace: string): Record<string, string> {
  const bootIdFile = join(work, `boot-${++boots}`);
  writeFileSync(bootIdFile, `boot ${boots}\n`);
  const names = { TRACED_FOLDER: data, TRACE_FILE: trace, BOOT_ID_FILE: bootIdFile };
  return { LD_PRELOAD: library, ...names };
}

function start(trace: string, settings: object = {}) {
  return serve({ ...SETTINGS, ...settings }, { dataDir: data, env: traced(trace) });
}

/** A broker at work for a while, and killed: its calls, and what it had promised when. */
async function underLoad(trace: string, settings: object = {}): Promise<Facts> {
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data);
  const broker = await start(trace, settings);
  const load = new WitnessedLoad({
    open: () => WireConnection.open('127.0.0.1', broker.port),
    now: () => statSync(trace).size,
    comesBack: false,
  });
  try {
    await load.createTopics();
    const ended = load.run();
    await new Promise((resolve) => setTimeout(resolve, LOAD_MS));
    await broker.kill();
    load.end();
    await ended;
  } finally {
    await broker.kill();
  }
  t.same(load.violations, []);
  return load.facts;
}

/** Starts a broker on what is in the folder and asks for all that was promised. */
async function check(facts: Facts, at: number, trace: string): Promise<string[]> {
  const broker = await start(trace);
  try {
    const connection = await WireConnection.open('127.0.0.1', broker.port);
    const wrong = await verify(facts, connection, at);
    connection.close();
    return wrong;
  } finally {
    await broker.kill();
  }
}

t.test(`what was promised survives ${CUTS} power cuts (seed ${SEED})`, async (t) => {
  t.setTimeout(60_000 + CUTS * 20_000);
  const random = new SeededRandom(SEED);
  let cuts = 0;
  let promised = 0;
  for (let run = 0; cuts < CUTS; run++) {
    const trace = join(work, `trace-${run}`);
    const facts = await underLoad(trace);
    const entries = readTrace(readFileSync(trace));
    for (let ofRun = 0; ofRun < CUTS_A_RUN && cuts < CUTS; ofRun++) {
      const at = entries[random.below(entries.length)]!.end;
      const keepChance = random.pick(KEEP_CHANCES);
      const replay = new Replay(data);
      replay.cut(entries, at, random, keepChance);
      replay.putInto(data);
      cuts++;
      const what = `cut ${cuts} at ${at} of ${entries.at(-1)!.end}, keeping ${keepChance}`;
      const again = join(work, 'trace-again');
      const base = join(work, 'base');
      const cutsTwice = random.chance(0.3) && cuts < CUTS;
      rmSync(base, { recursive: true, force: true });
      if (cutsTwice) cpSync(data, base, { recursive: true });
      rmSync(again, { force: true });
      t.same(await check(facts, at, again), [], what);
      for (const all of facts.records.values()) promised += all.filter((r) => r.at <= at).length;
      if (!cutsTwice) continue;
      // The power goes once more, somewhere in the recovery or soon after it.
      const recovery = readTrace(readFileSync(again));
      const second = new Replay(data, base);
      const secondAt = recovery[random.below(recovery.length)]!.end;
      second.cut(recovery, secondAt, random, random.pick(KEEP_CHANCES));
      second.putInto(data);
      cuts++;
      t.same(await check(facts, at, again), [], `${what}, and again at ${secondAt}`);
    }
    rmSync(trace);
  }
  t.comment(`${cuts} cuts, ${promised} promised records looked for`);
  t.ok(promised > 0);
});

t.test('a broker that answers before it has synced is caught', async (t) => {
  const trace = join(work, 'trace-unsynced');
  const never = { 'log.flush.interval.messages': '1000000', 'journal.sync.max.ms': '60000' };
  const facts = await underLoad(trace, never);
  const entries = readTrace(readFileSync(trace));
  // Others make the broker sync all the while: the power goes just when an answer has come.
  const answered = facts.records.get('plain-0')!.slice(20, 25);
  const wrong: string[] = [];
  for (const { at } of answered) {
    const replay = new Replay(data);
    replay.cut(entries, at, new SeededRandom(SEED), 0);
    replay.putInto(data);
    wrong.push(...(await check(facts, at, join(work, 'trace-after'))));
    if (wrong.length > 0) break;
  }
  t.match(wrong.join(), /acknowledged at \d+, is not there/);
});

/**
 * Measures brokers from outside, over the Kafka protocol, from a process of its own. Several are
 * measured alternately in one run, so that what the machine does meanwhile meets them alike.
 *
 *   node build/benchmarks/macro.js [--broker tailrace] [--broker kafka] [--broker host:port] ...
 *     --scenario NAME   only those whose name begins so; may be given several times
 *     --rounds N        how often each scenario meets each broker (3)
 *     --seconds N       how long each measurement lasts (10)
 *     --warm-up N       seconds of load before the first measurement, on each broker (30)
 *     --parked N        fetches that are parked at once (10000)
 *     --catch-up-mb N   what there is to be read (512)
 *     --compaction-records N   records of the log that is compacted (4000000)
 *     --json FILE       all figures of all rounds
 *     --smoke           one short round of everything, to see that it runs
 *
 * Without --broker: tailrace and kafka (installed by benchmarks/peers/install-kafka.sh). Settings
 * follow the name: --broker "tailrace flush.messages=10000". Run `npm run build` before.
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { type ScenarioResult, table } from './report.ts';
import type { Figures, Scenario, Settings } from './scenario.ts';
import { catchUp } from './scenarios/catch-up.ts';
import { compaction } from './scenarios/compaction.ts';
import { endToEnd } from './scenarios/end-to-end.ts';
import { parked } from './scenarios/parked.ts';
import { produceLatency } from './scenarios/produce-latency.ts';
import { produceThroughput } from './scenarios/produce-throughput.ts';
import { type RunningTarget, startTarget } from './targets.ts';

const SCENARIOS: readonly Scenario[] = [
  ...produceThroughput,
  ...produceLatency,
  ...endToEnd,
  ...catchUp,
  ...parked,
  ...compaction,
];

interface Plan {
  readonly brokers: readonly string[];
  readonly scenarios: readonly Scenario[];
  readonly rounds: number;
  readonly warmUpSeconds: number;
  readonly settings: Settings;
  readonly json: string | undefined;
}

function readPlan(args: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...args],
    options: {
      broker: { type: 'string', multiple: true, default: ['tailrace', 'kafka'] },
      scenario: { type: 'string', multiple: true, default: [''] },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      'warm-up': { type: 'string' },
      parked: { type: 'string' },
      'catch-up-mb': { type: 'string' },
      'compaction-records': { type: 'string' },
      json: { type: 'string' },
      smoke: { type: 'boolean', default: false },
    },
  });
  const number = (name: keyof typeof FULL) => {
    const usual = values.smoke ? SMOKE[name] : FULL[name];
    const value = Number(values[name] ?? usual);
    if (!(value >= 0)) throw new Error(`--${name} takes a number, not ${values[name]}`);
    return value;
  };
  const scenarios = SCENARIOS.filter(({ name }) =>
    values.scenario.some((prefix) => name.startsWith(prefix)),
  );
  if (scenarios.length === 0) {
    throw new Error(`no such scenario; there are ${SCENARIOS.map(({ name }) => name).join(', ')}`);
  }
  return {
    brokers: values.broker,
    scenarios,
    rounds: number('rounds'),
    warmUpSeconds: number('warm-up'),
    settings: {
      seconds: number('seconds'),
      catchUpBytes: number('catch-up-mb') * 1e6,
      parkedFetches: number('parked'),
      compactionRecords: number('compaction-records'),
    },
    json: values.json,
  };
}

const FULL = {
  rounds: 3,
  seconds: 10,
  'warm-up': 30,
  parked: 10_000,
  'catch-up-mb': 512,
  'compaction-records': 4_000_000,
};
const SMOKE = {
  rounds: 1,
  seconds: 1,
  'warm-up': 1,
  parked: 200,
  'catch-up-mb': 16,
  'compaction-records': 2_000_000,
};

/** Load of the kinds that are measured, so that the JVM and V8 have compiled what they will run. */
async function warmUp(target: RunningTarget, seconds: number, settings: Settings): Promise<void> {
  const kinds = ['produce-12-acks1', 'end-to-end-10k', 'catch-up-8'];
  const chosen = SCENARIOS.filter(({ name }) => kinds.includes(name));
  for (const scenario of chosen) {
    await scenario.run(target, { ...settings, seconds: seconds / chosen.length });
  }
}

async function measure(plan: Plan, targets: readonly RunningTarget[]): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  for (const scenario of plan.scenarios) {
    const rounds = new Map<string, Figures[]>(targets.map(({ name }) => [name, []]));
    for (let round = 0; round < plan.rounds; round += 1) {
      // The order changes from round to round: who comes first meets a colder disk.
      const order = round % 2 === 0 ? targets : targets.toReversed();
      for (const target of order) {
        rounds.get(target.name)!.push(await scenario.run(target, plan.settings));
      }
    }
    const result = { name: scenario.name, about: scenario.about, rounds };
    process.stdout.write(`\n${table(result)}\n`);
    results.push(result);
  }
  return results;
}

function describeMachine() {
  return {
    date: new Date().toISOString(),
    commit: execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim(),
    node: process.version,
    system: `${process.platform} ${release()}`,
    processors: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    memoryGibibytes: Math.round(totalmem() / 2 ** 30),
  };
}

const plan = readPlan(process.argv.slice(2));
const machine = describeMachine();
process.stdout.write(`${JSON.stringify(machine)}\n`);
const targets: RunningTarget[] = [];
// An exit, and not a death by signal, takes the brokers along.
process.once('SIGTERM', () => process.exit(143));
process.once('SIGINT', () => process.exit(130));
try {
  for (const broker of plan.brokers) targets.push(await startTarget(broker));
  for (const target of targets) await warmUp(target, plan.warmUpSeconds, plan.settings);
  const results = await measure(plan, targets);
  if (plan.json !== undefined) {
    const scenarios = results.map(({ name, about, rounds }) => ({
      name,
      about,
      brokers: Object.fromEntries(rounds),
    }));
    const { brokers, rounds, warmUpSeconds, settings } = plan;
    const how = { brokers, rounds, warmUpSeconds, ...settings };
    writeFileSync(plan.json, `${JSON.stringify({ machine, how, scenarios }, null, 2)}\n`);
  }
} finally {
  await Promise.all(targets.map((target) => target.stop()));
}

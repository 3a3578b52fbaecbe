/**
 * Measures brokers from outside, over the Kafka protocol, from a process of its own. Several are
 * measured alternately in one run, so that what the machine does meanwhile meets them alike.
 *
 *   node build/benchmarks/macro.js [--broker tailrace] [--broker kafka] [--broker host:port] ...
 *     --scenario NAME   this one, or all whose names begin so; may be given several times
 *     --rounds N        how often each scenario meets each broker (5)
 *     --seconds N       how long each measurement lasts (5)
 *     --warm-up N       seconds of load before the first measurement, on each broker (60)
 *     --parked N        fetches that are parked at once (10000)
 *     --catch-up-mb N   what there is to be read (512)
 *     --compaction-records N   records of the log that is compacted (4000000)
 *     --json FILE       all figures of all rounds; a file that is there is added to
 *     --show FILE       measures nothing: the tables of what such a file holds
 *     --smoke           one short round of everything, to see that it runs
 *
 * Without --broker: tailrace and kafka (installed by benchmarks/peers/install-kafka.sh). Settings
 * follow the name: --broker "tailrace flush.messages=10000". Run `npm run build` before.
 */

import { parseArgs } from 'node:util';
import { describeMachine } from './host.ts';
import { processStats } from './process-stats.ts';
import { type ScenarioResult, table } from './report.ts';
import { addRun, readRuns, resultsOf } from './results.ts';
import type { Figures, Scenario, Settings } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';
import { settle } from './settle.ts';
import { type RunningTarget, startTarget } from './targets.ts';
import { warmUp } from './warm-up.ts';

interface Plan {
  readonly brokers: readonly string[];
  readonly scenarios: readonly Scenario[];
  readonly rounds: number;
  readonly warmUpSeconds: number;
  readonly settings: Settings;
  readonly json: string | undefined;
  readonly show: string | undefined;
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
      show: { type: 'string' },
      smoke: { type: 'boolean', default: false },
    },
  });
  const number = (name: keyof typeof FULL) => {
    const usual = values.smoke ? SMOKE[name] : FULL[name];
    const value = Number(values[name] ?? usual);
    if (!(value >= 0)) throw new Error(`--${name} takes a number, not ${values[name]}`);
    return value;
  };
  const names = new Set(SCENARIOS.map(({ name }) => name));
  const scenarios = SCENARIOS.filter(({ name }) =>
    values.scenario.some((word) => (names.has(word) ? name === word : name.startsWith(word))),
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
    show: values.show,
  };
}

const FULL = {
  rounds: 5,
  seconds: 5,
  'warm-up': 60,
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

async function measure(plan: Plan, targets: readonly RunningTarget[]): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  for (const scenario of plan.scenarios) {
    const rounds = new Map<string, Figures[]>(targets.map(({ name }) => [name, []]));
    for (let round = 0; round < plan.rounds; round += 1) {
      // The order changes from round to round: who comes first meets a colder disk.
      const order = round % 2 === 0 ? targets : targets.toReversed();
      for (const target of order) {
        await settle(targets);
        rounds.get(target.name)!.push(await scenario.run(target, plan.settings));
      }
    }
    const result = { name: scenario.name, about: scenario.about, rounds };
    process.stdout.write(`\n${table(result)}\n`);
    results.push(result);
  }
  return results;
}

async function run(plan: Plan): Promise<void> {
  const machine = describeMachine();
  process.stdout.write(`${JSON.stringify(machine)}\n`);
  const targets: RunningTarget[] = [];
  try {
    for (const broker of plan.brokers) targets.push(await startTarget(broker));
    const { warmUpSeconds, settings } = plan;
    for (const target of targets) await warmUp(target, warmUpSeconds, settings, plan.scenarios);
    const results = await measure(plan, targets);
    for (const { name, pid } of targets) {
      const mebibytes = processStats(pid)?.residentMebibytes;
      if (mebibytes !== undefined) {
        process.stdout.write(`\n${name}: ${Math.round(mebibytes)} MiB after all of it\n`);
      }
    }
    const { brokers, rounds } = plan;
    const how = { brokers, rounds, warmUpSeconds, ...settings };
    if (plan.json !== undefined) addRun(plan.json, { machine, how, results });
  } finally {
    await Promise.all(targets.map((target) => target.stop()));
  }
}

const plan = readPlan(process.argv.slice(2));
// An exit, and not a death by signal, takes the brokers along.
process.once('SIGTERM', () => process.exit(143));
process.once('SIGINT', () => process.exit(130));
if (plan.show === undefined) await run(plan);
else
  for (const result of resultsOf(readRuns(plan.show))) process.stdout.write(`\n${table(result)}\n`);

/**
 * How the cost grows with the work, on brokers side by side: one curve a run, each of its points on
 * one broker after the other.
 *
 *   node build/benchmarks/curves.js --curve partitions|connections|consumers|size
 *     [--broker tailrace] [--broker kafka] [--warm-up 60] [--seconds 4] [--rounds 1]
 *     [--least N] [--most N]   points below and above are left out
 *     [--json FILE]    a file that is there is added to
 *   node build/benchmarks/curves.js --draw FILE --folder docs    pictures and tables of what FILE has
 */

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chart, type Panel } from './chart.ts';
import { CURVES, type Curve } from './curve-points.ts';
import { describeMachine } from './host.ts';
import { digits, median, type ScenarioResult } from './report.ts';
import { addRun, readRuns, resultsOf } from './results.ts';
import type { Figures } from './scenario.ts';
import { settle } from './settle.ts';
import { type RunningTarget, startTarget } from './targets.ts';
import { warmUp } from './warm-up.ts';

const CATCH_UP_BYTES = 256e6;

interface Plan {
  readonly curve: Curve;
  readonly brokers: readonly string[];
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly least: number;
  readonly most: number;
}

function nameOf(curve: Curve, x: number): string {
  return `${curve.name}=${x}`;
}

async function measure(
  plan: Plan,
  targets: readonly RunningTarget[],
  json: string | undefined,
): Promise<ScenarioResult[]> {
  const { curve, seconds } = plan;
  const points = curve.points.filter((x) => x >= plan.least && x <= plan.most);
  const opened = await Promise.all(targets.map((target) => curve.open(target)));
  const results: ScenarioResult[] = [];
  for (const x of points) {
    const rounds = new Map<string, Figures[]>(targets.map(({ name }) => [name, []]));
    for (let round = 0; round < plan.rounds; round += 1) {
      for (const [index, { name }] of targets.entries()) {
        await settle(targets);
        const figures = await opened[index]!.measure(x, seconds);
        rounds.get(name)!.push(figures);
        const told = Object.entries(figures).map(([what, { value }]) => `${what} ${digits(value)}`);
        process.stderr.write(`${name}, ${nameOf(curve, x)}: ${told.join(', ')}\n`);
      }
    }
    const result = { name: nameOf(curve, x), about: curve.title, rounds };
    results.push(result);
    // Kept at once: a run that is cut short has its points.
    const { brokers, warmUpSeconds } = plan;
    const how = { brokers, warmUpSeconds, seconds, rounds: plan.rounds };
    if (json !== undefined) addRun(json, { machine: describeMachine(), how, results: [result] });
  }
  await Promise.all(opened.map((one) => one.close()));
  return results;
}

async function run(plan: Plan, json: string | undefined): Promise<void> {
  const settings = {
    seconds: plan.seconds,
    catchUpBytes: CATCH_UP_BYTES,
    parkedFetches: 0,
    compactionRecords: 0,
  };
  const targets: RunningTarget[] = [];
  try {
    for (const broker of plan.brokers) targets.push(await startTarget(broker));
    for (const target of targets) await warmUp(target, plan.warmUpSeconds, settings, []);
    const results = await measure(plan, targets, json);
    process.stdout.write(`${tableOf(plan.curve, results)}\n`);
  } finally {
    await Promise.all(targets.map((target) => target.stop()));
  }
}

/** Medians of one figure of one broker, by the point. */
function line(curve: Curve, results: readonly ScenarioResult[], broker: string, figure: string) {
  return curve.points.flatMap((x) => {
    const rounds = results.find(({ name }) => name === nameOf(curve, x))?.rounds.get(broker) ?? [];
    const values = rounds.flatMap((figures) => figures[figure]?.value ?? []);
    return values.length > 0 ? [{ x, y: median(values) }] : [];
  });
}

function brokersOf(results: readonly ScenarioResult[]): string[] {
  return [...new Set(results.flatMap(({ rounds }) => [...rounds.keys()]))];
}

function tableOf(curve: Curve, results: readonly ScenarioResult[]): string {
  const columns = curve.panels.flatMap(({ title, figures, unit }) =>
    Object.entries(figures).flatMap(([figure, what]) =>
      brokersOf(results).map((broker) => ({
        head: `${broker}: ${what === '' ? title : what}, ${unit}`,
        points: line(curve, results, broker, figure),
      })),
    ),
  );
  const rows = curve.points
    .filter((x) => results.some(({ name }) => name === nameOf(curve, x)))
    .map((x) => [
      String(x),
      ...columns.map(({ points }) => {
        const y = points.find((point) => point.x === x)?.y;
        return y === undefined ? '–' : digits(y);
      }),
    ]);
  const head = [curve.xTitle, ...columns.map((column) => column.head)];
  return [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function panelsOf(curve: Curve, results: readonly ScenarioResult[]): Panel[] {
  return curve.panels.map(({ title, figures, unit }) => ({
    title,
    xTitle: curve.xTitle,
    yTitle: unit,
    lines: brokersOf(results).flatMap((broker, colour) =>
      Object.entries(figures).map(([figure, what], index) => ({
        name: what === '' ? broker : `${broker}, ${what}`,
        points: line(curve, results, broker, figure),
        dashed: index > 0,
        colour,
      })),
    ),
  }));
}

function draw(file: string, folder: string): void {
  const all = resultsOf(readRuns(file));
  for (const curve of Object.values(CURVES)) {
    const results = all.filter(({ name }) => name.startsWith(`${curve.name}=`));
    if (results.length === 0) continue;
    const picture = path.join(folder, `curve-${curve.name}.svg`);
    writeFileSync(picture, chart(curve.title, panelsOf(curve, results)));
    process.stdout.write(`\n${picture}\n\n${tableOf(curve, results)}\n`);
  }
}

const { values } = parseArgs({
  options: {
    curve: { type: 'string', default: 'partitions' },
    broker: { type: 'string', multiple: true, default: ['tailrace', 'kafka'] },
    'warm-up': { type: 'string', default: '60' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '1' },
    least: { type: 'string', default: '0' },
    most: { type: 'string', default: 'Infinity' },
    json: { type: 'string' },
    draw: { type: 'string' },
    folder: { type: 'string', default: 'docs' },
  },
});
process.once('SIGTERM', () => process.exit(143));
process.once('SIGINT', () => process.exit(130));
if (values.draw !== undefined) {
  draw(values.draw, values.folder);
} else {
  const curve = CURVES[values.curve];
  if (curve === undefined) {
    throw new Error(`no such curve: ${values.curve}; there are ${Object.keys(CURVES).join(', ')}`);
  }
  const plan: Plan = {
    curve,
    brokers: values.broker,
    warmUpSeconds: Number(values['warm-up']),
    seconds: Number(values.seconds),
    rounds: Number(values.rounds),
    least: Number(values.least),
    most: Number(values.most),
  };
  await run(plan, values.json);
}

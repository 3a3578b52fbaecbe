/**
 * Figures in files: each run of the macro runner adds itself to one, so that a long measurement can
 * be taken in pieces. Rounds of one scenario on the same brokers are one after the other, whatever
 * runs they are from.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { ScenarioResult } from './report.ts';
import type { Figures } from './scenario.ts';

export interface Run {
  readonly machine: object;
  readonly how: object;
  readonly results: readonly ScenarioResult[];
}

interface StoredScenario {
  readonly name: string;
  readonly about: string;
  readonly brokers: Readonly<Record<string, readonly Figures[]>>;
}

export interface StoredRun {
  readonly machine: object;
  readonly how: object;
  readonly scenarios: readonly StoredScenario[];
}

export function readRuns(file: string): StoredRun[] {
  if (!existsSync(file)) return [];
  const { runs }: { runs: StoredRun[] } = JSON.parse(readFileSync(file, 'utf8'));
  return runs;
}

export function addRun(file: string, { machine, how, results }: Run): void {
  const scenarios = results.map(({ name, about, rounds }) => ({
    name,
    about,
    brokers: Object.fromEntries(rounds),
  }));
  const runs = [...readRuns(file), { machine, how, scenarios }];
  writeFileSync(file, `${JSON.stringify({ runs }, null, 2)}\n`);
}

/** What all runs came to, scenario by scenario. */
export function resultsOf(runs: readonly StoredRun[]): ScenarioResult[] {
  const merged = new Map<string, { name: string; about: string; rounds: Map<string, Figures[]> }>();
  for (const { name, about, brokers } of runs.flatMap(({ scenarios }) => scenarios)) {
    const key = [name, ...Object.keys(brokers)].join('\n');
    const result = merged.get(key) ?? { name, about, rounds: new Map<string, Figures[]>() };
    merged.set(key, result);
    for (const [broker, rounds] of Object.entries(brokers)) {
      result.rounds.set(broker, [...(result.rounds.get(broker) ?? []), ...rounds]);
    }
  }
  return [...merged.values()];
}

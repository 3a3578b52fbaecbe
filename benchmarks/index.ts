/**
 * Runs the micro benchmarks: each file in micro/ exports one or more suites of `benchmark`, alone
 * or in arrays. Words on the command line choose the files whose names contain one of them.
 *
 *   node build/benchmarks/index.js [WORD]...
 */

import { readdirSync } from 'node:fs';
import Benchmark from 'benchmark';

const wanted = process.argv.slice(2);
const folder = new URL('./micro/', import.meta.url);
const files = readdirSync(folder)
  .filter((name) => /\.(js|ts)$/.test(name) && !name.endsWith('.d.ts'))
  .filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word)))
  .sort();

for (const file of files) {
  const exported: Record<string, unknown> = await import(new URL(file, folder).href);
  for (const suite of Object.values(exported).flat()) {
    if (suite instanceof Benchmark.Suite) await run(suite);
  }
}

/** Runs one suite to its end and prints a line for each of its benchmarks. */
function run(suite: Benchmark.Suite): Promise<void> {
  const { name } = suite as { name?: string };
  process.stdout.write(`\n${name ?? 'suite'}\n`);
  return new Promise((resolve, reject) => {
    suite.on('cycle', (event: Benchmark.Event) => process.stdout.write(`  ${event.target}\n`));
    suite.on('error', (event: Benchmark.Event) => {
      reject((event.target as { error?: Error }).error ?? new Error('a benchmark failed'));
    });
    suite.on('complete', () => resolve());
    suite.run({ async: true });
  });
}

/**
 * `npm run simulate -- --seed N`: runs a broker in the simulated world of a seed, or of many, and
 * says what was found. A seed gives the same history every time.
 *
 *   --seed N      this one; its history is printed when something is against a law
 *   --seeds A-B   these
 *   --hours H     from the first one on, until so many simulated hours have passed
 *   --size S      batches of each producer
 *   --history     prints the history in any case
 *
 * Without a seed it draws one. Exit code 0: all held; 1: something did not; 2: asked for wrongly.
 */

import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { CHECKERS } from './checkers/names.ts';
import { type Outcome, simulate } from './scenario.ts';

const HOUR_MS = 3_600_000;
/** Between two lines of progress. */
const PROGRESS_MS = 10_000;
const LARGEST_SEED = 2 ** 31;
/** Failing seeds whose histories are printed. */
const MOST_HISTORIES = 3;

interface Asked {
  readonly first: number;
  readonly last: number;
  readonly hours: number;
  readonly size: number | undefined;
  readonly isTold: boolean;
}

function readArguments(): Asked {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      hours: { type: 'string' },
      size: { type: 'string' },
      history: { type: 'boolean', default: false },
    },
  });
  const hours = values.hours === undefined ? Number.POSITIVE_INFINITY : Number(values.hours);
  const range = (values.seeds ?? values.seed ?? String(randomInt(LARGEST_SEED))).split('-');
  const first = Number(range[0]);
  const isOpen = values.hours !== undefined && range.length === 1;
  const last = isOpen ? Number.POSITIVE_INFINITY : Number(range[1] ?? range[0]);
  const size = values.size === undefined ? undefined : Number(values.size);
  const isSound = Number.isSafeInteger(first) && last >= first && hours > 0;
  if (!isSound || (size !== undefined && !(size > 0))) {
    throw new TypeError('a seed is a whole number, seeds are A-B, hours and size more than 0');
  }
  return { first, last, hours, size, isTold: values.history };
}

class Report {
  readonly #startedMs = performance.now();
  readonly #failed: number[] = [];
  #shownMs = performance.now();
  #seeds = 0;
  #simulatedMs = 0;

  get simulatedHours(): number {
    return this.#simulatedMs / HOUR_MS;
  }

  get failed(): readonly number[] {
    return this.#failed;
  }

  add(seed: number, outcome: Outcome, isTold: boolean): void {
    this.#seeds++;
    this.#simulatedMs += outcome.simulatedMs;
    const hasFailed = outcome.violations.length > 0;
    if (hasFailed) this.#failed.push(seed);
    const isShown = isTold || (hasFailed && this.#failed.length <= MOST_HISTORIES);
    if (isShown) for (const line of outcome.lines) console.log(line);
    if (hasFailed) tellViolations(seed, outcome);
    if (performance.now() - this.#shownMs > PROGRESS_MS) this.tell(seed);
  }

  tell(seed: number): void {
    this.#shownMs = performance.now();
    const seconds = (this.#shownMs - this.#startedMs) / 1000;
    const rate = (this.#seeds / seconds).toFixed(1);
    const pace = Math.round(this.#simulatedMs / 1000 / seconds);
    console.log(
      `up to seed ${seed}: ${this.#seeds} seeds, ${this.simulatedHours.toFixed(1)} simulated hours, ` +
        `${rate} seeds a second, ${pace} times real time, ${this.#failed.length} failed`,
    );
  }
}

function tellViolations(seed: number, { violations, parts }: Outcome): void {
  console.log(`seed ${seed} (${parts.join(', ')}): ${violations.length} against the laws`);
  for (const { checker, text } of violations) {
    console.log(`  ${checker} (${CHECKERS[checker]})\n    ${text}`);
  }
  console.log(`  again: npm run simulate -- --seed ${seed}`);
}

async function main(): Promise<number> {
  const { first, last, hours, size, isTold } = readArguments();
  const report = new Report();
  let seed = first;
  for (; seed <= last && report.simulatedHours < hours; seed++) {
    report.add(seed, await simulate(seed, size === undefined ? {} : { size }), isTold);
  }
  report.tell(seed - 1);
  const { failed } = report;
  if (failed.length > 0) console.log(`failed: ${failed.join(' ')}`);
  return failed.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof TypeError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

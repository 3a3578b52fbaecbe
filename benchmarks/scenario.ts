/** What a macro benchmark is, and what it finds out. */

import type { Histogram } from 'hdr-histogram-js';
import { build } from 'hdr-histogram-js';
import { type ProcessStats, processStats } from './process-stats.ts';

/** A broker to be measured. */
export interface Target {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Undefined when the broker runs elsewhere: then its CPU time and memory stay unknown. */
  readonly pid: number | undefined;
  /** Where its partitions' folders are; undefined when it runs elsewhere. */
  readonly dataDir: string | undefined;
}

export interface Figure {
  readonly value: number;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
}

export type Figures = Record<string, Figure>;

export interface Settings {
  /** How long each measurement lasts, after a warm-up of its own. */
  readonly seconds: number;
  /** Bytes that the catch-up read has before it. */
  readonly catchUpBytes: number;
  readonly parkedFetches: number;
  /** Records of the log that is compacted. */
  readonly compactionRecords: number;
}

export interface Scenario {
  readonly name: string;
  readonly about: string;
  run(target: Target, settings: Settings): Promise<Figures>;
}

export function higher(value: number, unit: string): Figure {
  return { value, unit, better: 'higher' };
}

export function lower(value: number, unit: string): Figure {
  return { value, unit, better: 'lower' };
}

const MEGABYTE = 1e6;
const GIGABYTE = 1e9;

/** What broker and loader used from one moment to another. */
export interface Usage {
  readonly seconds: number;
  /** Undefined when the broker runs elsewhere. */
  readonly broker: { readonly cpuSeconds: number; readonly residentMebibytes: number } | undefined;
  readonly loaderCpuSeconds: number;
}

/** Counts from its making what broker and loader use. */
export class Meter {
  readonly #target: Target;
  readonly #before: ProcessStats | undefined;
  readonly #loaderBefore = process.cpuUsage();
  readonly #began = performance.now();

  constructor(target: Target) {
    this.#target = target;
    this.#before = processStats(target.pid);
  }

  read(): Usage {
    const seconds = (performance.now() - this.#began) / 1000;
    const loader = process.cpuUsage(this.#loaderBefore);
    const after = processStats(this.#target.pid);
    const broker =
      this.#before === undefined || after === undefined
        ? undefined
        : { ...after, cpuSeconds: after.cpuSeconds - this.#before.cpuSeconds };
    return { seconds, broker, loaderCpuSeconds: (loader.user + loader.system) / 1e6 };
  }
}

/** What was used, as shares of one processor: a loader near 100 % is itself the limit. */
function usageFigures({ broker, seconds, loaderCpuSeconds }: Usage): Figures {
  const figures: Figures = { 'loader CPU': lower((100 * loaderCpuSeconds) / seconds, '%') };
  if (broker !== undefined) {
    figures['broker memory'] = lower(broker.residentMebibytes, 'MiB');
  }
  return figures;
}

/** Megabytes a second, and what the broker used for a gigabyte. */
export function throughputFigures(bytes: number, usage: Usage): Figures {
  const figures: Figures = { throughput: higher(bytes / MEGABYTE / usage.seconds, 'MB/s') };
  if (usage.broker !== undefined) {
    figures['broker CPU'] = lower(usage.broker.cpuSeconds / (bytes / GIGABYTE), 's/GB');
  }
  return { ...figures, ...usageFigures(usage) };
}

/** Requests a second, and what the broker used for one. */
export function requestFigures(requests: number, usage: Usage): Figures {
  const figures: Figures = { requests: higher(requests / usage.seconds, '1/s') };
  if (usage.broker !== undefined) {
    figures['broker CPU'] = lower((usage.broker.cpuSeconds / requests) * 1e6, 'µs/request');
  }
  return { ...figures, ...usageFigures(usage) };
}

/** A histogram of milliseconds, kept in microseconds with three digits. */
export class Latencies {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 3_600_000_000,
    numberOfSignificantValueDigits: 3,
  });

  add(milliseconds: number): void {
    this.#histogram.recordValue(Math.max(1, Math.round(milliseconds * 1000)));
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  figures(): Figures {
    const at = (percentile: number) =>
      lower(this.#histogram.getValueAtPercentile(percentile) / 1000, 'ms');
    return {
      p50: at(50),
      p90: at(90),
      p99: at(99),
      'p99.9': at(99.9),
      max: lower(this.#histogram.maxValue / 1000, 'ms'),
    };
  }
}

let topicNumber = 0;

/** A topic name that no other run has used. */
export function freshTopic(what: string): string {
  topicNumber += 1;
  return `bench-${what}-${process.pid}-${topicNumber}-${Math.random().toString(36).slice(2, 8)}`;
}

/**
 * The broker's numbers in Prometheus' text format, through prom-client: each declared metric is a
 * metric of the registry that reads the broker's own series when it is scraped.
 *
 * A declared metric is named `tailrace_` and its name, and a second time by the name that boards
 * made for Apache Kafka know it by, where it has one.
 */

import { Registry } from 'prom-client';
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  METRICS,
  type MetricName,
  type Metrics,
  type MetricType,
} from '../broker/metrics.ts';

/** What is before the names of the table. */
export const PREFIX = 'tailrace_';

/** One line of the exposition. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Where it differs from the metric's: the parts of a histogram. */
  readonly metricName?: string;
}

/** What prom-client asks of a metric that is registered with it. */
class ExposedMetric {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly aggregator = 'sum';
  private readonly read: () => Promise<Sample[]> | Sample[];

  constructor(
    name: string,
    help: string,
    type: MetricType,
    read: () => Promise<Sample[]> | Sample[],
  ) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.read = read;
  }

  async get() {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: await this.read() };
  }

  reset(): void {}
}

/** Adds a metric whose samples are asked for at each scrape. */
export function expose(
  registry: Registry,
  name: string,
  help: string,
  type: MetricType,
  read: () => Promise<Sample[]> | Sample[],
): void {
  // prom-client takes whatever answers `get`, but its types know its own classes only.
  registry.registerMetric(new ExposedMetric(name, help, type, read) as never);
}

function labelled(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, i) => [name, values[i] ?? '']));
}

function seriesSamples(metrics: Metrics, name: CounterName | GaugeName): Sample[] {
  const names = METRICS[name].labels;
  return Array.from(metrics.valuesOf(name), (series) => ({
    labels: labelled(names, series.labels),
    value: series.read(),
  }));
}

function histogramSamples(metrics: Metrics, name: HistogramName, exposed: string): Sample[] {
  const samples: Sample[] = [];
  for (const series of metrics.histogramsOf(name)) {
    const labels = labelled(METRICS[name].labels, series.labels);
    let below = 0;
    for (const [i, bound] of [...series.bounds, '+Inf'].entries()) {
      below += series.counts[i] as number;
      samples.push({
        labels: { ...labels, le: bound },
        value: below,
        metricName: `${exposed}_bucket`,
      });
    }
    samples.push({ labels, value: series.sum, metricName: `${exposed}_sum` });
    samples.push({ labels, value: series.count, metricName: `${exposed}_count` });
  }
  return samples;
}

/** A registry of all declared metrics. */
export function exposeAll(metrics: Metrics): Registry {
  const registry = new Registry();
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const declared = METRICS[name];
    const names = [`${PREFIX}${name}`];
    if ('also' in declared && declared.also !== undefined) names.push(declared.also);
    for (const exposed of names) {
      const read = () =>
        declared.type === 'histogram'
          ? histogramSamples(metrics, name as HistogramName, exposed)
          : seriesSamples(metrics, name as CounterName | GaugeName);
      expose(registry, exposed, declared.doc, declared.type, read);
    }
  }
  return registry;
}

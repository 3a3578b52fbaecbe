/**
 * Subscriptions of client metrics, out of the configurations that are set for them: which metrics a
 * client is asked for, and how often. Source: KIP-714; Kafka's ClientMetricsManager.
 */

import {
  type ClientMatchParameter,
  clientMetricsOptions,
  DEFAULT_PUSH_INTERVAL_MS,
  parseMatch,
} from '../config/client-metrics-options.ts';
import { parseValue } from '../config/option.ts';
import { ResourceType } from '../metadata-image.ts';
import type { MetadataLog } from '../metadata-log.ts';
import type { TextPattern } from '../text-pattern.ts';

/** What a client is known by. */
export type ClientIdentity = Readonly<Record<ClientMatchParameter, string>>;

/** What one client is asked for. */
export interface Wanted {
  readonly metrics: readonly string[];
  readonly pushIntervalMs: number;
}

interface Subscription extends Wanted {
  readonly patterns: readonly (readonly [ClientMatchParameter, TextPattern])[];
}

/** Stands for all metrics. */
const ALL = '*';

export class Subscriptions {
  readonly #metadata: Pick<MetadataLog, 'committed' | 'onCommit'>;
  readonly #byName = new Map<string, Subscription>();
  #version = 0;

  constructor(metadata: Pick<MetadataLog, 'committed' | 'onCommit'>) {
    this.#metadata = metadata;
    for (const name of metadata.committed.resources(ResourceType.clientMetrics)) this.#read(name);
    metadata.onCommit((records) => {
      const changed = new Set<string>();
      for (const { kind, value } of records) {
        if (kind !== 'ConfigRecord' || value.resourceType !== ResourceType.clientMetrics) continue;
        changed.add(value.resourceName);
      }
      for (const name of changed) this.#read(name);
    });
  }

  /** Rises with each change. */
  get version(): number {
    return this.#version;
  }

  /** All that the subscriptions want of a client, the shortest interval for all of it. */
  wantedOf(client: ClientIdentity): Wanted {
    const metrics = new Set<string>();
    let pushIntervalMs = DEFAULT_PUSH_INTERVAL_MS;
    for (const subscription of this.#byName.values()) {
      const { patterns } = subscription;
      if (!patterns.every(([name, pattern]) => pattern.matches(client[name]))) continue;
      for (const metric of subscription.metrics) metrics.add(metric);
      pushIntervalMs = Math.min(pushIntervalMs, subscription.pushIntervalMs);
    }
    return { metrics: metrics.has(ALL) ? [ALL] : [...metrics], pushIntervalMs };
  }

  #read(name: string): void {
    this.#version += 1;
    const settings = this.#metadata.committed.settings(ResourceType.clientMetrics, name);
    if (settings.size === 0) {
      this.#byName.delete(name);
      return;
    }
    const value = <N extends keyof typeof clientMetricsOptions>(option: N) => {
      const text = settings.get(option);
      const declared = clientMetricsOptions[option];
      return text === undefined ? declared.default : parseValue(option, declared as never, text);
    };
    const texts = value('match') as readonly string[];
    this.#byName.set(name, {
      metrics: value('metrics') as readonly string[],
      pushIntervalMs: value('interval.ms') as number,
      patterns: texts.flatMap((text) => {
        const match = parseMatch(text);
        return match === undefined ? [] : [match];
      }),
    });
  }
}

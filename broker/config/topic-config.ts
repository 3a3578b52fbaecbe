/**
 * A topic's configuration: what was set for the topic, else the broker's value for it.
 */

import type { LogOptions } from '../../storage/types.ts';
import type { Config } from '../config.ts';
import { IllegalValue, type Option, type OptionValueType, parseValue } from './option.ts';
import {
  isTopicOptionName,
  type TopicOption,
  type TopicOptionName,
  type TopicOptionValue,
  topicOptions,
} from './topic-options.ts';

/** The declaration behind a name. */
export function topicOption(name: TopicOptionName): TopicOption {
  return topicOptions[name] as unknown as TopicOption;
}

export class TopicConfig {
  readonly #broker: Config;
  readonly #internal: boolean;
  #overrides: ReadonlyMap<string, string>;
  readonly #values = new Map<TopicOptionName, OptionValueType>();
  readonly #derived = new Map<(config: TopicConfig) => unknown, unknown>();
  /** The broker's version that the values were derived from. */
  #version = -1;

  constructor(broker: Config, overrides: ReadonlyMap<string, string>, internal: boolean) {
    this.#broker = broker;
    this.#overrides = overrides;
    this.#internal = internal;
  }

  /** The texts set for the topic itself. */
  get overrides(): ReadonlyMap<string, string> {
    return this.#overrides;
  }

  /** Takes over what was set for the topic, all of it. */
  setOverrides(overrides: ReadonlyMap<string, string>): void {
    this.#overrides = overrides;
    this.#version = -1;
  }

  /** The value in force. */
  get<N extends TopicOptionName>(name: N): TopicOptionValue<N> {
    this.#dropStale();
    let value = this.#values.get(name);
    if (value === undefined) {
      value = this.#resolve(name);
      this.#values.set(name, value);
    }
    return value as TopicOptionValue<N>;
  }

  /** What a function makes of the values, kept until one of them changes. */
  derived<T>(derive: (config: TopicConfig) => T): T {
    this.#dropStale();
    const known = this.#derived.get(derive) as T | undefined;
    if (known !== undefined) return known;
    const made = derive(this);
    this.#derived.set(derive, made);
    return made;
  }

  #dropStale(): void {
    if (this.#version === this.#broker.version) return;
    this.#values.clear();
    this.#derived.clear();
    this.#version = this.#broker.version;
  }

  #resolve(name: TopicOptionName): OptionValueType {
    const option = topicOption(name);
    const own = this.#overrides.get(name);
    return own === undefined ? brokerValue(this.#broker, option) : parseValue(name, option, own);
  }

  logOptions(): LogOptions {
    const policies = this.get('cleanup.policy');
    const compacts = policies.includes('compact');
    const maxCompactionLagMs = this.get('max.compaction.lag.ms');
    const segmentMs = this.get('segment.ms');
    return {
      segmentBytes: this.get('segment.bytes'),
      // Nothing of the active segment is cleaned: it must be closed before its records are too old.
      segmentMs: compacts ? Math.min(segmentMs, maxCompactionLagMs) : segmentMs,
      segmentJitterMs: this.get('segment.jitter.ms'),
      segmentIndexBytes: this.get('segment.index.bytes'),
      indexIntervalBytes: this.get('index.interval.bytes'),
      fileDeleteDelayMs: this.get('file.delete.delay.ms'),
      flushMessages: this.get('flush.messages'),
      flushMs: this.get('flush.ms'),
      producerIdExpirationMs: this.#broker.get('producer.id.expiration.ms'),
      deletes: policies.includes('delete'),
      compacts,
      retentionMs: this.get('retention.ms'),
      retentionBytes: this.get('retention.bytes'),
      deleteRetentionMs: this.get('delete.retention.ms'),
      minCompactionLagMs: this.get('min.compaction.lag.ms'),
      maxCompactionLagMs,
      minCleanableDirtyRatio: this.get('min.cleanable.dirty.ratio'),
      compactsTail: compacts && this.get('tail.compaction.enable'),
      visibility: this.get('fetch.visibility'),
      internal: this.#internal,
    };
  }
}

/** What a topic without a value of its own gets: the first counterpart that is set. */
export function brokerValue(broker: Config, option: TopicOption): OptionValueType {
  for (const { name, factor } of option.counterparts) {
    const value: OptionValueType = broker.get(name);
    if (value === null) continue;
    return typeof value === 'number' && value > 0 ? value * factor : value;
  }
  return option.default;
}

/**
 * What is wrong with the settings of a topic, the first fault of them; undefined when all are
 * legal.
 */
export function topicSettingsFault(
  broker: Config,
  settings: ReadonlyMap<string, string>,
): string | undefined {
  for (const [name, value] of settings) {
    if (!isTopicOptionName(name)) return `Unknown topic config name: ${name}`;
    try {
      parseValue(name, topicOption(name) as Option, value);
    } catch (error) {
      if (error instanceof IllegalValue) return error.message;
      throw error;
    }
  }
  const config = new TopicConfig(broker, settings, false);
  const min = config.get('min.compaction.lag.ms');
  const max = config.get('max.compaction.lag.ms');
  if (min > max) {
    return `min.compaction.lag.ms (${min}) must not be above max.compaction.lag.ms (${max})`;
  }
  return undefined;
}

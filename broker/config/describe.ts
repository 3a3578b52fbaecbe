/**
 * Configurations as DescribeConfigs and CreateTopics show them: value, where it comes from, and
 * the synonyms that could have given it, the strongest first.
 * Source: KIP-226, KIP-569; Kafka's ConfigHelper.
 */

import type { Config } from '../config.ts';
import { brokerOption, brokerOptions, isOptionName, type OptionName } from './broker-options.ts';
import { formatValue, type Option, type OptionKind, parseValue } from './option.ts';
import { type TopicConfig, topicOption } from './topic-config.ts';
import { isTopicOptionName, type TopicOptionName, topicOptions } from './topic-options.ts';

/** Where a value comes from, by Kafka's ids. */
export const ConfigSource = {
  topic: 1,
  dynamicBroker: 2,
  dynamicDefaultBroker: 3,
  staticBroker: 4,
  default: 5,
  brokerLogger: 6,
  clientMetrics: 7,
  group: 8,
} as const;

/** Kafka's ids of the types. */
export const CONFIG_TYPES: Readonly<Record<OptionKind, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
  password: 9,
};

export interface Synonym {
  readonly name: string;
  readonly value: string | null;
  readonly source: number;
}

export interface ConfigEntry {
  readonly name: string;
  readonly value: string | null;
  readonly readOnly: boolean;
  readonly configSource: number;
  readonly isSensitive: boolean;
  readonly synonyms: readonly Synonym[];
  readonly configType: number;
  readonly documentation: string | null;
}

export interface DescribeOptions {
  /** Null: all. */
  readonly names: ReadonlySet<string> | null;
  readonly synonyms: boolean;
  readonly documentation: boolean;
}

/** Broker options that are one in several units: any of them gives the value of the first. */
const SAME_VALUE: readonly (readonly OptionName[])[] = [
  ['log.roll.ms', 'log.roll.hours'],
  ['log.roll.jitter.ms', 'log.roll.jitter.hours'],
  ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'],
];

function namesOfSameValue(name: OptionName): readonly OptionName[] {
  if (name === 'log.flush.interval.ms') return [name, 'log.flush.scheduler.interval.ms'];
  return SAME_VALUE.find((names) => names.includes(name)) ?? [name];
}

/** A text as it was set, in the option's own form; secrets are never shown. */
function shown(option: Option, name: string, raw: string): string | null {
  return option.kind === 'password' ? null : formatValue(option, parseValue(name, option, raw));
}

function brokerSynonyms(config: Config, name: OptionName): Synonym[] {
  const names = namesOfSameValue(name);
  const found: Synonym[] = [];
  const levels = [
    [config.dynamicValues('broker'), ConfigSource.dynamicBroker],
    [config.dynamicValues('cluster'), ConfigSource.dynamicDefaultBroker],
    [config.staticValues, ConfigSource.staticBroker],
  ] as const;
  for (const [values, source] of levels) {
    for (const synonym of names) {
      const raw = values.get(synonym);
      if (raw === undefined) continue;
      found.push({ name: synonym, value: shown(brokerOption(synonym), synonym, raw), source });
    }
  }
  for (const synonym of names) {
    const option = brokerOption(synonym);
    if (option.default === null) continue;
    const value = formatValue(option, option.default);
    found.push({ name: synonym, value, source: ConfigSource.default });
  }
  // As Kafka does it: what stands before the first of the option's own name is left out.
  const first = found.findIndex((synonym) => synonym.name === name);
  return first < 0 ? [] : found.slice(first);
}

function entryOf(
  name: string,
  option: Option,
  value: string | null,
  synonyms: readonly Synonym[],
  readOnly: boolean,
  options: DescribeOptions,
): ConfigEntry {
  const isSensitive = option.kind === 'password';
  return {
    name,
    value: isSensitive ? null : value,
    readOnly,
    configSource: synonyms[0]?.source ?? ConfigSource.default,
    isSensitive,
    synonyms: options.synonyms ? synonyms : [],
    configType: CONFIG_TYPES[option.kind],
    documentation: options.documentation ? option.doc : null,
  };
}

/** All options of a topic. */
export function describeTopic(
  config: Config,
  topic: TopicConfig,
  options: DescribeOptions,
): ConfigEntry[] {
  const entries: ConfigEntry[] = [];
  for (const name of Object.keys(topicOptions).sort() as TopicOptionName[]) {
    if (options.names !== null && !options.names.has(name)) continue;
    const option = topicOption(name);
    const value = formatValue(option, topic.get(name));
    const counterpart = option.counterparts[0];
    const synonyms =
      counterpart === undefined ? [] : brokerSynonyms(config, counterpart.name as OptionName);
    if (topic.overrides.has(name)) synonyms.unshift({ name, value, source: ConfigSource.topic });
    entries.push(entryOf(name, option, value, synonyms, false, options));
  }
  return entries;
}

/** All options of this broker. */
export function describeBroker(config: Config, options: DescribeOptions): ConfigEntry[] {
  const entries: ConfigEntry[] = [];
  for (const name of Object.keys(brokerOptions).sort() as OptionName[]) {
    if (options.names !== null && !options.names.has(name)) continue;
    const option = brokerOption(name);
    const value = formatValue(option, config.get(name));
    const readOnly = option.dynamic === 'read-only';
    entries.push(entryOf(name, option, value, brokerSynonyms(config, name), readOnly, options));
  }
  return entries;
}

/** What was set for all brokers while running, and nothing else. */
export function describeAllBrokers(config: Config, options: DescribeOptions): ConfigEntry[] {
  const entries: ConfigEntry[] = [];
  for (const [name, raw] of config.dynamicValues('cluster')) {
    if (options.names !== null && !options.names.has(name)) continue;
    const option = brokerOption(name);
    const synonyms = brokerSynonyms(config, name).filter(
      (synonym) => synonym.source === ConfigSource.dynamicDefaultBroker,
    );
    entries.push(entryOf(name, option, shown(option, name, raw), synonyms, false, options));
  }
  return entries;
}

/** The type of a configuration, for operations that lists alone take. */
export function isListOption(name: string, ofTopic: boolean): boolean {
  if (ofTopic) return isTopicOptionName(name) && topicOption(name).kind === 'list';
  return isOptionName(name) && brokerOption(name).kind === 'list';
}

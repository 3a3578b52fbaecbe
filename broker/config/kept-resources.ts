/**
 * Resources other than topics and brokers that have configurations: subscriptions of client metrics,
 * and groups. One exists as long as something is set for it.
 * Source: Kafka's ControllerConfigurationValidator, ConfigHelper.
 */

import { type ErrorName, ProtocolError } from '../../protocol/errors.ts';
import { ResourceType } from '../metadata-image.ts';
import { clientMetricsOptions, PUSH_INTERVAL_RANGE_MS } from './client-metrics-options.ts';
import { CONFIG_TYPES, type ConfigEntry, ConfigSource, type DescribeOptions } from './describe.ts';
import { groupOptions } from './group-options.ts';
import {
  formatValue,
  IllegalValue,
  type Option,
  type OptionValueType,
  parseValue,
} from './option.ts';

export interface KeptResource {
  readonly options: Readonly<Record<string, Option>>;
  /** Where a value that was set comes from, by Kafka's ids. */
  readonly source: number;
  /** What is said of a name that is none: to who describes it, and to who changes it. */
  readonly emptyName: { readonly described: string; readonly changed: string };
  readonly unknownOption: { readonly error: ErrorName; readonly text: string };
  /** A further check of a value, after the option's own. Throws ProtocolError. */
  check?(name: string, value: OptionValueType): void;
}

function checkInterval(name: string, value: OptionValueType): void {
  const { min, max } = PUSH_INTERVAL_RANGE_MS;
  if (name !== 'interval.ms' || typeof value !== 'number') return;
  if (value >= min && value <= max) return;
  throw new ProtocolError(
    'INVALID_REQUEST',
    `Invalid value ${value} for ${name}, interval must be between ${min} and ${max} (1 hour)`,
  );
}

const KEPT: ReadonlyMap<number, KeptResource> = new Map([
  [
    ResourceType.clientMetrics,
    {
      options: clientMetricsOptions as unknown as Readonly<Record<string, Option>>,
      source: ConfigSource.clientMetrics,
      emptyName: {
        described: 'Client metrics subscription name must not be empty',
        changed: "Subscription name can't be empty",
      },
      unknownOption: {
        error: 'INVALID_REQUEST',
        text: 'Unknown client metrics configuration',
      } as const,
      check: checkInterval,
    },
  ],
  [
    ResourceType.group,
    {
      options: groupOptions as unknown as Readonly<Record<string, Option>>,
      source: ConfigSource.group,
      emptyName: {
        described: 'Group name must not be empty',
        changed: 'Default group resources are not allowed.',
      },
      unknownOption: { error: 'INVALID_CONFIG', text: 'Unknown group config name' } as const,
    },
  ],
]);

/** The kind of a type; undefined for types that are kept in other ways. */
export function keptResource(resourceType: number): KeptResource | undefined {
  return KEPT.get(resourceType);
}

/** Throws ProtocolError where a resource cannot have these settings. */
export function checkKept(
  kind: KeptResource,
  resourceName: string,
  settings: ReadonlyMap<string, string>,
): void {
  if (resourceName === '') throw new ProtocolError('INVALID_REQUEST', kind.emptyName.changed);
  for (const [name, text] of settings) {
    const option = Object.hasOwn(kind.options, name) ? kind.options[name] : undefined;
    if (option === undefined) {
      const { error, text: why } = kind.unknownOption;
      throw new ProtocolError(error, `${why}: ${name}`);
    }
    try {
      const value = parseValue(name, option, text);
      kind.check?.(name, value);
    } catch (error) {
      if (!(error instanceof IllegalValue)) throw error;
      throw new ProtocolError('INVALID_CONFIG', error.message);
    }
  }
}

/** All configurations of a resource. Throws ProtocolError. */
export function describeKept(
  kind: KeptResource,
  resourceName: string,
  settings: ReadonlyMap<string, string>,
  { names, synonyms, documentation }: DescribeOptions,
): ConfigEntry[] {
  if (resourceName === '') throw new ProtocolError('INVALID_REQUEST', kind.emptyName.described);
  const entries: ConfigEntry[] = [];
  for (const [name, option] of Object.entries(kind.options)) {
    if (names !== null && !names.has(name)) continue;
    const set = settings.get(name);
    const value = formatValue(
      option,
      set === undefined ? option.default : parseValue(name, option, set),
    );
    entries.push({
      name,
      value,
      readOnly: false,
      configSource: set === undefined ? ConfigSource.default : kind.source,
      isSensitive: false,
      synonyms: synonyms && set !== undefined ? [{ name, value, source: kind.source }] : [],
      configType: CONFIG_TYPES[option.kind],
      documentation: documentation ? option.doc : null,
    });
  }
  return entries;
}

/**
 * Changes of configurations while the broker runs: what AlterConfigs and IncrementalAlterConfigs
 * ask for is checked, recorded in __cluster_metadata, and in force when that is durable.
 *
 * Source: KIP-226, KIP-339; Kafka's ConfigAdminManager, ConfigurationControlManager.
 */

import { type ErrorName, ProtocolError } from '../protocol/errors.ts';
import type { Logger } from '../storage/env.ts';
import { brokerOption, isOptionName } from './config/broker-options.ts';
import { isListOption } from './config/describe.ts';
import { checkKept, type KeptResource, keptResource } from './config/kept-resources.ts';
import { formatValue, IllegalValue, parseValue } from './config/option.ts';
import { topicOption, topicSettingsFault } from './config/topic-config.ts';
import { isTopicOptionName } from './config/topic-options.ts';
import type { Config, DynamicScope } from './config.ts';
import { applyLoggerChanges, checkLoggerChanges } from './loggers.ts';
import { ResourceType } from './metadata-image.ts';
import type { MetadataLog } from './metadata-log.ts';
import type { MetadataRecord, NewMetadataRecord } from './metadata-records.ts';
import { topicNameFault } from './topic-names.ts';

/** Operations of IncrementalAlterConfigs, by Kafka's ids. */
export const AlterOperation = { set: 0, delete: 1, append: 2, subtract: 3 } as const;

/** One change of one configuration. */
export interface SettingChange {
  readonly name: string;
  readonly operation: number;
  readonly value: string | null;
}

/** What is asked for one resource. */
export interface ResourceChange {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly changes: readonly SettingChange[];
  /** Settings that are not named are taken back (AlterConfigs). */
  readonly replacesAll: boolean;
}

export interface ConfigChangesServices {
  readonly config: Config;
  readonly metadata: MetadataLog;
  readonly nodeId: number;
  readonly log: Logger;
}

function fail(error: ErrorName, message: string): never {
  throw new ProtocolError(error, message);
}

export class ConfigChanges {
  readonly #services: ConfigChangesServices;

  /** Puts the broker's recorded settings in force, now and when they change. */
  constructor(services: ConfigChangesServices) {
    this.#services = services;
    const { metadata, nodeId } = services;
    for (const resource of ['', String(nodeId)]) {
      const settings = metadata.committed.settings(ResourceType.broker, resource);
      for (const [name, value] of settings) this.#put(resource, name, value);
    }
    metadata.onCommit((records) => this.#committed(records));
  }

  /** What is set for a resource, durably. */
  settings(resourceType: number, resourceName: string): ReadonlyMap<string, string> {
    return this.#services.metadata.committed.settings(resourceType, resourceName);
  }

  /** Names of the resources of a type for which something is set. */
  resources(resourceType: number): string[] {
    return this.#services.metadata.committed.resources(resourceType);
  }

  #committed(records: readonly MetadataRecord[]): void {
    for (const { kind, value } of records) {
      if (kind !== 'ConfigRecord' || value.resourceType !== ResourceType.broker) continue;
      this.#put(value.resourceName, value.name, value.value);
    }
  }

  /** A setting that an older version recorded and this one does not take is left out, and said. */
  #put(resource: string, name: string, value: string | null): void {
    const { config, log, nodeId } = this.#services;
    if (resource !== '' && resource !== String(nodeId)) return;
    const scope: DynamicScope = resource === '' ? 'cluster' : 'broker';
    try {
      if (!isOptionName(name)) throw new IllegalValue(name, value, 'it is not known');
      config.setDynamic(scope, name, value);
    } catch (error) {
      if (!(error instanceof IllegalValue)) throw error;
      log.warn({ name, value, reason: error.message }, 'recorded configuration is left out');
    }
  }

  /**
   * Changes many resources with one append. Each comes out for itself: undefined, or what speaks
   * against it. What was accepted is durable and in force when it resolves.
   */
  async alter(
    resources: readonly ResourceChange[],
    validateOnly: boolean,
  ): Promise<(ProtocolError | undefined)[]> {
    const { metadata } = this.#services;
    await metadata.recover();
    const counts = new Map<string, number>();
    for (const resource of resources) {
      counts.set(keyOf(resource), (counts.get(keyOf(resource)) ?? 0) + 1);
    }
    const records: NewMetadataRecord[] = [];
    const outcomes = resources.map((resource) => {
      try {
        if ((counts.get(keyOf(resource)) ?? 0) > 1) {
          fail('INVALID_REQUEST', 'Each resource must appear at most once.');
        }
        if (resource.resourceType === ResourceType.brokerLogger) {
          this.#alterLoggers(resource, validateOnly);
        } else records.push(...this.#plan(resource));
        return undefined;
      } catch (error) {
        if (error instanceof ProtocolError) return error;
        throw error;
      }
    });
    if (!validateOnly) await metadata.append(records);
    return outcomes;
  }

  /** Log levels are in force at once, and not recorded. Throws ProtocolError. */
  #alterLoggers(resource: ResourceChange, validateOnly: boolean): void {
    const { resourceType, resourceName, changes, replacesAll } = resource;
    if (replacesAll) fail('INVALID_REQUEST', `Unknown resource type ${resourceType}`);
    checkValues(changes);
    this.#checkNodeId(resourceName);
    checkLoggerChanges(changes);
    const { log } = this.#services;
    if (log.level === undefined) fail('INVALID_REQUEST', 'The log of this broker has no levels.');
    if (!validateOnly) applyLoggerChanges(log, changes);
  }

  /** The records of one resource's change. Throws ProtocolError. */
  #plan(resource: ResourceChange): NewMetadataRecord[] {
    const { resourceType, resourceName, changes } = resource;
    checkChanges(changes);
    const kept = keptResource(resourceType);
    const ofTopic = resourceType === ResourceType.topic;
    if (resourceType === ResourceType.broker) this.#checkBrokerName(resourceName);
    else if (!ofTopic && kept === undefined) {
      fail('INVALID_REQUEST', `Unknown resource type ${resourceType}`);
    }
    const { metadata } = this.#services;
    const before = metadata.planned.settings(resourceType, resourceName);
    const after = resource.replacesAll ? new Map<string, string>() : new Map(before);
    for (const change of changes) applyChange(after, change, resourceType);
    this.#check(resource, kept, after);
    const records: NewMetadataRecord[] = [];
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      const value = after.get(name) ?? null;
      if (value === (before.get(name) ?? null)) continue;
      records.push({ kind: 'ConfigRecord', value: { resourceType, resourceName, name, value } });
    }
    return records;
  }

  #check(
    { resourceType, resourceName, changes }: ResourceChange,
    kept: KeptResource | undefined,
    after: ReadonlyMap<string, string>,
  ): void {
    if (kept !== undefined) checkKept(kept, resourceName, after);
    else if (resourceType === ResourceType.topic) this.#checkTopic(resourceName, after);
    else this.#checkBrokerSettings(resourceName, changes, after);
  }

  #checkTopic(name: string, settings: ReadonlyMap<string, string>): void {
    if (name === '') fail('INVALID_REQUEST', 'Default topic resources are not allowed.');
    const nameFault = topicNameFault(name);
    if (nameFault !== undefined) fail('INVALID_TOPIC_EXCEPTION', nameFault);
    const fault = topicSettingsFault(this.#services.config, settings);
    if (fault !== undefined) fail('INVALID_CONFIG', fault);
    if (this.#services.metadata.planned.topicByName(name) === undefined) {
      fail('UNKNOWN_TOPIC_OR_PARTITION', `The topic '${name}' does not exist.`);
    }
  }

  #checkBrokerName(name: string): void {
    if (name !== '') this.#checkNodeId(name);
  }

  #checkNodeId(name: string): void {
    if (!/^-?\d+$/.test(name)) {
      fail('INVALID_REQUEST', `Node id must be an integer, but it is: ${name}`);
    }
    const { nodeId } = this.#services;
    if (Number(name) !== nodeId) {
      fail('INVALID_REQUEST', `Unexpected broker id, expected ${nodeId}, but received ${name}`);
    }
  }

  #checkBrokerSettings(
    resourceName: string,
    changes: readonly SettingChange[],
    settings: ReadonlyMap<string, string>,
  ): void {
    for (const { name } of changes) {
      if (!isOptionName(name)) {
        fail('INVALID_REQUEST', `${name} has no meaning in this broker`);
      }
      const { dynamic } = brokerOption(name);
      if (dynamic === 'read-only') {
        fail('INVALID_REQUEST', `Cannot update these configs dynamically: ${name}`);
      }
      if (dynamic === 'per-broker' && resourceName === '') {
        fail(
          'INVALID_REQUEST',
          'Cannot update these configs at default cluster level, broker id must be specified: ' +
            name,
        );
      }
      const value = settings.get(name);
      if (value !== undefined) checkValue(name, value);
    }
  }
}

function keyOf({ resourceType, resourceName }: ResourceChange): string {
  return `${resourceType} ${resourceName}`;
}

function checkChanges(changes: readonly SettingChange[]): void {
  checkValues(changes);
  const known = Object.values(AlterOperation) as number[];
  for (const { operation } of changes) {
    if (known.includes(operation)) continue;
    fail('INVALID_REQUEST', `Unknown operations type ${operation}`);
  }
}

function checkValues(changes: readonly SettingChange[]): void {
  const names = new Set(changes.map((change) => change.name));
  if (names.size < changes.length) fail('INVALID_REQUEST', 'Error due to duplicate config keys');
  for (const { name, operation, value } of changes) {
    if (value === null && operation !== AlterOperation.delete) {
      fail('INVALID_REQUEST', `Null value not supported for : ${name}`);
    }
  }
}

function checkValue(name: string, value: string): void {
  if (!isOptionName(name)) return;
  try {
    parseValue(name, brokerOption(name), value);
  } catch (error) {
    if (error instanceof IllegalValue) fail('INVALID_REQUEST', error.message);
    throw error;
  }
}

/** Applies one change to the settings of a resource. */
function applyChange(
  settings: Map<string, string>,
  change: SettingChange,
  resourceType: number,
): void {
  const { name, operation } = change;
  const value = change.value ?? '';
  if (operation === AlterOperation.set) {
    settings.set(name, value);
    return;
  }
  if (operation === AlterOperation.delete) {
    settings.delete(name);
    return;
  }
  const append = operation === AlterOperation.append;
  const ofTopic = resourceType === ResourceType.topic;
  // As in Kafka: the lists of other resources are set whole.
  const ofOther = keptResource(resourceType) !== undefined;
  if (ofOther || !isListOption(name, ofTopic)) {
    const word = append ? 'APPEND' : 'SUBTRACT';
    fail('INVALID_CONFIG', `Can't ${word} to key ${name} because its type is not LIST.`);
  }
  const entries = entriesOf(settings.get(name) ?? defaultList(name, ofTopic));
  for (const entry of entriesOf(value)) {
    const at = entries.indexOf(entry);
    if (append && at < 0) entries.push(entry);
    else if (!append && at >= 0) entries.splice(at, 1);
  }
  settings.set(name, entries.join(','));
}

function entriesOf(text: string): string[] {
  return text.split(',').flatMap((entry) => (entry.trim() === '' ? [] : [entry.trim()]));
}

/** What a list has before anything was set. */
function defaultList(name: string, ofTopic: boolean): string {
  if (ofTopic && isTopicOptionName(name)) {
    const option = topicOption(name);
    return formatValue(option, option.default) ?? '';
  }
  if (!isOptionName(name)) return '';
  const option = brokerOption(name);
  return formatValue(option, option.default) ?? '';
}

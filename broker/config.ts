/**
 * The broker's configuration: static values (flag > environment > file > default) under dynamic
 * ones (of this broker, then of all brokers), which AlterConfigs sets and __cluster_metadata keeps.
 *
 * The options are declared in config/broker-options.ts and config/topic-options.ts.
 */

import path from 'node:path';
import type { CleanerOptions } from '../storage/cleaner/cleaner-options.ts';
import type { StoreOptions } from '../storage/store-options.ts';
import type { LogOptions } from '../storage/types.ts';
import {
  brokerOption,
  brokerOptions,
  isOptionName,
  type OptionName,
  type OptionValue,
} from './config/broker-options.ts';
import { isKafkaOnlyName } from './config/kafka-only-names.ts';
import { type Listeners, parseListeners } from './config/listeners.ts';
import { nearestName } from './config/nearest.ts';
import {
  formatValue,
  IllegalValue,
  type Option,
  type OptionValueType,
  parseValue,
} from './config/option.ts';
import type { Setting, SourceKind } from './config/sources.ts';
import { TopicConfig } from './config/topic-config.ts';

export type { OptionName, OptionValue } from './config/broker-options.ts';
export { isUnspecified, type Listener, type Listeners } from './config/listeners.ts';
export { IllegalValue } from './config/option.ts';
export {
  type Setting,
  settingsOfEnvironment,
  settingsOfFlags,
  settingsOfProgram,
  settingsOfProperties,
} from './config/sources.ts';
export { TopicConfig } from './config/topic-config.ts';

/** The start is stopped: what is wrong, with name, value, source and range. */
export class ConfigurationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConfigurationError';
  }
}

/** The two levels of dynamic values: all brokers (resource name empty), and this one. */
export type DynamicScope = 'cluster' | 'broker';

const PRECEDENCE: readonly SourceKind[] = ['file', 'environment', 'flag'];

export class Config {
  /** What a start should say once: names without a meaning here, unknown names in a file. */
  readonly warnings: readonly string[];
  /** Raw texts by name, as they were set at the start. */
  readonly #static = new Map<OptionName, string>();
  readonly #dynamic: Record<DynamicScope, Map<OptionName, string>> = {
    cluster: new Map(),
    broker: new Map(),
  };
  readonly #effective = new Map<OptionName, OptionValueType>();
  readonly #listeners: Listeners;
  readonly #listenersOfChanges: (() => void)[] = [];
  #version = 0;

  /** Throws ConfigurationError. */
  constructor(settings: readonly Setting[] = []) {
    const warnings: string[] = [];
    const origins = new Map<OptionName, string>();
    for (const kind of PRECEDENCE) {
      for (const setting of settings) {
        if (setting.kind !== kind || !this.#accept(setting, warnings)) continue;
        origins.set(setting.name as OptionName, setting.origin);
      }
    }
    this.warnings = warnings;
    this.#compute();
    this.#listeners = this.#readListeners(origins);
    if (this.get('group.min.session.timeout.ms') > this.get('group.max.session.timeout.ms')) {
      throw new ConfigurationError(
        'group.min.session.timeout.ms must not be above group.max.session.timeout.ms',
      );
    }
  }

  /** Takes one static setting over; false when it is to be left out with a warning. */
  #accept(setting: Setting, warnings: string[]): boolean {
    const { name, value, origin } = setting;
    if (!isOptionName(name)) {
      if (isKafkaOnlyName(name)) {
        warnings.push(`${name} (${origin}) has no meaning in this broker and is left out`);
        return false;
      }
      const nearest = nearestName(name, Object.keys(brokerOptions));
      const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`;
      const text = `unknown configuration ${name} (${origin})${hint}`;
      if (setting.kind === 'flag') throw new ConfigurationError(text);
      warnings.push(text);
      return false;
    }
    const option = brokerOption(name);
    try {
      parseValue(name, option, value);
    } catch (error) {
      if (error instanceof IllegalValue) {
        throw new ConfigurationError(`${error.message} (${origin})`);
      }
      throw error;
    }
    if (option.inert !== undefined) {
      warnings.push(`${name} (${origin}) changes nothing: ${option.inert}`);
    }
    this.#static.set(name, value);
    return true;
  }

  #readListeners(origins: ReadonlyMap<OptionName, string>): Listeners {
    try {
      return parseListeners({
        listeners: this.get('listeners'),
        advertised: this.get('advertised.listeners'),
        protocolMap: this.get('listener.security.protocol.map'),
        controllerNames: this.get('controller.listener.names'),
        http: this.get('http.listeners'),
      });
    } catch (error) {
      if (!(error instanceof IllegalValue)) throw error;
      const origin = origins.get(error.optionName as OptionName) ?? 'default';
      throw new ConfigurationError(`${error.message} (${origin})`);
    }
  }

  #compute(): void {
    for (const name of Object.keys(brokerOptions) as OptionName[]) {
      const raw =
        this.#dynamic.broker.get(name) ?? this.#dynamic.cluster.get(name) ?? this.#static.get(name);
      const option = brokerOption(name);
      const value = raw === undefined ? option.default : parseValue(name, option, raw);
      this.#effective.set(name, value);
    }
    // Two names of one thing: both show what counts.
    const nodeId = this.nodeId;
    this.#effective.set('node.id', nodeId).set('broker.id', nodeId);
    this.#version++;
  }

  /** The value in force. */
  get<N extends OptionName>(name: N): OptionValue<N> {
    return this.#effective.get(name) as OptionValue<N>;
  }

  /** Rises with each dynamic change, so that what was derived can be kept until then. */
  get version(): number {
    return this.#version;
  }

  get nodeId(): number {
    const olderName = this.get('broker.id');
    return this.get('node.id') ?? (olderName === null || olderName < 0 ? 1 : olderName);
  }

  /** Absolute: locations name files to clients that run elsewhere. */
  get dataDir(): string {
    return path.resolve(this.get('log.dirs')?.[0] ?? this.get('log.dir')[0] ?? 'data');
  }

  get listeners(): Listeners {
    return this.#listeners;
  }

  /** The texts set at the start, by name. */
  get staticValues(): ReadonlyMap<OptionName, string> {
    return this.#static;
  }

  /** The texts set while running, at one level. */
  dynamicValues(scope: DynamicScope): ReadonlyMap<OptionName, string> {
    return this.#dynamic[scope];
  }

  /** Takes a dynamic value over, or takes it back with null. Throws IllegalValue. */
  setDynamic(scope: DynamicScope, name: OptionName, value: string | null): void {
    if (value === null) {
      this.#dynamic[scope].delete(name);
    } else {
      parseValue(name, brokerOption(name), value);
      this.#dynamic[scope].set(name, value);
    }
    this.#compute();
    for (const listener of this.#listenersOfChanges) listener();
  }

  /** Calls back after each dynamic change. */
  onChange(listener: () => void): void {
    this.#listenersOfChanges.push(listener);
  }

  /** A topic's configuration over this one. */
  topicConfig(overrides: ReadonlyMap<string, string>, internal: boolean): TopicConfig {
    return new TopicConfig(this, overrides, internal);
  }

  storeOptions(): StoreOptions {
    return {
      dataDir: this.dataDir,
      nodeId: this.nodeId,
      chunkBytes: this.get('tail.chunk.bytes'),
      chunkMaxMs: this.get('tail.chunk.max.ms'),
      tailMaxBytes: this.get('tail.max.bytes'),
      flushQueueBytes: this.get('flush.queue.bytes'),
      flushReserveBytes: this.get('flush.queue.reserve.bytes'),
      flushParallelism: this.get('flush.parallelism'),
      journalFileBytes: this.get('journal.file.bytes'),
      journalMaxBytes: this.get('journal.max.bytes'),
      journalWriteSyncMaxBytes: this.get('journal.write.sync.max.bytes'),
      journalBypassBytes: this.get('journal.bypass.bytes'),
      journalSyncMaxMs: this.get('journal.sync.max.ms'),
      offsetLeaseRecords: this.get('offset.lease.records'),
      produceHoldMaxMs: this.get('produce.hold.max.ms'),
      checkpointIntervalMs: this.get('log.flush.offset.checkpoint.interval.ms'),
      linksLocated: this.get('slice.location.base.url') !== null,
      retentionCheckMs: this.get('log.retention.check.interval.ms'),
      metadata: this.#metadataLogOptions(),
    };
  }

  /** Options of the log cleaner, as they are now. */
  cleanerOptions(): CleanerOptions {
    return {
      isEnabled: this.get('log.cleaner.enable'),
      threads: this.get('log.cleaner.threads'),
      dedupeBufferBytes: this.get('log.cleaner.dedupe.buffer.size'),
      loadFactor: this.get('log.cleaner.io.buffer.load.factor'),
      ioBufferBytes: this.get('log.cleaner.io.buffer.size'),
      maxBytesPerSecond: this.get('log.cleaner.io.max.bytes.per.second'),
      backoffMs: this.get('log.cleaner.backoff.ms'),
    };
  }

  /** Options of the __cluster_metadata log; fixed, since it is read before any configuration is. */
  #metadataLogOptions(): LogOptions {
    const defaults = this.topicConfig(new Map(), true).logOptions();
    return {
      ...defaults,
      segmentBytes: this.get('metadata.log.segment.bytes'),
      // Whatever topics are told by default: all of it is needed.
      deletes: false,
      compacts: false,
      compactsTail: false,
      visibility: 'durable',
    };
  }
}

/** A broker option's default as text. */
export function defaultText(name: OptionName): string | null {
  const option: Option = brokerOption(name);
  return formatValue(option, option.default);
}

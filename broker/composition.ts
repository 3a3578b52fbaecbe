/**
 * Puts the parts of a broker together, in the order in which each can do its work: the data folder
 * and its metadata log; the topics that it tells of; the logs of those topics, recovered; then what
 * works on topics. When it is done, the listeners may open.
 *
 * What was opened is closed in the reverse order, also when a later part could not be opened.
 */

import path from 'node:path';
import { hostIdOf } from '../protocol/host-id.ts';
import { METADATA_TOPIC, openStore, type Store } from '../storage/store.ts';
import type { StoreEvents } from '../storage/store-events.ts';
import { everybody } from './authorizer.ts';
import { exposeCleaner } from './cleaner-metrics.ts';
import { deflate, inflate } from './codec-pool.ts';
import type { Config } from './config.ts';
import { ConfigChanges } from './config-changes.ts';
import { Deadlines } from './deadlines.ts';
import { FetchSessions } from './fetch-sessions.ts';
import { GroupCoordinator, groupOptions } from './groups/coordinator.ts';
import { LimitedLog } from './limited-log.ts';
import { Locations } from './locations.ts';
import type { World } from './main.ts';
import { MEMORY_USERS, MemoryBudget } from './memory-budget.ts';
import { MEMORY_PARTS, memoryPartBytes } from './memory-sum.ts';
import { MetadataLog } from './metadata-log.ts';
import { Metrics } from './metrics.ts';
import { ProducerIds } from './producer-ids.ts';
import { Acls } from './security/acls.ts';
import { ClientQuotas } from './security/client-quotas.ts';
import { ScramUsers } from './security/scram-users.ts';
import type { Services } from './services.ts';
import { ClientTelemetry } from './telemetry/client-telemetry.ts';
import { Subscriptions } from './telemetry/subscriptions.ts';
import { knownTopics, Topics } from './topics.ts';
import { TransactionCoordinator, transactionOptions } from './transactions/coordinator.ts';
import { markersOf } from './transactions/markers.ts';
import { Watchers } from './watchers.ts';

/** What is to be closed, last opened first. */
export class Closers {
  private readonly steps: (() => Promise<void> | void)[] = [];

  add(step: () => Promise<void> | void): void {
    this.steps.push(step);
  }

  /** Runs all steps, whatever fails; throws the first failure at the end. */
  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** A data folder with its metadata and all its logs open. */
export interface OpenedData {
  readonly metrics: Metrics;
  readonly memory: MemoryBudget;
  readonly codecs: Services['codecs'];
  readonly logs: Store;
  readonly metadata: MetadataLog;
  readonly configChanges: ConfigChanges;
}

/** Opens a data folder, recovers its logs, and starts what works on them in the background. */
export async function openData(
  config: Config,
  world: World,
  closers: Closers,
): Promise<OpenedData> {
  const { env } = world;
  const { nodeId } = config;
  const metrics = new Metrics();
  const memory = new MemoryBudget(config.get('memory.max.bytes'), env.clock);
  const decompressionsCut = metrics.counter('decompressions_cut_total');
  const codecs = world.openCodecs(memory, () => decompressionsCut.add());
  closers.add(() => codecs.close());

  const logs = await openStore(env, config.storeOptions(), {
    inflate: (codec, payload) => inflate(codecs, codec, payload),
    deflate: (codec, payload) => deflate(codecs, codec, payload),
    events: storeEvents(metrics),
    cleaner: { cleaners: world.openCleaners(), options: () => config.cleanerOptions() },
  });
  closers.add(() => logs.close());
  memory.attachStorage(
    () => logs.memoryBytes,
    () => logs.makeRoom(),
  );
  const metadata = await MetadataLog.open(env, logs.metadataLog, logs, {
    folder: path.join(config.dataDir, `${METADATA_TOPIC}-0`),
    nodeId,
    bytesBetweenSnapshots: config.get('metadata.log.max.record.bytes.between.snapshots'),
  });
  closers.add(() => metadata.close());
  // Settings that are recorded there hold for the logs too.
  const configChanges = new ConfigChanges({ config, metadata, nodeId, log: env.log });
  await logs.recover(knownTopics(metadata, config));
  return { metrics, memory, codecs, logs, metadata, configChanges };
}

/** Makes the services of a broker over its data folder. */
export async function compose(config: Config, world: World, closers: Closers): Promise<Services> {
  const { env } = world;
  const { nodeId } = config;
  const data = await openData(config, world, closers);
  const { metrics, memory, codecs, logs, metadata, configChanges } = data;
  const topics = new Topics({ env, config, nodeId, logs, metadata });
  const deadlines = new Deadlines(env.clock);
  closers.add(() => deadlines.close());
  const groups = new GroupCoordinator({ env, topics, options: groupOptions(config), metrics });
  closers.add(() => groups.close());
  const producerIds = new ProducerIds(metadata, nodeId);
  const transactions = new TransactionCoordinator({
    env,
    topics,
    options: transactionOptions(config),
    metrics,
    producerIds,
    markers: markersOf(topics, groups),
  });
  closers.add(() => transactions.close());
  const services: Services = {
    env,
    config,
    configChanges,
    nodeId,
    clusterId: logs.clusterId,
    hostId: hostIdOf(env.host.bootId, env.host.hostName),
    logs,
    metadataLog: logs.metadataLog,
    topics,
    groups,
    transactions,
    producerIds,
    clientQuotas: new ClientQuotas(metadata),
    scramUsers: new ScramUsers(metadata),
    acls: new Acls(metadata, env.random),
    clientTelemetry: new ClientTelemetry({
      subscriptions: new Subscriptions(metadata),
      clock: env.clock,
      random: env.random,
      codecs,
      metrics,
      maxBytes: config.get('telemetry.max.bytes'),
    }),
    fetchSessions: new FetchSessions(
      config.get('max.incremental.fetch.session.cache.slots'),
      env.clock,
      env.random,
      metrics,
    ),
    watchers: new Watchers(deadlines, metrics),
    deadlines,
    codecs,
    metrics,
    limitedLog: new LimitedLog(env.clock, env.log),
    memory,
    authorizer: everybody,
    locations: new Locations(config),
  };
  watchTopics(services);
  exposeGauges(services, logs);
  if (logs.cleaner !== undefined) exposeCleaner(metrics, logs.cleaner, env.clock);
  await groups.load();
  await transactions.load();
  return services;
}

/** Committed offsets of a deleted topic go with it. */
function watchTopics({ topics, groups, env }: Services): void {
  topics.onChange({
    removed: (topic) => {
      groups.topicDeleted(topic).catch((error: unknown) => {
        env.log.warn({ err: error, topic: topic.name }, 'offsets of a deleted topic were kept');
      });
    },
  });
}

function storeEvents(metrics: Metrics): StoreEvents {
  const journal = metrics.histogram('sync_seconds', 'journal');
  const segment = metrics.histogram('sync_seconds', 'segment');
  return {
    onJournalSync: (durationMs) => journal.record(durationMs / 1000),
    onSegmentSync: (durationMs) => segment.record(durationMs / 1000),
    onDamage: () => metrics.counter('damaged_ranges_total').add(1),
    onExpired: (reason, segments, sizeBytes) => {
      metrics.counter('retention_segments_deleted_total', reason).add(segments);
      metrics.counter('retention_bytes_deleted_total', reason).add(sizeBytes);
    },
  };
}

/** Numbers that others keep, asked for when they are read. */
function exposeGauges(services: Services, logs: Store): void {
  const { metrics, memory, topics, env, config } = services;
  for (const user of MEMORY_USERS) {
    metrics.gauge('memory_bytes', user).from(() => memory.bytesOf(user));
  }
  metrics.gauge('memory_bytes', 'tails').from(() => logs.gauges().tailBytes);
  metrics.gauge('memory_bytes', 'flush queue').from(() => logs.gauges().queueBytes);
  metrics.gauge('memory_limit_bytes').set(memory.limitBytes);
  const connections = metrics.gauge('connections');
  for (const part of MEMORY_PARTS) {
    const allowed = () => memoryPartBytes(part, config, connections.read());
    metrics.gauge('memory_allowed_bytes', part).from(allowed);
  }
  metrics.gauge('tail_bytes').from(() => logs.gauges().tailBytes);
  metrics.gauge('flush_queue_bytes').from(() => logs.gauges().queueBytes);
  metrics.gauge('flush_queue_limit_bytes').from(() => logs.gauges().queueLimitBytes);
  metrics.gauge('flush_queue_chunks').from(() => logs.gauges().queuedChunks);
  metrics.gauge('journal_bytes').from(() => logs.gauges().journalBytes);
  metrics.gauge('journal_limit_bytes').from(() => logs.gauges().journalLimitBytes);
  metrics.gauge('logs').from(() => logs.gauges().logs);
  metrics.gauge('failed_logs').from(() => logs.gauges().failedLogs);
  metrics.counter('tail_compacted_records_total').from(() => logs.gauges().compactedRecords);
  metrics.counter('tail_compacted_bytes_total').from(() => logs.gauges().compactedBytes);
  metrics.counter('tail_vanished_pairs_total').from(() => logs.gauges().vanishedPairs);
  metrics.gauge('retention_suspended').from(() => Number(logs.gauges().isRetentionSuspended));
  metrics.gauge('topics').from(() => topics.count);
  metrics.gauge('partitions').from(() => topics.partitionCount);
  metrics.gauge('start_seconds').set(env.clock.now() / 1000);
}

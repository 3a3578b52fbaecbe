/**
 * Topic options: all of Apache Kafka 4.4's and our own. Where an option has broker counterparts,
 * its type, default and bounds are those of the counterpart.
 */

import { NO_TIERS, ONE_NODE, topicDefaultOptions } from './log-options.ts';
import { bool, list, type Option, type OptionValueType } from './option.ts';

/** A broker option that a topic falls back to, and what turns its unit into the topic's. */
export interface Counterpart {
  readonly name: keyof typeof topicDefaultOptions;
  readonly factor: number;
}

export interface TopicOption<T extends OptionValueType = OptionValueType> extends Option<T> {
  /** The first that has a value counts. */
  readonly counterparts: readonly Counterpart[];
}

type BrokerName = keyof typeof topicDefaultOptions;
type ValueOf<N extends BrokerName> =
  (typeof topicDefaultOptions)[N] extends Option<infer T> ? T : never;

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** The topic's form of a broker option. */
function like<N extends BrokerName>(name: N): TopicOption<ValueOf<N>> {
  const option = topicDefaultOptions[name] as unknown as Option<ValueOf<N>>;
  return { ...option, dynamic: 'cluster-wide', counterparts: [{ name, factor: 1 }] };
}

/**
 * The topic's form of a time that a broker may be told in several units, finest first. What the
 * broker's start refuses beyond the bounds, a topic takes.
 */
function time(byDefault: number, name: BrokerName, ...coarser: Counterpart[]): TopicOption<number> {
  const option = topicDefaultOptions[name] as unknown as Option<number>;
  return {
    ...option,
    default: byDefault,
    dynamic: 'cluster-wide',
    fault: () => undefined,
    counterparts: [{ name, factor: 1 }, ...coarser],
  };
}

function alone<T extends OptionValueType>(option: Option<T>): TopicOption<T> {
  return { ...option, dynamic: 'cluster-wide', counterparts: [] };
}

function throttledReplicasFault(value: readonly string[]): string | undefined {
  const all = value.length === 1 && value[0] === '*';
  return all || value.every((entry) => /^\d+:\d+$/.test(entry))
    ? undefined
    : 'it takes * or a list of partition:broker pairs';
}

export const topicOptions = {
  'cleanup.policy': like('log.cleanup.policy'),
  'compression.gzip.level': like('compression.gzip.level'),
  'compression.lz4.level': like('compression.lz4.level'),
  'compression.type': like('compression.type'),
  'compression.zstd.level': like('compression.zstd.level'),
  'delete.retention.ms': like('log.cleaner.delete.retention.ms'),
  'errors.deadletterqueue.group.enable': alone(
    bool(false, {
      inert: 'there are no share groups',
      doc: 'Whether records that a share group gave up may be copied to this topic.',
    }),
  ),
  'fetch.visibility': like('log.fetch.visibility'),
  'file.delete.delay.ms': like('log.segment.delete.delay.ms'),
  'flush.messages': like('log.flush.interval.messages'),
  'flush.ms': time(Number.MAX_SAFE_INTEGER, 'log.flush.interval.ms', {
    name: 'log.flush.scheduler.interval.ms',
    factor: 1,
  }),
  'follower.replication.throttled.replicas': alone(
    list([], {
      inert: ONE_NODE,
      fault: throttledReplicasFault,
      doc: 'Replicas whose copying is throttled on the followers’ side.',
    }),
  ),
  'index.interval.bytes': like('log.index.interval.bytes'),
  'leader.replication.throttled.replicas': alone(
    list([], {
      inert: ONE_NODE,
      fault: throttledReplicasFault,
      doc: 'Replicas whose copying is throttled on the leader’s side.',
    }),
  ),
  'local.retention.bytes': like('log.local.retention.bytes'),
  'local.retention.ms': like('log.local.retention.ms'),
  'max.compaction.lag.ms': like('log.cleaner.max.compaction.lag.ms'),
  'max.decompressed.message.bytes': like('max.decompressed.message.bytes'),
  'max.message.bytes': like('message.max.bytes'),
  'message.timestamp.after.max.ms': like('log.message.timestamp.after.max.ms'),
  'message.timestamp.before.max.ms': like('log.message.timestamp.before.max.ms'),
  'message.timestamp.type': like('log.message.timestamp.type'),
  'min.cleanable.dirty.ratio': like('log.cleaner.min.cleanable.ratio'),
  'min.compaction.lag.ms': like('log.cleaner.min.compaction.lag.ms'),
  'min.insync.replicas': like('min.insync.replicas'),
  preallocate: like('log.preallocate'),
  'record.validation': like('log.record.validation'),
  'remote.copy.lag.bytes': like('log.remote.copy.lag.bytes'),
  'remote.copy.lag.ms': like('log.remote.copy.lag.ms'),
  'remote.log.copy.disable': alone(
    bool(false, { inert: NO_TIERS, doc: 'Whether copying to remote storage is stopped.' }),
  ),
  'remote.log.delete.on.disable': alone(
    bool(false, {
      inert: NO_TIERS,
      doc: 'Whether remote data goes when remote storage is turned off for the topic.',
    }),
  ),
  'remote.storage.enable': alone(
    bool(false, {
      inert: NO_TIERS,
      fault: (value) => (value ? 'there is no remote storage: it takes false' : undefined),
      doc: 'Whether the topic is copied to remote storage.',
    }),
  ),
  'retention.bytes': like('log.retention.bytes'),
  'retention.ms': time(
    604800000,
    'log.retention.ms',
    { name: 'log.retention.minutes', factor: MINUTE_MS },
    { name: 'log.retention.hours', factor: HOUR_MS },
  ),
  'segment.bytes': like('log.segment.bytes'),
  'segment.index.bytes': like('log.index.size.max.bytes'),
  'segment.jitter.ms': time(0, 'log.roll.jitter.ms', {
    name: 'log.roll.jitter.hours',
    factor: HOUR_MS,
  }),
  'segment.ms': time(604800000, 'log.roll.ms', { name: 'log.roll.hours', factor: HOUR_MS }),
  'tail.compaction.enable': like('log.tail.compaction.enable'),
  'unclean.leader.election.enable': like('unclean.leader.election.enable'),
} as const;

export type TopicOptionName = keyof typeof topicOptions;
export type TopicOptionValue<N extends TopicOptionName> =
  (typeof topicOptions)[N] extends Option<infer T> ? T : never;

/** Whether a text is the name of a topic option. */
export function isTopicOptionName(name: string): name is TopicOptionName {
  return Object.hasOwn(topicOptions, name);
}

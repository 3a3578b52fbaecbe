/** What of the configuration the coordinator goes by, in its own words. */

import type { Config } from '../config.ts';

export interface GroupOptions {
  readonly minSessionTimeoutMs: number;
  readonly maxSessionTimeoutMs: number;
  /** Members a group may have. */
  readonly maxSize: number;
  readonly initialRebalanceDelayMs: number;
  readonly offsetMetadataMaxLength: number;
  readonly offsetsRetentionMs: number;
  readonly retentionCheckIntervalMs: number;
  /** How long a record of the coordinator may take to become durable. */
  readonly commitTimeoutMs: number;
  readonly offsetsTopicPartitions: number;
  readonly offsetsTopicSegmentBytes: number;
  /** Bound of what groups, members and offsets together keep in memory, estimated. */
  readonly stateLimitBytes: number;
}

const MINUTE_MS = 60_000;
/** Of `memory.max.bytes`, so much may be the state of groups. */
const STATE_SHARE = 0.5;

export function groupOptions(config: Config): GroupOptions {
  return {
    minSessionTimeoutMs: config.get('group.min.session.timeout.ms'),
    maxSessionTimeoutMs: config.get('group.max.session.timeout.ms'),
    maxSize: config.get('group.max.size'),
    initialRebalanceDelayMs: config.get('group.initial.rebalance.delay.ms'),
    offsetMetadataMaxLength: config.get('offset.metadata.max.bytes'),
    offsetsRetentionMs: config.get('offsets.retention.minutes') * MINUTE_MS,
    retentionCheckIntervalMs: config.get('offsets.retention.check.interval.ms'),
    commitTimeoutMs: config.get('offsets.commit.timeout.ms'),
    offsetsTopicPartitions: config.get('offsets.topic.num.partitions'),
    offsetsTopicSegmentBytes: config.get('offsets.topic.segment.bytes'),
    stateLimitBytes: Math.floor(config.get('memory.max.bytes') * STATE_SHARE),
  };
}

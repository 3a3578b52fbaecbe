/**
 * The topic that keeps the transactions, as the coordinator needs it: made with the first record,
 * in Kafka's settings; how many partitions it has is fixed from then on.
 */

import type { OffsetsPartition, WritablePartition } from '../groups/log-writer.ts';
import type { TransactionOptions } from './options.ts';

export const TRANSACTION_TOPIC = '__transaction_state';

export interface StatePartition extends OffsetsPartition {
  readonly log: OffsetsPartition['log'] & { readonly leaderEpoch: number };
}

interface StateTopic {
  readonly partitions: readonly StatePartition[];
  readonly config: { get(name: 'max.message.bytes'): number };
}

/** What of the topics the coordinator needs. */
export interface TransactionTopics {
  get(name: string): StateTopic | undefined;
  ensureInternal(
    name: string,
    partitions: number,
    configs: Readonly<Record<string, string>>,
  ): Promise<StateTopic>;
}

export async function openStatePartition(
  topics: TransactionTopics,
  partition: number,
  partitions: number,
  options: TransactionOptions,
): Promise<WritablePartition> {
  const topic = await topics.ensureInternal(TRANSACTION_TOPIC, partitions, {
    'cleanup.policy': 'compact',
    'tail.compaction.enable': 'true',
    'compression.type': 'uncompressed',
    'segment.bytes': String(options.topicSegmentBytes),
  });
  return {
    partition: topic.partitions[partition]!,
    maxBatchBytes: topic.config.get('max.message.bytes'),
  };
}

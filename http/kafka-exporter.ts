/**
 * Topics, partitions and groups under the names of kafka_exporter, so that boards made for it work.
 * All is asked for at each scrape: nothing is counted for it while nobody looks.
 */

import type { Registry } from 'prom-client';
import type { FetchedOffset } from '../broker/groups/offset-operations.ts';
import type { Services } from '../broker/services.ts';
import type { Topic } from '../broker/topics.ts';
import { expose, type Sample } from './exposition.ts';

type Watched = Pick<Services, 'topics' | 'groups' | 'nodeId'>;

interface PartitionMetric {
  readonly name: string;
  readonly help: string;
  value(partition: Topic['partitions'][number], nodeId: number): number;
}

const partitionMetrics: readonly PartitionMetric[] = [
  {
    name: 'kafka_topic_partition_current_offset',
    help: 'Current offset of a partition: its high watermark.',
    value: ({ log }) => log.highWatermark,
  },
  {
    name: 'kafka_topic_partition_oldest_offset',
    help: 'Oldest offset of a partition.',
    value: ({ log }) => log.logStartOffset,
  },
  {
    name: 'kafka_topic_partition_leader',
    help: 'Node id of the leader of a partition.',
    value: (_partition, nodeId) => nodeId,
  },
  {
    name: 'kafka_topic_partition_leader_is_preferred',
    help: '1 when the leader of a partition is the preferred one.',
    value: () => 1,
  },
  {
    name: 'kafka_topic_partition_replicas',
    help: 'Number of replicas of a partition.',
    value: () => 1,
  },
  {
    name: 'kafka_topic_partition_in_sync_replica',
    help: 'Number of replicas of a partition that are in sync.',
    value: () => 1,
  },
  {
    name: 'kafka_topic_partition_under_replicated_partition',
    help: '1 when a partition has fewer replicas in sync than it has replicas.',
    value: () => 0,
  },
];

/** Adds the metrics to a registry. */
export function exposeKafkaExporter(registry: Registry, watched: Watched): void {
  const { topics, nodeId } = watched;
  expose(registry, 'kafka_brokers', 'Number of brokers in the cluster.', 'gauge', () => [
    { labels: {}, value: 1 },
  ]);
  expose(registry, 'kafka_topic_partitions', 'Number of partitions of a topic.', 'gauge', () =>
    Array.from(topics.all(), (topic) => ({
      labels: { topic: topic.name },
      value: topic.partitions.length,
    })),
  );
  for (const metric of partitionMetrics) {
    expose(registry, metric.name, metric.help, 'gauge', () => {
      const samples: Sample[] = [];
      for (const topic of topics.all()) {
        for (const partition of topic.partitions) {
          const labels = { topic: topic.name, partition: partition.index };
          samples.push({ labels, value: metric.value(partition, nodeId) });
        }
      }
      return samples;
    });
  }
  exposeGroups(registry, watched);
}

interface GroupSamples {
  readonly members: Sample[];
  readonly offsets: Sample[];
  readonly lags: Sample[];
  readonly offsetSums: Sample[];
  readonly lagSums: Sample[];
}

const groupMetrics: readonly [name: string, help: string, part: keyof GroupSamples][] = [
  ['kafka_consumergroup_members', 'Number of members of a group.', 'members'],
  ['kafka_consumergroup_current_offset', 'Committed offset of a group.', 'offsets'],
  ['kafka_consumergroup_current_offset_sum', 'Sum over the partitions of a topic.', 'offsetSums'],
  ['kafka_consumergroup_lag', 'Records a group has not read yet.', 'lags'],
  ['kafka_consumergroup_lag_sum', 'Sum over the partitions of a topic.', 'lagSums'],
];

function exposeGroups(registry: Registry, watched: Watched): void {
  // One scrape asks for all five within one turn: the answer of the first serves the others.
  let current: Promise<GroupSamples> | undefined;
  const collect = () => {
    current ??= collectGroups(watched).finally(() => {
      current = undefined;
    });
    return current;
  };
  for (const [name, help, part] of groupMetrics) {
    expose(registry, name, help, 'gauge', async () => (await collect())[part]);
  }
}

async function collectGroups(watched: Watched): Promise<GroupSamples> {
  const { topics, groups } = watched;
  const samples: GroupSamples = {
    members: [],
    offsets: [],
    lags: [],
    offsetSums: [],
    lagSums: [],
  };
  const listed = groups.listGroups();
  // While groups are loaded there is nothing to tell; the series come with the next scrape.
  if (typeof listed === 'string') return samples;
  for (const { groupId } of listed) {
    const described = groups.describeGroup(groupId);
    if (typeof described === 'string') continue;
    samples.members.push({
      labels: { consumergroup: groupId },
      value: described.members.length,
    });
    const fetched = await groups.fetchOffsets(groupId, null, false);
    if (typeof fetched === 'string') continue;
    for (const { topic, partitions } of fetched) {
      addTopic(samples, groupId, topic, partitions, (index) => topics.partition(topic, index));
    }
  }
  return samples;
}

function addTopic(
  samples: GroupSamples,
  consumergroup: string,
  topic: string,
  partitions: readonly FetchedOffset[],
  find: (index: number) => Topic['partitions'][number] | undefined,
): void {
  let offsetSum = 0;
  let lagSum = 0;
  for (const { partition, committed } of partitions) {
    if (committed === undefined) continue;
    const { offset } = committed;
    const labels = { consumergroup, topic, partition };
    samples.offsets.push({ labels, value: offset });
    offsetSum += offset;
    const end = find(partition)?.log.highWatermark;
    if (end === undefined) continue;
    const lag = Math.max(0, end - offset);
    samples.lags.push({ labels, value: lag });
    lagSum += lag;
  }
  samples.offsetSums.push({ labels: { consumergroup, topic }, value: offsetSum });
  samples.lagSums.push({ labels: { consumergroup, topic }, value: lagSum });
}

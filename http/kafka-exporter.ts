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

interface GroupSamples {
  readonly members: Sample[];
  readonly offsets: Sample[];
  readonly lags: Sample[];
  readonly offsetSums: Sample[];
  readonly lagSums: Sample[];
}

/** What the metrics of one scrape read. */
interface Scrape {
  readonly watched: Watched;
  groups(): Promise<GroupSamples>;
}

interface ExportedMetric {
  readonly name: string;
  readonly help: string;
  read(scrape: Scrape): Sample[] | Promise<Sample[]>;
}

function ofPartitions(
  name: string,
  help: string,
  value: (partition: Topic['partitions'][number], nodeId: number) => number,
): ExportedMetric {
  const read = ({ watched: { topics, nodeId } }: Scrape) => {
    const samples: Sample[] = [];
    for (const topic of topics.all()) {
      for (const partition of topic.partitions) {
        const labels = { topic: topic.name, partition: partition.index };
        samples.push({ labels, value: value(partition, nodeId) });
      }
    }
    return samples;
  };
  return { name, help, read };
}

function ofGroups(name: string, help: string, part: keyof GroupSamples): ExportedMetric {
  return { name, help, read: async ({ groups }) => (await groups())[part] };
}

/** The metrics, in the order in which they are shown. */
export const exporterMetrics: readonly ExportedMetric[] = [
  {
    name: 'kafka_brokers',
    help: 'Number of brokers in the cluster.',
    read: () => [{ labels: {}, value: 1 }],
  },
  {
    name: 'kafka_topic_partitions',
    help: 'Number of partitions of a topic.',
    read: ({ watched }) =>
      Array.from(watched.topics.all(), (topic) => ({
        labels: { topic: topic.name },
        value: topic.partitions.length,
      })),
  },
  ofPartitions(
    'kafka_topic_partition_current_offset',
    'Current offset of a partition: its high watermark.',
    ({ log }) => log.highWatermark,
  ),
  ofPartitions(
    'kafka_topic_partition_oldest_offset',
    'Oldest offset of a partition.',
    ({ log }) => log.logStartOffset,
  ),
  ofPartitions(
    'kafka_topic_partition_leader',
    'Node id of the leader of a partition.',
    (_partition, nodeId) => nodeId,
  ),
  ofPartitions(
    'kafka_topic_partition_leader_is_preferred',
    '1 when the leader of a partition is the preferred one.',
    () => 1,
  ),
  ofPartitions('kafka_topic_partition_replicas', 'Number of replicas of a partition.', () => 1),
  ofPartitions(
    'kafka_topic_partition_in_sync_replica',
    'Number of replicas of a partition that are in sync.',
    () => 1,
  ),
  ofPartitions(
    'kafka_topic_partition_under_replicated_partition',
    '1 when a partition has fewer replicas in sync than it has replicas.',
    () => 0,
  ),
  ofGroups('kafka_consumergroup_members', 'Number of members of a group.', 'members'),
  ofGroups(
    'kafka_consumergroup_current_offset',
    'Committed offset of a group in a partition.',
    'offsets',
  ),
  ofGroups(
    'kafka_consumergroup_current_offset_sum',
    'Committed offsets of a group, summed over the partitions of a topic.',
    'offsetSums',
  ),
  ofGroups('kafka_consumergroup_lag', 'Offsets that a group is behind in a partition.', 'lags'),
  ofGroups(
    'kafka_consumergroup_lag_sum',
    'Offsets that a group is behind, summed over the partitions of a topic.',
    'lagSums',
  ),
];

/** Adds the metrics to a registry. */
export function exposeKafkaExporter(registry: Registry, watched: Watched): void {
  // One scrape asks for all groups' metrics in one turn: they share what the first one collects.
  let current: Promise<GroupSamples> | undefined;
  const groups = () => {
    current ??= collectGroups(watched).finally(() => {
      current = undefined;
    });
    return current;
  };
  for (const { name, help, read } of exporterMetrics) {
    expose(registry, name, help, 'gauge', () => read({ watched, groups }));
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

/**
 * The way of a marker into its partition: into __consumer_offsets through the groups, for whom the
 * marker says whether offsets count, elsewhere straight into the log.
 */

import { LogDeleted } from '../../storage/errors.ts';
import { type GroupCoordinator, OFFSETS_TOPIC } from '../groups/coordinator.ts';
import type { Partition, TransactionMarker } from '../partition.ts';
import type { MarkerTarget } from './completion.ts';
import type { TopicPartition } from './partition-set.ts';

interface MarkedTopics {
  partition(topic: string, partition: number): Partition | undefined;
}

/** Writes a marker; durable when it resolves. Rejects with LogDeleted where there is no partition. */
export async function writeMarker(
  topics: MarkedTopics,
  groups: Pick<GroupCoordinator, 'endTransaction'>,
  { topic, partition }: TopicPartition,
  marker: TransactionMarker,
): Promise<void> {
  const found = topics.partition(topic, partition);
  if (found === undefined) throw new LogDeleted(`there is no ${topic}-${partition}`);
  if (topic === OFFSETS_TOPIC) await groups.endTransaction(partition, marker);
  else await found.appendMarker(marker);
}

/** The coordinator's own way to the partitions. */
export function markersOf(
  topics: MarkedTopics,
  groups: Pick<GroupCoordinator, 'endTransaction'>,
): MarkerTarget {
  return {
    writeMarker(at, marker) {
      // Somebody may have ended a transaction by hand and claimed any epoch for it.
      const producers = topics.partition(at.topic, at.partition)?.log.producers;
      const known = producers?.get(marker.producerId)?.coordinatorEpoch ?? -1;
      const coordinatorEpoch = Math.max(marker.coordinatorEpoch, known);
      return writeMarker(topics, groups, at, { ...marker, coordinatorEpoch });
    },
  };
}

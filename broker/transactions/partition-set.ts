/** The partitions of a transaction: a set that is never changed, of which larger ones are made. */

export type PartitionSet = ReadonlyMap<string, ReadonlySet<number>>;

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export const NO_PARTITIONS: PartitionSet = new Map();

export function hasPartition(set: PartitionSet, topic: string, partition: number): boolean {
  return set.get(topic)?.has(partition) === true;
}

/** Whether all of these are in the set. */
export function hasPartitions(set: PartitionSet, wanted: readonly TopicPartition[]): boolean {
  return wanted.every(({ topic, partition }) => hasPartition(set, topic, partition));
}

/** A set with these too. */
export function withPartitions(set: PartitionSet, more: readonly TopicPartition[]): PartitionSet {
  const larger = new Map(set);
  const copied = new Map<string, Set<number>>();
  for (const { topic, partition } of more) {
    let own = copied.get(topic);
    if (own === undefined) {
      own = new Set(set.get(topic));
      copied.set(topic, own);
      larger.set(topic, own);
    }
    own.add(partition);
  }
  return larger;
}

export function* eachPartition(set: PartitionSet): Generator<TopicPartition> {
  for (const [topic, partitions] of set) {
    for (const partition of partitions) yield { topic, partition };
  }
}

export function countPartitions(set: PartitionSet): number {
  let count = 0;
  for (const partitions of set.values()) count += partitions.size;
  return count;
}

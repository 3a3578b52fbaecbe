/** Values by topic name and partition; iterates topic by topic. */

export class TopicPartitionMap<V> {
  readonly #topics = new Map<string, Map<number, V>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get topics(): Iterable<[topic: string, partitions: ReadonlyMap<number, V>]> {
    return this.#topics;
  }

  get(topic: string, partition: number): V | undefined {
    return this.#topics.get(topic)?.get(partition);
  }

  /** Gives the value that was there. */
  set(topic: string, partition: number, value: V): V | undefined {
    let partitions = this.#topics.get(topic);
    if (partitions === undefined) {
      partitions = new Map();
      this.#topics.set(topic, partitions);
    }
    const former = partitions.get(partition);
    if (!partitions.has(partition)) this.#size += 1;
    partitions.set(partition, value);
    return former;
  }

  /** Gives the value that was there. */
  delete(topic: string, partition: number): V | undefined {
    const partitions = this.#topics.get(topic);
    const former = partitions?.get(partition);
    if (!partitions?.delete(partition)) return undefined;
    this.#size -= 1;
    if (partitions.size === 0) this.#topics.delete(topic);
    return former;
  }

  *[Symbol.iterator](): Generator<{ topic: string; partition: number; value: V }> {
    for (const [topic, partitions] of this.#topics) {
      for (const [partition, value] of partitions) yield { topic, partition, value };
    }
  }
}

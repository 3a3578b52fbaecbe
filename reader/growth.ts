/**
 * Partitions that a topic gets while it is read: looked for at intervals, between two Fetches. What
 * is in them came after the reading had begun, so they are read from their start.
 */

import type { BrokerConnection } from './connection.ts';
import type { Settings } from './options.ts';
import type { Place } from './token.ts';
import { findTopic, starts, type Topic } from './topic.ts';

export class Growth {
  readonly #topic: Topic;
  readonly #settings: Settings;
  readonly #known: Set<number>;
  readonly #isWatched: boolean;
  #lookedMs = performance.now();

  /** `topic` as it was found, of which the partitions are read that `begin` has chosen. */
  constructor(topic: Topic, settings: Settings, readsAll: boolean) {
    this.#topic = topic;
    this.#settings = settings;
    this.#known = new Set(topic.partitions);
    this.#isWatched = settings.follow && readsAll;
  }

  get isDue(): boolean {
    return this.#isWatched && performance.now() - this.#lookedMs >= this.#settings.metadataMaxAgeMs;
  }

  /** Where to begin in those that are new. A topic that is gone has none; its next Fetch will tell. */
  async look(connection: BrokerConnection): Promise<readonly Place[]> {
    this.#lookedMs = performance.now();
    const { name, id } = this.#topic;
    const topic = await findTopic(connection, name);
    if (topic === undefined || topic.id !== id) return [];
    const added = topic.partitions.filter((index) => !this.#known.has(index));
    const places = await starts(connection, topic, added, this.#settings);
    for (const index of added) this.#known.add(index);
    return places;
  }
}

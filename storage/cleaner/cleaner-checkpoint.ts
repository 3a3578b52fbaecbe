/**
 * Up to where each log was cleaned, in Kafka's file `cleaner-offset-checkpoint`: the next pass
 * takes what lies below for clean. It is written after a pass whose segments are in place, never
 * before, and a deleted topic is taken out before its deletion is answered: a topic of the same name
 * would else begin with what was never cleaned.
 * Source: Kafka's LogCleanerManager.
 */

import path from 'node:path';
import { readOffsetCheckpoint, writeOffsetCheckpoint } from '../checkpoint.ts';
import type { Env } from '../env.ts';
import { CorruptLog } from '../errors.ts';
import { parsePartitionFolderName, partitionFolderName } from '../segment-names.ts';
import { SerialQueue } from '../serial-queue.ts';

export const CLEANER_OFFSETS_FILE = 'cleaner-offset-checkpoint';

export class CleanerCheckpoint {
  readonly #env: Env;
  readonly #file: string;
  readonly #queue = new SerialQueue();
  #offsets: Promise<ReadonlyMap<string, number>> | undefined;

  constructor(env: Env, dataDir: string) {
    this.#env = env;
    this.#file = path.join(dataDir, CLEANER_OFFSETS_FILE);
  }

  /** Where the last pass over a log ended; undefined when none is known. */
  async get(topic: string, partition: number): Promise<number | undefined> {
    return (await this.#load()).get(partitionFolderName(topic, partition));
  }

  /** Durable when it resolves. */
  set(topic: string, partition: number, offset: number): Promise<void> {
    const name = partitionFolderName(topic, partition);
    return this.#change((offsets) => {
      if (offsets.get(name) === offset) return false;
      offsets.set(name, offset);
      return true;
    });
  }

  /** The log is no more. Durable when it resolves. */
  forget(topic: string, partition: number): Promise<void> {
    const name = partitionFolderName(topic, partition);
    return this.#change((offsets) => offsets.delete(name));
  }

  /** Drops what is said of logs that are not there. */
  keepOnly(logs: Iterable<{ readonly topic: string; readonly partition: number }>): Promise<void> {
    const names = new Set<string>();
    for (const { topic, partition } of logs) names.add(partitionFolderName(topic, partition));
    return this.#change((offsets) => {
      const gone = [...offsets.keys()].filter((name) => !names.has(name));
      for (const name of gone) offsets.delete(name);
      return gone.length > 0;
    });
  }

  #change(change: (offsets: Map<string, number>) => boolean): Promise<void> {
    return this.#queue.run(async () => {
      const offsets = await this.#load();
      const changed = new Map(offsets);
      if (!change(changed)) return;
      await writeOffsetCheckpoint(this.#env.disk, this.#file, entriesOf(changed));
      this.#offsets = Promise.resolve(changed);
    });
  }

  #load(): Promise<ReadonlyMap<string, number>> {
    this.#offsets ??= this.#read();
    return this.#offsets;
  }

  async #read(): Promise<Map<string, number>> {
    try {
      const stored = await readOffsetCheckpoint(this.#env.disk, this.#file);
      return new Map(
        stored.map(({ topic, partition, offset }) => [
          partitionFolderName(topic, partition),
          offset,
        ]),
      );
    } catch (error) {
      if (!(error instanceof CorruptLog)) throw error;
      // All counts as dirty then: a pass more, and nothing lost.
      const facts = { err: error, file: this.#file };
      this.#env.log.warn(facts, 'how far logs were cleaned cannot be read: they are cleaned anew');
      return new Map();
    }
  }
}

function entriesOf(offsets: ReadonlyMap<string, number>) {
  return [...offsets].flatMap(([name, offset]) => {
    const place = parsePartitionFolderName(name);
    return place === undefined ? [] : [{ ...place, offset }];
  });
}

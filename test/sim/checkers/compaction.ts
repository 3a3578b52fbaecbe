/**
 * The checker of compacted topics, by offsets: who reads such a topic from its start to its end has,
 * for each key, a record that is no older than the newest that was acknowledged before; or none, where
 * the key was deleted, or has a newer record behind the end up to which was read.
 */

import { type History, nameOf, type Place, type Seen } from '../history.ts';

interface Version {
  readonly isDelete: boolean;
  offset?: number;
}

/** A reader's way from start to end. */
interface Reading {
  readonly records: readonly Seen[];
  /** Where it ended. */
  readonly end: number;
  /** It was faster than deletes are kept. */
  readonly keepsDeletes: boolean;
}

export class CompactionChecker {
  readonly #history: History;
  readonly #place: Place;
  /** By key, what was sent of it, in order; one producer sends it. */
  readonly #versions = new Map<string, Version[]>();

  constructor(history: History, place: Place) {
    this.#history = history;
    this.#place = place;
  }

  /** A record of a key is sent; call what this gives with its offset when it is acknowledged. */
  sent(key: string, isDelete: boolean): (offset: number) => void {
    const version: Version = { isDelete };
    const versions = this.#versions.get(key) ?? [];
    this.#versions.set(key, versions);
    versions.push(version);
    return (offset) => {
      version.offset = offset;
    };
  }

  /** Somebody begins to read; call what this gives with what came of it. */
  reading(reader: string): (reading: Reading) => void {
    const newest = new Map<string, Version>();
    for (const [key, versions] of this.#versions) {
      const last = versions.findLast(({ offset }) => offset !== undefined);
      if (last !== undefined) newest.set(key, last);
    }
    return (reading) => {
      const state = new Map<string, Seen>();
      for (const record of reading.records) state.set(String(record.key), record);
      for (const [key, version] of newest) {
        const fault = this.#fault(key, version, state.get(key), reading);
        if (fault === undefined) continue;
        this.#history.violate('compaction', reader, `${nameOf(this.#place)}: ${key} ${fault}`);
      }
    };
  }

  #fault(
    key: string,
    newest: Version,
    found: Seen | undefined,
    { end, keepsDeletes }: Reading,
  ): string | undefined {
    const offset = newest.offset!;
    const what = newest.isDelete ? 'delete' : 'value';
    if (found === undefined) {
      const versions = this.#versions.get(key)!;
      const later = versions.slice(versions.indexOf(newest) + 1);
      const isBehind = later.some((version) => (version.offset ?? end) >= end);
      const isDeleted = newest.isDelete || later.some(({ isDelete }) => isDelete);
      return isBehind || isDeleted ? undefined : `at ${offset} is lost`;
    }
    if (found.offset >= offset || (newest.isDelete && !keepsDeletes)) return undefined;
    return `ends at ${found.offset}, before its ${what} at ${offset}`;
  }
}

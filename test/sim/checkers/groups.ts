/**
 * The checker of a group with members: in one generation a partition has one owner, generations
 * rise, and in the end every acknowledged record was processed by somebody.
 */

import { type History, nameOf, type Place, type Seen, short } from '../history.ts';

export class GroupChecker {
  readonly #history: History;
  readonly #group: string;
  /** Owner by generation and partition. */
  readonly #owners = new Map<string, string>();
  readonly #processed = new Set<string>();

  constructor(history: History, group: string) {
    this.#history = history;
    this.#group = group;
  }

  /** A member was told in a generation that partitions are its own. */
  assigned(memberId: string, generation: number, partitions: readonly number[]): void {
    for (const partition of partitions) {
      const key = `partition ${partition} in generation ${generation}`;
      const owner = this.#owners.get(key);
      if (owner !== undefined && owner !== memberId) {
        this.#history.violate('group', this.#group, `${key} is ${owner}'s and ${memberId}'s`);
      }
      this.#owners.set(key, memberId);
    }
  }

  processed({ value }: Seen): void {
    if (value !== null) this.#processed.add(short(value));
  }

  /** Nothing that was acknowledged for good is left out. */
  checkProcessed(places: readonly Place[]): void {
    for (const place of places) {
      const left = this.#history
        .sentTo(place)
        .filter(
          ({ acks, offset, value }) =>
            acks === -1 && offset !== undefined && !this.#processed.has(short(value)),
        );
      if (left.length === 0) continue;
      const names = left.map(({ value, offset }) => `${short(value)} at ${offset}`);
      this.#history.violate('group', this.#group, `${nameOf(place)}: ${names} was never processed`);
    }
  }
}

/**
 * What one pass of the on-the-fly compaction knows of the keys in memory: the newest record of each
 * that may push out others, and what hinders its delete from going too. Between passes only the
 * keys are carried on whose older records went while the newest waits in a later chunk.
 */

/** The records of one key in memory. */
export interface Chain {
  /** Offset of the newest record that may push out others; -1 without one. */
  newest: number;
  isDelete: boolean;
  /** Offset of the first record that stays whatever comes behind it; Infinity without one. */
  firstKept: number;
  /** An older record of the key went, in this pass or before. */
  hasDropped: boolean;
  /** Somebody may have seen one that went. */
  wasServed: boolean;
}

interface Carried {
  newest: number;
  wasServed: boolean;
}

/** Keys in one pass; records of others are left alone. */
const MAX_KEYS = 200_000;
/** Keys carried from one pass to the next. */
const MAX_CARRIED = 20_000;

/** The chains carried on between the passes over one log. */
export class CarriedChains {
  readonly #keys = new Map<string, Carried>();

  get(key: string): Carried | undefined {
    return this.#keys.get(key);
  }

  /** Remembers that a record of the key went for one behind this pass; false when there is no room. */
  add(key: string, newest: number): boolean {
    const known = this.#keys.get(key);
    if (known !== undefined) known.newest = newest;
    else if (this.#keys.size >= MAX_CARRIED) return false;
    else this.#keys.set(key, { newest, wasServed: false });
    return true;
  }

  markServed(key: string): void {
    const known = this.#keys.get(key);
    if (known !== undefined) known.wasServed = true;
  }

  /** What lies below an offset is in segments now, whose filters know its keys. */
  forgetBelow(offset: number): void {
    for (const [key, { newest }] of this.#keys) if (newest < offset) this.#keys.delete(key);
  }
}

export class TailChains {
  readonly #chains = new Map<string, Chain>();
  readonly #carried: CarriedChains;
  /** Base of the first batch whose keys are not known. */
  firstUnknown = Number.POSITIVE_INFINITY;

  constructor(carried: CarriedChains) {
    this.#carried = carried;
  }

  get(key: string): Chain | undefined {
    return this.#chains.get(key);
  }

  /** A record that may push out those before it; records come in offset order. */
  noteNewest(key: string, offset: number, isDelete: boolean): void {
    const chain = this.#of(key);
    if (chain === undefined) return;
    chain.newest = offset;
    chain.isDelete = isDelete;
  }

  /** A record that stays where it is. */
  noteKept(key: string, offset: number): void {
    const chain = this.#of(key);
    if (chain !== undefined) chain.firstKept = Math.min(chain.firstKept, offset);
  }

  /** Batches from here on have keys that nobody has looked at. */
  noteUnknown(baseOffset: number): void {
    this.firstUnknown = Math.min(this.firstUnknown, baseOffset);
  }

  #of(key: string): Chain | undefined {
    const known = this.#chains.get(key);
    if (known !== undefined) return known;
    if (this.#chains.size >= MAX_KEYS) return undefined;
    const carried = this.#carried.get(key);
    const chain: Chain = {
      newest: -1,
      isDelete: false,
      firstKept: Number.POSITIVE_INFINITY,
      hasDropped: carried !== undefined,
      wasServed: carried?.wasServed === true,
    };
    this.#chains.set(key, chain);
    return chain;
  }

  /** Nothing in memory is left of the key but the delete at an offset, and nobody saw what went. */
  isAlone(chain: Chain, offset: number): boolean {
    const hides = chain.firstKept < offset || this.firstUnknown < offset;
    return chain.hasDropped && !chain.wasServed && !hides;
  }
}

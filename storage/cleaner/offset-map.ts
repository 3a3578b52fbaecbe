/**
 * Which offset is the last of a key, by the key's hash: what a cleaning knows of the dirty part of a
 * log. Its memory is bounded whatever the number of keys; a key for which there is no room ends the
 * pass. It is made of parts that use ever more of the room that is kept for them as they fill: what
 * was never used takes no memory, so that a log of few keys takes little.
 *
 * An entry is five words: the offset from `baseOffset` on, plus one (zero marks a free place), and
 * the 128 bits of the hash. Places are found by open addressing within a part.
 */

import { KeyHash } from './key-hash.ts';

const ENTRY_WORDS = 5;
export const ENTRY_BYTES = ENTRY_WORDS * 4;
/** Keys that can be hashed before they are asked for. */
export const KEYS_AT_ONCE = 256;
const MAX_PARTS = 256;
/** A part is at least so large before a map is divided into more of them. */
const LEAST_PART_BYTES = 64 * 1024;
const FIRST_PLACES = 16;
/** A part that is this full grows, as long as it may. */
const GROW_LOAD = 0.8;
const GROWTH = 1.25;
/** As in Kafka, a map takes no more, whatever it is given. */
const MOST_BYTES = 2 ** 31;
/** Offsets that lie further from the base do not fit an entry. */
const MAX_RELATIVE = 0xffff_fffe;

export interface OffsetMapOptions {
  /** Memory for entries. */
  readonly maxBytes: number;
  /** How full the map may become, in (0, 1). */
  readonly loadFactor: number;
  readonly baseOffset: number;
  /** 16 random bytes. */
  readonly secret: Uint8Array;
}

export class OffsetMap {
  readonly baseOffset: number;
  /** All records up to this offset have been put in, or have no place here. */
  latestOffset: number;
  readonly #hash: KeyHash;
  readonly #hashes = new Int32Array(KEYS_AT_ONCE * 4);
  /** All parts, each with room for all that it may become; what is not used takes no memory. */
  readonly #words: Int32Array;
  /** What a part had while it grows. */
  readonly #scratch: Int32Array;
  readonly #partWords: number;
  readonly #partShift: number;
  readonly #maxPlaces: number;
  readonly #maxEntries: number;
  /** Of each part. */
  readonly #places: Int32Array;
  readonly #counts: Int32Array;
  #size = 0;
  /** Keeps what `touch` reads from being left out as useless. */
  #touched = 0;

  constructor(options: OffsetMapOptions) {
    this.baseOffset = options.baseOffset;
    this.latestOffset = options.baseOffset - 1;
    this.#hash = new KeyHash(options.secret);
    const maxBytes = Math.min(options.maxBytes, MOST_BYTES);
    let parts = 1;
    while (parts < MAX_PARTS && parts * 2 * LEAST_PART_BYTES <= maxBytes) parts *= 2;
    this.#partShift = 32 - Math.log2(parts);
    // One place more than entries at least: a search ends at a free one.
    this.#maxPlaces = Math.max(2, Math.floor(maxBytes / parts / ENTRY_BYTES));
    const entries = Math.floor(this.#maxPlaces * options.loadFactor);
    this.#maxEntries = Math.max(1, Math.min(entries, this.#maxPlaces - 1));
    this.#partWords = this.#maxPlaces * ENTRY_WORDS;
    this.#words = new Int32Array(this.#partWords * parts);
    this.#scratch = new Int32Array(this.#partWords);
    this.#places = new Int32Array(parts).fill(Math.min(FIRST_PLACES, this.#maxPlaces));
    this.#counts = new Int32Array(parts);
  }

  get size(): number {
    return this.#size;
  }

  /** Bits of what was touched last. */
  get touched(): number {
    return this.#touched;
  }

  get heldBytes(): number {
    let places = 0;
    for (const own of this.#places) places += own;
    return places * ENTRY_BYTES;
  }

  /** How full it is, of what it may hold. */
  get utilization(): number {
    return this.#size / (this.#maxEntries * this.#places.length);
  }

  /**
   * Hashes a key into one of KEYS_AT_ONCE slots, by whose number `touch`, `note` and `find` know it.
   */
  hash(slot: number, bytes: Uint8Array, start: number, length: number): void {
    const hash = this.#hash;
    hash.hash(bytes, start, length);
    const hashes = this.#hashes;
    const at = slot << 2;
    hashes[at] = hash.h0;
    hashes[at + 1] = hash.h1;
    hashes[at + 2] = hash.h2;
    hashes[at + 3] = hash.h3;
  }

  /**
   * Touches the places of so many keys. They lie all over the memory: one loop that only reads lets
   * the processor fetch many at once, where looking at each in turn would wait for each.
   */
  touch(count: number): void {
    const hashes = this.#hashes;
    let seen = 0;
    for (let slot = 0; slot < count; slot++) {
      const part = this.#partOf(slot);
      const at = home(hashes[(slot << 2) + 1]!, this.#places[part]!);
      seen |= this.#words[part * this.#partWords + at]!;
    }
    this.#touched = seen;
  }

  /** Notes the offset of a key, above all noted before; false when there is no room for the key. */
  note(slot: number, offset: number): boolean {
    const relative = offset - this.baseOffset;
    if (relative > MAX_RELATIVE) return false;
    const part = this.#partOf(slot);
    const at = this.#place(part, slot);
    if (this.#words[at] !== 0) {
      this.#words[at] = relative + 1;
      return true;
    }
    const count = this.#counts[part]!;
    if (count >= growthPoint(this.#places[part]!) && this.#grow(part)) {
      this.#fill(part, this.#place(part, slot), slot, relative);
      return true;
    }
    if (count >= this.#maxEntries) return false;
    this.#fill(part, at, slot, relative);
    return true;
  }

  /** The last offset of a key; -1 when the map has none. */
  find(slot: number): number {
    const found = this.#words[this.#place(this.#partOf(slot), slot)]!;
    return found === 0 ? -1 : this.baseOffset + (found >>> 0) - 1;
  }

  #partOf(slot: number): number {
    return this.#partShift === 32 ? 0 : this.#hashes[slot << 2]! >>> this.#partShift;
  }

  /** The place of a hash: that of its entry, else the free one where it would be. */
  #place(part: number, slot: number): number {
    const words = this.#words;
    const hashes = this.#hashes;
    const from = slot << 2;
    const h0 = hashes[from]!;
    const h1 = hashes[from + 1]!;
    const places = this.#places[part]!;
    const start = part * this.#partWords;
    const end = start + places * ENTRY_WORDS;
    let at = start + home(h1, places);
    while (words[at] !== 0) {
      if (
        words[at + 1] === h0 &&
        words[at + 2] === h1 &&
        words[at + 3] === hashes[from + 2] &&
        words[at + 4] === hashes[from + 3]
      ) {
        return at;
      }
      at += ENTRY_WORDS;
      if (at === end) at = start;
    }
    return at;
  }

  #fill(part: number, at: number, slot: number, relative: number): void {
    const words = this.#words;
    const hashes = this.#hashes;
    const from = slot << 2;
    words[at] = relative + 1;
    words[at + 1] = hashes[from]!;
    words[at + 2] = hashes[from + 1]!;
    words[at + 3] = hashes[from + 2]!;
    words[at + 4] = hashes[from + 3]!;
    this.#counts[part]!++;
    this.#size++;
  }

  /** Gives a part more places; false when it has all that it may have. */
  #grow(part: number): boolean {
    const before = this.#places[part]!;
    const places = Math.min(Math.ceil(before * GROWTH) + 1, this.#maxPlaces);
    if (places <= before) return false;
    const words = this.#words;
    const old = this.#scratch;
    const start = part * this.#partWords;
    const oldWords = before * ENTRY_WORDS;
    const end = start + places * ENTRY_WORDS;
    old.set(words.subarray(start, start + oldWords));
    words.fill(0, start, start + oldWords);
    for (let from = 0; from < oldWords; from += ENTRY_WORDS) {
      if (old[from] === 0) continue;
      let at = start + home(old[from + 2]!, places);
      while (words[at] !== 0) {
        at += ENTRY_WORDS;
        if (at === end) at = start;
      }
      words[at] = old[from]!;
      words[at + 1] = old[from + 1]!;
      words[at + 2] = old[from + 2]!;
      words[at + 3] = old[from + 3]!;
      words[at + 4] = old[from + 4]!;
    }
    this.#places[part] = places;
    return true;
  }
}

/** Entries at which a part of so many places is to grow. */
function growthPoint(places: number): number {
  return Math.min(Math.floor(places * GROW_LOAD), places - 1);
}

/** Where the search for a hash begins. */
function home(word: number, places: number): number {
  return Math.floor(((word >>> 0) * places) / 0x1_0000_0000) * ENTRY_WORDS;
}

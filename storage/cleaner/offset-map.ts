/**
 * Which offset is the last of a key, by the key's hash: what a cleaning knows of the dirty part of a
 * log. Its memory is bounded whatever the number of keys; a key for which there is no room ends the
 * pass. It grows in small parts as it fills, so that a log of few keys takes little, and growing
 * never holds two whole tables.
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

/** One part of the table. */
class Part {
  words: Int32Array;
  places: number;
  count = 0;
  /** Entries at which the part is to grow. */
  growAt: number;

  constructor(places: number) {
    this.places = places;
    this.words = new Int32Array(places * ENTRY_WORDS);
    this.growAt = growthPoint(places);
  }
}

export class OffsetMap {
  readonly baseOffset: number;
  /** All records up to this offset have been put in, or have no place here. */
  latestOffset: number;
  readonly #hash: KeyHash;
  readonly #hashes = new Int32Array(KEYS_AT_ONCE * 4);
  readonly #parts: Part[];
  readonly #partShift: number;
  readonly #maxPlaces: number;
  readonly #maxEntries: number;
  #size = 0;
  /** Keeps what `touch` reads from being left out as useless. */
  #touched = 0;

  constructor(options: OffsetMapOptions) {
    this.baseOffset = options.baseOffset;
    this.latestOffset = options.baseOffset - 1;
    this.#hash = new KeyHash(options.secret);
    let parts = 1;
    while (parts < MAX_PARTS && parts * 2 * LEAST_PART_BYTES <= options.maxBytes) parts *= 2;
    this.#partShift = 32 - Math.log2(parts);
    // One place more than entries at least: a search ends at a free one.
    this.#maxPlaces = Math.max(2, Math.floor(options.maxBytes / parts / ENTRY_BYTES));
    const entries = Math.floor(this.#maxPlaces * options.loadFactor);
    this.#maxEntries = Math.max(1, Math.min(entries, this.#maxPlaces - 1));
    const first = Math.min(FIRST_PLACES, this.#maxPlaces);
    this.#parts = Array.from({ length: parts }, () => new Part(first));
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
    for (const part of this.#parts) places += part.places;
    return places * ENTRY_BYTES;
  }

  /** How full it is, of what it may hold. */
  get utilization(): number {
    return this.#size / (this.#maxEntries * this.#parts.length);
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
      seen |= part.words[home(hashes[(slot << 2) + 1]!, part.places)]!;
    }
    this.#touched = seen;
  }

  /** Notes the offset of a key, above all noted before; false when there is no room for the key. */
  note(slot: number, offset: number): boolean {
    const relative = offset - this.baseOffset;
    if (relative > MAX_RELATIVE) return false;
    const part = this.#partOf(slot);
    const { words } = part;
    const at = this.#place(part, slot);
    if (words[at] !== 0) {
      words[at] = relative + 1;
      return true;
    }
    if (part.count >= part.growAt && this.#grow(part)) {
      this.#fill(part, this.#place(part, slot), slot, relative);
      return true;
    }
    if (part.count >= this.#maxEntries) return false;
    this.#fill(part, at, slot, relative);
    return true;
  }

  /** The last offset of a key; -1 when the map has none. */
  find(slot: number): number {
    const part = this.#partOf(slot);
    const found = part.words[this.#place(part, slot)]!;
    return found === 0 ? -1 : this.baseOffset + (found >>> 0) - 1;
  }

  #partOf(slot: number): Part {
    return this.#parts[this.#partShift === 32 ? 0 : this.#hashes[slot << 2]! >>> this.#partShift]!;
  }

  /** The place of a hash in a part: that of its entry, else the free one where it would be. */
  #place(part: Part, slot: number): number {
    const { words, places } = part;
    const hashes = this.#hashes;
    const from = slot << 2;
    const h0 = hashes[from]!;
    const h1 = hashes[from + 1]!;
    const end = places * ENTRY_WORDS;
    let at = home(h1, places);
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
      if (at === end) at = 0;
    }
    return at;
  }

  #fill(part: Part, at: number, slot: number, relative: number): void {
    const { words } = part;
    const hashes = this.#hashes;
    const from = slot << 2;
    words[at] = relative + 1;
    words[at + 1] = hashes[from]!;
    words[at + 2] = hashes[from + 1]!;
    words[at + 3] = hashes[from + 2]!;
    words[at + 4] = hashes[from + 3]!;
    part.count++;
    this.#size++;
  }

  /** Gives a part more places; false when it has all that it may have. */
  #grow(part: Part): boolean {
    const places = Math.min(Math.ceil(part.places * GROWTH) + 1, this.#maxPlaces);
    if (places <= part.places) return false;
    const old = part.words;
    const words = new Int32Array(places * ENTRY_WORDS);
    const end = words.length;
    for (let from = 0; from < old.length; from += ENTRY_WORDS) {
      if (old[from] === 0) continue;
      let at = home(old[from + 2]!, places);
      while (words[at] !== 0) {
        at += ENTRY_WORDS;
        if (at === end) at = 0;
      }
      words[at] = old[from]!;
      words[at + 1] = old[from + 1]!;
      words[at + 2] = old[from + 2]!;
      words[at + 3] = old[from + 3]!;
      words[at + 4] = old[from + 4]!;
    }
    part.words = words;
    part.places = places;
    part.growAt = growthPoint(places);
    return true;
  }
}

function growthPoint(places: number): number {
  return Math.min(Math.floor(places * GROW_LOAD), places - 1);
}

/** Where the search for a hash begins. */
function home(word: number, places: number): number {
  return Math.floor(((word >>> 0) * places) / 0x1_0000_0000) * ENTRY_WORDS;
}

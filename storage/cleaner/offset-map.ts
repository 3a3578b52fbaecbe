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
  readonly #parts: Part[];
  readonly #partShift: number;
  readonly #maxPlaces: number;
  readonly #maxEntries: number;
  #size = 0;

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

  get heldBytes(): number {
    let places = 0;
    for (const part of this.#parts) places += part.places;
    return places * ENTRY_BYTES;
  }

  /** How full it is, of what it may hold. */
  get utilization(): number {
    return this.#size / (this.#maxEntries * this.#parts.length);
  }

  /** Notes the offset of a key, above all noted before; false when there is no room for the key. */
  put(bytes: Uint8Array, start: number, length: number, offset: number): boolean {
    const relative = offset - this.baseOffset;
    if (relative > MAX_RELATIVE) return false;
    const part = this.#find(bytes, start, length);
    const { words } = part;
    const at = this.#place(part);
    if (words[at] === 0) {
      if (part.count >= part.growAt && this.#grow(part)) {
        this.#insert(part, relative);
        return true;
      }
      if (part.count >= this.#maxEntries) return false;
      this.#fill(part, at, relative);
      return true;
    }
    words[at] = relative + 1;
    return true;
  }

  /** The last offset of a key; -1 when the map has none. */
  get(bytes: Uint8Array, start: number, length: number): number {
    const part = this.#find(bytes, start, length);
    const found = part.words[this.#place(part)]!;
    return found === 0 ? -1 : this.baseOffset + (found >>> 0) - 1;
  }

  #find(bytes: Uint8Array, start: number, length: number): Part {
    this.#hash.hash(bytes, start, length);
    return this.#parts[this.#partShift === 32 ? 0 : this.#hash.h0 >>> this.#partShift]!;
  }

  /** The place of the hash in a part: that of its entry, else the free one where it would be. */
  #place(part: Part): number {
    const { words, places } = part;
    const { h0, h1, h2, h3 } = this.#hash;
    const end = places * ENTRY_WORDS;
    let at = home(h1, places);
    while (words[at] !== 0) {
      if (
        words[at + 1] === h0 &&
        words[at + 2] === h1 &&
        words[at + 3] === h2 &&
        words[at + 4] === h3
      ) {
        return at;
      }
      at += ENTRY_WORDS;
      if (at === end) at = 0;
    }
    return at;
  }

  #insert(part: Part, relative: number): void {
    this.#fill(part, this.#place(part), relative);
  }

  #fill(part: Part, at: number, relative: number): void {
    const { words } = part;
    words[at] = relative + 1;
    words[at + 1] = this.#hash.h0;
    words[at + 2] = this.#hash.h1;
    words[at + 3] = this.#hash.h2;
    words[at + 4] = this.#hash.h3;
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

/**
 * Two 32-bit hashes of a record's key, by which the key filters of segments know it. Murmur-like
 * mixing in two lanes; not for anything where a collision would matter: of a filter it makes a "maybe".
 */

/** The hashes of the keys of a batch: two numbers each, one behind the other. */
export type KeyHashes = Uint32Array;

function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Puts the hashes of the bytes in [start, end) into two places of `target`. */
export function hashKey(
  buffer: Buffer,
  start: number,
  end: number,
  target: KeyHashes,
  place: number,
): void {
  let first = 0x9747b28c ^ (end - start);
  let second = 0x3c6ef372;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word =
      buffer[at]! | (buffer[at + 1]! << 8) | (buffer[at + 2]! << 16) | (buffer[at + 3]! << 24);
    first = Math.imul(first ^ Math.imul(word, 0xcc9e2d51), 0x1b873593);
    first = (first << 13) | (first >>> 19);
    second = Math.imul(second ^ word, 0x9e3779b1);
    second ^= second >>> 15;
  }
  for (; at < end; at++) {
    first = Math.imul(first ^ buffer[at]!, 0x01000193);
    second = Math.imul(second ^ (buffer[at]! + 0x7f4a7c15), 0x85ebca77);
    second ^= second >>> 13;
  }
  target[place] = mix(first);
  target[place + 1] = mix(second);
}

/** Collects the hashes of a batch's keys. */
export class HashCollector {
  #hashes: KeyHashes = new Uint32Array(64);
  #count = 0;

  add(buffer: Buffer, start: number, end: number): void {
    if (this.#count * 2 === this.#hashes.length) {
      const larger = new Uint32Array(this.#hashes.length * 2);
      larger.set(this.#hashes);
      this.#hashes = larger;
    }
    hashKey(buffer, start, end, this.#hashes, this.#count++ * 2);
  }

  /** What was collected; the collector is empty after it. */
  take(): KeyHashes {
    const taken = this.#hashes.slice(0, this.#count * 2);
    this.#count = 0;
    return taken;
  }
}

/**
 * A keyed 128-bit hash of record keys. Keys that have the same hash are taken for the same key, so
 * nobody who writes keys may be able to find two such: the hash is Chaskey, a message
 * authentication code of 32-bit additions, rotations and exclusive ors, under a secret that is
 * drawn anew for each cleaning.
 * Source: Mouha et al., "Chaskey: An Efficient MAC Algorithm for 32-bit Microcontrollers" (2014).
 */

export const HASH_KEY_BYTES = 16;
const BLOCK_BYTES = 16;
const ROUNDS = 8;

export class KeyHash {
  /** The four words of the last hash. */
  h0 = 0;
  h1 = 0;
  h2 = 0;
  h3 = 0;
  readonly #key: Int32Array;
  /** For a last block that is whole, and for one that was filled up. */
  readonly #whole: Int32Array;
  readonly #filled: Int32Array;

  /** `secret`: 16 random bytes. */
  constructor(secret: Uint8Array) {
    if (secret.length !== HASH_KEY_BYTES)
      throw new RangeError(`a secret of ${secret.length} bytes`);
    const view = new DataView(secret.buffer, secret.byteOffset, HASH_KEY_BYTES);
    this.#key = Int32Array.from([0, 4, 8, 12], (at) => view.getInt32(at, true));
    this.#whole = doubled(this.#key);
    this.#filled = doubled(this.#whole);
  }

  /** Hashes some bytes of a buffer into h0 to h3. */
  hash(bytes: Uint8Array, start: number, length: number): void {
    const key = this.#key;
    this.h0 = key[0]!;
    this.h1 = key[1]!;
    this.h2 = key[2]!;
    this.h3 = key[3]!;
    let at = start;
    let left = length;
    for (; left > BLOCK_BYTES; left -= BLOCK_BYTES, at += BLOCK_BYTES) this.#mixBlock(bytes, at);
    const last = left === BLOCK_BYTES ? this.#whole : this.#filled;
    this.h0 ^= last[0]!;
    this.h1 ^= last[1]!;
    this.h2 ^= last[2]!;
    this.h3 ^= last[3]!;
    if (left === BLOCK_BYTES) this.#mixBlock(bytes, at);
    else this.#mixRest(bytes, at, left);
    this.h0 ^= last[0]!;
    this.h1 ^= last[1]!;
    this.h2 ^= last[2]!;
    this.h3 ^= last[3]!;
  }

  #mixBlock(bytes: Uint8Array, at: number): void {
    this.#permute(word(bytes, at), word(bytes, at + 4), word(bytes, at + 8), word(bytes, at + 12));
  }

  /** Fewer bytes than a block: a one follows them, and zeros. */
  #mixRest(bytes: Uint8Array, at: number, length: number): void {
    const words = length >>> 2;
    const w0 = words > 0 ? word(bytes, at) : 0;
    const w1 = words > 1 ? word(bytes, at + 4) : 0;
    const w2 = words > 2 ? word(bytes, at + 8) : 0;
    let rest = 1;
    for (let index = length - 1; index >= words << 2; index--) {
      rest = (rest << 8) | bytes[at + index]!;
    }
    if (words === 0) this.#permute(rest, 0, 0, 0);
    else if (words === 1) this.#permute(w0, rest, 0, 0);
    else if (words === 2) this.#permute(w0, w1, rest, 0);
    else this.#permute(w0, w1, w2, rest);
  }

  #permute(w0: number, w1: number, w2: number, w3: number): void {
    let v0 = this.h0 ^ w0;
    let v1 = this.h1 ^ w1;
    let v2 = this.h2 ^ w2;
    let v3 = this.h3 ^ w3;
    for (let round = 0; round < ROUNDS; round++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 13) | (v3 >>> 19)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 7) | (v1 >>> 25)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    this.h0 = v0;
    this.h1 = v1;
    this.h2 = v2;
    this.h3 = v3;
  }
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** Twice a number of the field of 2^128 elements: x^128 + x^7 + x^2 + x + 1. */
function doubled(words: Int32Array): Int32Array {
  const [w0, w1, w2, w3] = words as unknown as [number, number, number, number];
  const carry = w3 < 0 ? 0x87 : 0;
  return Int32Array.of(
    (w0 << 1) ^ carry,
    (w1 << 1) | (w0 >>> 31),
    (w2 << 1) | (w1 >>> 31),
    (w3 << 1) | (w2 >>> 31),
  );
}

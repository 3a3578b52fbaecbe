/** Ways in which a file can be other than it was written: by bit rot, torn writes, or hand. */

import type { SeededRandom } from '../sim/random.ts';

/** Numbers on which arithmetic stumbles. */
const EDGES = [0, 1, -1, 0x7fff_ffff, -0x8000_0000, 61, 4096, 0x7fff, 0x0100_0000];

type Mutation = (bytes: Buffer, random: SeededRandom, other: Buffer) => Buffer;

const turnBit: Mutation = (bytes, random) => {
  bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
  return bytes;
};

const writeNumber: Mutation = (bytes, random) => {
  if (bytes.length >= 4) bytes.writeInt32BE(random.pick(EDGES), random.below(bytes.length - 3));
  return bytes;
};

const cut: Mutation = (bytes, random) => bytes.subarray(0, random.below(bytes.length));

const cutStart: Mutation = (bytes, random) => bytes.subarray(random.below(bytes.length));

const extend: Mutation = (bytes, random) => {
  const more = random.below(300);
  return Buffer.concat([bytes, random.chance(0.5) ? Buffer.alloc(more) : random.bytes(more)]);
};

const fill: Mutation = (bytes, random) => {
  const start = random.below(bytes.length);
  bytes.subarray(start, start + 1 + random.below(64)).fill(random.pick([0, 0xff, 0x39]));
  return bytes;
};

/** A piece moves, or is there twice. */
const splice: Mutation = (bytes, random) => {
  const start = random.below(bytes.length);
  const piece = bytes.subarray(start, start + random.below(200));
  const at = random.below(bytes.length);
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
};

/** What another file holds stands here. */
const mixUp: Mutation = (bytes, random, other) => {
  const at = random.below(bytes.length);
  return Buffer.concat([bytes.subarray(0, at), other.subarray(0, 500), bytes.subarray(at)]);
};

/** Words of a text become others. */
const changeText: Mutation = (bytes, random) => {
  const words = ['', '-1', '99999999999999999999', '1e9', 'NaN', 'x', '\n', ' 0 0', '\0'];
  const parts = bytes.toString('latin1').split(/([0-9]+)/);
  parts[random.below(parts.length)] = random.pick(words);
  return Buffer.from(parts.join(''), 'latin1');
};

const MUTATIONS = [
  turnBit,
  turnBit,
  writeNumber,
  writeNumber,
  cut,
  cutStart,
  extend,
  fill,
  splice,
  mixUp,
  changeText,
];

/** One to three mutations of a file; `other` is the contents of another one. */
export function mutate(bytes: Buffer, random: SeededRandom, other: Buffer): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let left = 1 + random.below(3); left > 0 && changed.length > 0; left--) {
    changed = random.pick(MUTATIONS)(changed, random, other);
  }
  return changed;
}

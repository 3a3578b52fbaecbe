/** What is done to sound bytes: flipped, lied in, cut, doubled, spliced. */

import type { SeededRandom } from '../sim/random.ts';

const hex = (text: string) => Buffer.from(text, 'hex');

/** Lengths and counts as int16, int32 and varints hold them: negative, largest, not ending. */
const EVIL_BYTES = [
  'ffff',
  '8000',
  '7fff',
  'ffffffff',
  '7fffffff',
  '80000000',
  'fffffffe',
  '00000000',
  '000fffff',
  'ffffffff0f',
  'ffffffff7f',
  'ffffffffffffffffff01',
  'ffffffffffffffffffff',
  '8080808000',
  '8080808008',
  'fe01',
  '00',
  '01',
  'ff',
].map(hex);

type Mutation = (random: SeededRandom, bytes: Buffer) => Buffer;

const flipBit: Mutation = (random, bytes) => {
  const changed = Buffer.from(bytes);
  changed[random.below(changed.length)]! ^= 1 << random.below(8);
  return changed;
};

const setByte: Mutation = (random, bytes) => {
  const changed = Buffer.from(bytes);
  changed[random.below(changed.length)] = random.below(256);
  return changed;
};

/** A lie in the place of what is there. */
const overwrite: Mutation = (random, bytes) => {
  const changed = Buffer.from(bytes);
  random.pick(EVIL_BYTES).copy(changed, random.below(changed.length));
  return changed;
};

/** A lie that moves what comes behind. */
const insert: Mutation = (random, bytes) => {
  const at = random.below(bytes.length + 1);
  const added = random.chance(0.7) ? random.pick(EVIL_BYTES) : random.bytes(1 + random.below(16));
  return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at)]);
};

const replaceByte: Mutation = (random, bytes) => {
  const at = random.below(bytes.length);
  return Buffer.concat([bytes.subarray(0, at), random.pick(EVIL_BYTES), bytes.subarray(at + 1)]);
};

const cut: Mutation = (random, bytes) => bytes.subarray(0, random.below(bytes.length));

const removeRange: Mutation = (random, bytes) => {
  const from = random.below(bytes.length);
  return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 1 + random.below(16))]);
};

const doubleRange: Mutation = (random, bytes) => {
  const from = random.below(bytes.length);
  const part = bytes.subarray(from, from + 1 + random.below(64));
  const times = random.chance(0.9) ? 1 : 200;
  const parts = Array.from({ length: times }, () => part);
  return Buffer.concat([bytes.subarray(0, from), ...parts, bytes.subarray(from)]);
};

/** Tagged fields that nobody knows, in the place of the last byte: "no tags" in flexible versions. */
const addTags: Mutation = (random, bytes) => {
  const size = random.pick([0, 3, 100]);
  const count = 1 + random.below(3);
  const tags = Array.from({ length: count }, (_, index) =>
    Buffer.concat([Buffer.from([100 + index, size]), random.bytes(size)]),
  );
  return Buffer.concat([bytes.subarray(0, -1), Buffer.from([count]), ...tags]);
};

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  flipBit,
  setByte,
  overwrite,
  overwrite,
  insert,
  replaceByte,
  cut,
  removeRange,
  doubleRange,
  addTags,
];

/** The bytes with one to three changes. */
export function mutate(random: SeededRandom, bytes: Buffer): Buffer {
  let changed = bytes;
  for (let count = random.pick([1, 1, 1, 2, 3]); count > 0; count--) {
    if (changed.length === 0) return random.bytes(random.below(8));
    changed = random.pick(MUTATIONS)(random, changed);
  }
  return changed;
}

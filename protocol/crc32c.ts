/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78): the native module where it is installed,
 * loaded when there is something to do for it; else slice-by-8 tables. Source: RFC 3720, appendix B.4.
 */

import { createRequire } from 'node:module';

type Crc32c = (data: Buffer, seed?: number) => number;

const SLICES = 8;

function makeTables(): Uint32Array[] {
  const tables = Array.from({ length: SLICES }, () => new Uint32Array(256));
  const first = tables[0]!;
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    first[byte] = crc >>> 0;
  }
  for (let slice = 1; slice < SLICES; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = tables[slice - 1]![byte]!;
      tables[slice]![byte] = (first[before & 0xff]! ^ (before >>> 8)) >>> 0;
    }
  }
  return tables;
}

let tables: Uint32Array[] | undefined;

/** CRC-32C in JavaScript alone. `seed` is the sum of what came before. */
export function crc32cPortable(data: Buffer, seed = 0): number {
  tables ??= makeTables();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  let crc = ~seed;
  let at = 0;
  for (const end = data.length - 7; at < end; at += 8) {
    const low =
      crc ^ (data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24));
    crc =
      t7[low & 0xff]! ^
      t6[(low >>> 8) & 0xff]! ^
      t5[(low >>> 16) & 0xff]! ^
      t4[low >>> 24]! ^
      t3[data[at + 4]!]! ^
      t2[data[at + 5]!]! ^
      t1[data[at + 6]!]! ^
      t0[data[at + 7]!]!;
  }
  for (; at < data.length; at++) crc = (crc >>> 8) ^ t0[(crc ^ data[at]!) & 0xff]!;
  return ~crc >>> 0;
}

function loadNative(): Crc32c | undefined {
  try {
    return createRequire(import.meta.url)('@node-rs/crc32').crc32c as Crc32c;
  } catch (error) {
    // An optional package: a platform without a prebuilt binary has none.
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** The native module is found and linked in milliseconds, which a start can do without. */
const FIRST_NATIVE_BYTES = 1024;
const FIRST_NATIVE_CALLS = 256;

let best: Crc32c | undefined;
let calls = 0;

/** CRC-32C of the data; `seed` is the sum of what came before. */
export function crc32c(data: Buffer, seed = 0): number {
  if (best !== undefined) return best(data, seed);
  if (data.length < FIRST_NATIVE_BYTES && ++calls < FIRST_NATIVE_CALLS) {
    return crc32cPortable(data, seed);
  }
  best = loadNative() ?? crc32cPortable;
  return best(data, seed);
}

/**
 * Short texts that come again with every request (topic names, topic ids, client and group ids),
 * kept by their bytes: comparing a few bytes is cheaper than making a string, and a map finds by a
 * string that it has seen before without summing it up anew.
 *
 * The cache is of fixed size and never wrong: all bytes are compared. One text takes the place of
 * another that falls on the same slot.
 */

const SLOT_BITS = 11;
const SLOTS = 1 << SLOT_BITS;
/** Longer texts are not kept: making the string costs no more than comparing. */
const TEXT_BYTES = 32;
const UUID_BYTES = 16;
const GOLDEN_RATIO = 0x9e3779b1;

const texts: string[] = new Array(SLOTS).fill('');
const textBytes = new Uint8Array(SLOTS * TEXT_BYTES);
const uuids: string[] = new Array(SLOTS).fill('A'.repeat(22));
const uuidBytes = new Uint8Array(SLOTS * UUID_BYTES);

/** Slot of a text by its length and the bytes in which numbered names differ. */
function slotOf(buffer: Buffer, at: number, length: number): number {
  const end = at + length;
  let sum = length ^ (buffer[at]! << 8) ^ (buffer[at + (length >>> 1)]! << 16);
  for (let i = Math.max(at, end - 4); i < end; i++) sum = (sum << 7) ^ (sum >>> 25) ^ buffer[i]!;
  return Math.imul(sum, GOLDEN_RATIO) >>> (32 - SLOT_BITS);
}

/** The text of bytes in UTF-8, all of which are there. */
export function textOf(buffer: Buffer, at: number, length: number): string {
  if (length === 0) return '';
  if (length > TEXT_BYTES) return buffer.toString('utf8', at, at + length);
  const slot = slotOf(buffer, at, length);
  const kept = texts[slot]!;
  const from = slot * TEXT_BYTES;
  if (kept.length === length) {
    let i = 0;
    while (i < length && textBytes[from + i] === buffer[at + i]) i++;
    if (i === length) return kept;
  }
  const text = buffer.toString('utf8', at, at + length);
  // Only where characters are bytes does the length of the text tell that of the bytes kept.
  if (text.length === length) {
    texts[slot] = text;
    for (let i = 0; i < length; i++) textBytes[from + i] = buffer[at + i]!;
  }
  return text;
}

/** The base64url text of 16 bytes, all of which are there. */
export function uuidOf(buffer: Buffer, at: number): string {
  const slot = slotOf(buffer, at, UUID_BYTES);
  const from = slot * UUID_BYTES;
  let i = 0;
  while (i < UUID_BYTES && uuidBytes[from + i] === buffer[at + i]) i++;
  if (i === UUID_BYTES) return uuids[slot]!;
  const text = buffer.toString('base64url', at, at + UUID_BYTES);
  uuids[slot] = text;
  for (i = 0; i < UUID_BYTES; i++) uuidBytes[from + i] = buffer[at + i]!;
  return text;
}

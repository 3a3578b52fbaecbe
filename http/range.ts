/** A `Range` header of one range of bytes (RFC 9110). */

/** Both inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The range of what has so many bytes. `outside`: it has none of them. Undefined for what is to be
 * passed over: other units, several ranges, no range at all.
 */
export function parseRange(header: string, sizeBytes: number): ByteRange | 'outside' | undefined {
  const match = /^bytes\s*=\s*(\d{0,16})-(\d{0,16})$/i.exec(header.trim());
  const [, first = '', last = ''] = match ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const count = Math.min(Number(last), sizeBytes);
    return count === 0 ? 'outside' : { first: sizeBytes - count, last: sizeBytes - 1 };
  }
  const end = last === '' ? sizeBytes - 1 : Number(last);
  if (last !== '' && end < Number(first)) return undefined;
  if (Number(first) >= sizeBytes) return 'outside';
  return { first: Number(first), last: Math.min(end, sizeBytes - 1) };
}

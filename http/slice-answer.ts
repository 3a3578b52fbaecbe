/** What every answer to a slice says beside its records. */

import type { FetchSlice } from '../broker/fetch-slice.ts';
import { ErrorCode } from '../protocol/errors.ts';
import { Problem } from './problem.ts';

/** The headers, and what each says. */
export const POSITION_HEADERS = {
  'Tailrace-Next-Offset': 'Ask from here to go on.',
  'Tailrace-High-Watermark': 'End of what may be read.',
  'Tailrace-Last-Stable-Offset': 'End of what may be read with `read_committed`.',
  'Tailrace-Log-Start-Offset': 'Offset of the first record there is.',
  'Tailrace-Aborted-Transactions':
    'Of `read_committed`: `producer id:first offset` of each aborted transaction in the slice, ' +
    "separated by commas. Its records are to be left out, up to the producer's marker.",
};

export function positionHeaders(slice: FetchSlice): Record<string, string> {
  const headers: Record<string, string> = {
    'tailrace-next-offset': String(slice.nextOffset),
    'tailrace-high-watermark': String(slice.highWatermark),
    'tailrace-last-stable-offset': String(slice.lastStableOffset),
    'tailrace-log-start-offset': String(slice.logStartOffset),
  };
  if (slice.aborted !== null) {
    headers['tailrace-aborted-transactions'] = slice.aborted
      .map(({ producerId, firstOffset }) => `${producerId}:${firstOffset}`)
      .join(',');
  }
  return headers;
}

/** Throws the problem that a slice came to, if there is one. */
export function checkSlice({ errorCode }: FetchSlice, from: number): void {
  if (errorCode === ErrorCode.NONE) return;
  throw Problem.ofCode(errorCode, `the slice from offset ${from} cannot be read`);
}

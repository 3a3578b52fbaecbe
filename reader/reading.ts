/**
 * What a user holds: an iterator over the records, or the batches, of a topic, with a token for the
 * place and the figures of what was done. Leaving the loop, an error, the end and `close()` let go
 * of connections and files.
 */

import type { ReadStats } from './stats.ts';

/** A topic being read. */
export interface Reading<T> extends AsyncIterableIterator<T, undefined, undefined> {
  readonly stats: Readonly<ReadStats>;
  /**
   * The place after what was given last, for `from` of a later reading; undefined before the first
   * was asked for. In a loop: after the record, or the batch, that the loop's body has.
   */
  token(): string | undefined;
  /** Ends the reading: whoever waits for the next gets the end. */
  close(): void;
  [Symbol.asyncIterator](): Reading<T>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a reading has done so far, by the three cases: located, in memory, waited for. */

import type { LocationWay } from './options.ts';

export interface ReadStats {
  /** Fetches answered. */
  requests: number;
  /** Bytes of batches read from files of this host, and by URL. */
  fileBytes: number;
  urlBytes: number;
  /** Bytes of batches that came as records in an answer. */
  recordBytes: number;
  /** Answers of a partition that held a location, and that held records. */
  locations: number;
  recordAnswers: number;
  /** Answers without anything: a wait ended. With the time that was waited. */
  waits: number;
  waitedMs: number;
  /** Locations that could not be used and were asked for again. */
  askedAgain: number;
  /** Times that a connection was lost. */
  disconnects: number;
  /** Times that the broker had lost what it gave, or had deleted what was to be read next. */
  truncations: number;
  resets: number;
  /** What the user was given. */
  batches: number;
  records: number;
}

export function noStats(): ReadStats {
  return {
    requests: 0,
    fileBytes: 0,
    urlBytes: 0,
    recordBytes: 0,
    locations: 0,
    recordAnswers: 0,
    waits: 0,
    waitedMs: 0,
    askedAgain: 0,
    disconnects: 0,
    truncations: 0,
    resets: 0,
    batches: 0,
    records: 0,
  };
}

/** How a partition was answered, and what became of it. */
export type ReadEvent =
  | {
      readonly kind: 'location' | 'records' | 'nothing';
      readonly partition: number;
      readonly offset: number;
      readonly nextOffset: number;
      readonly bytes: number;
      /** From the request to the answer. */
      readonly waitedMs: number;
    }
  | {
      /** A location is being read. */
      readonly kind: 'open';
      readonly partition: number;
      readonly offset: number;
      readonly way: LocationWay;
      /** The file's path, or the URL. */
      readonly name: string;
      readonly bytes: number;
    }
  | {
      /** A location could not be used and is asked for again. */
      readonly kind: 'again';
      readonly partition: number;
      readonly offset: number;
      readonly reason: string;
    }
  | {
      /** The reading goes on at another offset than the next one: `reset`. */
      readonly kind: 'reset' | 'truncated';
      readonly partition: number;
      readonly offset: number;
      readonly nextOffset: number;
    }
  | {
      /** The topic has got a partition, which is read from its start. */
      readonly kind: 'added';
      readonly partition: number;
    }
  | { readonly kind: 'disconnected'; readonly reason: string };

/**
 * One API as @platformatic/kafka speaks it: what it is asked to encode and what it must read in our
 * answer. Its names of fields are Kafka's, so what it parses is compared with what we encode.
 */

import type { Message } from '../../protocol/schema.ts';

type Values = Readonly<Record<string, unknown>>;

export interface Case {
  /** The library's name of the API, without its version. */
  api: string;
  versions: number[];
  messages: [request: Message, response: Message];
  /** Arguments of its `createRequest`. */
  arguments: unknown[] | ((version: number) => unknown[]);
  /** What we must decode of it. */
  request: Values | ((version: number) => Values);
  /** What we encode and it must parse, unless `parsed` says otherwise. */
  response: Values;
  parsed?: Values | ((version: number) => Values);
  /** Bytes that the library sends behind the message, which nobody reads. */
  extraBytes?: (version: number) => number;
  /** Versions in which the library expects fields in our answer that Kafka does not send. */
  misread?: number[];
}

/** One topic id, as we and as the library write it. */
export const TOPIC_ID = 'ASNFZ4mrze_-3LqYdlQyEA';
export const TOPIC_UUID = '01234567-89ab-cdef-fedc-ba9876543210';

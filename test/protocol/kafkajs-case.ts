/** One API as kafkajs speaks it: what it is asked to say, and what it must make of our answer. */

import type { Message } from '../../protocol/schema.ts';

/** A function where kafkajs or the protocol tells versions apart. */
type ByVersion = object | ((version: number) => object);

export interface Case {
  /** kafkajs's name of the API. */
  api: string;
  first: number;
  last: number;
  messages: [request: Message, response: Message];
  /** What kafkajs is asked to encode. */
  options: ByVersion;
  /** What we must decode of it. */
  request: ByVersion;
  /** What we encode. */
  response: Readonly<Record<string, unknown>>;
  /** What kafkajs must make of it. */
  parsed: ByVersion;
}

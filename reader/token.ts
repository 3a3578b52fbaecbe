/**
 * A token: the place of a reading in all its partitions as one text, to go on from later, in
 * another process too. It names the topic's id, so that it does not fit a topic made anew, and the
 * leader epoch of what was read last, by which the broker knows when it has lost some of it.
 *
 * `tailrace1.` and, in base64url, the JSON of `{ topic, id, all, at: [[partition, offset, epoch], ...] }`.
 */

import { ReadError } from './errors.ts';

const PREFIX = 'tailrace1.';

/** The next offset of a partition, and the epoch of the batch before it, -1 when not known. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
  readonly epoch: number;
}

export interface Places {
  readonly topic: string;
  readonly topicId: string;
  /** All partitions were read: one that is not among the places is new, and read from its start. */
  readonly readsAll: boolean;
  readonly places: readonly Place[];
}

interface Written {
  readonly topic: string;
  readonly id: string;
  readonly all: boolean;
  readonly at: readonly number[][];
}

export function isToken(text: string): boolean {
  return text.startsWith(PREFIX);
}

export function writeToken({ topic, topicId, readsAll, places }: Places): string {
  const at = places.map(({ partition, offset, epoch }) => [partition, offset, epoch]);
  const json = JSON.stringify({ topic, id: topicId, all: readsAll, at });
  return PREFIX + Buffer.from(json).toString('base64url');
}

/** Throws ReadError INVALID_OPTIONS for what is no token. */
export function readToken(token: string): Places {
  try {
    const json = Buffer.from(token.slice(PREFIX.length), 'base64url').toString();
    const { topic, id, all, at } = JSON.parse(json) as Written;
    if (typeof topic !== 'string' || typeof id !== 'string') throw new TypeError('no topic');
    const places = at.map(([partition, offset, epoch]) => {
      if (![partition, offset, epoch].every(Number.isSafeInteger)) throw new TypeError('no place');
      return { partition: partition!, offset: offset!, epoch: epoch! };
    });
    return { topic, topicId: id, readsAll: all === true, places };
  } catch (error) {
    throw new ReadError('INVALID_OPTIONS', `from is no token: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/**
 * Ends answers that are not taken: a reader that stops reading and stays would hold their buffers
 * for ever. Who waits for records is not meant; nothing is being sent to him.
 */

import type { ServerResponse } from 'node:http';
import type { Config } from '../broker/config.ts';

/** The longest time that a timer takes. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** From now on the connection ends when nothing of the answer leaves for `connections.max.idle.ms`. */
export function endWhenStalled(raw: ServerResponse, config: Pick<Config, 'get'>): void {
  const limitMs = config.get('connections.max.idle.ms');
  if (limitMs <= 0) return;
  // Called again and again for an answer that goes on: one listener is enough.
  if (raw.listenerCount('timeout') === 0) raw.on('timeout', () => raw.destroy());
  raw.setTimeout(Math.min(limitMs, LONGEST_TIMEOUT_MS));
}

/** Nothing is being sent: the connection may be still. */
export function mayBeStill(raw: ServerResponse): void {
  raw.setTimeout(0);
}

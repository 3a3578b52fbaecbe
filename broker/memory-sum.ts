/**
 * What a configuration allows the broker to hold, in one place. `memory.max.bytes` is one of the
 * parts: what clients make the broker hold draws on it; beside it are what may exceed it so that
 * nothing can come to a deadlock, free buffers that are kept to be used again, and caches. All of it
 * together, and what Node itself takes (some 80 MiB), is the most that the process should need.
 */

import { LIGHT_ALLOWANCE } from '../storage/flush-queue.ts';
import { FILTER_CACHE_BYTES, INDEX_CACHE_BYTES, RUN_CACHE_BYTES } from '../storage/log-context.ts';
import { POOL_KEEP_BYTES } from '../storage/store.ts';
import type { Config } from './config.ts';
import { LEAST_READ_BYTES } from './fetch-run.ts';
import { FRAME_KEEP_BYTES } from './frame-pool.ts';
import { SOCKET_READ_BYTES } from './memory-budget.ts';

export const MEMORY_PARTS = [
  'budget',
  'last frame',
  'reserve',
  'free buffers',
  'caches',
  'cleaner',
  'connections',
] as const;
export type MemoryPart = (typeof MEMORY_PARTS)[number];

/** What one more connection may hold when the budget is used up: what came of it, and a small read. */
const CONNECTION_BYTES = SOCKET_READ_BYTES + LEAST_READ_BYTES;

/** The most that a part may hold with so many connections. */
export function memoryPartBytes(part: MemoryPart, config: Config, connections: number): number {
  switch (part) {
    case 'budget':
      return config.get('memory.max.bytes');
    case 'last frame':
      return config.get('socket.request.max.bytes');
    case 'reserve':
      return (
        config.get('flush.queue.reserve.bytes') + LIGHT_ALLOWANCE * config.get('flush.queue.bytes')
      );
    case 'free buffers':
      return FRAME_KEEP_BYTES + POOL_KEEP_BYTES;
    case 'caches':
      return INDEX_CACHE_BYTES + RUN_CACHE_BYTES + FILTER_CACHE_BYTES;
    case 'cleaner':
      return (
        config.get('log.cleaner.dedupe.buffer.size') + config.get('log.cleaner.io.buffer.size')
      );
    case 'connections':
      return connections * CONNECTION_BYTES;
  }
}

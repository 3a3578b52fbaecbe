/** Kafka's defaults for a topic's log, for tests that need a log and not an option. */

import type { LogOptions } from '../../storage/types.ts';

export const LOG_OPTIONS: LogOptions = {
  segmentBytes: 1024 ** 3,
  segmentMs: 7 * 24 * 3600 * 1000,
  segmentJitterMs: 0,
  segmentIndexBytes: 10 * 1024 ** 2,
  indexIntervalBytes: 4096,
  fileDeleteDelayMs: 60_000,
  flushMessages: 1,
  flushMs: Number.MAX_SAFE_INTEGER,
  producerIdExpirationMs: 86_400_000,
  deletes: true,
  compacts: false,
  retentionMs: 7 * 24 * 3600 * 1000,
  retentionBytes: -1,
  deleteRetentionMs: 86_400_000,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Number.MAX_SAFE_INTEGER,
  minCleanableDirtyRatio: 0.5,
  compactsTail: false,
  visibility: 'written',
  internal: false,
};

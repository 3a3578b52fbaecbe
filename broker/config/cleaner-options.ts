/** Broker options of the log cleaner; how each topic is cleaned is among its own options. */

import { bool, double, int, long } from './option.ts';

const CLUSTER_WIDE = 'cluster-wide';

export const cleanerOptions = {
  'log.cleaner.enable': bool(true, { doc: 'Whether compacted logs are cleaned.' }),
  'log.cleaner.threads': int(1, {
    min: 0,
    dynamic: CLUSTER_WIDE,
    doc: 'Logs that are cleaned at once.',
  }),
  'log.cleaner.dedupe.buffer.size': long(134217728, {
    dynamic: CLUSTER_WIDE,
    doc:
      'Memory for the keys of the logs that are being cleaned, 20 bytes a key and some room; taken ' +
      'as it is needed. A pass over more keys is done in parts.',
  }),
  'log.cleaner.io.buffer.load.factor': double(0.9, {
    fault: (factor) => (factor > 0 && factor <= 1 ? undefined : 'it takes more than 0, up to 1'),
    dynamic: CLUSTER_WIDE,
    doc: 'How full the memory for keys may become; fuller is slower.',
  }),
  'log.cleaner.io.buffer.size': int(524288, {
    min: 0,
    dynamic: CLUSTER_WIDE,
    doc: 'Memory for reading and writing, of all threads together.',
  }),
  'log.cleaner.io.max.bytes.per.second': double(Number.MAX_VALUE, {
    fault: (rate) => (rate > 0 ? undefined : 'it takes more than 0'),
    dynamic: CLUSTER_WIDE,
    doc: 'Bytes a second that cleaning reads and writes at most.',
  }),
  'log.cleaner.backoff.ms': long(15000, {
    min: 0,
    dynamic: CLUSTER_WIDE,
    doc: 'How long the cleaner rests when there is nothing to clean.',
  }),
} as const;

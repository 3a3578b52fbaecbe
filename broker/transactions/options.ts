/** What of the configuration the transaction coordinator goes by, in its own words. */

import type { Config } from '../config.ts';

export interface TransactionOptions {
  /** The longest timeout that a producer may ask for. */
  readonly maxTimeoutMs: number;
  readonly topicPartitions: number;
  readonly topicSegmentBytes: number;
  /** How often transactions that are open for too long are looked for. */
  readonly abortCheckIntervalMs: number;
  readonly idExpirationMs: number;
  readonly expirationCheckIntervalMs: number;
  /** How long adding a partition waits for the producer's last transaction to be completed. */
  readonly addWaitMs: number;
  /** How long a record of the coordinator may take to become durable. */
  readonly writeTimeoutMs: number;
  /** Bound of what transactional ids keep in memory, estimated. */
  readonly stateLimitBytes: number;
}

/** Kafka's timeout of the writes of its coordinator. */
const WRITE_TIMEOUT_MS = 30_000;
/** Of `memory.max.bytes`, so much may be the state of transactional ids. */
const STATE_SHARE = 0.1;

export function transactionOptions(config: Config): TransactionOptions {
  return {
    maxTimeoutMs: config.get('transaction.max.timeout.ms'),
    topicPartitions: config.get('transaction.state.log.num.partitions'),
    topicSegmentBytes: config.get('transaction.state.log.segment.bytes'),
    abortCheckIntervalMs: config.get('transaction.abort.timed.out.transaction.cleanup.interval.ms'),
    idExpirationMs: config.get('transactional.id.expiration.ms'),
    expirationCheckIntervalMs: config.get(
      'transaction.remove.expired.transaction.cleanup.interval.ms',
    ),
    addWaitMs: config.get('add.partitions.to.txn.retry.backoff.max.ms'),
    writeTimeoutMs: WRITE_TIMEOUT_MS,
    stateLimitBytes: Math.floor(config.get('memory.max.bytes') * STATE_SHARE),
  };
}

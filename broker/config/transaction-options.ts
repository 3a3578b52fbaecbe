/** Broker options of transactions. Names are Kafka's. */

import { ONE_NODE } from './log-options.ts';
import { bool, int, short } from './option.ts';

export const transactionOptions = {
  'transaction.max.timeout.ms': int(900000, {
    min: 1,
    doc: 'The longest transaction timeout that InitProducerId accepts.',
  }),
  'transaction.state.log.num.partitions': int(50, {
    min: 1,
    doc: 'Partitions of __transaction_state when it is made; never change it afterwards.',
  }),
  'transaction.state.log.segment.bytes': int(104857600, {
    min: 1,
    doc: 'Segment size of __transaction_state.',
  }),
  'transaction.state.log.replication.factor': short(1, {
    kafkaDefault: '3',
    min: 1,
    inert: ONE_NODE,
    doc: 'Replicas of __transaction_state.',
  }),
  'transaction.state.log.min.isr': int(1, {
    kafkaDefault: '2',
    min: 1,
    inert: ONE_NODE,
    doc: 'How many replicas of __transaction_state must have a record.',
  }),
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': int(10000, {
    min: 1,
    doc: 'How often transactions are looked for that are open for longer than their timeout.',
  }),
  'transactional.id.expiration.ms': int(604800000, {
    min: 1,
    doc: 'A transactional id that is not used for so long, and has nothing open, is forgotten.',
  }),
  'transaction.remove.expired.transaction.cleanup.interval.ms': int(3600000, {
    min: 1,
    doc: 'How often transactional ids are looked for that have expired.',
  }),
  'transaction.partition.verification.enable': bool(true, {
    dynamic: 'cluster-wide',
    doc:
      'Whether a partition must have been added to the transaction before an older client ' +
      'produces to it.',
  }),
  'add.partitions.to.txn.retry.backoff.max.ms': int(100, {
    min: 0,
    doc:
      'How long a partition that is added by Produce waits for the producer’s last transaction ' +
      'to be completed, before the client is told to try again.',
  }),
  'transaction.two.phase.commit.enable': bool(false, {
    inert: 'two-phase commit is not offered, as by Kafka 4.4 with its default',
    doc: 'Whether producers may prepare a transaction and end it later, without a timeout.',
  }),
} as const;

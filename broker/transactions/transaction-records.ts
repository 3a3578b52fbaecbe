/**
 * The records of __transaction_state as bytes: key = int16 type (0) + key of version 0, value =
 * int16 version + value; no value forgets the id. Written is value version 1, which Kafka writes
 * from transaction.version 1 on; 0 and 1 are read.
 * Source: Kafka's TransactionLog, TransactionCoordinatorRecordSerde.
 */

import { codec } from '../../protocol/compile.ts';
import {
  TransactionLogKey,
  TransactionLogValue,
} from '../../protocol/messages/transaction-records.ts';
import { MalformedFrame, Reader } from '../../protocol/reader.ts';
import { NO_PRODUCER_EPOCH } from '../../protocol/record-batch.ts';
import { Writer } from '../../protocol/writer.ts';
import { NO_PARTITIONS, type PartitionSet, withPartitions } from './partition-set.ts';
import { STATE_NAMES, type TransactionState } from './transaction-state.ts';

const KEY_TYPE = 0;
const KEY_VERSION = 0;
const VALUE_VERSION = 1;
const NEWEST_READ = 1;

export function transactionKey(transactionalId: string): Buffer {
  const writer = new Writer();
  writer.int16(KEY_TYPE);
  codec(TransactionLogKey, KEY_VERSION).encode(writer, { transactionalId });
  return Buffer.concat(writer.finish());
}

export function transactionValue(state: TransactionState): Buffer {
  const writer = new Writer();
  writer.int16(VALUE_VERSION);
  codec(TransactionLogValue, VALUE_VERSION).encode(writer, {
    producerId: state.producerId,
    previousProducerId: state.previousProducerId,
    nextProducerId: state.nextProducerId,
    producerEpoch: state.producerEpoch,
    transactionTimeoutMs: state.timeoutMs,
    transactionStatus: STATE_NAMES.indexOf(state.name),
    transactionPartitions: state.name === 'Empty' ? null : partitionLists(state.partitions),
    transactionLastUpdateTimestampMs: state.updateMs,
    transactionStartTimestampMs: state.startMs,
    clientTransactionVersion: state.clientVersion,
  });
  return Buffer.concat(writer.finish());
}

function partitionLists(partitions: PartitionSet) {
  return [...partitions].map(([topic, ids]) => ({ topic, partitionIds: [...ids] }));
}

/** The id in a key; undefined for a record of another kind. Throws MalformedFrame. */
export function readTransactionKey(key: Buffer): string | undefined {
  const reader = new Reader(key);
  if (reader.int16() !== KEY_TYPE) return undefined;
  return codec(TransactionLogKey, KEY_VERSION).decode(reader).transactionalId;
}

/** Throws MalformedFrame for what no transaction coordinator writes. */
export function readTransactionValue(value: Buffer): TransactionState {
  const reader = new Reader(value);
  const version = reader.int16();
  if (version < 0 || version > NEWEST_READ) {
    throw new MalformedFrame(`a transaction's record in version ${version}`);
  }
  const read = codec(TransactionLogValue, version).decode(reader);
  const name = STATE_NAMES[read.transactionStatus];
  if (name === undefined || name === 'Dead' || name === 'PrepareEpochFence') {
    throw new MalformedFrame(`a transaction's record in state ${read.transactionStatus}`);
  }
  let partitions = NO_PARTITIONS;
  for (const { topic, partitionIds } of read.transactionPartitions ?? []) {
    const added = partitionIds.map((partition) => ({ topic, partition }));
    partitions = withPartitions(partitions, added);
  }
  return {
    name,
    producerId: read.producerId,
    previousProducerId: read.previousProducerId,
    nextProducerId: read.nextProducerId,
    producerEpoch: read.producerEpoch,
    lastProducerEpoch: NO_PRODUCER_EPOCH,
    timeoutMs: read.transactionTimeoutMs,
    partitions,
    startMs: read.transactionStartTimestampMs,
    updateMs: read.transactionLastUpdateTimestampMs,
    clientVersion: read.clientTransactionVersion,
  };
}

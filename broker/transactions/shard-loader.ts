/**
 * Reads one partition of __transaction_state from its beginning, at the start of the broker: the
 * latest record of each id. What cannot be read is reported with its place, and left out.
 */

import { ProtocolError } from '../../protocol/errors.ts';
import { baseOffset, Codec, codec, isControl } from '../../protocol/record-batch.ts';
import { InvalidRecords, payloadOf, RecordCursor } from '../../protocol/records.ts';
import type { OffsetsPartition } from '../groups/log-writer.ts';
import type { TransactionShard } from './shard.ts';
import { readTransactionKey, readTransactionValue } from './transaction-records.ts';

interface Latest {
  readonly value: Buffer;
  readonly offset: number;
}

export async function loadTransactions(
  shard: TransactionShard,
  partition: OffsetsPartition,
): Promise<void> {
  /** By the key's bytes, one character each. */
  const latest = new Map<string, Latest>();
  const report = (offset: number, reason: string) => {
    shard.services.log.error(
      { partition: shard.partition, offset, reason },
      'a record of __transaction_state cannot be read and was left out',
    );
  };
  await partition.scan(partition.log.logStartOffset, (buffer, at) => {
    if (isControl(buffer, at)) return;
    const base = baseOffset(buffer, at);
    if (codec(buffer, at) !== Codec.none) {
      report(base, 'it is compressed, which no coordinator does');
      return;
    }
    try {
      readBatch(payloadOf(buffer, at), base, latest, report);
    } catch (error) {
      if (!(error instanceof InvalidRecords)) throw error;
      report(base, error.message);
    }
  });
  for (const [key, { value, offset }] of latest) {
    try {
      const id = readTransactionKey(Buffer.from(key, 'latin1'));
      if (id !== undefined) shard.adopt(id, readTransactionValue(value));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      report(offset, error.message);
    }
  }
}

function readBatch(
  payload: Buffer,
  base: number,
  latest: Map<string, Latest>,
  report: (offset: number, reason: string) => void,
): void {
  const cursor = new RecordCursor(payload);
  while (cursor.next()) {
    const offset = base + cursor.offsetDelta;
    if (cursor.keyBytes < 0) {
      report(offset, 'a record without a key');
      continue;
    }
    const key = payload.toString('latin1', cursor.keyAt, cursor.keyAt + cursor.keyBytes);
    const value = cursor.value();
    // The batch's memory goes back when it has been visited: what is kept must be a copy.
    if (value === null) latest.delete(key);
    else latest.set(key, { value: Buffer.from(value), offset });
  }
}

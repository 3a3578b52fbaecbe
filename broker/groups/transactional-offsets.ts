/**
 * Offsets that are committed within a transaction: they lie in the log as a part of it, stand
 * beside the committed ones until its marker, and then count or are dropped.
 * Source: Kafka's OffsetMetadataManager.commitTransactionalOffset, replayEndTransactionMarker.
 */

import type { ErrorName } from '../../protocol/errors.ts';
import type { TransactionalProducer, TransactionMarker } from '../partition.ts';
import {
  type CommitRequest,
  commitAccepted,
  offsetValues,
  refusedForMemory,
} from './offset-operations.ts';
import { offsetRecord } from './offset-records.ts';
import { offsetOf } from './offsets.ts';
import type { GroupEntry, Shard } from './shard.ts';

export interface TransactionalCommitRequest
  extends Omit<CommitRequest, 'retentionTimeMs' | 'knowsGroupNotFound'> {
  readonly producer: TransactionalProducer;
}

/** Commits offsets in a transaction; gives the error of each, in order. */
export async function commitInTransaction(
  shard: Shard,
  request: TransactionalCommitRequest,
): Promise<ErrorName[]> {
  const refuse = (error: ErrorName) => request.offsets.map(() => error);
  const entry = entryToCommit(shard, request);
  if (typeof entry === 'string') return refuse(entry);
  const { memberId, instanceId, generationId } = request;
  const fault = entry.group.transactionalCommitFault(memberId, instanceId, generationId);
  if (fault !== undefined) return refuse(fault);
  return commitAccepted(shard, entry, request.offsets, async (offsets) => {
    const error = await writeOffsets(shard, { ...request, offsets }, entry);
    shard.forgetIfVoid(entry);
    return error;
  });
}

/** The end of a transaction in one partition of __consumer_offsets; rejects when it is not written. */
export function endTransaction(shard: Shard, marker: TransactionMarker): Promise<void> {
  const { producerId, isCommit } = marker;
  return shard.writer.write({
    records: marker,
    apply: () => {
      const groups = shard.openTransactions.get(producerId) ?? [];
      shard.openTransactions.delete(producerId);
      for (const groupId of groups) {
        const entry = shard.get(groupId);
        if (entry === undefined) continue;
        entry.offsets.endTransaction(producerId, isCommit);
        shard.forgetIfVoid(entry);
      }
    },
  });
}

function entryToCommit(
  shard: Shard,
  { groupId, generationId }: TransactionalCommitRequest,
): GroupEntry | ErrorName {
  const known = shard.get(groupId);
  if (known !== undefined) return known;
  if (generationId >= 0) return 'ILLEGAL_GENERATION';
  if (shard.services.budget.isFull) return refusedForMemory(shard, groupId);
  return shard.ensure(groupId);
}

async function writeOffsets(
  shard: Shard,
  { groupId, offsets, producer }: TransactionalCommitRequest,
  entry: GroupEntry,
): Promise<ErrorName | undefined> {
  const { producerId } = producer;
  const values = offsetValues(offsets, shard.host.now());
  for (const { topic, partition } of offsets) entry.offsets.launched(topic, partition);
  const error = await shard.write({
    records: offsets.map(({ topic, partition }, index) =>
      offsetRecord(groupId, topic, partition, values[index]!),
    ),
    producer,
    apply: (recordOffsetOf) => {
      // The group may have been deleted, and made anew, since.
      const own = shard.ensure(groupId).offsets;
      for (const [index, { topic, partition }] of offsets.entries()) {
        own.putOpen(producerId, topic, partition, offsetOf(values[index]!, recordOffsetOf(index)));
      }
      const groups = shard.openTransactions.get(producerId) ?? new Set();
      shard.openTransactions.set(producerId, groups.add(groupId));
    },
    settled: () => {
      for (const { topic, partition } of offsets) entry.offsets.landed(topic, partition);
    },
  });
  if (error === undefined) shard.services.offsetsCommitted(offsets.length);
  return error;
}

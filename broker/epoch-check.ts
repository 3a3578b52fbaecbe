/**
 * What a client thinks the partition's leader epoch is, held against what it is (KIP-320). Kafka's
 * Partition does the same for Fetch, ListOffsets and OffsetForLeaderEpoch.
 */

import { ErrorCode } from '../protocol/errors.ts';
import type { PartitionLogView } from '../storage/types.ts';

/** The epoch of a client that does not say what it thinks. */
export const NO_LEADER_EPOCH = -1;

/** An error code, or 0 when the client is right or says nothing. */
export function leaderEpochFault(log: PartitionLogView, claimed: number): number {
  if (claimed === NO_LEADER_EPOCH || claimed === log.leaderEpoch) return ErrorCode.NONE;
  return claimed < log.leaderEpoch ? ErrorCode.FENCED_LEADER_EPOCH : ErrorCode.UNKNOWN_LEADER_EPOCH;
}

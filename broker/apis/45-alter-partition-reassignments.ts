/**
 * AlterPartitionReassignments, API key 45, versions 0-1. A partition can be assigned to the one
 * node only, where it is already; nothing is ever in progress.
 *
 * Version 1: whether the number of replicas may change (KIP-860).
 * Source: KIP-455; Kafka's ReplicationControlManager.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from '../../protocol/messages/alter-partition-reassignments.ts';
import { api } from '../api.ts';
import type { Services } from '../services.ts';
import { checkReplicas } from '../topic-plan.ts';

/** Throws what speaks against an assignment; null takes one back that is in progress. */
function check(
  { topics, nodeId }: Services,
  name: string,
  index: number,
  replicas: readonly number[] | null,
): void {
  if (topics.partition(name, index) === undefined) {
    const missing =
      topics.get(name) === undefined
        ? `Unable to find a topic named ${name}.`
        : `Unable to find partition ${name}:${index}.`;
    throw new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION', missing);
  }
  if (replicas === null) {
    throw new ProtocolError('NO_REASSIGNMENT_IN_PROGRESS', 'No reassignment is in progress.');
  }
  checkReplicas(replicas, nodeId);
}

function outcome(
  services: Services,
  name: string,
  partition: { readonly partitionIndex: number; readonly replicas: readonly number[] | null },
) {
  const { partitionIndex, replicas } = partition;
  try {
    check(services, name, partitionIndex, replicas);
    return { partitionIndex, errorCode: ErrorCode.NONE, errorMessage: null };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { partitionIndex, errorCode: error.code, errorMessage: error.message };
  }
}

export const alterPartitionReassignments = api({
  name: 'AlterPartitionReassignments',
  versions: '0-1',
  request: AlterPartitionReassignmentsRequest,
  response: AlterPartitionReassignmentsResponse,
  handle: ({ services }, request) => ({
    throttleTimeMs: 0,
    allowReplicationFactorChange: request.allowReplicationFactorChange,
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    responses: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map((partition) => outcome(services, name, partition)),
    })),
  }),
  onError: (_context, _request, errorCode, errorMessage) => ({
    throttleTimeMs: 0,
    errorCode,
    errorMessage,
    responses: [],
  }),
});

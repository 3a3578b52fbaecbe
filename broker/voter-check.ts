/**
 * What speaks against a change of the quorum: it has one voter, fixed like that of Kafka with
 * kraft.version 0. Source: KIP-853; Kafka's KafkaRaftClient, AddVoterHandler, RemoveVoterHandler.
 */

import { ProtocolError } from '../protocol/errors.ts';

/** The cluster that is meant, if any is said, must be this one. */
export function checkCluster(wanted: string | null, clusterId: string): void {
  if (wanted === null || wanted === clusterId) return;
  throw new ProtocolError(
    'INCONSISTENT_CLUSTER_ID',
    `The given id "${wanted}" doesn't match the cluster id "${clusterId}"`,
  );
}

export function quorumIsFixed(what: string): ProtocolError {
  return new ProtocolError(
    'UNSUPPORTED_VERSION',
    `Cluster doesn't support ${what} voter because the kraft.version feature is 0`,
  );
}

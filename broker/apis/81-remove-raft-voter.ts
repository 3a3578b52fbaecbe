/**
 * RemoveRaftVoter, API key 81, version 0: a controller is to leave the quorum. On one node the quorum
 * is fixed. Source: KIP-853; Kafka's KafkaRaftClient.
 */

import { ProtocolError } from '../../protocol/errors.ts';
import {
  RemoveRaftVoterRequest,
  RemoveRaftVoterResponse,
} from '../../protocol/messages/remove-raft-voter.ts';
import { api } from '../api.ts';
import { checkCluster, quorumIsFixed } from '../voter-check.ts';

export const removeRaftVoter = api({
  name: 'RemoveRaftVoter',
  versions: '0',
  request: RemoveRaftVoterRequest,
  response: RemoveRaftVoterResponse,
  handle({ services }, { clusterId, voterId }) {
    checkCluster(clusterId, services.clusterId);
    if (voterId < 0) {
      throw new ProtocolError(
        'INVALID_REQUEST',
        "Remove voter request didn't include a valid voter",
      );
    }
    throw quorumIsFixed('removing');
  },
  onError: (_context, _request, errorCode, errorMessage) => ({ errorCode, errorMessage }),
});

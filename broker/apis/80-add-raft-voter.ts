/**
 * AddRaftVoter, API key 80, versions 0-1: a controller is to join the quorum. On one node the quorum
 * is fixed. Version 1: when to answer. Source: KIP-853; Kafka's KafkaRaftClient.
 */

import { ProtocolError } from '../../protocol/errors.ts';
import {
  AddRaftVoterRequest,
  AddRaftVoterResponse,
} from '../../protocol/messages/add-raft-voter.ts';
import { api } from '../api.ts';
import { checkCluster, quorumIsFixed } from '../voter-check.ts';

export const addRaftVoter = api({
  name: 'AddRaftVoter',
  versions: '0-1',
  request: AddRaftVoterRequest,
  response: AddRaftVoterResponse,
  handle({ services }, { clusterId, voterId, listeners }) {
    checkCluster(clusterId, services.clusterId);
    const lacks = voterId < 0 ? 'a valid voter' : 'the endpoint for the default listener';
    if (voterId < 0 || listeners.length === 0) {
      throw new ProtocolError('INVALID_REQUEST', `Add voter request didn't include ${lacks}`);
    }
    throw quorumIsFixed('adding');
  },
  onError: (_context, _request, errorCode, errorMessage) => ({ errorCode, errorMessage }),
});

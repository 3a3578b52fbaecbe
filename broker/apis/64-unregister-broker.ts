/**
 * UnregisterBroker, API key 64, version 0: a broker that is gone is to be forgotten. The one broker
 * there is answers, so it is not gone, and stays; another one is not known.
 * Source: KIP-500; Kafka's ReplicationControlManager.unregisterBroker.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import {
  UnregisterBrokerRequest,
  UnregisterBrokerResponse,
} from '../../protocol/messages/unregister-broker.ts';
import { api } from '../api.ts';

export const unregisterBroker = api({
  name: 'UnregisterBroker',
  versions: '0',
  request: UnregisterBrokerRequest,
  response: UnregisterBrokerResponse,
  handle({ services }, { brokerId }) {
    if (brokerId !== services.nodeId) {
      throw new ProtocolError(
        'BROKER_ID_NOT_REGISTERED',
        `Broker ID ${brokerId} is not currently registered`,
      );
    }
    return {
      errorCode: ErrorCode.INVALID_REQUEST,
      errorMessage: 'The only broker of the cluster cannot be unregistered.',
    };
  },
  onError: (_context, _request, errorCode, errorMessage) => ({ errorCode, errorMessage }),
});

/**
 * InitProducerId, API key 22, versions 0-5 (6 is not stable in Kafka 4.4).
 *
 * Without a transactional id every call gives a new producer id at epoch 0, whatever id the client
 * names. There is no transaction coordinator in this broker: a transactional id is checked as Kafka
 * checks it and then answered COORDINATOR_NOT_AVAILABLE, as by a Kafka whose `__transaction_state`
 * is not there.
 *
 * Version 1: as 0. Version 2: flexible. Version 3: producer id and epoch of the client (KIP-360).
 * Version 4: PRODUCER_FENCED (KIP-588). Version 5: KIP-890.
 * Source: Kafka's TransactionCoordinator.handleInitProducerId.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/init-producer-id.ts';
import { NO_PRODUCER_EPOCH, NO_PRODUCER_ID } from '../../protocol/record-batch.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api } from '../api.ts';
import type { Services } from '../services.ts';

type Request = Decoded<typeof InitProducerIdRequest>;
type Response = Input<typeof InitProducerIdResponse>;

function refusal(errorCode: number): Response {
  return {
    throttleTimeMs: 0,
    errorCode,
    producerId: NO_PRODUCER_ID,
    producerEpoch: NO_PRODUCER_EPOCH,
  };
}

/** What speaks against a request before anything is done; 0 when nothing does. */
function fault(services: Services, request: Request): number {
  // An epoch belongs to an id: both are given, or neither.
  const namesId = request.producerId !== NO_PRODUCER_ID;
  const namesEpoch = request.producerEpoch !== NO_PRODUCER_EPOCH;
  if (namesId !== namesEpoch) return ErrorCode.INVALID_REQUEST;
  if (request.transactionalId === null) return ErrorCode.NONE;
  if (request.transactionalId === '') return ErrorCode.INVALID_REQUEST;
  const longestMs = services.config.get('transaction.max.timeout.ms');
  if (request.transactionTimeoutMs <= 0 || request.transactionTimeoutMs > longestMs) {
    return ErrorCode.INVALID_TRANSACTION_TIMEOUT;
  }
  return ErrorCode.COORDINATOR_NOT_AVAILABLE;
}

export const initProducerId = api({
  name: 'InitProducerId',
  versions: '0-5',
  request: InitProducerIdRequest,
  response: InitProducerIdResponse,
  async handle({ services }, request) {
    const errorCode = fault(services, request);
    if (errorCode !== ErrorCode.NONE) return refusal(errorCode);
    const producerId = await services.producerIds.next();
    return { throttleTimeMs: 0, errorCode, producerId, producerEpoch: 0 };
  },
  onError: (_context, _request, errorCode) => refusal(errorCode),
});

/**
 * InitProducerId, API key 22, versions 0-5 (6 is not stable in Kafka 4.4).
 *
 * Without a transactional id every call gives a new producer id at epoch 0, whatever id the client
 * names. With one, the producer's id goes on in its next epoch, and who had it before is fenced; a
 * transaction that it left open is aborted first (CONCURRENT_TRANSACTIONS until then).
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
import { api, type RequestContext } from '../api.ts';
import type { ProducerIdAndEpoch } from '../transactions/coordinator.ts';

type Request = Decoded<typeof InitProducerIdRequest>;
type Response = Input<typeof InitProducerIdResponse>;

const FIRST_WITH_FENCED = 4;

function refusal(errorCode: number): Response {
  return {
    throttleTimeMs: 0,
    errorCode,
    producerId: NO_PRODUCER_ID,
    producerEpoch: NO_PRODUCER_EPOCH,
  };
}

/** Whom the client takes itself for; undefined when it starts, INVALID_REQUEST for half of it. */
function expectedOf(request: Request): ProducerIdAndEpoch | undefined | 'INVALID_REQUEST' {
  const { producerId, producerEpoch } = request;
  const namesId = producerId !== NO_PRODUCER_ID;
  const namesEpoch = producerEpoch !== NO_PRODUCER_EPOCH;
  if (namesId !== namesEpoch) return 'INVALID_REQUEST';
  return namesId ? { producerId, producerEpoch } : undefined;
}

async function handle({ services, apiVersion }: RequestContext, request: Request) {
  const expected = expectedOf(request);
  if (expected === 'INVALID_REQUEST') return refusal(ErrorCode.INVALID_REQUEST);
  const { transactionalId, transactionTimeoutMs: timeoutMs } = request;
  if (transactionalId === null) {
    const producerId = await services.producerIds.next();
    return { errorCode: ErrorCode.NONE, producerId, producerEpoch: 0 };
  }
  const { transactions } = services;
  const result = await transactions.initProducerId(transactionalId, { timeoutMs, expected });
  const { error, producerId, producerEpoch } = result;
  const isTold = error !== 'PRODUCER_FENCED' || apiVersion >= FIRST_WITH_FENCED;
  const errorCode = ErrorCode[isTold ? error : 'INVALID_PRODUCER_EPOCH'];
  return { errorCode, producerId, producerEpoch };
}

export const initProducerId = api({
  name: 'InitProducerId',
  versions: '0-5',
  request: InitProducerIdRequest,
  response: InitProducerIdResponse,
  handle,
  onError: (_context, _request, errorCode) => refusal(errorCode),
});

/**
 * EndTxn, API key 26, versions 0-5: commits or aborts. The outcome is durable when it is answered;
 * what lies in the partitions is decided when the markers have come there.
 *
 * Version 1: as 0. Version 2: PRODUCER_FENCED in place of INVALID_PRODUCER_EPOCH. Version 3:
 * flexible. Version 4: TRANSACTION_ABORTABLE. Version 5: each end raises the epoch, and the answer
 * has the producer id and epoch to go on with (KIP-890).
 * Source: Kafka's KafkaApis.handleEndTxnRequest.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import { EndTxnRequest, EndTxnResponse } from '../../protocol/messages/end-txn.ts';
import { api } from '../api.ts';

const FIRST_WITH_FENCED = 2;
const FIRST_OF_VERSION_2 = 5;

export const endTxn = api({
  name: 'EndTxn',
  versions: '0-5',
  request: EndTxnRequest,
  response: EndTxnResponse,
  async handle({ services, apiVersion }, request) {
    const { transactionalId, producerId, producerEpoch, committed } = request;
    const result = await services.transactions.endTransaction(transactionalId, {
      producerId,
      producerEpoch,
      isCommit: committed,
      clientVersion: apiVersion >= FIRST_OF_VERSION_2 ? 2 : 0,
    });
    const isTold = result.error !== 'PRODUCER_FENCED' || apiVersion >= FIRST_WITH_FENCED;
    const errorCode = ErrorCode[isTold ? result.error : 'INVALID_PRODUCER_EPOCH'];
    if (apiVersion < FIRST_OF_VERSION_2) return { errorCode };
    return { errorCode, producerId: result.producerId, producerEpoch: result.producerEpoch };
  },
  onError: (_context, _request, errorCode) => ({ errorCode }),
});

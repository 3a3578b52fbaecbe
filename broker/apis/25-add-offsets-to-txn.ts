/**
 * AddOffsetsToTxn, API key 25, versions 0-4: a group's offsets become part of a transaction, with
 * the partition of __consumer_offsets that keeps them.
 *
 * Version 1: as 0. Version 2: PRODUCER_FENCED in place of INVALID_PRODUCER_EPOCH. Version 3:
 * flexible. Version 4: TRANSACTION_ABORTABLE (KIP-890).
 * Source: Kafka's KafkaApis.handleAddOffsetsToTxnRequest.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  AddOffsetsToTxnRequest,
  AddOffsetsToTxnResponse,
} from '../../protocol/messages/add-offsets-to-txn.ts';
import { api } from '../api.ts';
import { OFFSETS_TOPIC } from '../groups/coordinator.ts';

const FIRST_WITH_FENCED = 2;

export const addOffsetsToTxn = api({
  name: 'AddOffsetsToTxn',
  versions: '0-4',
  request: AddOffsetsToTxnRequest,
  response: AddOffsetsToTxnResponse,
  async handle({ services, apiVersion }, request) {
    const { transactionalId, producerId, producerEpoch, groupId } = request;
    const partition = services.groups.partitionOf(groupId);
    const error = await services.transactions.addPartitions(
      transactionalId,
      { producerId, producerEpoch },
      [{ topic: OFFSETS_TOPIC, partition }],
      0,
    );
    const isTold = error !== 'PRODUCER_FENCED' || apiVersion >= FIRST_WITH_FENCED;
    return { errorCode: ErrorCode[isTold ? error : 'INVALID_PRODUCER_EPOCH'] };
  },
  onError: (_context, _request, errorCode) => ({ errorCode }),
});

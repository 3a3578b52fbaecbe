/**
 * ListPartitionReassignments, API key 46, version 0: none is ever in progress on one node.
 * Source: KIP-455.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from '../../protocol/messages/list-partition-reassignments.ts';
import { api } from '../api.ts';

export const listPartitionReassignments = api({
  name: 'ListPartitionReassignments',
  versions: '0',
  request: ListPartitionReassignmentsRequest,
  response: ListPartitionReassignmentsResponse,
  handle: () => ({
    throttleTimeMs: 0,
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    topics: [],
  }),
  onError: (_context, _request, errorCode, errorMessage) => ({
    throttleTimeMs: 0,
    errorCode,
    errorMessage,
    topics: [],
  }),
});

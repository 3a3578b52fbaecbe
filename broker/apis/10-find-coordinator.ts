/**
 * FindCoordinator, API key 10, versions 0-6: which broker keeps a group or a transactional id. This
 * broker keeps them all. It has no share groups.
 *
 * Version 1: key types and an error text. Version 3: flexible. Version 4: several keys (KIP-699).
 * Version 6: share groups (KIP-932).
 * Source: Kafka's KafkaApis.getCoordinator.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  FindCoordinatorRequest,
  FindCoordinatorResponse,
} from '../../protocol/messages/find-coordinator.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';

type Request = Decoded<typeof FindCoordinatorRequest>;
type Response = Input<typeof FindCoordinatorResponse>;

const KeyType = { group: 0, transaction: 1 } as const;
const FIRST_WITH_KEYS = 4;
const NO_NODE = { nodeId: -1, host: '', port: -1 } as const;
/** What Kafka puts into the text of versions 1 to 3 where there is no error. */
const NO_ERROR_TEXT = 'NONE';

interface Found {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

function refused(errorCode: number, errorMessage: string): Found {
  return { ...NO_NODE, errorCode, errorMessage };
}

function find(context: RequestContext, keyType: number): Found {
  if (keyType === KeyType.group || keyType === KeyType.transaction) {
    const { host, port } = context.connection.advertised;
    const { nodeId } = context.services;
    return { nodeId, host, port, errorCode: ErrorCode.NONE, errorMessage: null };
  }
  return refused(ErrorCode.INVALID_REQUEST, `There is no coordinator of type ${keyType}.`);
}

function responseOf(context: RequestContext, request: Request, found: Found): Response {
  if (context.apiVersion >= FIRST_WITH_KEYS) {
    return { coordinators: request.coordinatorKeys.map((key) => ({ key, ...found })) };
  }
  return { ...found, errorMessage: found.errorMessage ?? NO_ERROR_TEXT };
}

export const findCoordinator = api({
  name: 'FindCoordinator',
  versions: '0-6',
  request: FindCoordinatorRequest,
  response: FindCoordinatorResponse,
  handle: (context, request) => responseOf(context, request, find(context, request.keyType)),
  onError: (context, request, errorCode, message) =>
    responseOf(context, request, refused(errorCode, message)),
});
